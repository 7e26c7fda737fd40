"""Approval of the model's plan: asked of a person, or waited for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.events import Event, PlanApproved, PlanWithheld
from agent.state import RunState
from agent.task import Plan

__all__ = ["Approver"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """Asks for the word to go on."""

    decide: Callable[[RunState], Plan | None] | None = None
    """Shows the plan to someone, and returns the one to carry out, or None; without it there is nobody to ask."""

    def approve(self, state: RunState) -> Iterator[Event]:
        """Have the plan approved, or end the run until it is."""
        if self.decide is None:
            yield PlanWithheld(reason="the plan waits for approval")
            return
        plan = self.decide(state)
        yield PlanWithheld(reason="the plan was not approved") if plan is None else PlanApproved(plan=plan)
