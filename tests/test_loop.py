"""The story of a run, told by the real loop over a scripted kit."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent import events as e
from agent.asking import Asker
from agent.errors import DamagedRun
from agent.events import Outcome, Say
from agent.folding import fold
from agent.journal import read_entries
from agent.loop import run
from agent.state import RunState
from agent.task import Limits, Mode
from agent.verdict import VerdictKind
from tests.kits import DONE, PLAN, TESTS, World, blocked, call, compactor, edit, open_journal, report, started, turn

RED = report(a="failed")
GREEN = report(a="passed")


@pytest.fixture
def tell(tmp_path):
    """Run a story to its end; the state it ended in."""

    def told(
        world: World, *replies, mode: Mode = "fix", limits: Limits | None = None, tick: float = 1.0, **setting
    ) -> RunState:
        with open_journal(tmp_path / "journal.jsonl", tick=tick) as journal:
            journal.append(started(mode, limits=limits, **setting))
            outcome = run(journal, world.kit(*replies))
            state = fold(journal.entries)
        assert outcome is state.outcome
        return state

    return told


def kinds(path: Path) -> list[str]:
    return [entry.event.kind for entry in read_entries(path)]


def told_to(path: Path) -> list[Say]:
    return [entry.event.about for entry in read_entries(path) if isinstance(entry.event, e.Prompted)]


# The story


def test_a_suite_that_passes_already_ends_the_run_at_once(tell, tmp_path):
    assert tell(World()).outcome is Outcome.PASSED
    assert kinds(tmp_path / "journal.jsonl") == [
        "run_started", "environment_prepared", "baseline_measured", "run_finished",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "baseline",
    [report(), report(problem="no result", exit_code=4), report(a="passed", exit_code=1), report(a="skipped")],
    ids=["empty", "problem", "exit code", "all skipped"],
)
def test_a_suite_that_fails_nothing_but_shows_no_success_is_not_called_green(tell, baseline):
    state = tell(World(reports={"base": baseline}), turn(PLAN), turn(blocked("there are no tests")))
    assert state.outcome is Outcome.BLOCKED


def test_red_then_green_is_judged_committed_and_passed(tell, tmp_path):
    state = tell(World(reports={"base": RED}), turn(PLAN), turn(edit("good"), TESTS))
    assert (state.outcome, state.tree, state.tip) == (Outcome.PASSED, "good", "c1")
    assert state.iterations[0].verdict is not None
    assert kinds(tmp_path / "journal.jsonl")[-5:] == [
        "tool_returned", "tool_returned", "verdict_reached", "committed", "run_finished",
    ]  # fmt: skip


def test_a_model_that_stops_after_an_edit_has_its_work_tested(tell, tmp_path):
    state = tell(World(reports={"base": RED}), turn(PLAN), turn(edit("good")), turn(text="There."))
    assert state.outcome is Outcome.PASSED
    assert kinds(tmp_path / "journal.jsonl")[-4:] == ["tests_finished", "verdict_reached", "committed", "run_finished"]


def test_a_red_iteration_is_committed_and_another_one_follows(tell, tmp_path):
    world = World(reports={"base": RED, "bad": RED})
    state = tell(world, turn(PLAN), turn(edit("bad")), turn(text="There."), turn(edit("good"), DONE))
    assert state.outcome is Outcome.PASSED
    assert [(cycle.tree, cycle.verdict is not None) for cycle in state.iterations] == [("bad", False), ("good", True)]
    assert told_to(tmp_path / "journal.jsonl") == [Say.PLAN, Say.CODE, Say.RESULTS]


def test_a_change_plans_before_it_prepares_and_measures(tell, tmp_path):
    state = tell(World(reports={"base": RED}), turn(PLAN), turn(edit("good"), TESTS), mode="change")
    assert state.outcome is Outcome.PASSED
    order = kinds(tmp_path / "journal.jsonl")
    assert order[:8] == [
        "run_started", "prompted", "call_reserved", "model_replied", "tool_returned",
        "environment_prepared", "baseline_measured", "prompted",
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["change", "new"])
def test_calls_that_follow_the_plan_in_one_turn_find_the_place_prepared(tell, tmp_path, mode):
    world = World(reports={"base": RED, "tests": RED})
    tell(world, turn(PLAN, edit("tests"), TESTS), turn(blocked("enough")), mode=mode)
    order = kinds(tmp_path / "journal.jsonl")
    planned = order.index("tool_returned")
    measured = ["baseline_measured"] if mode == "change" else []
    assert order[planned : planned + 3 + len(measured)] == [
        "tool_returned", "environment_prepared", *measured, "tool_returned",
    ]  # fmt: skip


def test_a_scaffold_writes_red_tests_first_and_measures_itself_against_them(tell, tmp_path):
    world = World(reports={"hollow": GREEN, "tests": RED})
    state = tell(
        world,
        turn(PLAN),
        turn(edit("hollow"), TESTS),
        turn(edit("tests"), TESTS),
        turn(edit("code"), TESTS),
        mode="new",
    )
    assert state.outcome is Outcome.PASSED
    assert (state.baseline, state.witness_tree) == (RED, "tests")
    assert told_to(tmp_path / "journal.jsonl") == [Say.PLAN, Say.TESTS, Say.TESTS_NOT_RED, Say.CODE]
    assert [cycle.verdict is not None for cycle in state.iterations] == [False, False, True]


def test_a_model_that_gives_up_with_a_reason_is_blocked(tell):
    state = tell(World(reports={"base": RED}), turn(PLAN), turn(blocked("the test is wrong"), edit("never")))
    assert (state.outcome, state.reason, state.tree) == (Outcome.BLOCKED, "the test is wrong", "base")


def test_a_model_that_only_talks_is_nudged_and_then_the_run_fails(tell, tmp_path):
    state = tell(World(reports={"base": RED}), turn(PLAN), *[turn(text="Hm.")] * 4)
    assert (state.outcome, state.reason) == (Outcome.FAILED, "the model stopped calling tools")
    assert told_to(tmp_path / "journal.jsonl") == [Say.PLAN, Say.CODE, Say.NUDGE, Say.NUDGE, Say.NUDGE]
    assert state.spent.iterations == 0


def test_a_model_without_a_plan_is_asked_for_it_and_then_the_run_fails(tell, tmp_path):
    state = tell(World(reports={"base": RED}), *[turn(text="Hm.")] * 4)
    assert (state.outcome, state.spent.calls) == (Outcome.FAILED, 4)
    assert told_to(tmp_path / "journal.jsonl") == [Say.PLAN] + [Say.PLAN_MISSING] * 3


@pytest.mark.parametrize("mode", ["fix", "change", "new"])
def test_a_model_that_is_done_before_it_planned_is_asked_for_the_plan(tell, tmp_path, mode):
    state = tell(World(reports={"base": RED}), *[turn(DONE)] * 4, mode=mode)
    assert (state.outcome, state.iterations) == (Outcome.FAILED, ())
    assert told_to(tmp_path / "journal.jsonl") == [Say.PLAN] + [Say.PLAN_MISSING] * 3


def test_a_model_that_insists_on_being_done_while_tests_fail_ends_the_run(tell):
    world = World(reports={"base": RED, "bad": RED})
    state = tell(world, turn(PLAN), turn(edit("bad"), TESTS), *[turn(DONE)] * 4)
    assert (state.outcome, state.reason) == (Outcome.FAILED, "the model says that it is done, but the tests fail")
    assert state.spent.calls == 6


def test_replies_that_are_cut_off_are_told_and_then_the_run_fails(tell, tmp_path):
    state = tell(World(reports={"base": RED}), turn(PLAN), *[turn(text="We", stop="length")] * 4)
    assert state.outcome is Outcome.FAILED
    assert told_to(tmp_path / "journal.jsonl") == [Say.PLAN, Say.CODE] + [Say.TRUNCATED] * 3


def test_work_is_measured_before_cut_off_replies_end_the_run(tell):
    replies = [turn(text="We", stop="length")] * 4
    state = tell(World(reports={"base": RED}), turn(PLAN), turn(edit("good")), *replies)
    assert (state.outcome, state.tip) == (Outcome.PASSED, "c1")


# Verdicts


def test_an_unproven_result_is_told_and_a_second_finish_leaves_it_unproven(tell, tmp_path):
    world = World(reports={"base": RED}, verdicts={"good": VerdictKind.UNPROVEN})
    state = tell(world, turn(PLAN), turn(edit("good"), DONE), turn(DONE))
    assert (state.outcome, state.reason) == (Outcome.UNPROVEN, "it is unproven")
    assert told_to(tmp_path / "journal.jsonl") == [Say.PLAN, Say.CODE, Say.VERDICT]


@pytest.mark.parametrize("kind", [VerdictKind.UNPROVEN, VerdictKind.FAILED])
def test_a_finish_said_before_the_verdict_was_heard_does_not_end_the_run(tell, tmp_path, kind):
    world = World(reports={"base": RED}, verdicts={"good": kind})
    state = tell(world, turn(PLAN), turn(edit("good"), TESTS, DONE), turn(edit("better"), TESTS))
    assert (state.outcome, state.tree) == (Outcome.PASSED, "better")
    assert told_to(tmp_path / "journal.jsonl") == [Say.PLAN, Say.CODE, Say.VERDICT]


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (VerdictKind.UNPROVEN, Outcome.UNPROVEN),
        (VerdictKind.NEEDS_REVIEW, Outcome.UNPROVEN),
        (VerdictKind.FAILED, Outcome.FAILED),
        (VerdictKind.SUSPECT, Outcome.FAILED),
    ],
)
@pytest.mark.parametrize("last", [turn(DONE), turn(text="That is all.")], ids=["finish", "silence"])
def test_what_was_judged_is_final_when_the_model_leaves_it(tell, kind, outcome, last):
    world = World(reports={"base": RED}, verdicts={"good": kind})
    assert tell(world, turn(PLAN), turn(edit("good"), TESTS), last).outcome is outcome


def test_a_tree_that_was_judged_is_not_judged_again(tell, tmp_path):
    world = World(reports={"base": RED}, verdicts={"good": VerdictKind.UNPROVEN})
    tell(world, turn(PLAN), turn(edit("good"), TESTS), turn(TESTS), turn(DONE))
    assert kinds(tmp_path / "journal.jsonl").count("verdict_reached") == 1


# Limits

WANDERING = [turn(edit(f"bad{number}"), TESTS) for number in range(50)]
LOST = World(reports={"base": RED, **{f"bad{number}": RED for number in range(50)}})


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(iterations=50, dollars=0.0025), "$0.0025"),
        (Limits(iterations=50, tokens=3_000), "3,000 tokens"),
        (Limits(iterations=50, calls=5), "5 calls"),
        (Limits(iterations=3), "3 iterations"),
        (Limits(iterations=50, seconds=60.0), "60 seconds"),
    ],
    ids=["dollars", "tokens", "calls", "iterations", "seconds"],
)
def test_each_limit_ends_the_run_within_it(tell, limits, words):
    state = tell(LOST, turn(PLAN), *WANDERING, limits=limits)
    assert state.outcome is Outcome.OUT_OF_BUDGET
    assert words in state.reason
    spent = state.spent
    assert spent.dollars <= limits.dollars
    assert spent.tokens <= limits.tokens
    assert spent.calls <= limits.calls
    assert spent.iterations <= limits.iterations
    assert spent.seconds <= limits.seconds


def test_a_context_that_is_full_ends_the_run(tell):
    state = tell(LOST, turn(PLAN, text="x" * 20_000), *WANDERING, context=7_000)
    assert state.outcome is Outcome.OUT_OF_BUDGET
    assert "context of 7,000 tokens" in state.reason


def test_work_that_is_not_yet_tested_is_tested_and_judged_when_the_budget_ends(tell, tmp_path):
    state = tell(World(reports={"base": RED}), turn(PLAN), turn(edit("good")), limits=Limits(calls=2))
    assert (state.outcome, state.tree) == (Outcome.PASSED, "good")
    assert kinds(tmp_path / "journal.jsonl")[-4:] == ["tests_finished", "verdict_reached", "committed", "run_finished"]


def test_red_work_that_is_not_yet_tested_is_committed_when_the_budget_ends(tell):
    state = tell(World(reports={"base": RED, "bad": RED}), turn(PLAN), turn(edit("bad")), limits=Limits(calls=2))
    assert (state.outcome, state.tip) == (Outcome.OUT_OF_BUDGET, "c1")


def test_tool_calls_that_are_left_when_the_time_is_up_are_not_made(tell):
    late = turn(*[edit(f"bad{number}") for number in range(40)])
    state = tell(LOST, turn(PLAN), late, limits=Limits(seconds=40.0))
    assert state.outcome is Outcome.OUT_OF_BUDGET
    assert 0 < len(state.pending) < 40
    assert state.spent.seconds <= 40.0


def test_time_is_kept_for_a_suite_whose_length_the_baseline_showed(tell):
    slow = report(a="failed", seconds=20.0)
    state = tell(World(reports={"base": slow}), turn(PLAN), *[turn(call("look"))] * 50, limits=Limits(seconds=200.0))
    assert state.outcome is Outcome.OUT_OF_BUDGET
    assert 140.0 < state.spent.seconds < 160.0


def test_tool_calls_that_were_paid_for_are_made_although_the_money_is_gone(tell):
    state = tell(World(reports={"base": RED}), turn(PLAN), turn(edit("bad"), edit("good")), limits=Limits(calls=2))
    assert state.outcome is Outcome.PASSED


# Crashes


STORIES = {
    "fix": (
        World(reports={"base": RED, "bad": RED}, verdicts={"good": VerdictKind.UNPROVEN}),
        (turn(PLAN), turn(edit("bad")), turn(text="There."), turn(edit("good"), TESTS), turn(text="All."), turn(DONE)),
    ),
    "change": (
        World(reports={"base": report(a="passed", b="skipped"), "bad": RED, "good": report(a="passed", b="skipped")}),
        (turn(text="Hm."), turn(PLAN, edit("bad")), turn(call("run_one_test"), TESTS), turn(edit("good"), DONE)),
    ),
    "new": (
        World(reports={"tests": RED, "bad": RED}),
        (
            turn(PLAN),
            turn(edit("tests"), TESTS, usage=None),
            turn(edit("bad"), call("unseal", path="tests/test_x.py", reason="a typo")),
            turn(text="We", stop="length"),
            turn(DONE),
            turn(edit("good"), TESTS),
        ),
    ),
}


@pytest.mark.parametrize("mode", ["fix", "change", "new"])
@pytest.mark.parametrize("torn", [0, 1, 40], ids=["after a line", "at a line's first byte", "within a line"])
def test_a_run_cut_anywhere_ends_the_same(tmp_path, mode, torn):
    world, replies = STORIES[mode]
    whole = tmp_path / "whole.jsonl"
    with open_journal(whole) as journal:
        journal.append(started(mode))
        run(journal, world.kit(*replies))
        expected = fold(journal.entries)
    events = [entry.event for entry in read_entries(whole)]
    lines = whole.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines)):
        path = tmp_path / f"cut-{kept}.jsonl"
        path.write_bytes(b"".join(lines[:kept]) + lines[kept][:torn])
        with open_journal(path) as journal:
            assert run(journal, world.kit(*replies)) is expected.outcome
            entries = journal.entries
        again = [entry.event for entry in entries]
        unsettled = again[kept - 1] if isinstance(again[kept - 1], e.CallReserved) else None
        if unsettled:
            del again[kept]
        assert again == events
        assert_same_end(fold(entries), expected, unsettled)


def assert_same_end(state: RunState, expected: RunState, unsettled: e.CallReserved | None) -> None:
    """The same state, but for what a reservation that was never settled has cost."""
    assert (state.messages, state.iterations, state.tree) == (expected.messages, expected.iterations, expected.tree)
    assert (state.outcome, state.reason) == (expected.outcome, expected.reason)
    assert state.spent.usage == expected.spent.usage
    if unsettled is None:
        assert state == expected
        return
    assert state.spent.calls == expected.spent.calls + 1
    assert state.spent.tokens == expected.spent.tokens + unsettled.tokens
    assert state.spent.dollars == pytest.approx(expected.spent.dollars + unsettled.dollars)


def test_a_run_that_has_ended_is_not_taken_up_again(tmp_path):
    with open_journal(tmp_path / "journal.jsonl") as journal:
        journal.append(started())
        run(journal, World().kit())
        before = journal.entries
        assert run(journal, World().kit()) is Outcome.PASSED
        assert journal.entries == before


def test_what_a_step_yields_is_durable_before_the_step_goes_on(tmp_path):
    path = tmp_path / "journal.jsonl"
    seen: list[list[str]] = []

    class Watching:
        name = "watching"

        def complete(self, request):
            seen.append(kinds(path))
            return turn(blocked("enough"))

    world = World(reports={"base": RED})
    asker = Asker(
        model=Watching(), tools=(), delay=lambda _e, _n, _left: None, sleep=lambda _s: None, compactor=compactor()
    )
    with open_journal(path) as journal:
        journal.append(started())
        run(journal, replace(world.kit(), ask=asker.ask))
    assert seen == [
        ["run_started", "environment_prepared", "baseline_measured", "prompted", "call_reserved"],
    ]


def test_a_journal_without_a_first_event_is_no_run(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"seq":0,"at":')
    with open_journal(path) as journal, pytest.raises(DamagedRun, match="holds no run"):
        run(journal, World().kit())
