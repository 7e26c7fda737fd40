"""The inner loop: of a long suite the tests that a change touches run first, and all of it once those pass.

What comes of the first of these two runs is laid over the last whole one, and the report says so. It is only taken if
it could not be green whatever the other tests showed: else all are run, by the project's own command and in its order.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace

from agent.bench import Bench, comes_first
from agent.best import measured
from agent.events import Event, TestsFinished
from agent.nearness import Nearness
from agent.settling import HASTY, settled_in_passing
from agent.state import Phase, RunState, ending
from agent.testreport import Status, TestReport
from agent.touched.choice import first_files, holds_tests
from agent.touched.contexts import Contexts
from agent.touched.suite import Suite, covering, file_of, overlaid, unsettled
from agent.verdict import shortfall
from agent.workspace import Workspace

__all__ = ["INTERRUPTED", "LONG", "InnerLoop", "last_whole", "run_without"]

LONG = 5.0
"""Seconds of a suite from which on it is worth while to run some of its tests first."""
ARGUMENT, OPTION = 96 * 1024, 24
"""Characters that may be said of what to leave out, and what each takes beside its path: a variable has 128 KiB."""
INTERRUPTED = 2
"""Pytest's exit code where a file could not be collected, so that no test was run."""


@dataclass(slots=True, kw_only=True)
class InnerLoop:
    """Runs the suite for the model, and between its turns; verdicts are none of its business."""

    bench: Bench
    nearness: Nearness
    recorded: Callable[[RunState], Contexts | None] = lambda _: None
    """What the tests of the base ran, if that is known by now."""
    long: float = LONG
    _alone: dict[str, bool] = field(default_factory=dict, init=False)
    """By path, whether the tests of a file pass without those of the others where they passed with them."""

    def test(self, state: RunState) -> Iterator[Event]:
        """Run the suite on the tree as it stands."""
        yield TestsFinished(report=self.run(state, state.tree), tree=state.tree)

    def run(self, state: RunState, tree: str) -> TestReport:
        """What the suite shows on `tree`, in the warm working copy: of all tests, wherever that could be green."""
        suite = self._suite(state, tree)
        report = self._first(state, tree, suite) if suite else None
        return report or settled_in_passing(self.bench, state, tree, self.bench.run(state, tree))

    def _suite(self, state: RunState, tree: str) -> Suite | None:
        """The last whole run, if what it showed may stand for tests that are not run; None: all are to be run."""
        last_one = state.spent.iterations + 1 >= state.started.limits.iterations
        insists = tree == state.tested_tree and state.report is not None and state.report.reused > 0
        if ending(state) or last_one or insists:
            return None
        place = self.bench.place
        suite = last_whole(state, place.workspace)
        if suite is None or suite.report.seconds < self.long or tree == suite.tree:
            return None
        return suite if place.recipe(tree, state) == place.recipe(suite.tree, state) else None

    def _first(self, state: RunState, tree: str, suite: Suite) -> TestReport | None:
        """What the tests show that come first; None if that does not keep the report from being green."""
        first = self._files(state, tree, suite)
        left_out = suite.files.keys() - first if first is not None else frozenset()
        if first is None or not left_out:
            return None
        fresh = run_without(self.bench, state, tree, suite, left_out)
        if fresh is None or fresh.problem:
            return fresh if fresh and comes_first(fresh) else None
        report = overlaid(suite, fresh, left_out)
        if not _short(state, report) or not self._by_itself(state, suite, fresh, suite.files.keys() - left_out):
            return None
        if fresh.exit_code == INTERRUPTED:
            return fresh
        report = settled_in_passing(self.bench, state, tree, report, HASTY)
        return report if _short(state, report) else None

    def _files(self, state: RunState, tree: str, suite: Suite) -> frozenset[str] | None:
        """The files whose tests come first; None if all may as well be run at once."""
        workspace, task = self.bench.place.workspace, state.started.task
        changed = workspace.changed(suite.tree, tree)
        recent = workspace.changed(state.tested_tree, tree) if state.tested_tree else changed
        near = self.nearness.of(tree, suite, changed, recent, self.recorded(state))
        if near is None:
            return None
        reports = (suite.report, state.report) if state.report and not state.report.problem else (suite.report,)
        standings = replace(state.standings, flaky=state.hidden)
        open_ids = unsettled(task.mode, state.baseline or TestReport(), standings, *reports)
        there = workspace.trees.entries(tree).keys()
        required = {path for case_id in open_ids if (path := file_of(case_id, task.cwd)) in there}
        required |= {path for path in changed if path in suite.files or (holds_tests(path) and path in there)}
        dependent = {path for path, alone in self._alone.items() if not alone}
        near = {path: how for path, how in near.items() if path not in dependent}
        return first_files(suite.seconds, required, near)

    def _by_itself(self, state: RunState, suite: Suite, fresh: TestReport, ran: Collection[str]) -> bool:
        """Whether what newly fails in the files `ran` fails by the change, and not for want of the other files' tests.

        That is tried on the suite's own tree, once for each file.
        """
        passed = fresh.ids(Status.PASSED) | state.hidden
        new = {path for path in ran if not suite.passed(path) <= passed}
        if untried := new - self._alone.keys():
            before = run_without(self.bench, state, suite.tree, suite, suite.files.keys() - untried)
            seen = before.ids(Status.PASSED) | state.hidden if before and not before.problem else frozenset()
            self._alone |= {path: suite.passed(path) <= seen for path in untried}
        return all(self._alone[path] for path in new)


def last_whole(state: RunState, workspace: Workspace) -> Suite | None:
    """The last run of all tests while the model works, the baseline at least; None if it shows too little."""
    if state.phase is not Phase.CODE or state.baseline is None:
        return None
    found = next(((each.report, each.tree) for each in reversed(measured(state)) if _whole(each.report)), None)
    report, at = found or (state.baseline, state.witness_tree)
    if not _whole(report):
        return None
    return Suite.of(report, at, workspace.trees.entries(at).keys(), base=state.base, cwd=state.started.task.cwd)


def run_without(bench: Bench, state: RunState, tree: str, suite: Suite, left_out: Collection[str]) -> TestReport | None:
    """The report of the tests that are not in the files `left_out`; None if these are too many to name."""
    changed = bench.place.workspace.changed(suite.tree, tree)
    kept = None if suite.untold else (suite.files.keys() - left_out).union(changed)
    without = covering(left_out, kept, state.started.task.cwd)
    if sum(len(path) + OPTION for path in without) > ARGUMENT:
        return None
    return bench.run(state, tree, without=without)


def _short(state: RunState, report: TestReport) -> bool:
    """Whether `report` lacks something to be green, beside that some of its tests were not run again."""
    standings = replace(state.standings, flaky=state.hidden.union(report.flaky))
    baseline = state.baseline or TestReport()
    return bool(shortfall(state.started.task.mode, baseline, replace(report, reused=0), standings))


def _whole(report: TestReport) -> bool:
    """Whether a report has all tests, each of them run."""
    uncollected = any("::" not in case_id for case_id in report.failing)
    return bool(report.cases) and not report.problem and not report.reused and not uncollected
