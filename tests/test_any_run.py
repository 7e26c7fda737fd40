"""Whatever can legally happen in a run, its invariants hold."""

from dataclasses import fields
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent import events as e
from agent.events import Outcome
from agent.folding import apply
from agent.journal import Entry
from agent.ledger import Refused, reserve
from agent.messages import Message, ToolCall, Usage
from agent.models import Request
from agent.state import Due, Phase, RunState, due, ending
from agent.task import Limits, Plan
from agent.verdict import Verdict, VerdictKind
from tests.kits import PLANNED, PREPARED, TOOLS, committed, folded, report, returned, started, told

RED, GREEN = report(a="failed"), report(a="passed")
DONE = e.Finish(status="done")
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
        self.steps = self.sessions = 0

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

    @precondition(lambda self: self.state.outcome is None and self.sessions < 2)
    @rule()
    def another_session_takes_over(self):
        self.sessions += 1
        self.settle(None)
        self.happens(e.SessionStarted(pid=1, version="0"), 86_400.0)

    @precondition(lambda self: self.state.outcome is not None)
    @rule()
    def nothing_more_happens(self):
        assert self.events[-1].kind == "run_finished"

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
        about = self.state.say or self.state.remarks[0]
        assert_answered(self.state)
        self.happens(told(about))

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
    @rule(effect=EFFECTS, plans=st.booleans(), tree=TREES, elapsed=st.floats(0, 20))
    def tool_returned(self, effect, plans, tree, elapsed):
        if self.state.plan is None and plans:
            effect = PLANNED.effect
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
        if getattr(self, "steps", 0) % 10 == 9:
            refolded = folded(*self.events)
            assert [
                field.name
                for field in fields(RunState)
                if field.name not in ("at", "worked_at", "spent", "recent")
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
            assert self.steps - self.sessions <= 10 + 16 * self.state.started.limits.calls


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
