"""What a run has spent: settled calls, and reservations that were never settled. Pure."""

from dataclasses import dataclass, field, replace
from typing import Self

from agent.events import CallReserved
from agent.messages import Usage
from agent.task import Limits, Prices

__all__ = ["Spent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the run has spent: settled calls, and reservations that were never settled."""

    dollars: float = 0.0
    tokens: int = 0
    usage: Usage = field(default_factory=Usage)
    calls: int = 0
    iterations: int = 0
    seconds: float = 0.0

    def exceeds(self, limits: Limits, *, tail: float = 0.0) -> str:
        """The limit that is reached, in words; empty if none is. `tail` seconds are kept back."""
        reached = {
            f"${limits.dollars:g}": self.dollars >= limits.dollars,
            f"{limits.tokens:,} tokens": self.tokens >= limits.tokens,
            f"{limits.calls} calls": self.calls >= limits.calls,
            f"{limits.iterations} iterations": self.iterations >= limits.iterations,
            f"{limits.seconds:g} seconds": self.seconds >= limits.seconds - tail,
        }
        return next((f"the budget of {words} is spent" for words, is_reached in reached.items() if is_reached), "")

    def reserved(self, call: CallReserved) -> Self:
        """One call more, at its worst."""
        return replace(
            self, dollars=self.dollars + call.dollars, tokens=self.tokens + call.tokens, calls=self.calls + 1
        )

    def released(self, call: CallReserved | None) -> Self:
        """Without what was reserved for a call that was not billed."""
        if call is None:
            return self
        return replace(self, dollars=max(0.0, self.dollars - call.dollars), tokens=self.tokens - call.tokens)

    def settled(self, usage: Usage, call: CallReserved | None, prices: Prices) -> Self:
        """With what a call used in place of what was reserved for it."""
        left = self.released(call)
        return replace(
            left,
            dollars=left.dollars + prices.cost(usage),
            tokens=left.tokens + usage.prompt + usage.completion,
            usage=left.usage + usage,
        )
