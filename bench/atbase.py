"""A package before the judge as it stands: a comment is added to one of its modules, and all of it is judged.

That is `change` with one black-box criterion, the comment's own, so that a verdict passes by the same way as real work
does: the baseline, the suite in a fresh container, suspicions, the witness, and the control in both its ways.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from agent import events as e
from agent.bench import Bench
from agent.judge import Judge
from agent.measuring import Measuring
from agent.recipe import Recipe
from agent.state import RunState
from agent.suspicions.work import Role, role_of
from agent.task import Criterion
from agent.testreport import TestReport
from agent.verdict import Verdict
from agent.witnesses import Witnesses
from bench.ordinary import SECONDS, Files
from sandbox import Engine
from tests.gitrepo import git, put
from tests.gitrepo import repository as git_repository
from tests.lab import Lab

__all__ = ["Judged", "judged", "touched"]

COMMENT = "# Judged as it stands."


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What came of a package."""

    recipe: Recipe
    baseline: TestReport
    baseline_seconds: float
    """With the runs that tell old failures from those by chance."""
    verdict: Verdict
    control_seconds: float
    """That the tests took which were made to fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched(Bench):
    """A bench that keeps what its controls showed."""

    controls: list[TestReport] = field(default_factory=list)

    def run_control(self, state: RunState, tree: str, files: Collection[str]) -> TestReport:
        self.controls.append(Bench.run_control(self, state, tree, files))
        return self.controls[-1]


def judged(engine: Engine, files: Files, root: Path, test: str | None = None) -> Judged:
    """The verdict on `files`, one of which has got a comment; `test` is how they are tested, if they do not say so.

    Raises:
        UsageProblem: the suite gives no result at all.
    """
    _committed(root / "repo", files)
    lab = Lab(root, {}, mode="change", engine=engine, test=test)
    try:
        lab.recipes.execute = lab.place.execute_in
        lab.bench = bench = Watched(place=lab.place, timeout=SECONDS)
        lab.measuring = Measuring(bench=bench)
        lab.witnesses = Witnesses(bench=bench)
        lab.judge = Judge(bench=bench, witnesses=lab.witnesses)
        path = touched(files)
        last = Criterion(behaviour="the module says so", command=f"tail -n 1 {path}", output=COMMENT)
        lab.place.prepare(lab.state, lab.state.base)
        began = time.monotonic()
        lab.measured()
        measured = time.monotonic() - began
        lab.planned(criteria=(last,))
        tree = lab.put({path: f"{files[path][0].decode()}\n{COMMENT}\n"})
        baseline = lab.state.baseline or TestReport()
        lab.events.append(e.TestsFinished(report=baseline, tree=tree))
        verdict = lab.verdict()
        seconds = sum(report.seconds for report in bench.controls)
        recipe = lab.place.recipe(lab.state.base, lab.state)
        return Judged(
            recipe=recipe, baseline=baseline, baseline_seconds=measured, verdict=verdict, control_seconds=seconds
        )
    finally:
        lab.close()


def touched(files: Files) -> str:
    """The module that gets the comment: the package's own, and no test."""
    return min(
        (path for path, (data, _) in files.items() if path.endswith("__init__.py") and role_of(path) is Role.CODE),
        key=lambda path: (not path.startswith("src/"), path.count("/"), path),
    )


def _committed(root: Path, files: Files) -> None:
    """A repository of `files`, those that it ignores with them."""
    git_repository(root, {})
    put(root, {path: data for path, (data, _) in files.items()})
    for path, (_, executable) in files.items():
        if executable:
            (root / path).chmod(0o755)
    git(root, "add", "-A", "-f")
