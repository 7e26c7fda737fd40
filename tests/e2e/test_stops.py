"""However a run stops, its branch is at the best tree measured, its result says how to go on, and it goes on."""

import json
import signal

import pytest
from jsonschema import Draft202012Validator

from agent.events import RunPaused
from agent.models.script import Script, ScriptedReply, say
from agent.models.server import ScriptedServer
from tests.e2e.harness import (
    LOCAL,
    LOCALLY,
    PYTEST,
    RIGHT,
    ROOT,
    WORSE,
    branch,
    ended,
    entries,
    events,
    greenward,
    journals,
    plan,
    start,
    subjects,
    variables,
    wait_for,
    writes,
)
from tests.gitrepo import git

pytestmark = pytest.mark.untraced

VALIDATOR = Draft202012Validator(json.loads((ROOT / "docs" / "result.schema.json").read_text("utf-8")))
BETTER, WORST = writes("A first try.", WORSE), writes("Another one.", "def add(a, b):\n    raise ValueError\n")
MENDED = (writes("It has to add.", RIGHT), say("That is all."))
SLOW = f"sleep 1.5; {PYTEST}"
CUT = ScriptedReply(say="Let me think.", stall=True)
KEY_REFUSED, DOWN = ScriptedReply(status=401), ScriptedReply(status=503, headers={"Retry-After": "90000"})


def told(root):
    """What `result.json` of the one run says; checked against its schema."""
    (path,) = journals(root)
    found = json.loads(path.with_name("result.json").read_text("utf-8"))
    VALIDATOR.validate(found)
    assert found["result"]["entries"] == len(entries(root))
    return found["result"]


def at_the_best(root):
    """Whether the branch is where the first iteration was, and says so."""
    assert git(root, "show", f"{branch(root)}:sums.py").startswith(WORSE)
    assert subjects(root, f"main..{branch(root)}")[-1] == "Return to iteration 1, the best one"
    result = told(root)
    assert result["commit"] == git(root, "rev-parse", branch(root))
    assert result["tree"] == git(root, "rev-parse", f"{branch(root)}^{{tree}}")
    assert [each["tests"]["passed"] for each in result["commits"]] == [2, 1]
    assert (result["tests_before"]["failed"], result["tests_after"]["failed"]) == (2, 1)
    return result


def goes_on(root, server, *more):
    ran = greenward("resume", *LOCALLY, "--repo", root, "--allow-unproven", *more, environment=variables(server))
    assert ran.code == 0, ran.said
    assert git(root, "show", f"{branch(root)}:sums.py").startswith(RIGHT.strip())
    assert (told(root)["stopped"], told(root)["outcome"]) == (None, "unproven")


def story(*stop):
    return Script(replies=(plan(), BETTER, WORST, *stop, *MENDED))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal(red, number):
    with ScriptedServer(story(CUT)) as server:
        process = start("fix", red, *LOCAL, environment=variables(server))
        wait_for(lambda: len(server.requests) == 4, process)
        process.send_signal(number)
        ran = ended(process)
        assert ran.code == 130, ran.said
        assert "paused: interrupted; the branch is at " in ran.err
        result = at_the_best(red)
        assert result["stopped"] == {"why": "interrupted", "reason": "interrupted"}
        assert (result["outcome"], result["exit_code"]) == (None, 130)
        assert result["next"].startswith(f"greenward resume {result['run']} goes on; or greenward diff")
        goes_on(red, server)
    assert len(events(red, RunPaused)) == 1


@pytest.mark.parametrize(("fault", "code"), [(KEY_REFUSED, 7), (DOWN, 5)], ids=["key refused", "provider down"])
def test_no_model(red, fault, code):
    with ScriptedServer(story(fault)) as server:
        ran = greenward("fix", red, *LOCAL, environment=variables(server))
        assert ran.code == code, ran.said
        result = at_the_best(red)
        assert (result["stopped"]["why"], result["exit_code"]) == ("model", code)
        goes_on(red, server)


@pytest.mark.parametrize(
    ("cap", "more", "words"),
    [
        (("--max-iterations", 2), ("--max-iterations", 8), "the budget of 2 iterations"),
        (("--max-calls", 3), ("--max-calls", 80), "the budget of 3 calls"),
        (("--max-sandbox-minutes", 0.06, "--test", SLOW), ("--max-sandbox-minutes", 9), "3.6 seconds in the sandbox"),
    ],
    ids=["iterations", "calls", "sandbox"],
)
def test_a_budget(red, cap, more, words):
    with ScriptedServer(story()) as server:
        ran = greenward("fix", red, *LOCAL, *cap, environment=variables(server))
        assert ran.code == 3, ran.said
        result = told(red)
        assert (result["outcome"], result["exit_code"], result["stopped"]) == ("out_of_budget", 3, None)
        assert words in result["reason"]
        assert cap[0] in result["next"]
        goes_on(red, server, *more)


def test_iterations_that_are_used_up_leave_the_best_of_them(red):
    with ScriptedServer(story()) as server:
        ran = greenward("fix", red, *LOCAL, "--max-iterations", 2, environment=variables(server))
        assert ran.code == 3, ran.said
    at_the_best(red)


def test_each_limit_has_its_place_in_the_summary(red):
    caps = ("--max-cost", 0.5, "--max-tokens", 900_000, "--max-calls", 70, "--max-iterations", 7)
    times = ("--max-minutes", 20, "--max-sandbox-minutes", 10)
    with ScriptedServer(Script(replies=(plan(), *MENDED))) as server:
        ran = greenward("fix", red, *LOCAL, *caps, *times, environment=variables(server))
    for words in (
        "of $0.50, 3 of 70 calls, 1 of 7 iterations",
        "of 900,000 (",
        "of 20 min, in the sandbox ",
        "of 10 min",
    ):
        assert words in ran.out, ran.said


def test_a_pause_that_follows_a_pause_returns_no_second_time(red):
    with ScriptedServer(story(KEY_REFUSED, KEY_REFUSED)) as server:
        for arguments in (("fix", red, *LOCAL), ("resume", *LOCALLY, "--repo", red)):
            ran = greenward(*arguments, environment=variables(server))
            assert ran.code == 7, ran.said
        assert at_the_best(red)["run"]
        assert len(subjects(red, f"main..{branch(red)}")) == 3
        goes_on(red, server)
