"""The best that a run has come to so far. Pure."""

from agent.state import Iteration, RunState
from agent.testreport import Status
from agent.verdict import VerdictKind

__all__ = ["best_of"]


def best_of(state: RunState) -> Iteration | None:
    """The iteration with a passed verdict, else with most of the base's tests passing, fewest failures, the newest."""
    if state.baseline is None:
        return state.iterations[-1] if state.iterations else None
    wanted = state.baseline.ids()
    written = [iteration for iteration in state.iterations if iteration.report.cases]

    def rank(item: tuple[int, Iteration]) -> tuple[bool, int, int, int]:
        number, iteration = item
        passed = iteration.verdict is not None and iteration.verdict.kind is VerdictKind.PASSED
        good = len(iteration.report.ids(Status.PASSED) & wanted)
        return passed, good, -len(iteration.report.failing), number

    return max(enumerate(written), key=rank)[1] if written else None
