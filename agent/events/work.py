"""What was made ready, measured, judged and committed."""

from dataclasses import dataclass, field
from typing import Literal

from agent.baseline import Standings
from agent.testreport import TestReport
from agent.verdict import Verdict

__all__ = [
    "BaselineMeasured",
    "Committed",
    "EnvironmentPrepared",
    "TestsFinished",
    "VerdictReached",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentPrepared:
    """The place where commands run is ready."""

    kind: Literal["environment_prepared"] = "environment_prepared"
    id: str
    origin: str
    cached: bool
    seconds: float
    build: str
    test: str
    notes: tuple[str, ...] = ()
    sandbox_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineMeasured:
    """The suite was run on the base, in fresh containers: once, and what failed a few times more."""

    kind: Literal["baseline_measured"] = "baseline_measured"
    report: TestReport
    """Of the first run, with which the result is compared."""
    runs: int = 1
    """In each of which the tests failed that are said to fail."""
    whole: int = 1
    """How many of them were of the whole suite."""
    flaky: tuple[str, ...] = ()
    """Ids of tests that ended in more than one way."""
    environmental: dict[str, str] = field(default_factory=dict)
    """What tests lack that no code can give them, by their ids."""
    unstable: tuple[str, ...] = ()
    """Ids that are others in each run."""
    cached: bool = False
    """Whether it was measured by an earlier run of greenward, on the same tree and in the same environment."""
    sandbox_seconds: float = 0.0

    @property
    def standings(self) -> Standings:
        """What is known of the tests, beside how they ended."""
        return Standings(
            flaky=frozenset(self.flaky),
            environmental=self.environmental,
            unstable=frozenset(self.unstable),
            runs=self.runs,
            whole=self.whole,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TestsFinished:
    """The loop ran all tests, because the model's turn ended without."""

    __test__ = False

    kind: Literal["tests_finished"] = "tests_finished"
    report: TestReport
    tree: str
    sandbox_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictReached:
    """The judge has spoken on the tree that was tested last."""

    kind: Literal["verdict_reached"] = "verdict_reached"
    verdict: Verdict
    sandbox_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The iteration's tree is on the run's branch; `commit` is the branch's tip, unchanged if the tree is."""

    kind: Literal["committed"] = "committed"
    commit: str
    tree: str
    subject: str
