"""Everything that can have happened in a run, in the past tense. The run is the sequence of these.

An event carries no time: that stands in the journal's envelope, so that events compare equal.
"""

from typing import Annotated

from pydantic import Discriminator

from agent.events.conversation import (
    BudgetExhausted,
    CallFailed,
    CallReserved,
    Compacted,
    ModelReplied,
    Prompted,
    Shortened,
    ToolReturned,
)
from agent.events.effects import Effect, Finish, Planned, Refusal, TestRun, Unsealed
from agent.events.sessions import (
    SCHEMA,
    Continued,
    Forked,
    HintGiven,
    LimitsChanged,
    PlanApproved,
    PlanWithheld,
    RunFinished,
    RunPaused,
    RunStarted,
    SessionStarted,
    Why,
)
from agent.events.words import Outcome, Say
from agent.events.work import BaselineMeasured, Committed, EnvironmentPrepared, TestsFinished, VerdictReached

__all__ = [
    "SCHEMA",
    "BaselineMeasured",
    "BudgetExhausted",
    "CallFailed",
    "CallReserved",
    "Committed",
    "Compacted",
    "Continued",
    "Effect",
    "EnvironmentPrepared",
    "Event",
    "Finish",
    "Forked",
    "HintGiven",
    "LimitsChanged",
    "ModelReplied",
    "Outcome",
    "PlanApproved",
    "PlanWithheld",
    "Planned",
    "Prompted",
    "Refusal",
    "RunFinished",
    "RunPaused",
    "RunStarted",
    "Say",
    "SessionStarted",
    "Shortened",
    "TestRun",
    "TestsFinished",
    "ToolReturned",
    "Unsealed",
    "VerdictReached",
    "Why",
]

Event = Annotated[
    RunStarted
    | SessionStarted
    | LimitsChanged
    | PlanApproved
    | PlanWithheld
    | HintGiven
    | Continued
    | Forked
    | EnvironmentPrepared
    | BaselineMeasured
    | Prompted
    | CallReserved
    | CallFailed
    | ModelReplied
    | ToolReturned
    | Compacted
    | TestsFinished
    | VerdictReached
    | Committed
    | BudgetExhausted
    | RunPaused
    | RunFinished,
    Discriminator("kind"),
]
