"""The steps of a replay: taken from the record, or done again where that takes no engine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent import events as e
from agent.errors import DamagedRun
from agent.hands import Hands
from agent.loop import Kit
from agent.replay.record import Record
from agent.scribe import Scribe
from agent.state import RunState
from sandbox import Environment, Limits, Sandbox, Setup

__all__ = ["NoEngine", "NothingRuns", "Recorded", "plain_kit"]


class NothingRuns(Exception):
    """Something would have to be executed."""


class NoEngine:
    """In the place of an engine where nothing is executed."""

    def prepare(self, setup: Setup, say: Callable[[str], None]) -> Environment:  # noqa: ARG002 - an engine is told
        """Say that nothing is."""
        raise NothingRuns

    def open(self, environment: Environment, *, limits: Limits, run_id: str) -> Sandbox:  # noqa: ARG002 - as above
        """Say that nothing is."""
        raise NothingRuns


@dataclass(frozen=True, slots=True)
class Recorded:
    """A step that comes to what it came to then, an event at a time, if that is of one of the `kinds` that can come."""

    record: Record
    kinds: tuple[type[e.Event], ...]

    def __call__(self, _state: RunState) -> Iterator[e.Event]:
        yield self.record.next_event(*self.kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The model is not asked: what was reserved, and what came of it, is in the record, in the order of `Asker.ask`."""

    record: Record

    def __call__(self, _state: RunState) -> Iterator[e.Event]:
        event = self.record.next_event(e.CallReserved, e.Compacted, e.BudgetExhausted)
        yield event
        if not isinstance(event, e.CallReserved):
            return
        event = self.record.next_event(e.ModelReplied, e.CallFailed)
        yield event
        if isinstance(event, e.CallFailed) and event.error == "overflow":
            yield self.record.next_event(e.Compacted, e.BudgetExhausted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A tool is called again; what would have to execute something came to what the record says."""

    hands: Hands
    record: Record

    def __call__(self, state: RunState) -> Iterator[e.Event]:
        try:
            yield from self.hands.call_tool(state)
        except NothingRuns:
            event = self.record.next_event(e.ToolReturned)
            if isinstance(event, e.ToolReturned) and self.hands.workspace.git.find(event.tree) is None:
                what = f"the tree {event.tree} is missing, which the command left"
                raise DamagedRun(what, hint="run `git fsck`: its objects were pruned, or are damaged") from None
            yield event


def plain_kit(record: Record, hands: Hands, scribe: Scribe) -> Kit:
    """What needs neither a model nor an engine is done again, all else is taken from the record."""
    return Kit(
        approve=Recorded(record, (e.PlanApproved, e.PlanWithheld)),
        prepare=Recorded(record, (e.EnvironmentPrepared,)),
        measure=Recorded(record, (e.BaselineMeasured, e.BudgetExhausted)),
        prompt=Recorded(record, (e.Prompted,)),
        ask=Asked(record=record),
        call_tool=Called(hands=hands, record=record),
        test=Recorded(record, (e.TestsFinished,)),
        judge=Recorded(record, (e.VerdictReached,)),
        commit=scribe.commit,
        finish=scribe.finish,
    )
