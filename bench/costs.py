"""What the promises cost: baseline, verdict and control beside a plain run, of suites of 10, 200 and 2,000 tests.

    python -m bench.costs [TESTS ...]

The plain run is pytest by itself on this machine, with no container and no code of greenward's. All else is as in a run
of `greenward fix`: one test fails at the base, and a change mends it. The baseline has that test run again; the verdict
is the suite in a fresh container and the looks at the change, and its control run has tests fail on purpose, for 30
seconds of their own time at most. Nothing is cached but the environment.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent import events as e
from agent.bench import Bench
from agent.judge import Judge
from agent.state import RunState
from agent.testreport import TestReport
from agent.trees import Blob
from agent.verdict import Verdict, VerdictKind
from agent.witnesses import Witnesses
from bench.longsuites import SIZES, TIMEOUT, Opened, opened, planned, project, say, state_of
from bench.runs import DEVELOPING

__all__ = ["HEAD", "Row", "costs", "line", "measured"]

TIMES, LONG = 3, 1_000
"""How often each is measured; once from so many tests on."""
HEAD = (
    "| tests | plain run | baseline | verdict without control | control | all three, of a plain run | controlled |\n"
    "|---|---|---|---|---|---|---|"
)
PATH, FAULT, RIGHT = "app/fault.py", "def value():\n    return 1\n", "def value():\n    return 2\n"
TEST = "from app import fault\n\n\ndef test_value():\n    assert fault.value() == 2\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One suite; medians, in seconds."""

    tests: int
    plain: float
    baseline: float
    suite: float
    control: float
    covered: str
    """By the control."""

    @property
    def times(self) -> float:
        """Baseline, verdict and control, in plain runs."""
        return (self.baseline + self.suite + self.control) / self.plain


def line(row: Row) -> str:
    """The table's line for `row`."""
    shown = " | ".join(f"{each:.2f} s ({each - row.plain:+.2f} s)" for each in (row.baseline, row.suite, row.control))
    return f"| {row.tests:,} | {row.plain:.2f} s | {shown} | {row.times:.1f} | {row.covered} |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed(Bench):
    """Takes the time of control runs."""

    took: list[float] = field(default_factory=list)

    def run_control(self, state: RunState, tree: str, files: Collection[str]) -> TestReport:
        with taking(self.took):
            return Bench.run_control(self, state, tree, files)


@dataclass(slots=True)
class taking:  # noqa: N801 - it is used like a function
    """Adds the seconds of a block to `seconds`."""

    seconds: list[float]
    _began: float = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds.append(time.monotonic() - self._began)


def measured(tests: int, times: int = TIMES) -> Row:
    """What a suite of so many tests costs; each is measured so many `times`, and once where that takes long.

    Raises:
        RuntimeError: something did not come out as it should, so that its time says nothing.
    """
    files = {**project(tests - 1), PATH: FAULT, "tests/test_fault.py": TEST}
    plain, baseline, verdict, control, covered = [], [], [], [], ""
    with opened(files, "fix") as at:
        bench = Timed(place=at.place, timeout=TIMEOUT)
        for _ in range(times if tests < LONG else 1):
            with taking(plain):
                plain_run(at.root)
            events, seconds = begun(at, bench)
            baseline.append(seconds)
            bench.took.clear()
            found = judged(at, bench, events)
            verdict.append(found.seconds)
            control.append(sum(bench.took))
            covered = found.control
    apart = [whole - part for whole, part in zip(verdict, control, strict=True)]
    middle: Callable[[Sequence[float]], float] = statistics.median
    return Row(
        tests=tests, plain=middle(plain), baseline=middle(baseline), suite=middle(apart), control=middle(control),
        covered=covered,
    )  # fmt: skip


def plain_run(root: Path) -> None:
    """The suite, as its authors run it."""
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    environment = {name: value for name, value in os.environ.items() if name not in DEVELOPING}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    code = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False).returncode
    if code != 1:
        raise RuntimeError(f"pytest ended with {code}, and one test fails")


def begun(at: Opened, bench: Bench) -> tuple[list[e.Event], float]:
    """A run with a baseline, and the seconds which that took."""
    took: list[float] = []
    events = planned(at.task, bench, took)
    report = state_of(events).baseline or TestReport()
    if report.failing != ("tests/test_fault.py::test_value",):
        raise RuntimeError(f"the baseline shows {report}")
    return events, took[0]


def judged(at: Opened, bench: Bench, events: Sequence[e.Event]) -> Verdict:
    """The verdict on the mended tree."""
    tree = at.workspace.trees.build(at.task.base_tree, {PATH: Blob(mode="100644", data=RIGHT.encode())})
    # what the suite shows in between is no part of the cost: the judge runs it anew
    before = state_of(events)
    shown = e.TestsFinished(report=bench.run(before, tree), tree=tree)
    (event,) = Judge(bench=bench, witnesses=Witnesses(bench=bench)).judge(state_of([*events, shown]))
    if not isinstance(event, e.VerdictReached) or event.verdict.kind is not VerdictKind.PASSED:
        raise RuntimeError(f"it is not green: {event}")
    return event.verdict


def costs(sizes: Sequence[int] = SIZES) -> None:
    """Print the table."""
    print(HEAD)
    for tests in sizes:
        say(f"costs of {tests:,} tests")
        print(line(measured(tests)), flush=True)


if __name__ == "__main__":
    costs([int(argument) for argument in sys.argv[1:]] or SIZES)
