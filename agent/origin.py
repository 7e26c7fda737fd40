"""Where a run comes from that began as another one. Pure."""

from dataclasses import dataclass

from agent.state import RunState
from agent.text import number_of

__all__ = ["Origin", "origin_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The run that it was forked from, and what that had spent by then: part of what this one says it has spent."""

    run: str
    step: int
    """The last entry of the journal that both have."""
    dollars: float
    calls: int
    tokens: int

    @property
    def words(self) -> str:
        """As `run 3f2a90c1 after step 17, where it had spent $0.0100 in 3 calls`."""
        calls = number_of(self.calls, "call")
        return f"run {self.run} after step {self.step}, where it had spent ${self.dollars:.4f} in {calls}"


def origin_of(state: RunState) -> Origin | None:
    """Where the run comes from; None if it began by itself."""
    if state.forked is None:
        return None
    spent = state.inherited
    return Origin(
        run=state.forked.parent,
        step=state.forked.step,
        dollars=spent.dollars,
        calls=spent.calls,
        tokens=spent.tokens,
    )
