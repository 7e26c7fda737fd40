"""What a journal tells, as readers want it: turns, iterations, verdicts and money. `agent.telling` makes it.

Texts are as they stand in the journal; whoever shows them makes them fit to be read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.events import ToolReturned
from agent.marks import Mark
from agent.messages import Message, Usage
from agent.state import RunState
from agent.suites import Suite
from agent.suspicions import Suspicion
from agent.task import Mode, Plan
from agent.testreport import Again
from agent.verdict import CaseResult, VerdictKind, flagged

__all__ = [
    "Answer",
    "Asked",
    "Exchange",
    "FailedCall",
    "IterationView",
    "Judgement",
    "Payment",
    "Shown",
    "Step",
    "Timeline",
    "Turn",
    "in_order",
]


class Answer(StrEnum):
    """What came of a tool call."""

    DONE = "done"
    ERROR = "error"
    MISSING = "missing"
    """The run ended, or was cut off, before the call was carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One tool call of a turn."""

    tool: str
    subject: str
    """What the call is about: a path, a command, a pattern."""
    answer: Answer = Answer.MISSING
    note: str = ""
    """Of an error, what the model was told; of `finish` and `unseal`, the reason that was given."""
    tests: Suite | None = None
    """What a run of tests showed."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """A call of the model that brought no reply."""

    at: datetime
    error: str
    message: str
    billed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One reply of the model with the results of its tool calls, and the calls that failed before it."""

    number: int
    seq: int
    """The journal's entry that it begins with."""
    at: datetime
    iteration: int
    """The iteration that it is part of, from 1."""
    said: str = ""
    answered: bool = False
    """Whether there is a reply."""
    stop_reason: str = ""
    steps: tuple[Step, ...] = ()
    failed: tuple[FailedCall, ...] = ()
    usage: Usage | None = None
    """None if the provider reported none."""
    dollars: float = 0.0
    """What the turn added to what was spent: settled calls, and reservations that stand."""
    model_seconds: float = 0.0
    """From the reservation of the first call to the reply."""
    seconds: float = 0.0
    """From the reservation of the first call to the last result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An acceptance criterion on the base and on the result."""

    behaviour: str
    command: str
    base: CaseResult
    result: CaseResult
    proves: bool
    """It failed before, and holds after."""
    guards: bool
    """It was to hold before already, and to stay so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the judge found, and on which iteration."""

    iteration: int
    at: datetime
    kind: VerdictKind
    tree: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    suspicions: tuple[Suspicion, ...]
    tests: Suite | None
    witnesses: tuple[Shown, ...]
    control: str
    test: str
    environment: str
    seconds: float
    again: tuple[Again, ...] = ()
    """The tests that it took more than one run to judge, with how each run ended."""

    @property
    def flagged(self) -> tuple[str, ...]:
        """The suspicions that are no reason of the verdict, as sentences."""
        return flagged(self.suspicions, self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationView:
    """One cycle of writing and testing, against what the suite showed before it."""

    number: int
    turn: int
    """The turn that it ended with."""
    at: datetime
    before: Suite | None
    after: Suite
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    tree_before: str
    tree: str
    commit: str = ""
    """Empty if there was nothing to commit, or the run was cut off before."""
    subject: str = ""
    verdict: VerdictKind | None = None
    dollars: float = 0.0
    """Spent in all by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Dollars spent in all around one call: before it, at its worst, and once it was settled."""

    call: int
    turn: int
    before: float
    worst: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What was said in a turn, word for word: what the model was told before it, its reply, the tools' answers."""

    turn: int
    told: tuple[Message, ...] = ()
    reply: Message | None = None
    answers: tuple[ToolReturned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, and the plan that was made for it; a run that has ended may be asked for more."""

    mode: Mode
    request: str
    turn: int = 0
    """The last turn before it."""
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything that a journal tells, in its order."""

    state: RunState
    began: datetime
    sessions: int
    asked: tuple[Asked, ...]
    baseline: Suite | None
    """What the suite showed before anything was done; None if it was not run then."""
    turns: tuple[Turn, ...]
    marks: tuple[Mark, ...]
    iterations: tuple[IterationView, ...]
    judgements: tuple[Judgement, ...]
    payments: tuple[Payment, ...]
    exchanges: tuple[Exchange, ...]


def in_order(turns: Iterable[Turn], marks: Iterable[Mark]) -> list[Turn | Mark]:
    """Turns and what happened between them, as they came; a mark of an entry within a turn follows the turn."""
    every: list[Turn | Mark] = [*turns, *marks]
    return sorted(every, key=lambda each: each.seq)
