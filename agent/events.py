"""Everything that can have happened in a run, in the past tense. The run is the sequence of these.

An event carries no time: that stands in the journal's envelope, so that events compare equal.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Discriminator

from agent.messages import Message, Usage
from agent.task import Limits, Plan, Prices, Task
from agent.testreport import TestReport
from agent.verdict import Verdict

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
    "HintGiven",
    "LimitsChanged",
    "ModelReplied",
    "Outcome",
    "PlanApproved",
    "PlanWithheld",
    "Planned",
    "Prompted",
    "RunFinished",
    "RunStarted",
    "Say",
    "SessionStarted",
    "Shortened",
    "TestRun",
    "TestsFinished",
    "ToolReturned",
    "Unsealed",
    "VerdictReached",
]

SCHEMA = 1


class Outcome(StrEnum):
    """How a run ended."""

    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"
    UNPROVEN = "unproven"
    OUT_OF_BUDGET = "out_of_budget"
    PLANNED = "planned"
    """There is a plan that waits for approval."""

    @property
    def exit_code(self) -> int:
        return {Outcome.PASSED: 0, Outcome.OUT_OF_BUDGET: 3, Outcome.UNPROVEN: 8}.get(self, 1)


class Say(StrEnum):
    """What the model has to be told next; each word is also the name of a template in `prompts`."""

    PLAN = "plan"
    PLAN_MISSING = "plan_missing"
    TESTS = "tests"
    TESTS_NOT_RED = "tests_not_red"
    CODE = "code"
    RESULTS = "results"
    VERDICT = "verdict"
    NUDGE = "nudge"
    TRUNCATED = "truncated"
    CONTINUE = "continue"
    HINT = "hint"
    STUCK = "stuck"
    RETURNED = "returned"
    COMPACTED = "compacted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The model submitted a valid plan."""

    kind: Literal["planned"] = "planned"
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The model says that it is done, or that it is blocked and why."""

    kind: Literal["finish"] = "finish"
    status: Literal["done", "blocked"]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRun:
    """The model ran the tests: all of them, which ends an iteration, or a selection."""

    __test__ = False

    kind: Literal["test_run"] = "test_run"
    report: TestReport
    full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """A test file that the agent itself wrote earlier was opened for changes, with the reason given."""

    kind: Literal["unsealed"] = "unsealed"
    path: str
    reason: str


Effect = Annotated[Planned | Finish | TestRun | Unsealed, Discriminator("kind")]


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
class EnvironmentPrepared:
    """The place where commands run is ready."""

    kind: Literal["environment_prepared"] = "environment_prepared"
    id: str
    origin: str
    cached: bool
    seconds: float
    build: str
    test: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineMeasured:
    """The suite was run on the base, in a fresh container."""

    kind: Literal["baseline_measured"] = "baseline_measured"
    report: TestReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """The model was told something; `messages` are appended to the conversation, verbatim."""

    kind: Literal["prompted"] = "prompted"
    about: Say
    messages: tuple[Message, ...]
    tree: str = ""
    """Where the work was put back to, if it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReserved:
    """The worst case of the next call was set aside, before it was sent."""

    kind: Literal["call_reserved"] = "call_reserved"
    dollars: float
    tokens: int
    max_tokens: int
    estimate: int = 0
    """Tokens of the prompt by a rough count, which the usage will put right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailed:
    """A call brought no reply. What was reserved stays spent unless nothing was billed."""

    kind: Literal["call_failed"] = "call_failed"
    error: str
    message: str
    billed: bool
    usage: Usage | None = None
    """What the server reported for a reply that could not be used."""
    wait: float | None
    """Seconds until the next attempt; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReplied:
    """The model's whole reply. Without usage the reservation stands."""

    kind: Literal["model_replied"] = "model_replied"
    message: Message
    usage: Usage | None
    stop_reason: str
    request_id: str = ""
    note: str = ""
    """What the client had to change in the reply."""
    form: str = "tools"
    """How the prompt was written: what was billed for it bounds only prompts of the same form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReturned:
    """A tool answered; `tree` is the work as the call left it."""

    kind: Literal["tool_returned"] = "tool_returned"
    call_id: str
    name: str
    content: str
    is_error: bool
    tree: str
    effect: Effect | None = None
    repeats: str = ""
    """The id of the call whose answer still held, so that this one was not carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """The message at `index` of the conversation, with what was bulky in it put aside."""

    index: int
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """The conversation had grown too long for the model's context: old, bulky parts gave way to pointers."""

    kind: Literal["compacted"] = "compacted"
    shortened: tuple[Shortened, ...]
    before: int
    """Tokens of the next request, as estimated."""
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TestsFinished:
    """The loop ran all tests, because the model's turn ended without."""

    __test__ = False

    kind: Literal["tests_finished"] = "tests_finished"
    report: TestReport
    tree: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictReached:
    """The judge has spoken on the tree that was tested last."""

    kind: Literal["verdict_reached"] = "verdict_reached"
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The iteration's tree is on the run's branch; `commit` is the branch's tip, unchanged if the tree is."""

    kind: Literal["committed"] = "committed"
    commit: str
    tree: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExhausted:
    """The next call, at its worst, would pass a limit: it was not sent."""

    kind: Literal["budget_exhausted"] = "budget_exhausted"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The end, with the commit and tree that the branch was left at."""

    kind: Literal["run_finished"] = "run_finished"
    outcome: Outcome
    reason: str
    commit: str
    tree: str


Event = Annotated[
    RunStarted
    | SessionStarted
    | LimitsChanged
    | PlanApproved
    | PlanWithheld
    | HintGiven
    | Continued
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
    | RunFinished,
    Discriminator("kind"),
]
