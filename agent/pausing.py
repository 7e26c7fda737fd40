"""What ends a session before its run, and what is left behind then."""

from dataclasses import dataclass

from agent.errors import Defect, GreenwardError, ModelProblem, ProviderRefused
from agent.events import Why
from agent.folding import fold
from agent.journal import Journal
from agent.meter import Meter
from agent.scribe import Scribe
from agent.text import one_line
from sandbox import SandboxError

__all__ = ["Stop", "pause", "stop_of"]

CLOSED = 141
"""The exit code of a process whose standard output nobody reads any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why a session ended, and with which exit code the process will."""

    why: Why
    reason: str
    exit_code: int


def pause(journal: Journal, scribe: Scribe, stop: Stop, meter: Meter) -> None:
    """Leave the branch at the best tree measured until the run goes on, and write down why it does not now.

    A run that has ended is left alone.

    Raises:
        GreenwardError, OSError: git or the journal cannot do it.
    """
    state = fold(journal.entries)
    if state.outcome is not None:
        return
    for event in scribe.pause(state, stop.why, stop.reason, meter.take()):
        journal.append(event)


def stop_of(error: BaseException) -> Stop:
    """What `error`, which ended a session, means to its run."""
    match error:
        case KeyboardInterrupt():
            return Stop(why="interrupted", reason="interrupted", exit_code=130)
        case BrokenPipeError():
            return Stop(why="interrupted", reason="nobody reads the output any more", exit_code=CLOSED)
        case ModelProblem() | ProviderRefused():
            return Stop(why="model", reason=one_line(error.message), exit_code=error.exit_code)
        case GreenwardError():
            return Stop(why="error", reason=one_line(error.message), exit_code=error.exit_code)
        case SandboxError():
            return Stop(why="sandbox", reason=one_line(error.message), exit_code=4)
        case _:
            return Stop(why="error", reason=one_line(f"{type(error).__name__}: {error}"), exit_code=Defect.exit_code)
