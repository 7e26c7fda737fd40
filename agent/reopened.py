"""What becomes of a run by its user's word: taken up again, its plan approved, asked for more, or forked. Pure."""

from dataclasses import replace

from agent import events as e
from agent.errors import DamagedRun
from agent.events import Outcome, Say
from agent.messages import Message
from agent.state import Phase, RunState
from agent.task import Plan

__all__ = ["continued", "decided", "forked", "planned", "reopened"]


def decided(state: RunState, event: e.PlanApproved | e.PlanWithheld) -> RunState:
    """The user approved a plan, or did not."""
    if isinstance(event, e.PlanWithheld):
        return replace(state, closing=(Outcome.PLANNED, event.reason))
    if event.plan == state.plan:
        return replace(reopened(state), approved=True)
    state = _without_pending(reopened(state), "the user changed the plan")
    return replace(state, plan=event.plan, approved=True, plan_changed=True)


def continued(state: RunState, event: e.Continued) -> RunState:
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
        entries=state.entries,
        at=state.at,
        worked_at=state.worked_at,
        baseline=state.verdict.report if judged and state.verdict else None,
        standings=replace(state.standings, runs=1, whole=1, seen={}),
        sightings=state.sightings,
        earlier_plans=(*state.earlier_plans, state.plan) if state.plan else state.earlier_plans,
        messages=_without_pending(state, "the run had ended").messages,
        say=Say.CONTINUE,
        spent=state.spent,
        prefix=state.prefix,
        prefix_form=state.prefix_form,
        least=state.least,
        forked=state.forked,
        inherited=state.inherited,
    )


def forked(state: RunState, event: e.Forked) -> RunState:
    """The state of a new run that has come as far as `state`. What was spent stays spent, at the prices of then.

    What the provider counted was counted by the model that was asked: of another one nothing is known yet.
    """
    started = replace(
        state.started,
        run_id=event.run_id,
        branch=event.branch,
        model=event.model,
        prices=event.prices,
        context=event.context,
        max_output=event.max_output,
    )
    same = event.model == state.started.model
    return replace(
        state,
        started=started,
        forked=event,
        inherited=state.spent,
        paused=None,
        reserved=None,
        prefix=state.prefix if same else (0, 0),
        least=state.least if same else 0,
        density=state.density if same else 1.0,
        ceiling=state.ceiling if same else 0,
    )


def reopened(state: RunState) -> RunState:
    """The state of a run that goes on although it ended, or was about to; the branch may have been taken back."""
    end = state.finished
    if end is None:
        return replace(state, closing=None)
    returned = state.returned if end.commit == state.tip else (end.commit, end.tree)
    return replace(state, finished=None, closing=None, returned=returned)


def planned(state: RunState, plan: Plan) -> RunState:
    """There is a plan: the work begins, under `new` with the tests."""
    new = state.started.task.mode == "new"
    state = replace(state, habits=replace(state.habits, repeats=0, idle=0))
    return replace(state, plan=plan, phase=Phase.TESTS if new else Phase.CODE, say=Say.TESTS if new else Say.CODE)


def _without_pending(state: RunState, why: str) -> RunState:
    """With an answer to each call that was not carried out, as every call needs one."""
    answers = tuple(
        Message(role="tool", content=f"Not carried out: {why}.", tool_call_id=call.id) for call in state.pending
    )
    return replace(state, messages=state.messages + answers, pending=())
