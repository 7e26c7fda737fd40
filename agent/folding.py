"""From events to the state of a run: a pure fold. No clock, no disk, no model."""

from collections.abc import Iterable
from dataclasses import replace

from agent import events as e
from agent.errors import DamagedRun
from agent.events import Outcome, Say
from agent.journal import Entry
from agent.messages import Message
from agent.state import Iteration, Phase, RunState
from agent.task import Limits, Plan
from agent.testreport import TestReport
from agent.verdict import VerdictKind

__all__ = ["apply", "fold"]

MAX_NUDGES = 3
"""Turns in a row that call no tool but `finish`, or that were cut off, before the run gives up."""
_BY_THE_USER = (e.SessionStarted, e.LimitsChanged, e.PlanApproved, e.HintGiven, e.Continued)
"""What a user does in their own time: the clock of the budget stands still until then."""


def fold(entries: Iterable[Entry]) -> RunState:
    """The state after `entries`.

    Raises:
        DamagedRun: the first of them is not `RunStarted`; a journal torn in its first line has none.
    """
    iterator = iter(entries)
    first = next(iterator, None)
    if first is None or not isinstance(first.event, e.RunStarted):
        raise DamagedRun("the journal holds no run: it does not begin with one", hint="nothing was done: start anew")
    task = first.event.task
    state = RunState(
        started=first.event,
        root_commit=task.base_commit,
        root_tree=task.base_tree,
        tree=task.base_tree,
        witness_tree=task.base_tree,
        at=first.at,
        worked_at=first.at,
        say=Say.PLAN,
    )
    if task.plan is not None:
        state = replace(_planned(state, task.plan), approved=True, plan_changed=True)
    for entry in iterator:
        state = apply(state, entry)
    return state


def apply(state: RunState, entry: Entry) -> RunState:  # noqa: C901, PLR0911, PLR0912 - one arm for each event
    """The state after one more event."""
    event = entry.event
    resumed = isinstance(event, _BY_THE_USER)
    elapsed = 0.0 if resumed else max(0.0, (entry.at - state.at).total_seconds())
    worked_at = state.worked_at if resumed else entry.at
    spent = replace(state.spent, seconds=state.spent.seconds + elapsed)
    state = replace(state, at=entry.at, worked_at=worked_at, spent=spent)
    match event:
        case e.RunStarted():
            raise TypeError("a journal has one RunStarted")
        case e.SessionStarted():
            return replace(state, failures=0, wait=0.0)
        case e.LimitsChanged(limits=limits):
            return _limited(state, limits)
        case e.PlanApproved() | e.PlanWithheld():
            return _decided(state, event)
        case e.HintGiven(text=text):
            told = f"{state.hint}\n\n{text}" if state.hint else text
            return replace(_reopened(state), hint=told, nudges=0)
        case e.Continued():
            return _continued(state, event)
        case e.EnvironmentPrepared():
            return replace(state, environment=event)
        case e.BaselineMeasured():
            return _measured(state, event.report)
        case e.Prompted():
            return replace(state, messages=state.messages + event.messages, say=None, hint="")
        case e.CallReserved() | e.CallFailed() | e.ModelReplied():
            return _called(state, event)
        case e.ToolReturned():
            return _tool_returned(state, event)
        case e.TestsFinished():
            return replace(_tested(state, event.report, event.tree), say=Say.RESULTS)
        case e.VerdictReached():
            return replace(state, verdict=event.verdict)
        case e.Committed():
            return _committed(state, event)
        case e.BudgetExhausted():
            return replace(state, closing=(Outcome.OUT_OF_BUDGET, event.reason))
        case e.RunFinished():
            return replace(state, finished=event, closing=None)


def _measured(state: RunState, report: TestReport) -> RunState:
    state = replace(state, baseline=report)
    if state.started.task.mode == "fix" and report.ok:
        return replace(state, closing=(Outcome.PASSED, "the suite passes already: there is nothing to fix"))
    return state


def _called(state: RunState, event: e.CallReserved | e.CallFailed | e.ModelReplied) -> RunState:
    """Account for a call. A reservation that is followed by another one was never settled: it stays spent."""
    spent = state.spent
    match event:
        case e.CallReserved():
            return replace(state, spent=spent.reserving(event), reserved=event)
        case e.CallFailed():
            if event.usage is not None:
                spent = spent.settling(state.reserved, event.usage, state.started.prices)
            elif not event.billed:
                spent = spent.releasing(state.reserved)
            starved = state.starved + (event.error == "starved")
            failures, wait = state.failures + 1, event.wait or 0.0
            return replace(state, spent=spent, reserved=None, failures=failures, starved=starved, wait=wait)
        case e.ModelReplied():
            return _replied(state, event)


