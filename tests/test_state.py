"""The fold and what it calls for: tables for each mode, and invariants over whatever can legally happen."""

from dataclasses import fields
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent import events as e
from agent.errors import DamagedRun
from agent.events import Outcome, Say
from agent.journal import Entry
from agent.ledger import Refused, reserve
from agent.messages import Message, ToolCall, Usage
from agent.models import Request
from agent.state import MAX_NUDGES, Due, Phase, RunState, apply, due, ending, fold
from agent.task import Limits, Plan
from agent.verdict import Verdict, VerdictKind
from tests.kits import EPOCH, TOOLS, folded, report, started

RED, GREEN = report(a="failed"), report(a="passed")
PREPARED = e.EnvironmentPrepared(id="env", origin="present", cached=True, seconds=0.0, build="", test="pytest")
RESERVED = e.CallReserved(dollars=0.25, tokens=1_000, max_tokens=500)


def told(say: Say) -> e.Prompted:
    return e.Prompted(about=say, messages=(Message(role="user", content=say),))


def replied(*names: str, stop: str = "stop") -> e.ModelReplied:
    calls = tuple(ToolCall(id=name, name=name, arguments="{}") for name in names)
    return e.ModelReplied(message=Message(role="assistant", tool_calls=calls), usage=None, stop_reason=stop)


def returned(name: str, tree: str = "base", effect: e.Effect | None = None) -> e.ToolReturned:
    return e.ToolReturned(call_id=name, name=name, content="ok", is_error=False, tree=tree, effect=effect)


def judged(kind: str, tree: str = "good") -> e.VerdictReached:
    return e.VerdictReached(verdict=Verdict(kind=VerdictKind(kind), tree=tree, reasons=("so it is",)))


def committed(tree: str) -> e.Committed:
    return e.Committed(commit=f"c-{tree}", tree=tree, subject=tree)


PLANNED = returned("plan", effect=e.Planned(plan=Plan(summary="Do it.", steps=())))
DONE = e.Finish(status="done")
BASELINE = e.BaselineMeasured(report=RED)
FIX = (PREPARED, BASELINE, told(Say.PLAN))
FIX_CODE = (*FIX, replied("plan"), PLANNED, told(Say.CODE))
CHANGE = (told(Say.PLAN),)
CHANGE_CODE = (*CHANGE, replied("plan"), PLANNED, PREPARED, BASELINE, told(Say.CODE))
NEW_TESTS = (told(Say.PLAN), replied("plan"), PLANNED, PREPARED, told(Say.TESTS))
RUN_RED = e.TestRun(report=RED, full=True)
RUN_GREEN = e.TestRun(report=GREEN, full=True)
WRITTEN = (replied("run"), returned("run", "tests", RUN_RED), committed("tests"))
NEW_CODE = (*NEW_TESTS, *WRITTEN, told(Say.CODE))
TESTED = (replied("run"), returned("run", "good", RUN_GREEN))

