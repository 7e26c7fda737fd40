"""What a user may add to a run that was begun before, and when."""

from collections.abc import Sequence

from agent.errors import UsageProblem
from agent.events import Continued, Event, HintGiven, LimitsChanged, Outcome, PlanApproved, SessionStarted
from agent.folding import by_the_user
from agent.journal import Entry
from agent.state import RunState
from agent.task import Limits, Plan

__all__ = ["further_request", "taking_up", "untold"]


def taking_up(
    state: RunState, *, limits: Limits | None = None, hint: str = "", plan: Plan | None = None
) -> tuple[Event, ...] | None:
    """The events with which a run is taken up again; None if it has ended, and none of what is given changes that.

    `limits` are other limits, `hint` is for the model, and `plan` takes the place of the one that waits for approval.
    Without an edited one, to take up a run that waits for approval approves its plan.

    Raises:
        UsageProblem: the run is not in a state for what was given.
    """
    end = state.outcome
    if plan is not None and end is not Outcome.PLANNED:
        raise UsageProblem(
            f"the run {state.started.run_id} does not wait for the approval of a plan",
            hint="`greenward change --plan FILE` starts a run with a plan",
        )
    if hint and end is Outcome.PASSED:
        raise UsageProblem(
            f"the run {state.started.run_id} is green: there is nothing left to hint at",
            hint=f"ask for more with `greenward change --continue {state.started.run_id} REQUEST`",
        )
    events: list[Event] = []
    goes_on = end in (None, Outcome.OUT_OF_BUDGET, Outcome.PLANNED)
    if limits is not None and limits != state.started.limits and goes_on:
        events.append(LimitsChanged(limits=limits))
    if end is Outcome.PLANNED and (chosen := plan or state.plan) is not None:
        events.append(PlanApproved(plan=chosen))
    if hint:
        events.append(HintGiven(text=hint))
    return tuple(events) if events or end is None else None


def untold(entries: Sequence[Entry]) -> int:
    """How many of `entries`, at their end, no session has told anyone: what the user did since the last one."""
    return next((n for n, entry in enumerate(reversed(entries)) if not _outside(entry.event)), len(entries))


def _outside(event: Event) -> bool:
    return by_the_user(event) and not isinstance(event, SessionStarted)


def further_request(state: RunState, request: str, budget: Limits, allow_test_changes: tuple[str, ...]) -> Continued:
    """The event with which a run that has ended goes on to a further request, with `budget` on top of what was spent.

    Raises:
        UsageProblem: it has not ended, or never got as far as a result.
    """
    run_id, spent = state.started.run_id, state.spent
    if state.outcome in (None, Outcome.PLANNED):
        raise UsageProblem(f"the run {run_id} has not ended", hint=f"`greenward resume {run_id}` goes on with it")
    limits = Limits(
        dollars=spent.dollars + budget.dollars,
        tokens=spent.tokens + budget.tokens,
        calls=spent.calls + budget.calls,
        iterations=spent.iterations + budget.iterations,
        seconds=spent.seconds + budget.seconds,
        sandbox_seconds=spent.sandbox_seconds + budget.sandbox_seconds,
    )
    return Continued(request=request, limits=limits, allow_test_changes=allow_test_changes)
