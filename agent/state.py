"""The state of a run, and what it calls for next. No clock, no disk, no model."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from agent import events as e
from agent.baseline import NOTHING_KNOWN, Standings
from agent.events import Outcome, Say
from agent.habits import Habits
from agent.messages import Message, ToolCall
from agent.sightings import Sightings
from agent.spending import Spent
from agent.task import Plan
from agent.testreport import TestReport
from agent.verdict import Verdict, shortfall

__all__ = ["Due", "Iteration", "Phase", "RunState", "clock_left", "due", "ending", "seconds_left"]

TAIL_SECONDS = 10.0
"""Kept of the time for a last verdict, besides twice what the suite took; of short limits a quarter is kept."""


class Phase(StrEnum):
    """What the model is working on."""

    PLAN = "plan"
    TESTS = "tests"
    CODE = "code"


class Due(StrEnum):
    """The one thing that a state calls for."""

    APPROVE = "approve"
    FINISH = "finish"
    JUDGE = "judge"
    COMMIT = "commit"
    CALL_TOOL = "call_tool"
    PREPARE = "prepare"
    MEASURE = "measure"
    TEST = "test"
    PROMPT = "prompt"
    ASK = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """One committed cycle of writing and testing; `number` counts them from 1."""

    number: int
    commit: str
    tree: str
    report: TestReport
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Everything that the loop knows, derived from the journal."""

    started: e.RunStarted
    """What was asked for last; its limits are the ones in force."""
    root_commit: str
    """Where the run's branch leaves the user's history: the snapshot that it began from."""
    root_tree: str
    tree: str
    """The work as it stands."""
    entries: int
    """Of the journal, so far."""
    at: datetime
    worked_at: datetime
    """When something was last done; that a session takes the run up again is no work."""
    phase: Phase = Phase.PLAN
    environment: e.EnvironmentPrepared | None = None
    baseline: TestReport | None = None
    """What the result is measured against; under `new` the run of the tests-only commit."""
    standings: Standings = NOTHING_KNOWN
    """What is known of those tests besides: which of them decide nothing."""
    sightings: Sightings = field(default_factory=Sightings)
    """How tests ended on the trees of the work."""
    witness_tree: str = ""
    """Where the acceptance criteria have to fail: the base, or under `new` the tests-only commit."""
    plan: Plan | None = None
    approved: bool = False
    """Whether the user approved the plan, or wrote it."""
    plan_changed: bool = False
    """Whether the plan is not, word for word, the one that the model submitted."""
    earlier_plans: tuple[Plan, ...] = ()
    """Those of the requests that the run fulfilled before this one."""
    messages: tuple[Message, ...] = ()
    pending: tuple[ToolCall, ...] = ()
    say: Say | None = None
    hint: str = ""
    """What the user wants the model to know; not told yet."""
    remarks: tuple[Say, ...] = ()
    """What is to be said besides, with whatever is said next."""
    habits: Habits = field(default_factory=Habits)
    nudges: int = 0
    report: TestReport | None = None
    previous_report: TestReport | None = None
    tested_tree: str = ""
    must_test: bool = False
    uncommitted: bool = False
    verdict: Verdict | None = None
    iterations: tuple[Iteration, ...] = ()
    returned: tuple[str, str] | None = None
    """The commit and tree of the best, where the branch was put back to; None: it is where the iterations led."""
    unsealed: tuple[e.Unsealed, ...] = ()
    refused: tuple[e.Refusal, ...] = ()
    """Changes that the model tried and that may not be, each time that it did."""
    spent: Spent = field(default_factory=Spent)
    reserved: e.CallReserved | None = None
    prefix: tuple[int, int] = (0, 0)
    """How many messages were billed last, and as how many tokens."""
    prefix_form: str = "tools"
    """How they were written down then."""
    least: int = 0
    """Tokens that the provider itself counted in them; 0 if parts of them were put aside since."""
    failures: int = 0
    starved: int = 0
    """Replies in a row in which reasoning took all of the cap."""
    overflowed: int = 0
    """The output cap of the last call, if the server said that conversation and cap together are too long; else 0."""
    recent: tuple[tuple[datetime, int], ...] = ()
    """The calls of the last minute: when, and the tokens of prompt and cap, by the estimate."""
    density: float = 1.0
    """Tokens that the provider counted last for each one that was estimated; never less than one."""
    ceiling: int = 0
    """Tokens of conversation and cap that were too many for the server, whatever its context is said to be; 0: none."""
    wait: float = 0.0
    closing: tuple[Outcome, str] | None = None
    forked: e.Forked | None = None
    """From which run this one comes, if it began as another one."""
    inherited: Spent = field(default_factory=Spent)
    """What of `spent` that run had spent by then."""
    paused: e.RunPaused | None = None
    """How the last session ended, if it did so before the run and no other one has begun."""
    finished: e.RunFinished | None = None

    @property
    def context(self) -> int:
        """Tokens that conversation and reply may have together, as far as is known."""
        return min(self.started.context, self.ceiling or self.started.context)

    @property
    def base(self) -> str:
        """The tree that the work on the request started from."""
        return self.started.task.base_tree

    @property
    def result_tree(self) -> str:
        """The tree that the branch was left at, or stands at."""
        return self.finished.tree if self.finished else self.tip_tree

    @property
    def tip(self) -> str:
        """The commit at the end of the branch."""
        if self.returned:
            return self.returned[0]
        return self.iterations[-1].commit if self.iterations else self.started.task.base_commit

    @property
    def tip_tree(self) -> str:
        """The tree of that commit."""
        if self.returned:
            return self.returned[1]
        return self.iterations[-1].tree if self.iterations else self.base

    @property
    def tests_are_free(self) -> bool:
        """Whether no test is sealed, by the user's word: whatever reports the result says so."""
        return self.started.task.test_policy == "free"

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None while it goes on."""
        return self.finished.outcome if self.finished else None

    @property
    def reason(self) -> str:
        return self.finished.reason if self.finished else ""

    @property
    def hidden(self) -> frozenset[str]:
        """The tests that were seen to pass and to fail on one tree: the model is not told of them by name any more."""
        return self.standings.flaky | self.sightings.flaky

    @property
    def green(self) -> bool:
        """Whether the last test run is good enough to be judged; the judge decides, also on what is flaky here."""
        if self.baseline is None or self.report is None or self.phase is not Phase.CODE:
            return False
        standings = replace(self.standings, flaky=self.hidden.union(self.report.flaky))
        return not shortfall(self.started.task.mode, self.baseline, self.report, standings)


def due(state: RunState) -> Due:
    """What the state calls for next."""
    if state.plan and state.started.task.approve and not (state.approved or state.closing):
        return Due.APPROVE
    if state.uncommitted:
        judged = state.verdict is not None and state.verdict.tree == state.tested_tree
        return Due.JUDGE if state.green and not judged else Due.COMMIT
    if state.pending and not state.closing and seconds_left(state) > 0:
        return _missing(state) or Due.CALL_TOOL
    if (end := ending(state)) is not None:
        unmeasured = state.phase is Phase.CODE and state.environment and state.tree != (state.tested_tree or state.base)
        return Due.TEST if end[0] is not Outcome.BLOCKED and unmeasured else Due.FINISH
    if missing := _missing(state):
        return missing
    if state.must_test:
        return Due.TEST
    return Due.PROMPT if state.say or state.hint or state.remarks else Due.ASK


def ending(state: RunState) -> tuple[Outcome, str] | None:
    """How the run ends, if nothing is left to do but to end it."""
    if state.closing:
        return state.closing
    spent = state.spent.exceeds(state.started.limits, tail=_tail(state))
    return (Outcome.OUT_OF_BUDGET, spent) if spent else None


def seconds_left(state: RunState, *, to_the_end: bool = False) -> float:
    """Seconds in which something may be executed.

    With `to_the_end` also those that are kept for a last test and verdict.
    """
    return min(state.spent.left(state.started.limits, tail=0.0 if to_the_end else _tail(state)))


def clock_left(state: RunState) -> float:
    """Seconds of the wall clock in which the model may be asked."""
    return state.spent.left(state.started.limits, tail=_tail(state))[0]


def _tail(state: RunState) -> float:
    """Seconds kept back for the last test and verdict."""
    measured = state.report or state.baseline
    return 2 * (measured.seconds if measured else 0.0) + TAIL_SECONDS


def _missing(state: RunState) -> Due | None:
    """The place to run commands and the baseline: `fix` plans from failures, the others plan before they need them."""
    mode = state.started.task.mode
    if state.plan is None and mode != "fix":
        return None
    if state.environment is None:
        return Due.PREPARE
    return Due.MEASURE if state.baseline is None and mode != "new" else None
