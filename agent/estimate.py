"""What carrying out a plan may cost: a rule of thumb for people. The budget does not rest on it."""

from dataclasses import dataclass
from math import ceil

from agent.messages import Usage
from agent.state import RunState

__all__ = ["Estimate", "estimate"]

FILES_A_CALL = 3
REPLY_TOKENS = 300
"""Of a reply beside the files in it, reasoning included."""
FILE_TOKENS = 1_200
"""Of a file that is written, about a hundred lines."""
RESULT_TOKENS = 500
"""Told to the model after each call."""
MENDING_CALLS, MENDING_TOKENS, FAILURE_TOKENS = 2, 800, 2_000
"""Of one more iteration: how often the model is asked, what it writes each time, what it is told of the failures."""
CLOSING_CALLS = 1
LONG_WAY = 4
"""Iterations of a run that does not go well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Dollars and calls, from a run that goes well to one that does not."""

    least_dollars: float
    most_dollars: float
    least_calls: int
    most_calls: int

    def __str__(self) -> str:
        return f"${self.least_dollars:.2f} to ${self.most_dollars:.2f}, {self.least_calls} to {self.most_calls} calls"


def estimate(state: RunState) -> Estimate:
    """What the plan of `state` may cost from here on, at the run's prices: two runs played through, call for call.

    Each call pays for the conversation so far, of which all but the newest part comes from the provider's cache. Never
    more than what is left of the budget.
    """
    files = len(state.plan.files) if state.plan else 0
    writing = max(1, ceil(files / FILES_A_CALL)) + CLOSING_CALLS
    shares = [FILE_TOKENS * files // writing + REPLY_TOKENS] * writing
    well = [(tokens, RESULT_TOKENS) for tokens in shares]
    badly = well + [(MENDING_TOKENS, FAILURE_TOKENS)] * MENDING_CALLS * LONG_WAY
    left, calls_left = _left(state)
    return Estimate(
        least_dollars=min(_cost(state, well), left),
        most_dollars=min(_cost(state, badly), left),
        least_calls=min(len(well), calls_left),
        most_calls=min(len(badly), calls_left),
    )


def _cost(state: RunState, calls: list[tuple[int, int]]) -> float:
    """Dollars for calls with so many tokens written, and so many told before the next."""
    known = state.prefix[1]
    total, added = 0.0, RESULT_TOKENS
    for written, told in calls:
        prompt = known + added
        total += state.started.prices.cost(Usage(prompt=prompt, cached=known, completion=written))
        known, added = prompt, written + told
    return total


def _left(state: RunState) -> tuple[float, int]:
    limits, spent = state.started.limits, state.spent
    return max(0.0, limits.dollars - spent.dollars), max(0, limits.calls - spent.calls)
