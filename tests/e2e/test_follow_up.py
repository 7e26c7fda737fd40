"""Going on with a run that has ended: a further request, and a hint."""

from dataclasses import replace

import pytest

from agent import events as e
from agent.folding import fold
from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from tests.e2e.harness import (
    LOCAL,
    LOCALLY,
    RIGHT,
    branch,
    entries,
    events,
    greenward,
    mended_at_once,
    plan,
    subjects,
    variables,
    writes,
)
from tests.gitrepo import git, put, repository

TRIPLE = {"behaviour": "it triples", "command": "python -c 'import sums; print(sums.triple(2))'", "output": "6"}
TRIPLED = RIGHT + "\n\ndef double(a):\n    return a + a\n\n\ndef triple(a):\n    return 3 * a\n"
TEST = "from sums import triple\n\n\ndef test_triple():\n    assert triple(2) == 6\n"
UNPROVEN = say("", call("finish", status="done"), expect=("nothing isolated them",))


def tripling() -> Script:
    """Mends the sums; asked for more, triples."""
    return Script(
        replies=(
            *mended_at_once().replies,
            replace(plan("Triple numbers", criteria=[TRIPLE]), expect=("The user asks for more", "also triple")),
            say(
                "A test and the code.",
                call("write_file", path="tests/test_triple.py", content=TEST),
                call("write_file", path="sums.py", content=TRIPLED),
                call("run_tests"),
                expect=("The plan is accepted",),
            ),
            UNPROVEN,
        )
    )


@pytest.fixture
def mended(red):
    with ScriptedServer(tripling()) as server:
        ran = greenward("fix", red, *LOCAL, "--allow-unproven", environment=variables(server))
    assert ran.code == 0, ran.said
    return entries(red)[0].event.run_id


def continued(red, run, *options):
    with ScriptedServer(tripling()) as server:
        ran = greenward(
            "change", "--continue", run, "also triple", red, *LOCALLY, "--allow-unproven", *options,
            environment=variables(server),
        )  # fmt: skip
    return ran, server


def test_a_further_request_goes_on_in_the_same_conversation_and_branch(red, mended):
    first, spent = branch(red), fold(entries(red)).spent
    tip = git(red, "rev-parse", first)
    ran, server = continued(red, mended)

    assert ran.code == 0, ran.said
    assert branch(red) == first
    assert subjects(red, f"{tip}..{first}") == ["Triple numbers"]
    opening = server.requests[0].body["messages"]
    assert [message["role"] for message in opening][:2] == ["system", "user"]
    assert "Add instead of subtracting" in str(opening), "the conversation so far goes along"
    assert "request: also triple" in ran.err
    assert "tests:   3 passed -> 4 passed" in ran.out
    state = fold(entries(red))
    assert state.started.limits.dollars == pytest.approx(spent.dollars + 1.0)
    assert state.spent.calls == spent.calls + 3
    shown = greenward("diff", mended, "--repo", red, environment=variables()).out
    assert "+    return a + b" in shown, "what the run changed, from its beginning"
    assert "+def triple(a):" in shown

    ran = greenward("accept", mended, "--repo", red, environment=variables())
    assert ran.code == 0, ran.said
    assert (red / "sums.py").read_text() == TRIPLED


def test_what_was_accepted_before_is_not_accepted_again(red, mended):
    head = git(red, "rev-parse", "HEAD")
    assert greenward("accept", mended, "--repo", red, environment=variables()).code == 0
    middle = git(red, "rev-parse", "HEAD")
    put(red, {"notes.txt": "mine\n"})
    git(red, "add", "notes.txt")
    git(red, "commit", "-qm", "notes")
    own = git(red, "rev-parse", "HEAD")
    ran, _ = continued(red, mended)
    assert ran.code == 0, ran.said

    ran = greenward("accept", mended, "--repo", red, environment=variables())
    assert ran.code == 0, ran.said
    assert git(red, "rev-parse", "HEAD^") == own
    assert git(red, "diff", "--name-only", "HEAD^", "HEAD").split() == ["sums.py", "tests/test_triple.py"]
    assert "accepted already" in greenward("accept", mended, "--repo", red, environment=variables()).err

    assert greenward("undo", mended, "--repo", red, environment=variables()).code == 0
    assert git(red, "rev-parse", "HEAD") == own
    git(red, "reset", "-q", "--hard", middle)
    assert greenward("undo", mended, "--repo", red, environment=variables()).code == 0
    assert git(red, "rev-parse", "HEAD") == head


def test_only_what_can_change_is_taken_with_a_further_request(red, mended):
    for options in (("--test", "pytest"), ("--approve",), ("--plan", "x.toml"), ("--cwd", "sub")):
        ran, server = continued(red, mended, *options)
        assert ran.code == 2, ran.said
        assert server.requests == []
    ran = greenward("change", "--continue", mended, " ", red, *LOCALLY, environment=variables())
    assert (ran.code, "the request is empty" in ran.err) == (2, True)


def test_a_hint_lets_a_blocked_run_go_on(red):
    script = Script(
        replies=(
            plan(),
            say("", call("finish", status="blocked", reason="Which sum?"), expect=("The plan is accepted",)),
            writes("Of course.", RIGHT, expect=("The user adds:", "the one in sums.py")),
            UNPROVEN,
        )
    )
    with ScriptedServer(script) as server:
        ran = greenward("fix", red, *LOCAL, environment=variables(server))
        assert (ran.code, "blocked: Which sum?" in ran.out) == (1, True), ran.said
        ran = greenward(
            "resume", "--repo", red, "--say", "the one in sums.py", *LOCALLY, "--allow-unproven",
            environment=variables(server),
        )  # fmt: skip
    assert ran.code == 0, ran.said
    assert "hint: the one in sums.py" in ran.err
    assert events(red, e.HintGiven) == [e.HintGiven(text="the one in sums.py")]


def test_what_a_model_wrote_about_the_project_sets_nothing_in_what_follows(tmp_path):
    """A table that came in with the first request must not decide how the second one is tested."""
    red = repository(
        tmp_path / "own",
        {
            "sums.py": "def add(a, b):\n    return a - b\n",
            "tests/test_sums.py": """\
from sums import add


def test_add():
    assert add(2, 3) == 5
""",
        },
    )
    table = '[tool.greenward]\ntest = "python -m pytest tests/nothing"\nsetup = "touch /tmp/owned"\n'
    script = Script(
        replies=(
            plan(),
            say(
                "",
                call("write_file", path="sums.py", content=RIGHT),
                call("write_file", path="pyproject.toml", content=table),
                call("run_tests"),
            ),
            UNPROVEN,
            plan("Triple numbers", criteria=[TRIPLE]),
            say("", call("write_file", path="sums.py", content=TRIPLED), call("run_tests")),
            UNPROVEN,
        )
    )
    local = ("--sandbox", "local")
    with ScriptedServer(script) as server:
        ran = greenward("fix", red, *LOCAL, "--allow-unproven", environment=variables(server))
        assert ran.code == 0, ran.said
        run = entries(red)[0].event.run_id
        ran = greenward(
            "change", "--continue", run, "also triple", red, *local, "--allow-unproven", environment=variables(server)
        )
    assert ran.code == 0, ran.said
    assert "tests/nothing" not in events(red, e.EnvironmentPrepared)[-1].test
