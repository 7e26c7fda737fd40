"""What is executed has a limit of its own, and each event says how much of it was used."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from agent import events as e
from agent.events import Outcome
from agent.folding import fold
from agent.journal import Entry
from agent.meter import Meter, metered
from agent.state import Due, due, ending, seconds_left
from agent.task import Limits
from sandbox import Command, ExecResult, Execution, Tree
from sandbox.local import LocalSandbox
from tests.kits import EPOCH, PREPARED, folded, replied, report, started
from tests.lab import BIN, HereEngine


class Ticking:
    """A clock that is put forward."""

    now = 0.0

    def __call__(self):
        return self.now


def test_only_what_is_within_counts_and_once_however_deep():
    clock = Ticking()
    meter = Meter(clock=clock)
    clock.now = 5.0
    with meter.running():
        clock.now = 7.0
        with meter.running():
            clock.now = 8.0
    clock.now = 9.0
    assert (meter.take(), meter.take()) == (3.0, 0.0)


def test_what_fails_counts_too():
    clock = Ticking()
    meter = Meter(clock=clock)
    with suppress(KeyError), meter.running():
        clock.now = 2.0
        raise KeyError
    assert meter.take() == 2.0


def test_each_event_says_what_was_executed_for_it():
    clock, red = Ticking(), report(a="failed")
    meter = Meter(clock=clock)

    def step(_state):
        for event in (
            e.BaselineMeasured(report=red),
            e.TestsFinished(report=red, tree="t"),
            e.BudgetExhausted(reason=""),
        ):
            with meter.running():
                clock.now += 1.5
            yield event

    told = list(metered(step, meter)(folded(started())))
    assert [getattr(each, "sandbox_seconds", None) for each in told] == [1.5, 1.5, None]


SPENT = (
    replace(PREPARED, sandbox_seconds=10.0),
    e.BaselineMeasured(report=report(a="failed", seconds=1.0), sandbox_seconds=20.0),
    replied("edit"),
    e.ToolReturned(call_id="edit", name="edit", content="", is_error=False, tree="base", sandbox_seconds=5.0),
)


def test_the_seconds_of_all_events_add_up_and_outlast_a_pause():
    pause = e.RunPaused(why="sandbox", reason="", commit="c0", tree="base", sandbox_seconds=7.0)
    assert folded(started(), *SPENT, pause, e.SessionStarted(pid=1, version="0")).spent.sandbox_seconds == 42.0


@pytest.mark.parametrize(("limit", "spent"), [(46.0, True), (48.0, False)])
def test_a_run_ends_while_there_is_time_for_a_last_verdict(limit, spent):
    """Twice the suite and ten seconds are kept."""
    state = folded(started(limits=Limits(sandbox_seconds=limit)), *SPENT)
    assert ending(state) == (
        (Outcome.OUT_OF_BUDGET, f"the budget of {limit:g} seconds in the sandbox is spent") if spent else None
    )


def test_calls_that_are_left_when_the_time_in_the_sandbox_is_up_are_not_made():
    limits = Limits(sandbox_seconds=36.0)
    assert due(folded(started(limits=limits), *SPENT, replied("edit", "edit"))) is Due.FINISH


def test_the_shorter_of_both_clocks_decides_what_is_left():
    def left(limits):
        entries = [started(limits=limits), *SPENT]
        state = fold(Entry(seq=n, at=EPOCH + timedelta(seconds=n), event=each) for n, each in enumerate(entries))
        return seconds_left(state), seconds_left(state, to_the_end=True)

    assert left(Limits(seconds=104.0, sandbox_seconds=1_000.0)) == (104.0 - 4 - 12, 100.0)
    assert left(Limits(seconds=1_000.0, sandbox_seconds=100.0)) == (100.0 - 35 - 12, 65.0)


# What is executed, within it


class Noting(LocalSandbox):
    """Keeps how long each command may take."""

    def __init__(self, engine):
        super().__init__(path=BIN, limits=engine.limits)
        self._engine = engine

    def execute(self, tree: Tree, command: Command) -> Execution:
        self._engine.given.append(command.timeout)
        return super().execute(tree, command)

    def execute_fresh(self, tree: Tree, command: Command) -> ExecResult:
        self._engine.given.append(command.timeout)
        return super().execute_fresh(tree, command)


class NotingEngine(HereEngine):
    def open(self, environment, *, limits, run_id):
        self.limits = limits
        return Noting(self)


@pytest.fixture
def at(lab):
    engine = NotingEngine()
    engine.given = []
    return lab({"tests/test_app.py": "def test_a():\n    assert 0\n"}, engine=engine)


def limited(at, seconds):
    at.events[0] = replace(at.events[0], limits=Limits(sandbox_seconds=seconds))


def test_a_command_of_the_model_ends_before_the_time_for_the_verdict_begins(at):
    limited(at, 40.0)
    at.measured()
    at.planned()
    at.call("run_command", '{"command": "true"}')
    assert at.engine.given[-1] == pytest.approx(30.0, abs=5.0)


def test_a_run_of_the_suite_may_use_what_is_kept_for_it_and_no_more(at):
    limited(at, 40.0)
    at.measured()
    at.bench.run(at.state, at.state.base)
    assert at.engine.given[-1] == pytest.approx(40.0, abs=5.0)


def test_a_suite_that_takes_longer_than_all_that_is_left_ends_the_run(lab):
    made = lab({"tests/test_app.py": "def test_a():\n    assert 0\n"}, test="sleep 20")
    limited(made, 1.0)
    assert list(made.measuring.measure(made.state)) == [
        e.BudgetExhausted(reason="the suite alone takes longer than the 1 seconds that are left")
    ]
    assert made.place.meter.take() > 0
