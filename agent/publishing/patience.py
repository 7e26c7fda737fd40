"""How often, and for how long, a forge is asked again that did not do what it was asked."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.errors import ForgeProblem
from agent.models.retry import read_retry_after

__all__ = ["Patience", "Trouble", "trouble_of"]

TRIES = 6
"""Of one request."""
SECONDS = 300.0
"""That are waited in all."""
LONGEST = 32.0
"""Seconds of one wait, if the forge does not say how long."""
LIMITED = 60.0
"""Seconds to wait after a limit that does not say for how long, as GitHub asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a request came to nothing, and whether another one may help."""

    problem: ForgeProblem
    again: bool = False
    """Whether the same may go well a little later."""
    unknown: bool = False
    """Whether it may have been done all the same."""
    wait: float | None = None
    """Seconds that the forge asks to wait."""


class Patience:
    """Waits before a request is made again; what there is of it is shared by all requests of a job."""

    def __init__(
        self,
        *,
        tell: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        seconds: float = SECONDS,
    ) -> None:
        """`tell` is told of each wait, `now` is the time of day in seconds since the epoch."""
        self._tell = tell
        self._sleep = sleep
        self.now = now
        self._left = seconds

    def wait(self, trouble: Trouble, tried: int) -> bool:
        """Wait before the next attempt after `tried` ones; whether there is to be one."""
        pause = min(2.0 ** (tried - 1), LONGEST) if trouble.wait is None else trouble.wait
        if not trouble.again or tried >= TRIES or pause > self._left:
            return False
        self._left -= pause
        self._tell(f"{trouble.problem.message}; trying again in {pause:.0f} s")
        self._sleep(pause)
        return True


def trouble_of(problem: ForgeProblem, status: int, headers: Mapping[str, str], text: bytes, *, now: float) -> Trouble:
    """What an answer means that is none of success."""
    if status == 429 or (status == 403 and _is_limit(headers, text)):
        wait = _wait(headers, now)
        limit = ForgeProblem(
            problem.message, hint=f"run the job again in {wait / 60:.0f} min: the forge takes no more now"
        )
        return Trouble(problem=limit, again=True, wait=wait)
    busy = status in (502, 503, 504)
    return Trouble(problem=problem, again=busy, unknown=busy, wait=read_retry_after(headers, now=now) if busy else None)


def _is_limit(headers: Mapping[str, str], text: bytes) -> bool:
    """Whether a refusal is for a limit of requests: GitHub's have the status of missing permissions."""
    known = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return known or b"rate limit" in text.lower()


def _wait(headers: Mapping[str, str], now: float) -> float:
    asked = read_retry_after(headers, now=now)
    if asked is not None:
        return asked
    reset = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or ""
    spent = "0" in (headers.get("x-ratelimit-remaining"), headers.get("ratelimit-remaining"))
    return max(0.0, int(reset) - now) + 1 if reset.isdecimal() and spent else LIMITED