TABLE = {
    # mode, events, what is due
    "fix prepares first": ("fix", (), Due.PREPARE),
    "fix measures before it plans": ("fix", (PREPARED,), Due.MEASURE),
    "fix plans from the failures": ("fix", (PREPARED, BASELINE), Due.PROMPT),
    "fix with nothing to fix is over": ("fix", (PREPARED, e.BaselineMeasured(report=GREEN)), Due.FINISH),
    "fix of a suite without result goes on": (
        "fix",
        (PREPARED, e.BaselineMeasured(report=report(problem="broken", exit_code=4))),
        Due.PROMPT,
    ),
    "change plans first": ("change", (), Due.PROMPT),
    "new plans first": ("new", (), Due.PROMPT),
    "what was said is answered": ("change", CHANGE, Due.ASK),
    "a reservation without reply is made again": ("change", (*CHANGE, RESERVED), Due.ASK),
    "a failed call is made again": (
        "change",
        (*CHANGE, RESERVED, e.CallFailed(error="transport", message="", billed=True, wait=1.0)),
        Due.ASK,
    ),
    "calls are made": ("change", (*CHANGE, replied("look", "plan")), Due.CALL_TOOL),
    "calls are made one after the other": (
        "change",
        (*CHANGE, replied("look", "plan"), returned("look")),
        Due.CALL_TOOL,
    ),
    "change prepares once it has a plan": ("change", (*CHANGE, replied("plan"), PLANNED), Due.PREPARE),
    "change prepares before further calls": ("change", (*CHANGE, replied("plan", "edit"), PLANNED), Due.PREPARE),
    "change measures what is before it": ("change", (*CHANGE, replied("plan"), PLANNED, PREPARED), Due.MEASURE),
    "change is told to code": ("change", CHANGE_CODE[:-1], Due.PROMPT),
    "change codes": ("change", CHANGE_CODE, Due.ASK),
    "new prepares once it has a plan": ("new", (told(Say.PLAN), replied("plan"), PLANNED), Due.PREPARE),
    "new measures nothing before there are tests": ("new", NEW_TESTS[:-1], Due.PROMPT),
    "new writes tests": ("new", NEW_TESTS, Due.ASK),
    "tests that were written are committed unjudged": ("new", (*NEW_TESTS, *WRITTEN[:-1]), Due.COMMIT),
    "green tests before code are committed unjudged": ("new", (*NEW_TESTS, *TESTED), Due.COMMIT),
    "red tests are followed by code": ("new", (*NEW_TESTS, *WRITTEN), Due.PROMPT),
    "new codes": ("new", NEW_CODE, Due.ASK),
    "an edit without a test is tested at the turn's end": (
        "fix",
        (*FIX_CODE, replied("edit"), returned("edit", "good"), replied()),
        Due.TEST,
    ),
    "an edit is followed by another turn": ("fix", (*FIX_CODE, replied("edit"), returned("edit", "good")), Due.ASK),
    "a red run is committed": ("fix", (*FIX_CODE, replied("run"), returned("run", "bad", RUN_RED)), Due.COMMIT),
    "a run of a selection is no iteration": (
        "fix",
        (*FIX_CODE, replied("run"), returned("run", "good", e.TestRun(report=GREEN, full=False))),
        Due.ASK,
    ),
    "a green run is judged": ("fix", (*FIX_CODE, *TESTED), Due.JUDGE),
    "a green run of a scaffold is judged": ("new", (*NEW_CODE, *TESTED), Due.JUDGE),
    "a green run of a change is judged": ("change", (*CHANGE_CODE, *TESTED), Due.JUDGE),
    "what was judged is committed": ("fix", (*FIX_CODE, *TESTED, judged("passed")), Due.COMMIT),
    "a verdict on another tree is none": ("fix", (*FIX_CODE, *TESTED, judged("passed", "other")), Due.JUDGE),
    "what passed is the end": ("fix", (*FIX_CODE, *TESTED, judged("passed"), committed("good")), Due.FINISH),
    "what failed is told": ("fix", (*FIX_CODE, *TESTED, judged("failed"), committed("good")), Due.PROMPT),
    "a passed verdict on a tree that was not committed ends nothing": (
        "fix",
        (*FIX_CODE, *TESTED, judged("passed"), committed("other")),
        Due.ASK,
    ),
    "results that the loop asked for are told": (
        "fix",
        (*FIX_CODE, replied("edit"), returned("edit", "bad"), replied(), e.TestsFinished(report=RED, tree="bad"),
         committed("bad")),
        Due.PROMPT,
    ),
    "done without a test is tested": (
        "fix",
        (*FIX_CODE, replied("edit", "done"), returned("edit", "good"), returned("done", "good", DONE)),
        Due.TEST,
    ),
    "done before a plan is told": ("change", (*CHANGE, replied("done"), returned("done", effect=DONE)), Due.PROMPT),
    "calls after done are made": (
        "fix",
        (*FIX_CODE, replied("done", "edit"), returned("done", effect=DONE)),
        Due.CALL_TOOL,
    ),
    "blocked is the end, whatever else was called": (
        "fix",
        (*FIX_CODE, replied("edit", "done", "edit"), returned("edit", "bad"),
         returned("done", "bad", e.Finish(status="blocked", reason="no"))),
        Due.FINISH,
    ),
    "a budget that ends with untested work tests it": (
        "fix",
        (*FIX_CODE, replied("edit"), returned("edit", "good"), e.BudgetExhausted(reason="spent")),
        Due.TEST,
    ),
    "a budget that ends with green work judges it": (
        "fix",
        (*FIX_CODE, replied("edit"), returned("edit", "good"), e.BudgetExhausted(reason="spent"),
         e.TestsFinished(report=GREEN, tree="good")),
        Due.JUDGE,
    ),
    "a budget that ends with tested work ends the run": (
        "fix",
        (*FIX_CODE, replied("run"), returned("run", "bad", RUN_RED), committed("bad"),
         e.BudgetExhausted(reason="spent")),
        Due.FINISH,
    ),
    "a budget that ends before any work ends the run": ("fix", (*FIX_CODE, e.BudgetExhausted(reason="")), Due.FINISH),
    "a budget that ends among the tests ends the run": (
        "new",
        (*NEW_TESTS, replied("edit"), returned("edit", "tests"), e.BudgetExhausted(reason="spent")),
        Due.FINISH,
    ),
    "a session changes nothing": ("fix", (*FIX_CODE, *TESTED, e.SessionStarted(pid=1, version="0")), Due.JUDGE),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_what_is_due(name):
    mode, events, expected = TABLE[name]
    assert due(folded(started(mode), *events)) is expected


@pytest.mark.parametrize(
    ("mode", "events", "say"),
    [
        ("fix", (PREPARED, BASELINE), Say.PLAN),
        ("fix", FIX_CODE[:-1], Say.CODE),
        ("new", NEW_TESTS[:-1], Say.TESTS),
        ("new", (*NEW_TESTS, *WRITTEN), Say.CODE),
        ("new", (*NEW_TESTS, *TESTED, committed("good")), Say.TESTS_NOT_RED),
        (
            "new",
            (
                *NEW_TESTS,
                replied("run"),
                returned("run", "x", e.TestRun(report=report(a="failed", problem="cut"), full=True)),
                committed("x"),
            ),
            Say.TESTS_NOT_RED,
        ),
        ("fix", (*FIX, replied()), Say.PLAN_MISSING),
        ("fix", (*FIX_CODE, replied()), Say.NUDGE),
        ("fix", (*FIX_CODE, replied(stop="length")), Say.TRUNCATED),
        (
            "fix",
            (*FIX_CODE, replied("edit"), returned("edit", "good"), replied(stop="length")),
            Say.TRUNCATED,
        ),
        ("fix", (*FIX_CODE, *TESTED, judged("unproven"), committed("good")), Say.VERDICT),
    ],
)
def test_what_is_said(mode, events, say):
    assert folded(started(mode), *events).say is say


def test_the_first_baseline_that_a_scaffold_has_is_its_red_tests():
    state = folded(started("new"), *NEW_TESTS, *WRITTEN)
    assert (state.phase, state.baseline, state.witness_tree) == (Phase.CODE, RED, "tests")


@pytest.mark.parametrize("count", [MAX_NUDGES, MAX_NUDGES + 1])
def test_a_model_is_nudged_so_often_and_no_more(count):
    state = folded(started(), *FIX_CODE, *[replied()] * count)
    assert (state.closing is not None) is (count > MAX_NUDGES)


def test_a_tool_call_starts_the_nudges_anew():
    state = folded(started(), *FIX_CODE, *[replied()] * MAX_NUDGES, replied("look"), returned("look"), replied())
    assert (state.closing, state.nudges) == (None, 1)


def test_time_passes_within_a_session_only_and_never_backwards():
    offsets = [(0, started()), (5, PREPARED), (3_600, e.SessionStarted(pid=1, version="0")), (3_590, BASELINE)]
    offsets.append((3_592, told(Say.PLAN)))
    state = fold(
        Entry(seq=seq, at=EPOCH + timedelta(seconds=offset), event=event) for seq, (offset, event) in enumerate(offsets)
    )
    assert state.spent.seconds == 7.0


def test_a_run_that_has_ended_says_how():
    end = e.RunFinished(outcome=Outcome.BLOCKED, reason="no", commit="c0", tree="base")
    state = folded(started(), end)
    assert (state.outcome, state.reason, state.closing) == (Outcome.BLOCKED, "no", None)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.PASSED, 0),
        (Outcome.FAILED, 1),
        (Outcome.BLOCKED, 1),
        (Outcome.OUT_OF_BUDGET, 3),
        (Outcome.UNPROVEN, 8),
    ],
)
def test_each_outcome_has_its_exit_code(outcome, code):
    assert outcome.exit_code == code


