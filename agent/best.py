"""The best that a run has come to so far. Pure."""

from dataclasses import replace

from agent.state import Iteration, RunState
from agent.testreport import Status, TestReport
from agent.verdict import VerdictKind

__all__ = ["best_of", "measured"]

Rank = tuple[bool, int, int]


def best_of(state: RunState) -> Iteration | None:
    """The iteration with a passed verdict, else with most of the base's tests passing, fewest regressions, the newest.

    None if none was measured, or if none is as good as what the request found.
    """
    found, baseline = measured(state), state.baseline
    if baseline is None:
        return found[-1] if found else None
    baseline = _without(baseline, state.hidden)
    ranked = [(_rank(each, baseline), each.number, each) for each in found if each.report.cases]
    if not ranked:
        return None
    rank, _, best = max(ranked, key=lambda item: item[:2])
    untouched = (False, len(baseline.ids(Status.PASSED)), 0)
    return None if state.started.task.mode != "new" and rank < untouched else best


def measured(state: RunState) -> tuple[Iteration, ...]:
    """The iterations, and the one that was tested last and is not committed yet, whose `commit` is empty."""
    if not state.uncommitted or state.report is None:
        return state.iterations
    verdict = state.verdict if state.verdict and state.verdict.tree == state.tested_tree else None
    number, tree = state.spent.iterations, state.tested_tree
    return (*state.iterations, Iteration(number=number, commit="", tree=tree, report=state.report, verdict=verdict))


def _without(report: TestReport, flaky: frozenset[str]) -> TestReport:
    """`report` without the tests that end by chance."""
    return replace(report, cases=tuple(case for case in report.cases if case.id not in flaky))


def _rank(iteration: Iteration, baseline: TestReport) -> Rank:
    passed = iteration.verdict is not None and iteration.verdict.kind is VerdictKind.PASSED
    passing = iteration.report.ids(Status.PASSED)
    regressions = baseline.ids(Status.PASSED) - passing
    return passed, len(passing & baseline.ids()), -len(regressions)
