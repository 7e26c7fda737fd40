"""Runs that go on by a user's word: a plan that waits for approval, a hint, a further request."""

from dataclasses import replace

import pytest

from agent import events as e
from agent.errors import DamagedRun, UsageProblem
from agent.events import Outcome, Say
from agent.folding import fold
from agent.loop import run
from agent.messages import Message
from agent.reopening import further_request, taking_up
from agent.state import Due, Phase, due
from agent.task import Limits, Plan, Prices
from agent.verdict import VerdictKind
from tests.kits import (
    DONE,
    PLAN,
    PREPARED,
    TESTS,
    USAGE,
    World,
    blocked,
    committed,
    edit,
    folded,
    open_journal,
    replied,
    report,
    returned,
    started,
    told,
    turn,
)

RED, GREEN = report(a="failed"), report(a="passed")
EDITED = Plan(summary="Do it another way.", steps=("Do it so.",))
SUBMITTED = Plan(summary="Do it.", steps=("Do it.",))


def begin(path, world, first, *replies):
    with open_journal(path) as journal:
        journal.append(first)
        run(journal, world.kit(*replies))
        return fold(journal.entries)


def go_on(path, world, events, *replies):
    with open_journal(path) as journal:
        for event in (*events, e.SessionStarted(pid=2, version="0")):
            journal.append(event)
        run(journal, world.kit(*replies))
        return fold(journal.entries)


def with_approval(mode="fix", **changes):
    first = started(mode)
    return replace(first, task=replace(first.task, approve=True, **changes))


WORLD = World(reports={"base": RED, "good": GREEN, "better": GREEN})
WORK = (turn(PLAN), turn(edit("good"), TESTS))


# Approval


def test_nothing_is_done_before_a_plan_is_approved(tmp_path):
    state = begin(tmp_path / "j", WORLD, with_approval("change"), *WORK)

    assert (state.outcome, state.reason) == (Outcome.PLANNED, "the plan waits for approval")
    assert (state.plan, state.spent.calls, state.iterations) == (SUBMITTED, 1, ())
    assert state.environment is None


def test_an_approved_plan_is_carried_out(tmp_path):
    waiting = begin(tmp_path / "j", WORLD, with_approval(), *WORK)
    state = go_on(tmp_path / "j", WORLD, taking_up(waiting), *WORK)

    assert (state.outcome, state.tree, state.plan) == (Outcome.PASSED, "good", SUBMITTED)
    assert not state.plan_changed


def test_an_edited_plan_takes_the_place_of_the_models(tmp_path):
    path = tmp_path / "j"
    first = turn(PLAN, edit("hasty"))
    waiting = begin(path, WORLD, with_approval(), first, WORK[1])
    state = go_on(path, WORLD, taking_up(waiting, plan=EDITED), first, WORK[1])

    assert (state.plan, state.plan_changed, state.tree) == (EDITED, True, "good")
    answer = Message(role="tool", content="Not carried out: the user changed the plan.", tool_call_id="edit:1")
    assert answer in state.messages, "calls that came with the old plan are answered, not made"


def test_the_word_of_a_user_may_come_at_once_or_be_refused(tmp_path):
    for decided, outcome in (
        (lambda _: (e.PlanApproved(plan=EDITED),), Outcome.PASSED),
        (lambda _: (e.PlanWithheld(reason="no"),), Outcome.PLANNED),
    ):
        with open_journal(tmp_path / outcome) as journal:
            journal.append(with_approval())
            run(journal, replace(WORLD.kit(*WORK), approve=lambda state, decided=decided: iter(decided(state))))
            assert fold(journal.entries).outcome is outcome


def test_a_plan_from_the_user_needs_no_call_and_no_approval(tmp_path):
    first = with_approval(plan=EDITED)
    state = begin(tmp_path / "j", WORLD, first, WORK[1])

    assert (state.outcome, state.plan, state.spent.calls) == (Outcome.PASSED, EDITED, 1)
    assert folded(first).plan_changed


