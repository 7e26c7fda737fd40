"""When to ask a model again, and how long to wait before. The caller makes the attempts, each with its reservation."""

import math
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from agent.models import ModelError

__all__ = ["delay", "read_retry_after"]


def delay(
    error: ModelError,
    attempt: int,
    *,
    random: Callable[[], float],
    attempts: int = 6,
    first: float = 0.5,
    cap: float = 30.0,
    remaining: float = math.inf,
) -> float | None:
    """Seconds to wait before the next attempt, or None to give up.

    Args:
        error: what came of the attempt. One that the client learned from is made up for at once.
        attempt: how many attempts have failed in a row, 1 for the first.
        random: a source of numbers in [0, 1).
        attempts: how many attempts there may be in all.
        first: the backoff after the first failure; it doubles from there up to `cap`, less up to a quarter.
        cap: the longest backoff. A longer wait that the server itself asks for is kept to.
        remaining: seconds that the run has left; a wait that does not fit means giving up at once.
    """
    if error.again:
        return 0.0
    if not error.retryable or attempt >= attempts:
        return None
    backoff = min(cap, first * 2.0 ** min(attempt - 1, 64)) * (1 - random() / 4)
    wait = max(backoff, error.retry_after or 0.0)
    return wait if wait < remaining else None


def read_retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds that a server asks to wait, from `retry-after-ms` or `retry-after` in seconds or as a date.

    Args:
        headers: names in any case.
        now: the time of day, in seconds since the epoch.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    milliseconds = _number(lowered.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = lowered.get("retry-after", "")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
