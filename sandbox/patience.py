"""How long an engine and its containers have for what is asked of them: past it they are given up, never waited for."""

from dataclasses import dataclass

__all__ = ["Patience"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds, each for one thing."""

    arrival: float = 60.0
    """An engine behind TCP, for coming up: a service may begin after the job that uses it."""
    prompt: float = 30.0
    """A call to the engine that does little."""
    creation: float = 120.0
    """Creating, starting or removing a container on a busy engine."""
    first_answer: float = 60.0
    """The launcher of a container that was just started."""
    transfer: float = 120.0
    """Handing files over in either direction, and beginning a command."""
    stop: float = 3.0
    """A command that is stopped at its deadline, for handing over the end of its output."""
    end: float = 10.0
    """A container that is done or was killed, for its end."""
