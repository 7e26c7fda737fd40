"""How long a run has executed something: each event that something was executed for says how many seconds it took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from agent import events as e
from agent.state import RunState

__all__ = ["Meter", "metered"]

Step = Callable[[RunState], Iterator[e.Event]]
Executed = e.EnvironmentPrepared | e.BaselineMeasured | e.ToolReturned | e.TestsFinished | e.VerdictReached


@dataclass(slots=True)
class Meter:
    """Adds up the seconds within `running`, however deep."""

    clock: Callable[[], float] = time.monotonic
    _used: float = 0.0
    _running: bool = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is done within."""
        if self._running:
            yield
            return
        began, self._running = self.clock(), True
        try:
            yield
        finally:
            self._used += self.clock() - began
            self._running = False

    def book(self, seconds: float) -> None:
        """Count what was executed beside all that."""
        self._used += seconds

    def take(self) -> float:
        """The seconds since this was asked last."""
        used, self._used = self._used, 0.0
        return used


def metered(step: Step, meter: Meter) -> Step:
    """`step`, with the seconds that each of its events took in the sandbox."""

    def stepped(state: RunState) -> Iterator[e.Event]:
        for event in step(state):
            yield replace(event, sandbox_seconds=meter.take()) if isinstance(event, Executed) else event

    return stepped
