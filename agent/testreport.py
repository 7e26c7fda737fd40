"""The result of one run of a test suite."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

__all__ = ["Again", "Status", "TestCase", "TestReport"]


class Status(StrEnum):
    """How one test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One test, or one file that could not be collected (status `error`, `id` the file's path)."""

    __test__: ClassVar[bool] = False

    id: str
    """The runner's own id, as `tests/test_x.py::TestY::test_a[1]`."""
    status: Status
    message: str = ""
    """One line: the exception or the reason of the skip."""
    detail: str = ""
    """The traceback, trimmed."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """How one test ended when it was run again to tell chance from fault; None: it was not there."""

    id: str
    here: tuple[Status | None, ...]
    """On the tree of the report, without the report's own run."""
    base: tuple[Status | None, ...]
    """On the base, all runs that are known of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """What a run of the suite showed. `problem` says why there is no trustworthy result, if there is none."""

    __test__: ClassVar[bool] = False

    cases: tuple[TestCase, ...] = ()
    exit_code: int = 0
    problem: str = ""
    output: str = ""
    """What the command printed: head and tail."""
    seconds: float = 0.0
    flaky: tuple[str, ...] = ()
    """Ids of its tests that are known by now to end in more than one way on one tree."""
    again: tuple[Again, ...] = ()
    """The tests that were run again, on this tree and on the base."""

    @property
    def ok(self) -> bool:
        """Some test ran, none failed, and the exit code agrees."""
        return not self.problem and self.exit_code == 0 and self.count(Status.PASSED) > 0 and not self.failing

    @property
    def failing(self) -> tuple[str, ...]:
        """Ids of the tests that failed or broke, in the order of the report."""
        return tuple(case.id for case in self.cases if case.status in (Status.FAILED, Status.ERROR))

    def ids(self, *statuses: Status) -> frozenset[str]:
        """Ids of the tests that ended in one of `statuses`; of all tests if none is given."""
        return frozenset(case.id for case in self.cases if not statuses or case.status in statuses)

    def count(self, status: Status) -> int:
        return sum(case.status is status for case in self.cases)

    def __str__(self) -> str:
        """As `3 failed, 12 passed, 1 skipped`."""
        counts = [(self.count(status), status.value) for status in _ORDER]
        return ", ".join(f"{n} {word}" for n, word in counts if n) or self.problem or "no tests"


_ORDER = (Status.ERROR, Status.FAILED, Status.PASSED, Status.SKIPPED, Status.XFAILED)
