"""What a run has spent: the account that its events add up to."""

from dataclasses import dataclass, field, replace

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
    sandbox_seconds: float = 0.0

    def exceeds(self, limits: Limits, *, tail: float = 0.0) -> str:
        """The limit that is reached, in words; empty if none is. `tail` seconds are kept back; see `left`."""
        wall, sandbox = self.left(limits, tail=tail)
        reached = {
            f"${limits.dollars:g}": self.dollars >= limits.dollars,
            f"{limits.tokens:,} tokens": self.tokens >= limits.tokens,
            f"{limits.calls} calls": self.calls >= limits.calls,
            f"{limits.iterations} iterations": self.iterations >= limits.iterations,
            f"{limits.seconds:g} seconds": wall <= 0,
            f"{limits.sandbox_seconds:g} seconds in the sandbox": sandbox <= 0,
        }
        return next((f"the budget of {words} is spent" for words, is_reached in reached.items() if is_reached), "")

    def left(self, limits: Limits, *, tail: float = 0.0) -> tuple[float, float]:
        """Seconds that are left of the wall clock and in the sandbox, of each limit `tail` or a quarter kept back."""
        wall = limits.seconds - min(tail, limits.seconds / 4) - self.seconds
        sandbox = limits.sandbox_seconds - min(tail, limits.sandbox_seconds / 4) - self.sandbox_seconds
        return wall, sandbox

    def reserving(self, call: CallReserved) -> "Spent":
        """With the worst case of one more call."""
        return replace(
            self, dollars=self.dollars + call.dollars, tokens=self.tokens + call.tokens, calls=self.calls + 1
        )

    def releasing(self, call: CallReserved | None) -> "Spent":
        """Without what was reserved for a call that was not billed."""
        if call is None:
            return self
        return replace(self, dollars=max(0.0, self.dollars - call.dollars), tokens=self.tokens - call.tokens)

    def settling(self, call: CallReserved | None, usage: Usage, prices: Prices) -> "Spent":
        """With what a call came to in place of what was reserved for it.

        A provider that says nothing of its cache may have used it: where that costs more, all of the prompt does.
        """
        rest = self.releasing(call)
        prices = replace(prices, input=max(prices.input, prices.cached))
        return replace(
            rest,
            dollars=rest.dollars + prices.cost(usage),
            tokens=rest.tokens + usage.prompt + usage.completion,
            usage=rest.usage + usage,
        )