def test_a_scaffold_with_a_plan_begins_with_its_tests():
    first = started("new")
    state = folded(replace(first, task=replace(first.task, plan=EDITED)))

    assert (state.phase, state.say) == (Phase.TESTS, Say.TESTS)


def test_other_limits_hold_when_a_plan_is_approved():
    waiting = folded(with_approval(), returned("p", effect=e.Planned(plan=SUBMITTED)), e.PlanWithheld(reason="later"))
    assert due(waiting) is Due.FINISH
    ended = folded_on(waiting, e.RunFinished(outcome=Outcome.PLANNED, reason="later", commit="c0", tree="base"))

    assert taking_up(ended, limits=Limits(dollars=5)) == (
        e.LimitsChanged(limits=Limits(dollars=5)),
        e.PlanApproved(plan=SUBMITTED),
    )


def test_a_run_that_waits_for_no_plan_takes_none():
    with pytest.raises(UsageProblem, match="does not wait"):
        taking_up(folded(started()), plan=EDITED)


def folded_on(state, *events):
    from agent.folding import apply
    from agent.journal import Entry

    for event in events:
        state = apply(state, Entry(seq=0, at=state.at, event=event))
    return state


# Hints


@pytest.mark.parametrize(
    ("world", "replies", "outcome"),
    [
        (WORLD, (turn(PLAN), turn(blocked("no idea"))), Outcome.BLOCKED),
        (World(reports={"base": RED}, verdicts={"good": VerdictKind.UNPROVEN}), (*WORK, turn(DONE)), Outcome.UNPROVEN),
        (WORLD, (turn(PLAN), *[turn(text="Hm.")] * 4), Outcome.FAILED),
    ],
)
def test_a_hint_lets_a_run_that_ended_without_success_go_on(tmp_path, world, replies, outcome):
    path = tmp_path / "j"
    ended = begin(path, world, started(), *replies)
    assert ended.outcome is outcome
    assert taking_up(ended) is None

    def speaking(state):
        assert state.hint == "Look at the parser."
        yield e.Prompted(about=state.say or Say.HINT, messages=(Message(role="user", content=state.hint),))

    with open_journal(path) as journal:
        for event in taking_up(ended, hint="Look at the parser."):
            journal.append(event)
        run(journal, replace(world.kit(*replies, turn(edit("better"), TESTS)), prompt=speaking))
        state = fold(journal.entries)

    assert (state.outcome, state.tree, state.hint) == (Outcome.PASSED, "better", "")


def test_a_hint_to_a_run_that_was_cut_off_is_told_after_its_tools_have_answered():
    state = folded(
        started(), PREPARED, e.BaselineMeasured(report=RED), told(Say.PLAN), replied("edit"),
        e.HintGiven(text="Mind the sign."), e.HintGiven(text="And the zero."),
    )  # fmt: skip
    assert due(state) is Due.CALL_TOOL
    state = folded_on(state, returned("edit", "good"))
    assert (due(state), state.hint) == (Due.PROMPT, "Mind the sign.\n\nAnd the zero.")
    assert folded_on(state, told(Say.HINT)).hint == ""


def test_a_green_run_takes_no_hint(tmp_path):
    state = begin(tmp_path / "j", WORLD, started(), *WORK)
    with pytest.raises(UsageProblem, match="green") as problem:
        taking_up(state, hint="Look.")
    assert "--continue r1" in problem.value.hint


# A fork


def fork_of(state, **changes):
    forked = e.Forked(
        run_id="r2", branch="greenward/work-r2", parent="r1", step=9, commit=state.tip, model=state.started.model,
        prices=state.started.prices, context=9_000, max_output=900, limits=state.started.limits,
    )  # fmt: skip
    return folded_on(state, replace(forked, **changes))


RESERVED = e.CallReserved(dollars=0.25, tokens=3_000, max_tokens=500, estimate=10)
ASKED = folded(started(), told(Say.PLAN), RESERVED, replace(replied("edit"), usage=USAGE))
"""A run whose model has been asked once, and was billed for more than was estimated."""


