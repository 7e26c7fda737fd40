"""Keeps within the tokens a minute that a provider allows.

Moonshot counts the prompt and the cap that was asked for, not what was generated (kimi.md, 1.6 and requirement 40).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.errors import UsageProblem
from agent.ledger import FLOOR
from agent.state import RunState

__all__ = ["Pace"]

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How many tokens a minute may be asked for; None: as many as there are."""

    tokens: int | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def cap(self, wanted: int, prompt: int) -> int:
        """Tokens of output to ask for, beside so many of a prompt.

        Raises:
            UsageProblem: the prompt alone takes what a minute allows.
        """
        if self.tokens is None:
            return wanted
        if self.tokens - prompt < min(FLOOR, wanted):
            raise UsageProblem(
                f"a prompt of about {prompt:,} tokens leaves no room for a reply in {self.tokens:,} tokens a minute",
                hint="raise `tokens_per_minute` to what your provider allows, then `greenward resume`",
            )
        return min(wanted, self.tokens - prompt)

    def pause(self, state: RunState, tokens: int) -> float:
        """Seconds to wait until a request for so many tokens fits into a minute with those before it."""
        if self.tokens is None:
            return 0.0
        now, room = self.now(), self.tokens - tokens
        recent = [(at, asked) for at, asked in state.recent if now - at < MINUTE]
        while recent and sum(asked for _, asked in recent) > room:
            (free, _), *recent = recent
            if sum(asked for _, asked in recent) <= room:
                return max(0.0, (free + MINUTE - now).total_seconds())
        return 0.0
