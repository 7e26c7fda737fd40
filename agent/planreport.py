"""A plan for programs: what `greenward plan --json` prints."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from agent.estimate import Estimate
from agent.task import Mode, Plan

__all__ = ["PlanReport", "plan_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """A plan that waits for approval, and what it may cost; money in dollars."""

    schema: int = 1
    run: str
    mode: Mode
    request: str
    plan: Plan
    estimate: Estimate
    """From here on; `spent_dollars` is not in it."""
    spent_dollars: float
    limit_dollars: float


_REPORT: TypeAdapter[PlanReport] = TypeAdapter(PlanReport)


def plan_json(report: PlanReport) -> str:
    """`report` as one JSON object."""
    return _REPORT.dump_json(report, indent=2).decode()
