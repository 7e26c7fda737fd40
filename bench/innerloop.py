"""What the model waits for after a change, beside what the whole suite takes: suites of 10, 200 and 2,000 tests.

    python -m bench.innerloop [TESTS ...]

Each project has up to twenty modules in three layers, with a file of tests each; a test takes 1 to 20 ms. All runs are
real: pytest in Docker containers, the warm one as while a model works. The first red run of a file of tests also shows
that the file passes by itself; the second one is what every further change of the module takes. The whole suite is run
between them, so that all have the machine in the same state.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.bench import Bench
from agent.innerloop import InnerLoop
from agent.nearness import Nearness
from agent.state import RunState
from agent.testreport import TestReport
from agent.trees import Blob
from bench.longsuites import MODULES, SIZES, TIMEOUT, module, opened, planned, project, say, state_of

__all__ = ["HEAD", "MOST", "Row", "inner_loop", "line", "measured"]

MOST, LONGEST = 0.25, 2_000
"""Of the whole suite's time, that a red result may take of the longest one."""
CHANGED = {"leaf": 0.85, "middle": 0.35, "core": 0.0}
"""Where the module is among all of them: a fifth is core, two fifths are in the middle, the others are leaves."""
HEAD = (
    "| tests | change of | run first | red after, at first | then | green after | whole suite |"
    f" then, of the whole suite (at most {MOST:.0%} of {LONGEST:,}) |\n|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One changed module of one suite; times in seconds."""

    tests: int
    module: str
    first: int
    """Tests that ran before the others; all of them where the suite is short."""
    found: bool
    """Whether they showed the fault."""
    red_at_first: float
    red: float
    green: float
    whole: float

    @property
    def share(self) -> float:
        """What is waited for a red result, of what the suite takes."""
        return self.red / self.whole


def line(row: Row) -> str:
    """The table's line for `row`."""
    times = (row.red_at_first, row.red, row.green, row.whole)
    missed = "" if row.found else ", **without the fault**"
    shown = " | ".join(f"{seconds:.2f} s" for seconds in times)
    late = ", **missed**" if row.tests >= LONGEST and row.share > MOST else ""
    return f"| {row.tests:,} | a {row.module} module | {row.first:,}{missed} | {shown} | {row.share:.0%}{late} |"


def measured(tests: int) -> Iterator[Row]:
    """What a change of each kind of module takes in a suite of so many tests."""
    with opened(project(tests), "change") as at:
        bench = Bench(place=at.place, timeout=TIMEOUT)
        state = state_of(planned(at.task, bench))
        say(f"{tests} tests: the baseline took {state.baseline.seconds if state.baseline else 0:.1f} s")
        modules = min(MODULES, tests)
        for kind, share in CHANGED.items():
            inner = InnerLoop(bench=bench, nearness=Nearness(workspace=at.workspace))
            yield replace(_row(inner, state, int(share * modules), modules), tests=tests, module=kind)


def _row(inner: InnerLoop, state: RunState, number: int, modules: int) -> Row:
    path, trees = f"app/m{number:02}.py", inner.bench.place.workspace.trees

    def run(value: str) -> tuple[TestReport, float]:
        blob = Blob(mode="100644", data=module(number, modules, value).encode())
        tree = trees.build(state.base, {path: blob})
        began = time.monotonic()
        report = inner.run(state, tree)
        return report, time.monotonic() - began

    _, red_at_first = run("wrong")
    began = time.monotonic()
    inner.bench.run(state, state.base)
    whole = time.monotonic() - began
    report, red = run("wrong again")
    _, green = run(f"{number} + 0")
    shown = report.fresh
    return Row(
        tests=0, module="", first=len(shown.cases), found=bool(shown.failing),
        red_at_first=red_at_first, red=red, green=green, whole=whole,
    )  # fmt: skip


def inner_loop(sizes: Sequence[int] = SIZES) -> None:
    """Print the table."""
    print(HEAD)
    for tests in sizes:
        for row in measured(tests):
            print(line(row), flush=True)


if __name__ == "__main__":
    inner_loop([int(argument) for argument in sys.argv[1:]] or SIZES)
