"""A test that passed and failed on one tree is flaky from then on, wherever that was seen."""

from dataclasses import replace

from agent import events as e
from agent.best import best_of
from agent.events import Outcome
from agent.habits import Habits
from agent.messages import ToolCall
from agent.progress import compared
from agent.sightings import Sightings
from agent.state import Due, due
from agent.task import Limits
from agent.testreport import Again, Status
from agent.verdict import Verdict, VerdictKind
from tests.kits import PLANNED, PREPARED, committed, folded, replied, report, returned, started

A, B, C = (f"tests/test_x.py::{name}" for name in "abc")
RED, GREEN = report(a="failed", b="failed", c="passed"), report(a="passed", b="passed", c="passed")


def ran(showed, tree):
    return (replied("run"), returned("run", tree, e.TestRun(report=showed, full=True)))


def begun(*events, mode="fix", baseline=None):
    return folded(
        started(mode), PREPARED, baseline or e.BaselineMeasured(report=RED), replied("plan"), PLANNED, *events
    )


def test_runs_of_one_tree_are_compared_and_of_two_trees_not():
    one = Sightings().after("t", report(a="passed", b="failed"))
    same, other = one.after("t", report(a="failed", b="failed")), one.after("u", report(a="failed", b="passed"))

    assert (same.flaky, other.flaky) == ({A}, frozenset())
    assert other.after("t", report(b="passed")).flaky == {B}


def test_what_ended_otherwise_is_known_before_it_is_told():
    known = Sightings().after("t", report(a="passed", b="skipped"))

    assert known.wavering("t", report(a="failed", b="failed")) == {A}
    assert known.wavering("u", report(a="failed")) == frozenset()


def test_a_run_without_a_result_shows_nothing():
    cut = report(a="failed", problem="stopped")
    known = Sightings().after("t", report(a="passed"))

    assert known.wavering("t", cut) == frozenset()
    assert known.after("t", cut).shown == known.shown


def test_a_look_at_some_tests_counts_and_what_was_seen_is_never_forgotten():
    glance = e.TestRun(report=report(a="failed"), full=False)
    state = begun(*ran(GREEN, "t"), committed("t"), replied("run"), returned("run", "t", glance), *ran(GREEN, "u"))

    assert state.hidden == {A}


def test_what_the_base_and_a_verdict_showed_counts_as_well():
    verdict = Verdict(
        kind=VerdictKind.NEEDS_REVIEW, tree="t",
        report=replace(GREEN, flaky=(B,), again=(Again(id=C, here=(), base=(Status.PASSED, Status.FAILED)),)),
    )  # fmt: skip
    state = begun(*ran(GREEN, "t"), e.VerdictReached(verdict=verdict),
                  baseline=e.BaselineMeasured(report=RED, flaky=(A,)))  # fmt: skip

    assert state.hidden == {A, B, C}
    assert state.standings.flaky == {A, C}, "of these the base is known to waver: they decide nothing"


def test_a_test_that_wavers_here_does_not_keep_the_judge_away():
    state = begun(*ran(report(a="passed", b="passed", c="failed"), "t"))
    wavering = begun(*ran(replace(report(a="passed", b="passed", c="failed"), flaky=(C,)), "t"))

    assert (due(state), due(wavering)) == (Due.COMMIT, Due.JUDGE)


def test_a_flaky_failure_of_the_base_is_no_target():
    state = begun(*ran(report(a="failed", b="passed", c="passed"), "t"),
                  baseline=e.BaselineMeasured(report=RED, flaky=(A,)))  # fmt: skip

    assert state.green


def test_flaky_tests_are_neither_fixed_nor_broken_nor_a_step_back():
    base = e.BaselineMeasured(report=report(a="failed", b="failed", c="passed"), flaky=(A, C))
    state = begun(baseline=base)

    assert compared(report(a="passed", b="passed", c="failed"), state) == ({B}, frozenset())
    one, two = report(a="passed", b="failed", c="failed"), report(a="failed", b="passed", c="failed")
    state = begun(*ran(one, "t"), committed("t"), *ran(two, "u"), committed("u"), baseline=base)
    assert best_of(state).tree == "u"


def test_a_place_is_no_new_one_for_a_test_that_fails_by_chance():
    call = ToolCall(id="c", name="run_tests", arguments="{}")

    def counted(habits, showed, turn):
        event = e.ToolReturned(
            call_id="c", name="run_tests", content=f"{turn}", is_error=False, tree="t",
            effect=e.TestRun(report=showed, full=True),
        )  # fmt: skip
        return habits.after(call, event, before="t", turn=turn)

    first = counted(Habits(), replace(report(a="failed", b="failed"), flaky=(A,)), 1)
    assert counted(first, report(a="passed", b="failed"), 2).idle == 1
    assert counted(first, report(a="passed", b="passed"), 2).idle == 0


def test_a_further_request_begins_with_what_is_known():
    verdict = Verdict(kind=VerdictKind.PASSED, tree="t", report=replace(GREEN, flaky=(B,)))
    end = e.RunFinished(outcome=Outcome.PASSED, reason="", commit="c-t", tree="t")
    state = begun(
        *ran(GREEN, "t"), e.VerdictReached(verdict=verdict), committed("t"), end,
        e.Continued(request="more", limits=Limits()),
        baseline=e.BaselineMeasured(report=RED, flaky=(A,), environmental={C: "no network"}, runs=21),
    )  # fmt: skip

    assert state.hidden == {A, B}
    assert state.standings.environmental == {C: "no network"}
    assert state.standings.runs == 1, "its base is another tree"
