"""A test run as readers want it: how many ended how, and what those that failed say. Pure."""

from dataclasses import dataclass

from agent.testreport import Status, TestReport

__all__ = ["Failure", "Suite", "suite_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A test that failed or broke."""

    id: str
    message: str
    """One line: the exception."""
    detail: str
    """The traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What a run of tests showed."""

    words: str
    """As `3 failed, 12 passed, 1 skipped (80 not run again)`; why there is no result, if there is none."""
    passed: int
    failed: int
    """Errors included."""
    skipped: int
    """Expected failures included."""
    trusted: bool
    """Whether there is a result at all."""
    seconds: float
    failures: tuple[Failure, ...]
    output: str
    """What the command printed, where no result could be read from it; else empty."""
    reused: int = 0
    """How many of the tests were not run again: they are counted as they ended before."""

    @property
    def total(self) -> int:
        """How many tests there are."""
        return self.passed + self.failed + self.skipped


def suite_of(report: TestReport) -> Suite:
    """`report`, without the tests that did not fail."""
    red = (Status.FAILED, Status.ERROR)
    failures = tuple(
        Failure(id=case.id, message=case.message, detail=case.detail) for case in report.cases if case.status in red
    )
    return Suite(
        words=report.problem or str(report),
        passed=report.count(Status.PASSED),
        failed=len(failures),
        skipped=report.count(Status.SKIPPED) + report.count(Status.XFAILED),
        trusted=not report.problem,
        seconds=report.seconds,
        failures=failures,
        output=report.output if report.problem or not report.cases else "",
        reused=report.reused,
    )
