"""The fold and what it calls for, as tables for each mode."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agent import events as e
from agent.errors import DamagedRun
from agent.events import Outcome, Say
from agent.folding import MAX_NUDGES, fold
from agent.journal import Entry
from agent.state import Due, Phase, due
from agent.verdict import Verdict, VerdictKind
from tests.kits import (
    EPOCH,
    PLANNED,
    PREPARED,
    committed,
    every_event,
    folded,
    replied,
    report,
    returned,
    started,
    told,
)

RED, GREEN = report(a="failed"), report(a="passed")
RESERVED = e.CallReserved(dollars=0.25, tokens=1_000, max_tokens=500)


def judged(kind: str, tree: str = "good") -> e.VerdictReached:
    return e.VerdictReached(verdict=Verdict(kind=VerdictKind(kind), tree=tree, reasons=("so it is",)))


DONE = e.Finish(status="done")
BASELINE = e.BaselineMeasured(report=RED)
FIX = (PREPARED, BASELINE, told(Say.PLAN))
FIX_CODE = (*FIX, replied("plan"), PLANNED, told(Say.CODE))
CHANGE = (told(Say.PLAN),)
CHANGE_CODE = (*CHANGE, replied("plan"), PLANNED, PREPARED, BASELINE, told(Say.CODE))
NEW_TESTS = (told(Say.PLAN), replied("plan"), PLANNED, PREPARED, told(Say.TESTS))
RUN_RED = e.TestRun(report=RED, full=True)
RUN_SOME = e.TestRun(report=replace(GREEN, reused=1), full=True)
RUN_GREEN = e.TestRun(report=GREEN, full=True)
WRITTEN = (replied("run"), returned("run", "tests", RUN_RED), committed("tests"))
NEW_CODE = (*NEW_TESTS, *WRITTEN, told(Say.CODE))
TESTED = (replied("run"), returned("run", "good", RUN_GREEN))

TABLE = {
    # mode, events, what is due
    "fix prepares first": ("fix", (), Due.PREPARE),
    "fix measures before it plans": ("fix", (PREPARED,), Due.MEASURE),
    "fix plans from the failures": ("fix", (PREPARED, BASELINE), Due.PROMPT),
    "fix with nothing to fix is over": ("fix", (PREPARED, e.BaselineMeasured(report=GREEN)), Due.FINISH),
    "fix of a suite without result goes on": (
        "fix",
        (PREPARED, e.BaselineMeasured(report=report(problem="broken", exit_code=4))),
        Due.PROMPT,
    ),
    "change plans first": ("change", (), Due.PROMPT),
    "new plans first": ("new", (), Due.PROMPT),
    "what was said is answered": ("change", CHANGE, Due.ASK),
    "a reservation without reply is made again": ("change", (*CHANGE, RESERVED), Due.ASK),
    "a failed call is made again": (
        "change",
        (*CHANGE, RESERVED, e.CallFailed(error="transport", message="", billed=True, wait=1.0)),
        Due.ASK,
    ),
    "calls are made": ("change", (*CHANGE, replied("look", "plan")), Due.CALL_TOOL),
    "calls are made one after the other": (
        "change",
        (*CHANGE, replied("look", "plan"), returned("look")),
        Due.CALL_TOOL,
    ),
    "change prepares once it has a plan": ("change", (*CHANGE, replied("plan"), PLANNED), Due.PREPARE),
    "change prepares before further calls": ("change", (*CHANGE, replied("plan", "edit"), PLANNED), Due.PREPARE),
    "change measures what is before it": ("change", (*CHANGE, replied("plan"), PLANNED, PREPARED), Due.MEASURE),
    "change is told to code": ("change", CHANGE_CODE[:-1], Due.PROMPT),
    "change codes": ("change", CHANGE_CODE, Due.ASK),
    "new prepares once it has a plan": ("new", (told(Say.PLAN), replied("plan"), PLANNED), Due.PREPARE),
    "new measures nothing before there are tests": ("new", NEW_TESTS[:-1], Due.PROMPT),
    "new writes tests": ("new", NEW_TESTS, Due.ASK),
    "tests that were written are committed unjudged": ("new", (*NEW_TESTS, *WRITTEN[:-1]), Due.COMMIT),
    "green tests before code are committed unjudged": ("new", (*NEW_TESTS, *TESTED), Due.COMMIT),
    "red tests are followed by code": ("new", (*NEW_TESTS, *WRITTEN), Due.PROMPT),
    "new codes": ("new", NEW_CODE, Due.ASK),
    "an edit without a test is tested at the turn's end": (
        "fix",
        (*FIX_CODE, replied("edit"), returned("edit", "good"), replied()),
        Due.TEST,
    ),
    "an edit is followed by another turn": ("fix", (*FIX_CODE, replied("edit"), returned("edit", "good")), Due.ASK),
    "a red run is committed": ("fix", (*FIX_CODE, replied("run"), returned("run", "bad", RUN_RED)), Due.COMMIT),
    "a run of a selection is no iteration": (
        "fix",
        (*FIX_CODE, replied("run"), returned("run", "good", e.TestRun(report=GREEN, full=False))),
        Due.ASK,
    ),
    "a green run is judged": ("fix", (*FIX_CODE, *TESTED), Due.JUDGE),
    "a green run of a scaffold is judged": ("new", (*NEW_CODE, *TESTED), Due.JUDGE),
    "a green run of a change is judged": ("change", (*CHANGE_CODE, *TESTED), Due.JUDGE),
    "what was judged is committed": ("fix", (*FIX_CODE, *TESTED, judged("passed")), Due.COMMIT),
    "a verdict on another tree is none": ("fix", (*FIX_CODE, *TESTED, judged("passed", "other")), Due.JUDGE),
    "what passed is the end": ("fix", (*FIX_CODE, *TESTED, judged("passed"), committed("good")), Due.FINISH),
    "what failed is told": ("fix", (*FIX_CODE, *TESTED, judged("failed"), committed("good")), Due.PROMPT),
    "a passed verdict on a tree that was not committed ends nothing": (
        "fix",
        (*FIX_CODE, *TESTED, judged("passed"), committed("other")),
        Due.ASK,
    ),
    "results that the loop asked for are told": (
        "fix",
        (*FIX_CODE, replied("edit"), returned("edit", "bad"), replied(), e.TestsFinished(report=RED, tree="bad"),
         committed("bad")),
        Due.PROMPT,
    ),
    "done without a test is tested": (
        "fix",
        (*FIX_CODE, replied("edit", "done"), returned("edit", "good"), returned("done", "good", DONE)),
        Due.TEST,
    ),
    "done before a plan is told": ("change", (*CHANGE, replied("done"), returned("done", effect=DONE)), Due.PROMPT),
    "done after a run of some tests is tested": (
        "fix",
        (*FIX_CODE, replied("run"), returned("run", "good", RUN_SOME), committed("good"), replied("done"),
         returned("done", "good", DONE)),
        Due.TEST,
    ),
    "a turn that ends after a run of some tests is tested": (
        "fix",
        (*FIX_CODE, replied("run"), returned("run", "good", RUN_SOME), committed("good"), replied()),
        Due.TEST,
    ),
    "a run of some tests that pass is committed unjudged": (
        "fix",
        (*FIX_CODE, replied("run"), returned("run", "good", RUN_SOME)),
        Due.COMMIT,
    ),
    "a budget that ends after a run of some tests has all of them run": (
        "fix",
        (*FIX_CODE, replied("run"), returned("run", "good", RUN_SOME), committed("good"),
         e.BudgetExhausted(reason="spent")),
        Due.TEST,
    ),
    "a block after a run of some tests is the end": (
        "fix",
        (*FIX_CODE, replied("run", "done"), returned("run", "good", RUN_SOME), committed("good"),
         returned("done", "good", e.Finish(status="blocked", reason="no"))),
        Due.FINISH,
    ),
    "calls after done are made": (
        "fix",
        (*FIX_CODE, replied("done", "edit"), returned("done", effect=DONE)),
        Due.CALL_TOOL,
    ),
    "blocked is the end, whatever else was called": (
        "fix",
        (*FIX_CODE, replied("edit", "done", "edit"), returned("edit", "bad"),
         returned("done", "bad", e.Finish(status="blocked", reason="no"))),
        Due.FINISH,
    ),
    "a budget that ends with untested work tests it": (
        "fix",
        (*FIX_CODE, replied("edit"), returned("edit", "good"), e.BudgetExhausted(reason="spent")),
        Due.TEST,
    ),
    "a budget that ends with green work judges it": (
        "fix",
        (*FIX_CODE, replied("edit"), returned("edit", "good"), e.BudgetExhausted(reason="spent"),
         e.TestsFinished(report=GREEN, tree="good")),
        Due.JUDGE,
    ),
    "a budget that ends with red work commits it and ends the run": (
        "fix",
        (*FIX_CODE, replied("edit"), returned("edit", "bad"), e.BudgetExhausted(reason="spent"),
         e.TestsFinished(report=RED, tree="bad"), committed("bad")),
        Due.FINISH,
    ),
    "a budget that ends with tested work ends the run": (
        "fix",
        (*FIX_CODE, replied("run"), returned("run", "bad", RUN_RED), committed("bad"),
         e.BudgetExhausted(reason="spent")),
        Due.FINISH,
    ),
    "a budget that ends before any work ends the run": ("fix", (*FIX_CODE, e.BudgetExhausted(reason="")), Due.FINISH),
    "a budget that ends among the tests ends the run": (
        "new",
        (*NEW_TESTS, replied("edit"), returned("edit", "tests"), e.BudgetExhausted(reason="spent")),
        Due.FINISH,
    ),
    "a session changes nothing": ("fix", (*FIX_CODE, *TESTED, e.SessionStarted(pid=1, version="0")), Due.JUDGE),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_what_is_due(name):
    mode, events, expected = TABLE[name]
    assert due(folded(started(mode), *events)) is expected


@pytest.mark.parametrize(
    ("mode", "events", "say"),
    [
        ("fix", (PREPARED, BASELINE), Say.PLAN),
        ("fix", FIX_CODE[:-1], Say.CODE),
        ("new", NEW_TESTS[:-1], Say.TESTS),
        ("new", (*NEW_TESTS, *WRITTEN), Say.CODE),
        ("new", (*NEW_TESTS, *TESTED, committed("good")), Say.TESTS_NOT_RED),
        (
            "new",
            (
                *NEW_TESTS,
                replied("run"),
                returned("run", "x", e.TestRun(report=report(a="failed", problem="cut"), full=True)),
                committed("x"),
            ),
            Say.TESTS_NOT_RED,
        ),
        ("fix", (*FIX, replied()), Say.PLAN_MISSING),
        ("fix", (*FIX_CODE, replied()), Say.NUDGE),
        ("fix", (*FIX_CODE, replied(stop="length")), Say.TRUNCATED),
        (
            "fix",
            (*FIX_CODE, replied("edit"), returned("edit", "good"), replied(stop="length")),
            Say.TRUNCATED,
        ),
        ("fix", (*FIX_CODE, *TESTED, judged("unproven"), committed("good")), Say.VERDICT),
    ],
)
def test_what_is_said(mode, events, say):
    assert folded(started(mode), *events).say is say


def test_the_first_baseline_that_a_scaffold_has_is_its_red_tests():
    state = folded(started("new"), *NEW_TESTS, *WRITTEN)
    assert (state.phase, state.baseline, state.witness_tree) == (Phase.CODE, RED, "tests")


@pytest.mark.parametrize("count", [MAX_NUDGES, MAX_NUDGES + 1])
def test_a_model_is_nudged_so_often_and_no_more(count):
    state = folded(started(), *FIX_CODE, *[replied()] * count)
    assert (state.closing is not None) is (count > MAX_NUDGES)


def test_a_tool_call_starts_the_nudges_anew():
    state = folded(started(), *FIX_CODE, *[replied()] * MAX_NUDGES, replied("look"), returned("look"), replied())
    assert (state.closing, state.nudges) == (None, 1)


def test_time_passes_within_a_session_only_and_never_backwards():
    offsets = [(0, started()), (5, PREPARED), (3_600, e.SessionStarted(pid=1, version="0")), (3_590, BASELINE)]
    offsets.append((3_592, told(Say.PLAN)))
    state = fold(
        Entry(seq=seq, at=EPOCH + timedelta(seconds=offset), event=event) for seq, (offset, event) in enumerate(offsets)
    )
    assert state.spent.seconds == 7.0


def test_what_is_known_of_a_run_is_not_folded_again():
    entries = [Entry(seq=seq, at=EPOCH, event=event) for seq, event in enumerate(every_event())]
    whole = fold(entries)
    for number in range(1, len(entries) + 1):
        known = fold(entries[:number])
        assert fold(entries, known) == whole
        assert fold([*[None] * number, *entries[number:]], known) == whole, "nothing is done with what is known"


def test_a_run_that_has_ended_says_how():
    end = e.RunFinished(outcome=Outcome.BLOCKED, reason="no", commit="c0", tree="base")
    state = folded(started(), end)
    assert (state.outcome, state.reason, state.closing) == (Outcome.BLOCKED, "no", None)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.PASSED, 0),
        (Outcome.FAILED, 1),
        (Outcome.BLOCKED, 1),
        (Outcome.OUT_OF_BUDGET, 3),
        (Outcome.UNPROVEN, 8),
    ],
)
def test_each_outcome_has_its_exit_code(outcome, code):
    assert outcome.exit_code == code


@pytest.mark.parametrize("events", [(), (PREPARED,)], ids=["empty", "another event first"])
def test_a_run_begins_with_its_start(events):
    with pytest.raises(DamagedRun, match="holds no run"):
        folded(*events)


def test_a_run_starts_once():
    with pytest.raises(TypeError, match="one RunStarted"):
        folded(started(), started())


def test_an_iteration_is_committed_after_its_tests():
    with pytest.raises(TypeError, match="after its tests"):
        folded(started(), committed("good"))


def test_a_run_that_ends_with_a_verdict_of_no_words_says_what_the_verdict_was():
    silent = e.VerdictReached(verdict=Verdict(kind=VerdictKind.FAILED, tree="good"))
    state = folded(started("fix"), *FIX_CODE, *TESTED, silent, committed("good"), told(Say.VERDICT), replied())
    assert state.closing == (Outcome.FAILED, "the verdict is failed")