def test_a_fork_is_another_run_that_has_come_as_far_and_spent_as_much():
    state = fork_of(ASKED, model="other", limits=Limits(dollars=7.0))
    now = state.started
    assert (now.run_id, now.branch, now.model, now.task) == ("r2", "greenward/work-r2", "other", ASKED.started.task)
    assert (now.context, now.max_output, now.limits) == (9_000, 900, Limits(dollars=7.0))
    assert (state.messages, state.pending, state.tree) == (ASKED.messages, ASKED.pending, ASKED.tree)
    assert (state.spent, state.inherited) == (ASKED.spent, ASKED.spent)
    assert state.spent.dollars > 0
    assert (state.root_commit, state.root_tree, state.tip) == (ASKED.root_commit, ASKED.root_tree, ASKED.tip)


def test_what_was_spent_before_a_fork_stays_at_the_prices_of_then():
    dear = Prices(input=50.0, cached=50.0, output=50.0)
    state = folded_on(fork_of(ASKED, prices=dear), RESERVED, replace(replied(), usage=USAGE))
    assert state.spent.dollars == pytest.approx(ASKED.spent.dollars + dear.cost(USAGE))
    assert state.inherited.dollars == ASKED.spent.dollars


def test_what_was_never_settled_before_a_fork_stays_spent():
    cut_off = folded(started(), told(Say.PLAN), RESERVED)
    state = folded_on(fork_of(cut_off), RESERVED, replace(replied(), usage=USAGE))
    assert state.spent.dollars == pytest.approx(RESERVED.dollars + started().prices.cost(USAGE))


def test_what_one_model_counted_bounds_nothing_of_another():
    assert ASKED.prefix != (0, 0)
    assert ASKED.density > 1.0
    same, other = fork_of(ASKED), fork_of(ASKED, model="other")
    assert (same.prefix, same.density) == (ASKED.prefix, ASKED.density)
    assert (other.prefix, other.density, other.ceiling) == ((0, 0), 1.0, 0)


def test_a_fork_with_a_larger_budget_goes_on_where_the_other_run_ended_for_want_of_it():
    spent = folded(started(limits=Limits(calls=1)), told(Say.PLAN), RESERVED, replace(replied(), usage=USAGE))
    ended = folded_on(spent, e.RunFinished(outcome=Outcome.OUT_OF_BUDGET, reason="spent", commit="c0", tree="base"))
    assert fork_of(ended, limits=Limits(calls=5)).outcome is None
    assert due(fork_of(ended, limits=Limits(calls=5))) is due(folded_on(ended, e.LimitsChanged(limits=Limits(calls=5))))


def test_a_further_request_to_a_fork_remembers_where_it_came_from():
    ended = folded_on(fork_of(ASKED), e.RunFinished(outcome=Outcome.BLOCKED, reason="", commit="c0", tree="base"))
    state = folded_on(ended, e.Continued(request="More.", limits=Limits()))
    assert (state.forked, state.inherited) == (ended.forked, ASKED.spent)


# A further request


