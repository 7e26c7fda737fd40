"""A run begins, is taken up, and ends; and what its user says between two sessions."""

from dataclasses import dataclass
from typing import Literal

from agent.events.words import Outcome
from agent.task import Limits, Plan, Prices, Task

__all__ = [
    "SCHEMA",
    "Continued",
    "Forked",
    "HintGiven",
    "LimitsChanged",
    "PlanApproved",
    "PlanWithheld",
    "RunFinished",
    "RunPaused",
    "RunStarted",
    "SessionStarted",
    "Why",
]


SCHEMA = 1

Why = Literal["interrupted", "model", "sandbox", "error"]
"""What ended a session before its run: the user or a supervisor; no model; no sandbox; anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """What was asked for, and the limits in force."""

    kind: Literal["run_started"] = "run_started"
    schema: int = SCHEMA
    run_id: str
    branch: str
    task: Task
    limits: Limits
    prices: Prices
    model: str
    context: int
    max_output: int
    sandbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """A process took the run up, for the first time or again."""

    kind: Literal["session_started"] = "session_started"
    pid: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused:
    """The session ended before the run did; until it goes on, the branch is at the best tree that was measured."""

    kind: Literal["run_paused"] = "run_paused"
    why: Why
    reason: str
    commit: str
    tree: str
    """What that commit holds; the work itself may be elsewhere, and goes on from there."""
    sandbox_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged:
    """Other limits are in force from here on; a run that ended out of budget goes on."""

    kind: Literal["limits_changed"] = "limits_changed"
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanApproved:
    """The user wants `plan` to be carried out: the model's own, or what they made of it."""

    kind: Literal["plan_approved"] = "plan_approved"
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWithheld:
    """The plan was not approved; the run ends, and goes on once it is."""

    kind: Literal["plan_withheld"] = "plan_withheld"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HintGiven:
    """The user told the model something, and the run goes on."""

    kind: Literal["hint_given"] = "hint_given"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued:
    """The user asks for more once a run has ended: it goes on from its result, in the same conversation."""

    kind: Literal["continued"] = "continued"
    request: str
    limits: Limits
    """In force from here on; they count from the run's beginning."""
    allow_test_changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """Up to here the journal is another run's, byte for byte; from here on it is the run `run_id`."""

    kind: Literal["forked"] = "forked"
    run_id: str
    branch: str
    parent: str
    """The run that it comes from."""
    step: int
    """The last entry that it has from there."""
    commit: str
    """Where its branch begins."""
    model: str
    prices: Prices
    context: int
    max_output: int
    limits: Limits
    """In force from here on; they count from the beginning, what the other run had spent by then included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The end, with the commit and tree that the branch was left at."""

    kind: Literal["run_finished"] = "run_finished"
    outcome: Outcome
    reason: str
    commit: str
    tree: str
    proof: str = ""
    """The id of the proof, without which no result is called green."""
