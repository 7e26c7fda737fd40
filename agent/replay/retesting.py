"""The suite, run again while a journal is gone through: of a long one just those tests that were run then.

Which tests came first depended on how long things took, and on what had been recorded beside the run by that moment.
The journal says which did, and so that is what is run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agent import events as e
from agent.bench import Bench
from agent.innerloop import INTERRUPTED, last_whole, run_without
from agent.replay.record import Record
from agent.settling import HASTY, settled_in_passing
from agent.state import RunState
from agent.testreport import TestReport
from agent.touched.suite import Suite, file_of, overlaid

__all__ = ["Retesting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retesting:
    """Runs the suite for the model, and between its turns, as the inner loop did."""

    record: Record
    bench: Bench

    def test(self, state: RunState) -> Iterator[e.Event]:
        """Run the suite on the tree as it stands."""
        yield e.TestsFinished(report=self.run(state, state.tree), tree=state.tree)

    def run(self, state: RunState, tree: str) -> TestReport:
        """What the suite shows on `tree`, in the warm working copy: of all tests, or of those that ran then."""
        then, suite = self._then(), last_whole(state, self.bench.place.workspace)
        left_out = _left_out(then, suite, state.started.task.cwd) if then and suite else frozenset()
        fresh = run_without(self.bench, state, tree, suite, left_out) if suite and left_out else None
        if suite is None or fresh is None:
            return settled_in_passing(self.bench, state, tree, self.bench.run(state, tree))
        if fresh.problem or fresh.exit_code == INTERRUPTED:
            return fresh
        return settled_in_passing(self.bench, state, tree, overlaid(suite, fresh, left_out), HASTY)

    def _then(self) -> TestReport | None:
        """What the run that is recorded next showed."""
        event = self.record.next.event if self.record.next else None
        if isinstance(event, e.ToolReturned) and isinstance(event.effect, e.TestRun):
            return event.effect.report
        return event.report if isinstance(event, e.TestsFinished) else None


def _left_out(then: TestReport, suite: Suite, cwd: str) -> frozenset[str]:
    """The files whose tests were not run."""
    if then.reused:
        return frozenset(file_of(case.id, cwd) for case in then.cases[-then.reused :]) & suite.files.keys()
    uncollected = bool(then.failing) and not any("::" in case_id for case_id in then.failing)
    if then.exit_code != INTERRUPTED or not uncollected:
        return frozenset()
    return frozenset(suite.files.keys() - {file_of(case_id, cwd) for case_id in then.failing})
