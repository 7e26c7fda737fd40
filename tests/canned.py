"""An engine in which nothing is run: what a suite shows each time is said beforehand."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self
from xml.sax.saxutils import escape, quoteattr

from sandbox import Command, Environment, ExecResult, Execution, Limits, Setup, Tree

FILE = "tests/test_app.py"
CHILDREN = {"failed": "failure", "error": "error", "skipped": "skipped", "xfailed": "skipped"}

Ends = Mapping[str, str | tuple[str, str]]
"""By a test's name how it ends, or how and what it says of that."""


def shown(ends: Ends, seconds: float = 0.2) -> ExecResult:
    """The report and the output of a run of the tests in `FILE`, as pytest writes them."""
    cases, printed, red = [], [], []
    for name, ended in ends.items():
        status, message = ended if isinstance(ended, tuple) else (ended, "assert 4 == 5")
        detail = f"def {name}():\n>       it()\nE       {message}\n\n{FILE}:3: AssertionError"
        kind = ' type="pytest.xfail"' if status == "xfailed" else ""
        tag = CHILDREN.get(status)
        child = f"<{tag}{kind} message={quoteattr(message)}>{escape(detail)}</{tag}>" if tag else ""
        about = f'name={quoteattr(name)} file="{FILE}" time="{seconds / len(ends):.6f}"'
        cases.append(f'<testcase classname="tests.test_app" {about}>{child}</testcase>')
        if status in ("failed", "error"):
            red.append(name)
            printed += [f"____ {name} ____", detail]
    printed += ["==== short test summary info ====", *(f"FAILED {FILE}::{name} - it failed" for name in red)]
    xml = f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>".encode()
    output = "\n".join(printed).encode()
    return ExecResult(exit_code=int(bool(red)), output=output, seconds=seconds, files={"junit.xml": xml})


@dataclass(frozen=True, slots=True, kw_only=True)
class CannedRun:
    """One run of tests."""

    number: int
    """From 0."""
    tree: str
    asked: tuple[str, ...]
    """The ids and files that were to be run; none: all."""
    fresh: bool
    """Whether it was in a place of its own, not in the working copy."""

    def among(self, names: Iterable[str]) -> list[str]:
        """Those of the tests `names` of `FILE` that are run."""
        return [name for name in names if not self.asked or FILE in self.asked or f"{FILE}::{name}" in self.asked]


@dataclass
class CannedEngine:
    """Each run shows what `show` says of it."""

    show: Callable[["CannedRun"], ExecResult]
    answer: Callable[[str], ExecResult] | None = None
    """What acceptance criteria show on a tree."""
    isolated: bool = True
    runs: list["CannedRun"] = field(default_factory=list)

    def prepare(self, setup: Setup, say: Callable[[str], None]) -> Environment:
        return Environment(id="canned", origin="present", cached=True)

    def open(self, environment: Environment, *, limits: Limits, run_id: str) -> "CannedSandbox":
        return CannedSandbox(self)


class CannedSandbox:
    """Runs nothing."""

    def __init__(self, engine: CannedEngine) -> None:
        self.isolated = engine.isolated
        self._engine = engine

    def expect(self, count: int) -> None: ...

    def execute(self, tree: Tree, command: Command) -> Execution:
        return Execution(result=self._run(tree, command, fresh=False), tree=tree)

    def execute_fresh(self, tree: Tree, command: Command) -> ExecResult:
        return self._run(tree, command, fresh=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def _run(self, tree: Tree, command: Command, *, fresh: bool) -> ExecResult:
        if self._engine.answer is not None and "case-0.out" in command.collect:
            return self._engine.answer(tree.id)
        asked = tuple(word for word in shlex.split(command.script) if word.startswith(FILE))
        run = CannedRun(number=len(self._engine.runs), tree=tree.id, asked=asked, fresh=fresh)
        self._engine.runs.append(run)
        return self._engine.show(run)