@pytest.mark.parametrize("events", [(), (PREPARED,)], ids=["empty", "another event first"])
def test_a_run_begins_with_its_start(events):
    with pytest.raises(DamagedRun, match="holds no run"):
        folded(*events)


def test_a_run_starts_once():
    with pytest.raises(TypeError, match="one RunStarted"):
        folded(started(), started())


def test_an_iteration_is_committed_after_its_tests():
    with pytest.raises(TypeError, match="after its tests"):
        folded(started(), committed("good"))


# Whatever can happen

TREES = st.sampled_from(["base", "t1", "t2", "t3"])
REPORTS = st.sampled_from(
    [RED, GREEN, report(), report(a="passed", exit_code=1), report(a="passed", b="failed"), report(problem="cut")]
)
EFFECTS = st.one_of(
    st.none(),
    st.just(e.Planned(plan=Plan(summary="Do it.", steps=()))),
    st.just(DONE),
    st.just(e.Finish(status="blocked", reason="no")),
    st.builds(e.TestRun, report=REPORTS, full=st.booleans()),
    st.just(e.Unsealed(path="tests/test_x.py", reason="a typo")),
)


class AnyRun(RuleBasedStateMachine):
    """A run in which each step is answered in any way that it may be."""

    @initialize(
        mode=st.sampled_from(["new", "fix", "change"]),
        dollars=st.sampled_from([0.01, 1.0]),
        calls=st.integers(1, 12),
        iterations=st.integers(1, 5),
        seconds=st.sampled_from([60.0, 1e6]),
    )
    def start(self, mode, dollars, calls, iterations, seconds):
        limits = Limits(dollars=dollars, calls=calls, iterations=iterations, seconds=seconds)
        self.events: list[e.Event] = [started(mode, limits=limits)]
        self.state = folded(*self.events)
        self.settled = self.unsettled = 0.0
        self.open: e.CallReserved | None = None
        self.steps = 0

    def happens(self, event: e.Event, elapsed: float = 0.0) -> None:
        before = self.state
        at = before.at + timedelta(seconds=elapsed)
        self.events.append(event)
        self.state = apply(before, Entry(seq=len(self.events) - 1, at=at, event=event))
        self.steps += 1
        assert self.state.messages[: len(before.messages)] == before.messages, "history grows only at its end"
        assert self.state.iterations[: len(before.iterations)] == before.iterations
        assert self.state.spent.seconds >= before.spent.seconds
        assert self.state.spent.calls >= before.spent.calls

    def is_due(self, *what: Due) -> bool:
        return self.state.outcome is None and due(self.state) in what

    @rule()
    def another_session_takes_over(self):
        if self.state.outcome is None:
            self.settle(None)
            self.happens(e.SessionStarted(pid=1, version="0"), 86_400.0)

    @precondition(lambda self: self.is_due(Due.PREPARE))
    @rule(elapsed=st.floats(0, 30))
    def prepared(self, elapsed):
        assert self.state.environment is None
        self.happens(PREPARED, elapsed)

    @precondition(lambda self: self.is_due(Due.MEASURE))
    @rule(report=REPORTS)
    def measured(self, report):
        assert self.state.environment is not None
        assert self.state.baseline is None
        self.happens(e.BaselineMeasured(report=report))

    @precondition(lambda self: self.is_due(Due.PROMPT))
    @rule()
    def prompted(self):
        assert self.state.say is not None
        assert_answered(self.state)
        self.happens(told(self.state.say))

    @precondition(lambda self: self.is_due(Due.ASK))
    @rule(
        effects=st.integers(0, 3),
        end=st.sampled_from(["usage", "usage", "usage", "no usage", "billed", "free", "crash", "overflow"]),
        stop=st.sampled_from(["stop", "length"]),
        elapsed=st.floats(0, 20),
    )
    def asked(self, effects, end, stop, elapsed):
        assert_answered(self.state)
        assert self.state.messages[-1].role != "assistant", "the model hears something before it speaks again"
        assert self.state.spent.iterations < self.state.started.limits.iterations
        needed = self.state.environment is not None or self.state.plan is None
        assert needed, "no code is asked for without a place to run it"
        reserved = reserve(self.state, Request(messages=self.state.messages, tools=TOOLS, max_tokens=2_048))
        if isinstance(reserved, Refused):
            self.happens(e.BudgetExhausted(reason=reserved.reason))
            return
        self.settle(None)
        self.happens(reserved)
        self.open = reserved
        if end == "crash":
            return
        if end in ("billed", "free", "overflow"):
            self.happens(e.CallFailed(error=end, message="", billed=end == "billed", wait=1.0), elapsed)
            self.settle(0.0 if end != "billed" else None)
            if end == "overflow":
                self.happens(e.BudgetExhausted(reason="it overflows"))
            return
        used = Usage(prompt=reserved.tokens - reserved.max_tokens, completion=reserved.max_tokens)
        calls = tuple(ToolCall(id=f"{self.steps}:{n}", name="any", arguments="{}") for n in range(effects))
        message = Message(role="assistant", content="So.", tool_calls=calls)
        reply = e.ModelReplied(message=message, usage=used if end == "usage" else None, stop_reason=stop)
        self.happens(reply, elapsed)
        self.settle(self.state.started.prices.cost(used) if end == "usage" else None)

    def settle(self, cost: float | None) -> None:
        """Close the open reservation at its `cost`; without one it stays spent."""
        if self.open is not None and cost is None:
            self.unsettled += self.open.dollars
        elif cost is not None:
            self.settled += cost
        self.open = None

    @precondition(lambda self: self.is_due(Due.CALL_TOOL))
    @rule(effect=EFFECTS, tree=TREES, elapsed=st.floats(0, 20))
    def tool_returned(self, effect, tree, elapsed):
        if self.state.plan is None:
            tree = self.state.tree
        elif self.state.started.task.mode != "new":
            assert self.state.baseline is not None
        if isinstance(effect, e.Planned) and self.state.plan is not None:
            effect = None
        if isinstance(effect, e.TestRun) and self.state.environment is None:
            effect = None
        assert self.state.plan is None or self.state.environment is not None
        call = self.state.pending[0]
        self.happens(returned(call.id, tree, effect), elapsed)

    @precondition(lambda self: self.is_due(Due.TEST))
    @rule(report=REPORTS, elapsed=st.floats(0, 20))
    def tested(self, report, elapsed):
        assert self.state.environment is not None
        assert self.state.phase is not Phase.PLAN
        self.happens(e.TestsFinished(report=report, tree=self.state.tree), elapsed)

    @precondition(lambda self: self.is_due(Due.JUDGE))
    @rule(kind=st.sampled_from(VerdictKind))
    def judged(self, kind):
        assert self.state.green
        assert self.state.tree == self.state.tested_tree
        self.happens(e.VerdictReached(verdict=Verdict(kind=kind, tree=self.state.tested_tree)))

    @precondition(lambda self: self.is_due(Due.COMMIT))
    @rule()
    def committed(self):
        assert self.state.report is not None
        assert self.state.tree == self.state.tested_tree
        self.happens(committed(self.state.tested_tree))

    @precondition(lambda self: self.is_due(Due.FINISH))
    @rule()
    def finished(self):
        state = self.state
        end = ending(state)
        assert end is not None
        outcome, reason = end
        assert reason, "no run ends without a reason"
        if outcome is Outcome.PASSED:
            assert_proven(state)
        if outcome is not Outcome.BLOCKED and state.phase is Phase.CODE and state.environment:
            assert state.tree in (state.tested_tree, state.base), "what was written is tested before the end"
        self.happens(e.RunFinished(outcome=outcome, reason=reason, commit=state.tip, tree=state.tree))
        assert self.state.outcome is outcome

    @invariant()
    def the_fold_of_the_events_is_the_state(self):
        if getattr(self, "steps", 0) % 10 == 9 and not any(
            isinstance(event, e.SessionStarted) for event in self.events
        ):
            refolded = folded(*self.events)
            assert [
                field.name
                for field in fields(RunState)
                if field.name not in ("at", "spent")
                and getattr(refolded, field.name) != getattr(self.state, field.name)
            ] == []

    @invariant()
    def money_adds_up(self):
        if not hasattr(self, "state"):
            return
        spent, limits = self.state.spent, self.state.started.limits
        open_dollars = self.open.dollars if self.open else 0.0
        assert spent.dollars == pytest.approx(self.settled + self.unsettled + open_dollars, abs=1e-9)
        assert spent.tokens >= 0
        assert spent.dollars >= 0
        assert spent.dollars <= limits.dollars + 1e-9
        assert spent.tokens <= limits.tokens
        assert spent.calls <= limits.calls

    @invariant()
    def iterations_are_within_the_limit(self):
        if hasattr(self, "state"):
            state = self.state
            assert len(state.iterations) + state.uncommitted == state.spent.iterations
            assert state.spent.iterations <= state.started.limits.iterations + 1, (
                "the last one may be the one kept back"
            )

    @invariant()
    def a_run_ends_within_its_bounds(self):
        if hasattr(self, "state") and self.state.outcome is None:
            sessions = sum(isinstance(event, e.SessionStarted) for event in self.events)
            assert self.steps - sessions <= 10 + 16 * self.state.started.limits.calls


def assert_answered(state: RunState) -> None:
    """Each call is answered once, next to it, before anything else is said."""
    assert state.pending == ()
    waiting: list[str | None] = []
    for message in state.messages:
        if message.role == "tool":
            assert message.tool_call_id == waiting.pop(0)
            continue
        assert waiting == [], "nothing is said before all calls are answered"
        waiting = [call.id for call in message.tool_calls]
    assert waiting == []


def assert_proven(state: RunState) -> None:
    """A run passes by a passed verdict on the tree that was tested last, or as there was nothing to fix."""
    if state.started.task.mode == "fix" and not state.iterations:
        assert state.baseline is not None
        assert state.baseline.ok
        return
    last = state.iterations[-1]
    assert last.verdict is not None
    assert last.verdict.kind is VerdictKind.PASSED
    assert last.verdict.tree == last.tree == state.tested_tree == state.tree


TestAnyRun = AnyRun.TestCase
TestAnyRun.settings = settings(
    max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
