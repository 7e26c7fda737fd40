"""What was made ready, measured, judged and committed."""

from dataclasses import dataclass
from typing import Literal

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
    """The suite was run on the base, in a fresh container."""

    kind: Literal["baseline_measured"] = "baseline_measured"
    report: TestReport
    sandbox_seconds: float = 0.0


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