def test_a_further_request_goes_on_from_the_result_in_the_same_conversation(tmp_path):
    path = tmp_path / "j"
    ended = begin(path, WORLD, started(), turn(PLAN), turn(edit("good"), TESTS, DONE))
    more = further_request(ended, "Also subtract.", Limits(dollars=2, iterations=3), ())
    unanswered = Message(role="tool", content="Not carried out: the run had ended.", tool_call_id="finish:2")

    with open_journal(path) as journal:
        journal.append(more)
        begun = fold(journal.entries)
    assert begun.messages == (*ended.messages, unanswered), "history grows only at its end, with no call unanswered"
    task = begun.started.task
    assert (task.mode, task.request, task.base_commit, task.base_tree) == ("change", "Also subtract.", "c1", "good")
    assert (task.settings_tree, task.test, begun.root_commit, begun.root_tree) == ("base", "pytest", "c0", "base")
    assert (begun.phase, begun.say, begun.outcome, begun.baseline) == (Phase.PLAN, Say.CONTINUE, None, None)
    assert begun.spent == replace(ended.spent, seconds=begun.spent.seconds)
    assert begun.started.limits.iterations == ended.spent.iterations + 3
    assert begun.started.limits.dollars == ended.spent.dollars + 2

    state = go_on(path, WORLD, (), turn(PLAN), turn(edit("good"), TESTS, DONE), turn(PLAN), turn(edit("better"), TESTS))
    assert (state.outcome, state.tree, len(state.iterations)) == (Outcome.PASSED, "better", 1)
    assert state.earlier_plans == (SUBMITTED,)
    assert state.spent.iterations == 2


def test_what_was_judged_is_the_baseline_of_what_follows():
    verdict = World().kit().judge
    before = folded(started(), PREPARED, e.BaselineMeasured(report=RED), e.TestsFinished(report=GREEN, tree="good"))
    (judged,) = verdict(before)
    judged = replace(judged, verdict=replace(judged.verdict, report=GREEN))
    end = e.RunFinished(outcome=Outcome.PASSED, reason="", commit="c-good", tree="good")
    state = folded_on(before, judged, committed("good"), end, e.Continued(request="More.", limits=Limits()))

    assert (state.baseline, state.witness_tree) == (GREEN, "good")


def test_a_run_that_has_not_ended_takes_no_further_request():
    with pytest.raises(UsageProblem, match="has not ended"):
        further_request(folded(started()), "More.", Limits(), ())
    with pytest.raises(DamagedRun):
        folded(started(), e.Continued(request="More.", limits=Limits()))


def test_the_clock_stands_still_until_the_user_speaks():
    from datetime import timedelta

    from agent.folding import apply
    from agent.journal import Entry
    from tests.kits import EPOCH

    waiting = folded(with_approval(), returned("p", effect=e.Planned(plan=SUBMITTED)), tick=1.0)
    later = EPOCH + timedelta(days=1)
    forked = fork_of(waiting).forked
    for event in (e.PlanApproved(plan=SUBMITTED), e.HintGiven(text="x"), e.LimitsChanged(limits=Limits()), forked):
        assert apply(waiting, Entry(seq=2, at=later, event=event)).spent.seconds == waiting.spent.seconds


def test_cut_anywhere_a_run_that_goes_on_ends_the_same(tmp_path):
    whole = tmp_path / "whole"
    replies = (turn(PLAN), turn(edit("good"), TESTS), turn(PLAN), turn(edit("better"), TESTS))
    waiting = begin(whole, WORLD, with_approval(), *replies)
    first = go_on(whole, WORLD, taking_up(waiting, plan=EDITED), *replies)
    last = go_on(whole, WORLD, (further_request(first, "More.", Limits(), ()),), *replies)
    assert last.outcome is Outcome.PLANNED, "a further plan waits for approval as well"
    last = go_on(whole, WORLD, taking_up(last), *replies)
    assert last.outcome is Outcome.PASSED
    lines = whole.read_bytes().splitlines(keepends=True)

    for number in range(1, len(lines)):
        cut = tmp_path / f"cut-{number}"
        cut.write_bytes(b"".join(lines[:number]) + lines[number][:7])
        state = go_on(cut, WORLD, (), *replies)
        for _ in range(3):
            if state.outcome is Outcome.PASSED and state.tree == "better":
                break
            more = (
                (further_request(state, "More.", Limits(), ()),)
                if state.outcome is Outcome.PASSED
                else taking_up(state, plan=None if state.earlier_plans else EDITED)
            )
            state = go_on(cut, WORLD, more, *replies)
        assert (state.outcome, state.tree, state.plan, state.earlier_plans) == (
            last.outcome, last.tree, last.plan, last.earlier_plans,
        )  # fmt: skip
