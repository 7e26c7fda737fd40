"""From events to the state of a run: a pure fold. No clock, no disk, no model."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from agent import events as e
from agent.baseline import nothing_to_mend
from agent.called import called, compacted
from agent.errors import DamagedRun
from agent.events import Outcome, Say
from agent.habits import DEMAND, IDLE_DEMAND, IDLE_END, REPEATS_END, RETURN
from agent.journal import Entry
from agent.messages import Message, ToolCall
from agent.reopened import continued, decided, forked, planned, reopened
from agent.state import Iteration, Phase, RunState
from agent.task import Limits
from agent.testreport import TestReport
from agent.verdict import Verdict, VerdictKind

__all__ = ["apply", "by_the_user", "fold"]

MAX_NUDGES = 3
"""Turns in a row that call no tool but `finish`, or that were cut off, before the run gives up."""
_BY_THE_USER = (e.SessionStarted, e.LimitsChanged, e.PlanApproved, e.HintGiven, e.Continued, e.Forked)


def fold(entries: Iterable[Entry], known: RunState | None = None) -> RunState:
    """The state after `entries`, of which those that led to `known` need not be folded again.

    Raises:
        DamagedRun: the first of them is not `RunStarted`; a journal torn in its first line has none.
    """
    iterator = iter(entries) if known is None else islice(entries, known.entries, None)
    state = known or _begun(next(iterator, None))
    for entry in iterator:
        state = apply(state, entry)
    return state


def _begun(first: Entry | None) -> RunState:
    if first is None or not isinstance(first.event, e.RunStarted):
        raise DamagedRun("the journal holds no run: it does not begin with one", hint="nothing was done: start anew")
    task = first.event.task
    state = RunState(
        started=first.event,
        root_commit=task.base_commit,
        root_tree=task.base_tree,
        tree=task.base_tree,
        witness_tree=task.base_tree,
        entries=1,
        at=first.at,
        worked_at=first.at,
        say=Say.PLAN,
    )
    if task.plan is None:
        return state
    return replace(planned(state, task.plan), approved=True, plan_changed=True)


def apply(state: RunState, entry: Entry) -> RunState:  # noqa: C901, PLR0911, PLR0912 - one arm for each event
    """The state after one more event."""
    event = entry.event
    resumed = by_the_user(event)
    elapsed = 0.0 if resumed else max(0.0, (entry.at - state.at).total_seconds())
    worked_at = state.worked_at if resumed else entry.at
    executed = state.spent.sandbox_seconds + getattr(event, "sandbox_seconds", 0.0)
    spent = replace(state.spent, seconds=state.spent.seconds + elapsed, sandbox_seconds=executed)
    state = replace(state, entries=entry.seq + 1, at=entry.at, worked_at=worked_at, spent=spent)
    match event:
        case e.RunStarted():
            raise TypeError("a journal has one RunStarted")
        case e.SessionStarted():
            return replace(state, failures=0, wait=0.0, paused=None)
        case e.RunPaused(commit=commit, tree=tree):
            moved = (commit, tree) if commit != state.tip else state.returned
            return replace(state, paused=event, returned=moved)
        case e.LimitsChanged(limits=limits):
            return _limited(state, limits)
        case e.PlanApproved() | e.PlanWithheld():
            return decided(state, event)
        case e.HintGiven(text=text):
            told = f"{state.hint}\n\n{text}" if state.hint else text
            return replace(reopened(state), hint=told, nudges=0)
        case e.Continued():
            return continued(state, event)
        case e.Forked(limits=limits):
            return _limited(forked(state, event), limits)
        case e.EnvironmentPrepared():
            return replace(state, environment=event)
        case e.BaselineMeasured():
            return _measured(state, event)
        case e.Prompted():
            tree = event.tree or state.tree
            return replace(state, messages=state.messages + event.messages, say=None, hint="", remarks=(), tree=tree)
        case e.CallReserved() | e.CallFailed():
            return called(state, event)
        case e.ModelReplied():
            return _replied(state, event)
        case e.ToolReturned():
            return _tool_returned(state, event)
        case e.Compacted():
            return compacted(state, event)
        case e.TestsFinished():
            return replace(_tested(state, event.report, event.tree), say=Say.RESULTS)
        case e.VerdictReached():
            return _ruled(state, event.verdict)
        case e.Committed():
            return _committed(state, event)
        case e.BudgetExhausted():
            return replace(state, closing=(Outcome.OUT_OF_BUDGET, event.reason))
        case e.RunFinished():
            return replace(state, finished=event, closing=None)


def by_the_user(event: e.Event) -> bool:
    """Whether a user did that, in their own time: the clock of the budget stands still until then."""
    return isinstance(event, _BY_THE_USER)


def _measured(state: RunState, event: e.BaselineMeasured) -> RunState:
    report, standings = event.report, event.standings
    state = replace(state, baseline=report, standings=standings)
    if state.started.task.mode != "fix":
        return state
    if report.ok:
        outcome = Outcome.UNPROVEN if state.started.sandbox == "local" else Outcome.PASSED
        return replace(state, closing=(outcome, "the suite passes already: there is nothing to fix"))
    if report.failing and set(report.failing) <= standings.flaky | standings.environmental.keys():
        return replace(state, closing=(Outcome.BLOCKED, nothing_to_mend(report, standings)))
    return state


def _ruled(state: RunState, verdict: Verdict) -> RunState:
    """The judge has spoken, and may have seen tests end in more than one way."""
    report = verdict.report or TestReport()
    flaky = state.sightings.flaky.union(report.flaky)
    return replace(
        state,
        verdict=verdict,
        standings=state.standings.learning(report.again),
        sightings=replace(state.sightings, flaky=flaky),
    )


def _replied(state: RunState, event: e.ModelReplied) -> RunState:
    state = called(state, event)
    return state if state.pending else _turn_ended(state, event.stop_reason)


def _turn_ended(state: RunState, stop_reason: str) -> RunState:
    """The model stopped without calling a tool: its work is tested, or it is told what is expected."""
    untested = state.phase is not Phase.PLAN and state.tree != (state.tested_tree or state.base)
    if stop_reason != "length" and untested:
        return replace(state, must_test=True, nudges=0)
    if stop_reason != "length" and _judged(state):
        return replace(state, closing=_verdict_outcome(state))
    if stop_reason == "length":
        return _nudged(state, Say.TRUNCATED, "the model's replies were cut off again and again")
    return _nudged(
        state, Say.PLAN_MISSING if state.phase is Phase.PLAN else Say.NUDGE, "the model stopped calling tools"
    )


def _tool_returned(state: RunState, event: e.ToolReturned) -> RunState:
    answer = Message(role="tool", content=event.content, tool_call_id=event.call_id)
    nudges = state.nudges if isinstance(event.effect, e.Finish) else 0
    call = state.pending[0] if state.pending else ToolCall(id=event.call_id, name=event.name, arguments="{}")
    habits = state.habits.after(call, event, before=state.tree, turn=state.spent.calls)
    state = replace(
        state,
        messages=(*state.messages, answer),
        pending=state.pending[1:],
        tree=event.tree,
        nudges=nudges,
        habits=habits,
        refused=state.refused + event.refused,
    )
    return _in_circles(_effected(state, event))


def _effected(state: RunState, event: e.ToolReturned) -> RunState:
    """The state after a call, beside its answer."""
    match event.effect:
        case None:
            return state
        case e.Planned(plan=plan):
            return planned(state, plan)
        case e.TestRun(report=report, full=full):
            return _tested(state, report, event.tree) if full else _glanced(state, report, event.tree)
        case e.Unsealed():
            return replace(state, unsealed=(*state.unsealed, event.effect))
        case e.Finish(status="blocked", reason=reason):
            return replace(state, closing=(Outcome.BLOCKED, reason))
        case e.Finish():  # pragma: no branch - mypy knows that nothing else is left
            return _finish(state)


def _in_circles(state: RunState) -> RunState:
    """A model that gets nowhere is told so, then put back to the best tree, and at last given up."""
    repeats, idle = state.habits.repeats, state.habits.idle
    if state.closing:
        return state
    if repeats >= REPEATS_END:
        return replace(state, closing=(Outcome.FAILED, f"no progress: {repeats} calls in a row brought nothing new"))
    if idle >= IDLE_END:
        return replace(state, closing=(Outcome.FAILED, f"no progress: {idle} calls in a row changed nothing"))
    remark = {DEMAND: Say.STUCK, RETURN: Say.RETURNED}.get(repeats)
    if idle == IDLE_DEMAND:
        remark = Say.STUCK
    if remark is None or remark in state.remarks:
        return state
    return replace(state, remarks=(*state.remarks, remark))


def _finish(state: RunState) -> RunState:
    """The model says that it is done: what has not been tested is tested, and what was judged is final once told."""
    if state.phase is Phase.PLAN:
        return _nudged(state, Say.PLAN_MISSING, "the model says that it is done, but it never planned")
    if state.tree != state.tested_tree:
        return replace(state, must_test=True)
    if state.say is Say.VERDICT:
        return state
    if _judged(state):
        return replace(state, closing=_verdict_outcome(state))
    return _nudged(state, Say.NUDGE, "the model says that it is done, but the tests fail")


def _nudged(state: RunState, say: Say, reason: str) -> RunState:
    """The model is told what is expected; told too often in a row, the run fails for `reason`."""
    if state.nudges >= MAX_NUDGES:
        return replace(state, closing=(Outcome.FAILED, reason))
    return replace(state, nudges=state.nudges + 1, say=say)


def _judged(state: RunState) -> bool:
    return state.verdict is not None and state.verdict.tree == state.tree


def _verdict_outcome(state: RunState) -> tuple[Outcome, str]:
    verdict = state.verdict
    reason = "; ".join(verdict.reasons) or f"the verdict is {verdict.kind}" if verdict else "there is no verdict"
    review = verdict is not None and verdict.kind in (VerdictKind.UNPROVEN, VerdictKind.NEEDS_REVIEW)
    return (Outcome.UNPROVEN if review else Outcome.FAILED), reason


def _glanced(state: RunState, report: TestReport, tree: str) -> RunState:
    """Tests were run, and what they showed is remembered."""
    return replace(
        state,
        sightings=state.sightings.after(tree, report),
        standings=state.standings.learning(report.again),
    )


def _tested(state: RunState, report: TestReport, tree: str) -> RunState:
    """All tests were run: that ends an iteration."""
    return replace(
        _glanced(state, report, tree),
        report=report,
        previous_report=state.report or state.baseline,
        tested_tree=tree,
        tree=tree,
        must_test=False,
        uncommitted=True,
        spent=replace(state.spent, iterations=state.spent.iterations + 1),
    )


def _committed(state: RunState, event: e.Committed) -> RunState:
    """The iteration is on the branch. What follows depends on how it ended."""
    report = state.report
    if report is None:
        raise TypeError("an iteration is committed after its tests")
    verdict = state.verdict if state.verdict and state.verdict.tree == event.tree else None
    number = state.spent.iterations
    iteration = Iteration(number=number, commit=event.commit, tree=event.tree, report=report, verdict=verdict)
    state = replace(state, uncommitted=False, returned=None, iterations=(*state.iterations, iteration))
    if verdict is not None and verdict.kind is VerdictKind.PASSED:
        return replace(state, closing=(Outcome.PASSED, "judged in a fresh container"))
    if state.closing:
        return state
    if state.spent.iterations >= state.started.limits.iterations:
        return replace(state, closing=(Outcome.OUT_OF_BUDGET, state.spent.exceeds(state.started.limits)))
    return _after(iteration, state)


def _after(iteration: Iteration, state: RunState) -> RunState:
    """What an iteration that is not the last one leads to."""
    if iteration.verdict is not None:
        return replace(state, say=Say.VERDICT)
    if state.phase is Phase.TESTS:
        return _tests_written(state, iteration.report, iteration.tree)
    return state


def _limited(state: RunState, limits: Limits) -> RunState:
    """The state under other `limits`; if the budget was what ended the run, it goes on where it stopped."""
    short = state.spent.iterations >= state.started.limits.iterations
    last = state.iterations[-1] if state.iterations else None
    ended = state.finished.outcome if state.finished else state.closing[0] if state.closing else None
    state = replace(state, started=replace(state.started, limits=limits))
    if ended is not Outcome.OUT_OF_BUDGET:
        return state
    state = reopened(state)
    return _after(last, state) if short and last is not None and not state.uncommitted else state


def _tests_written(state: RunState, report: TestReport, tree: str) -> RunState:
    """The tests of a scaffold have to fail before there is code; from then on they are sealed."""
    if report.failing and not report.problem:
        return replace(state, phase=Phase.CODE, baseline=report, witness_tree=tree, say=Say.CODE)
    return replace(state, say=Say.TESTS_NOT_RED)