def _replied(state: RunState, event: e.ModelReplied) -> RunState:
    spent, prefix, form = state.spent, state.prefix, state.prefix_form
    if event.usage is not None:
        prefix, form = (len(state.messages), event.usage.prompt), event.form
        spent = spent.settling(state.reserved, event.usage, state.started.prices)
    state = replace(
        state,
        spent=spent,
        prefix=prefix,
        prefix_form=form,
        reserved=None,
        failures=0,
        starved=0,
        wait=0.0,
        messages=(*state.messages, event.message),
        pending=event.message.tool_calls,
    )
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
    state = replace(
        state, messages=(*state.messages, answer), pending=state.pending[1:], tree=event.tree, nudges=nudges
    )
    match event.effect:
        case None:
            return state
        case e.Planned(plan=plan):
            return _planned(state, plan)
        case e.TestRun(report=report, full=full):
            return _tested(state, report, event.tree) if full else state
        case e.Unsealed():
            return replace(state, unsealed=(*state.unsealed, event.effect))
        case e.Finish(status="blocked", reason=reason):
            return replace(state, closing=(Outcome.BLOCKED, reason))
        case e.Finish():  # pragma: no branch - mypy knows that nothing else is left
            return _finish(state)


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


def _tested(state: RunState, report: TestReport, tree: str) -> RunState:
    """All tests were run: that ends an iteration."""
    return replace(
        state,
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
    iteration = Iteration(commit=event.commit, tree=event.tree, report=report, verdict=verdict)
    state = replace(state, uncommitted=False, iterations=(*state.iterations, iteration))
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
    state = _reopened(state)
    return _after(last, state) if short and last is not None and not state.uncommitted else state


def _reopened(state: RunState) -> RunState:
    """The state of a run that goes on although it ended, or was about to; the branch may have been taken back."""
    end = state.finished
    if end is None:
        return replace(state, closing=None)
    best = next((each for each in reversed(state.iterations) if each.tree == end.tree), None)
    returned = () if best is None or end.commit == state.tip else (replace(best, commit=end.commit),)
    return replace(state, finished=None, closing=None, iterations=state.iterations + returned)


def _planned(state: RunState, plan: Plan) -> RunState:
    """There is a plan: the work begins, under `new` with the tests."""
    new = state.started.task.mode == "new"
    return replace(state, plan=plan, phase=Phase.TESTS if new else Phase.CODE, say=Say.TESTS if new else Say.CODE)


def _decided(state: RunState, event: e.PlanApproved | e.PlanWithheld) -> RunState:
    """The user approved a plan, or did not."""
    if isinstance(event, e.PlanWithheld):
        return replace(state, closing=(Outcome.PLANNED, event.reason))
    if event.plan == state.plan:
        return replace(_reopened(state), approved=True)
    state = _without_pending(_reopened(state), "the user changed the plan")
    return replace(state, plan=event.plan, approved=True, plan_changed=True)


def _without_pending(state: RunState, why: str) -> RunState:
    """With an answer to each call that was not carried out, as every call needs one."""
    answers = tuple(
        Message(role="tool", content=f"Not carried out: {why}.", tool_call_id=call.id) for call in state.pending
    )
    return replace(state, messages=state.messages + answers, pending=())


def _continued(state: RunState, event: e.Continued) -> RunState:
    """The start of the work on a further request: the result so far is its base, and what passes there has to stay."""
    end, task = state.finished, state.started.task
    if end is None:
        raise DamagedRun("the journal asks for more of a run that has not ended", hint="its file was changed")
    judged = state.verdict is not None and state.verdict.tree == end.tree and state.verdict.report is not None
    further = replace(
        task,
        mode="change",
        request=event.request,
        base_commit=end.commit,
        base_tree=end.tree,
        settings_tree=task.settings_tree or task.base_tree,
        test=task.test or (state.environment.test if state.environment else None),
        test_policy="additive",
        allow_test_changes=event.allow_test_changes,
        plan=None,
    )
    return RunState(
        started=replace(state.started, task=further, limits=event.limits),
        root_commit=state.root_commit,
        root_tree=state.root_tree,
        tree=end.tree,
        witness_tree=end.tree,
        at=state.at,
        worked_at=state.worked_at,
        baseline=state.verdict.report if judged and state.verdict else None,
        earlier_plans=(*state.earlier_plans, state.plan) if state.plan else state.earlier_plans,
        messages=_without_pending(state, "the run had ended").messages,
        say=Say.CONTINUE,
        spent=state.spent,
        prefix=state.prefix,
        prefix_form=state.prefix_form,
    )


def _tests_written(state: RunState, report: TestReport, tree: str) -> RunState:
    """The tests of a scaffold have to fail before there is code; from then on they are sealed."""
    if report.failing and not report.problem:
        return replace(state, phase=Phase.CODE, baseline=report, witness_tree=tree, say=Say.CODE)
    return replace(state, say=Say.TESTS_NOT_RED)
