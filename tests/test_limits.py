"""Limits of a run that change while it is on its way, and a run out of budget that goes on under other ones."""

from datetime import timedelta

import pytest

from agent import events as e
from agent.events import Outcome
from agent.folding import apply, fold
from agent.journal import Entry
from agent.loop import run
from agent.state import due
from agent.task import Limits
from tests.kits import EPOCH, PLAN, TESTS, World, edit, open_journal, report, started, turn

RED, GREEN = report(a="failed", b="failed"), report(a="passed", b="passed")


def go_on(path, world, limits, *replies):
    with open_journal(path) as journal:
        journal.append(e.LimitsChanged(limits=limits))
        journal.append(e.SessionStarted(pid=2, version="0"))
        run(journal, world.kit(*replies))
        return fold(journal.entries)


def begin(path, world, limits, *replies):
    with open_journal(path) as journal:
        journal.append(started(limits=limits))
        run(journal, world.kit(*replies))
        return fold(journal.entries)


def test_a_run_out_of_iterations_goes_on_where_it_stopped(tmp_path):
    path, world = (
        tmp_path / "journal.jsonl",
        World(reports={"base": RED, "half": report(a="failed", b="passed"), "good": GREEN}),
    )
    replies = (turn(PLAN), turn(edit("half"), TESTS), turn(edit("good"), TESTS))
    assert begin(path, world, Limits(iterations=1), *replies).outcome is Outcome.OUT_OF_BUDGET

    state = go_on(path, world, Limits(iterations=2), *replies)

    assert (state.outcome, state.tree, state.started.limits.iterations) == (Outcome.PASSED, "good", 2)
    assert [iteration.tree for iteration in state.iterations] == ["half", "good"]


def test_limits_that_are_still_too_low_end_the_run_again(tmp_path):
    path, world = tmp_path / "journal.jsonl", World(reports={"base": RED, "half": RED})
    replies = (turn(PLAN), turn(edit("half"), TESTS))
    begin(path, world, Limits(iterations=1), *replies)

    state = go_on(path, world, Limits(iterations=1, dollars=9.0), *replies)

    assert (state.outcome, state.started.limits.dollars) == (Outcome.OUT_OF_BUDGET, 9.0)


def test_the_branch_is_taken_up_at_the_commit_that_the_end_returned_to():
    def entry(seq, event):
        return Entry(seq=seq, at=EPOCH + timedelta(seconds=seq), event=event)

    events = [
        started(limits=Limits(iterations=2)),
        e.BaselineMeasured(report=RED),
        e.TestsFinished(report=report(a="passed", b="failed"), tree="half"),
        e.Committed(commit="c1", tree="half", subject="1"),
        e.TestsFinished(report=RED, tree="worse"),
        e.Committed(commit="c2", tree="worse", subject="2"),
        e.RunFinished(outcome=Outcome.OUT_OF_BUDGET, reason="spent", commit="c3", tree="half"),
    ]
    state = fold([entry(seq, event) for seq, event in enumerate(events)])

    state = apply(state, entry(9, e.LimitsChanged(limits=Limits(iterations=3))))

    assert (state.tip, state.result_tree, state.outcome) == ("c3", "half", None)
    assert state.tip_tree == "half"


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.FAILED, Outcome.BLOCKED, Outcome.UNPROVEN])
def test_a_run_that_ended_otherwise_stays_ended(outcome):
    state = fold([Entry(seq=0, at=EPOCH, event=started())])
    end = e.RunFinished(outcome=outcome, reason="so", commit="c1", tree="t1")

    state = apply(
        apply(state, Entry(seq=1, at=EPOCH, event=end)), Entry(seq=2, at=EPOCH, event=e.LimitsChanged(limits=Limits()))
    )

    assert state.outcome is outcome


def test_the_time_until_a_run_is_taken_up_is_not_counted_and_no_work():
    state = fold([Entry(seq=0, at=EPOCH, event=started())])
    later = EPOCH + timedelta(days=3)

    for event in (e.LimitsChanged(limits=Limits()), e.SessionStarted(pid=1, version="0")):
        state = apply(state, Entry(seq=1, at=later, event=event))

    assert (state.spent.seconds, state.at, state.worked_at) == (0.0, later, EPOCH)
    assert due(state)
