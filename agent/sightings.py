"""How tests ended on each tree in the working copy: what was seen both ways on one tree is flaky from then on. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.baseline import outcomes
from agent.testreport import Status, TestReport

__all__ = ["Sightings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The tests that passed and those that failed on one tree, in any run."""

    passed: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """What the runs of a request showed.

    Runs in the working copy are compared with each other alone. What passes there and fails in a fresh container may
    stand on something that was left behind, which is no chance.
    """

    shown: Mapping[str, Shown] = field(default_factory=dict)
    """By tree."""
    flaky: frozenset[str] = frozenset()
    """Tests that passed and failed on one tree."""

    def wavering(self, tree: str, report: TestReport) -> frozenset[str]:
        """The tests of `report`, a run on `tree`, that ended otherwise there before."""
        shown, now = self.shown.get(tree), _shown(report)
        if shown is None:
            return frozenset()
        return (shown.passed & now.failed) | (shown.failed & now.passed)

    def after(self, tree: str, report: TestReport) -> "Sightings":
        """With one more run in the working copy."""
        flaky = self.flaky.union(report.flaky, self.wavering(tree, report))
        if report.problem:
            return Sightings(shown=self.shown, flaky=flaky)
        before, now = self.shown.get(tree, Shown()), _shown(report)
        both = Shown(passed=before.passed | now.passed, failed=before.failed | now.failed)
        return Sightings(shown={**self.shown, tree: both}, flaky=flaky)


def _shown(report: TestReport) -> Shown:
    if report.problem:
        return Shown()
    ended = outcomes(report)
    ids = report.ids()
    return Shown(
        passed=frozenset(name for name in ids if ended[name] is Status.PASSED),
        failed=frozenset(name for name in ids if ended[name] is Status.FAILED),
    )
