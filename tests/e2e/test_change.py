"""`change`, and what follows on a run: diff, accept, undo, runs."""

from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from tests.e2e.harness import (
    LOCAL,
    RED,
    RIGHT,
    greenward,
    journals,
    mended_at_once,
    plan,
    subjects,
    trailers,
    variables,
)
from tests.gitrepo import git, put, repository, state

HOLDS_ALREADY = {"behaviour": "it doubles", "command": "python -c 'import sums; print(sums.double(4))'", "output": "8"}
TRIPLES = {"behaviour": "it triples", "command": "python -c 'import sums; print(sums.triple(4))'", "output": "12"}


def mended(red):
    """A run that mended `red`; its id."""
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", red, *LOCAL, "--allow-unproven", environment=variables(server))
    assert ran.code == 0, ran.said
    return journals(red)[0].parent.name


def hook(root, name, script):
    path = root / ".git" / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_change_that_changes_nothing_is_unproven(tmp_path):
    files = {**RED, "sums.py": RED["sums.py"].replace("a - b", "a + b")}
    script = Script(
        replies=(
            plan("Double numbers", criteria=[HOLDS_ALREADY]),
            plan("Triple numbers", criteria=[HOLDS_ALREADY | {"before": "holds"}, TRIPLES]),
            say("All is there already.", call("run_tests"), expect=("The plan is accepted",)),
            say("", call("finish", status="done"), expect=("unproven", "does not show: it triples")),
        )
    )
    for options, code in ([], 8), (["--allow-unproven"], 0):
        green = repository(tmp_path / f"green-{code}", files)
        before = state(green)
        with ScriptedServer(script) as server:
            ran = greenward("change", "double numbers", green, *LOCAL, *options, environment=variables(server))
        assert ran.code == code, ran.said
        assert "These criteria hold already" in ran.err
        assert ran.out.strip().startswith(f"unproven: `{TRIPLES['command']}` does not show: it triples")
        assert "nothing was changed" in ran.out
        assert state(green) == before
        ran = greenward("accept", "--repo", green, environment=variables())
        assert ran.code == 2
        assert "changed nothing" in ran.err


def test_accepting_on_a_clean_checkout_is_one_commit_of_the_user(red):
    run = mended(red)
    hook(red, "pre-commit", "touch .git/hook-ran")
    before = git(red, "rev-parse", "HEAD")
    shown = greenward("diff", run, "--repo", red, environment=variables()).out
    assert "-    return a - b" in shown
    assert "+    return a + b" in shown

    ran = greenward("accept", run[:4], "--repo", red, environment=variables())
    assert ran.code == 0, ran.said
    assert "committed: 1 files" in ran.out
    assert "the result is not proven" in ran.out
    assert (red / ".git" / "hook-ran").exists()
    assert git(red, "log", "-1", "--format=%an %ae %cn") == "Ada ada@example.org Ada"
    assert subjects(red, f"{before}..HEAD") == ["Add instead of subtracting"]
    assert trailers(red, "HEAD") == {"Greenward-Run": run, "Assisted-by": "greenward:kimi-k2.6"}
    assert git(red, "show", "HEAD:sums.py") == (red / "sums.py").read_text().removesuffix("\n")
    assert (red / "sums.py").read_text().startswith(RIGHT)
    assert git(red, "status", "--porcelain") == ""
    assert git(red, "diff", f"{before}..HEAD") == shown.removesuffix("\n")

    ran = greenward("undo", run, "--repo", red, environment=variables())
    assert ran.code == 0, ran.said
    assert git(red, "rev-parse", "HEAD") == before
    assert git(red, "status", "--porcelain") == ""
    assert (red / "sums.py").read_text() == RED["sums.py"]
    assert run in greenward("runs", "--repo", red, environment=variables()).out


def test_accepting_on_a_dirty_checkout_writes_the_files_alone(red):
    put(red, {"notes.txt": "mine\n", "sums.py": RED["sums.py"] + "\n\n# mine\n"})
    run = mended(red)
    index, head = (red / ".git" / "index").read_bytes(), git(red, "rev-parse", "HEAD")
    ran = greenward("accept", run, "--repo", red, environment=variables())
    assert ran.code == 0, ran.said
    assert "uncommitted" in ran.out
    assert (red / "sums.py").read_text().startswith(RIGHT)
    assert (red / "notes.txt").read_text() == "mine\n"
    assert ((red / ".git" / "index").read_bytes(), git(red, "rev-parse", "HEAD")) == (index, head)

    ran = greenward("undo", run, "--repo", red, environment=variables())
    assert ran.code == 0, ran.said
    assert (red / "sums.py").read_text() == RED["sums.py"] + "\n\n# mine\n"
    ran = greenward("undo", run, "--repo", red, environment=variables())
    assert ran.code == 2
    assert "\n\nhint: " in ran.err


def test_what_was_changed_since_is_not_overwritten(red):
    run = mended(red)
    put(red, {"sums.py": "mine = 1\n"})
    before = state(red)
    ran = greenward("accept", run, "--repo", red, environment=variables())
    assert ran.code == 2, ran.said
    assert "sums.py" in ran.err
    assert state(red) == before


def test_a_hook_that_refuses_leaves_all_as_it_was(red):
    run = mended(red)
    hook(red, "pre-commit", "echo no such thing >&2; exit 1")
    before = state(red)
    ran = greenward("accept", run, "--repo", red, environment=variables())
    assert ran.code == 2, ran.said
    assert "no such thing" in ran.err
    assert state(red) == before
