"""The bench: the project's own test command, run on a tree, and what it showed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from shlex import quote

from agent.errors import UsageProblem
from agent.events import BaselineMeasured, EnvironmentPrepared, Event, TestsFinished
from agent.junit import parse
from agent.place import Place
from agent.recipe import Recipe
from agent.state import RunState
from agent.testreport import Status, TestCase, TestReport
from agent.text import decode, excerpt, sanitise
from sandbox import Command, ExecResult

__all__ = ["Bench", "after_build", "build_script", "test_command", "to_report"]

JUNIT, BUILD_FAILED = "junit.xml", "build-failed"
ADDOPTS = f'export PYTEST_ADDOPTS="--junitxml=$GREENWARD_OUT/{JUNIT} -o junit_family=xunit1"'
"""Asks pytest for its report whatever starts it; `xunit1` names the file of each test."""
DETAIL_LIMIT, OUTPUT_LIMIT, DETAILS_KEPT = 4_000, 6_000, 60
"""Characters of a traceback and of the output that an event carries, and how many tracebacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Prepares the place, measures the baseline and runs the suite."""

    place: Place
    timeout: float
    """Seconds for one run of the suite, its build included."""

    def prepare(self, state: RunState) -> Iterator[Event]:
        """Make the environment for the tree as it stands."""
        environment, recipe = self.place.prepare(state, state.tree)
        yield EnvironmentPrepared(
            id=environment.id,
            origin=environment.origin,
            cached=environment.cached,
            seconds=environment.seconds,
            build=recipe.build,
            test=recipe.test,
            notes=recipe.notes,
        )

    def measure(self, state: RunState) -> Iterator[Event]:
        """Run the suite on the base in a fresh container.

        Raises:
            UsageProblem: the suite cannot be run, or `fix` was asked of a repository without tests.
        """
        report = self.run_fresh(state, state.base)
        if report.problem and (state.started.task.mode == "fix" or report.exit_code in (126, 127)):
            raise UsageProblem(
                f"the test suite gives no result: {report.problem}\n{report.output}".rstrip(),
                hint="say how the tests are run with --test, and what they need with --setup",
            )
        yield BaselineMeasured(report=replace(report, problem="") if report.problem else report)

    def test(self, state: RunState) -> Iterator[Event]:
        """Run the whole suite on the tree as it stands, in the warm working copy."""
        yield TestsFinished(report=self.run(state, state.tree), tree=state.tree)

    def run(self, state: RunState, tree: str, selection: tuple[str, ...] = ()) -> TestReport:
        """The report of the suite, or of `selection`, in the warm working copy.

        The tree stays as it is: what tests write is no part of the work, and the working copy is put right before the
        next command.
        """
        recipe = self.place.recipe(tree, state)
        execution = self.place.execute(state, tree, test_command(state, recipe, self.timeout, selection))
        return to_report(execution.result)

    def run_fresh(self, state: RunState, tree: str) -> TestReport:
        """The report of the suite on `tree` in a new container."""
        recipe = self.place.recipe(tree, state)
        return to_report(self.place.execute_fresh(state, tree, test_command(state, recipe, self.timeout, ())))


def test_command(state: RunState, recipe: Recipe, timeout: float, selection: tuple[str, ...]) -> Command:
    """The project's own test command after its build."""
    tests = " ".join([recipe.test, *map(quote, selection)])
    return Command(
        script=f"{build_script(recipe)}\n{ADDOPTS}\n{tests}\n",
        timeout=timeout,
        cwd=state.started.task.cwd,
        collect=(JUNIT, BUILD_FAILED),
    )


def build_script(recipe: Recipe) -> str:
    """Shell lines that build the project, and say so by a file if that fails."""
    if not recipe.build:
        return ""
    failed = f'{{ cat "$GREENWARD_OUT/build.log"; echo >"$GREENWARD_OUT/{BUILD_FAILED}"; exit 1; }}'
    return f'( {recipe.build}\n) >"$GREENWARD_OUT/build.log" 2>&1 || {failed}'


def after_build(recipe: Recipe, script: str) -> str:
    """`script` as it stands, run where the project is built; that the build failed is said, and ends nothing."""
    if not recipe.build:
        return script
    log = '"$GREENWARD_OUT/build.log"'
    return f"( {recipe.build}\n) >{log} 2>&1 || {{ echo 'The build failed:'; tail -n 20 {log}; }}\n{script}"


def to_report(result: ExecResult) -> TestReport:
    """What a run of the suite showed, small enough for an event."""
    output = excerpt(sanitise(decode(result.output)), OUTPUT_LIMIT)
    if BUILD_FAILED in result.files:
        return TestReport(exit_code=1, problem="the build failed", output=output, seconds=result.seconds)
    report = parse(
        result.files.get(JUNIT),
        exit_code=result.exit_code,
        output=output.encode(),
        seconds=result.seconds,
        timed_out=result.timed_out,
    )
    kept = 0
    cases: list[TestCase] = []
    for case in report.cases:
        failing = case.status in (Status.FAILED, Status.ERROR)
        kept += failing
        detail = excerpt(case.detail, DETAIL_LIMIT) if failing and kept <= DETAILS_KEPT else ""
        cases.append(replace(case, detail=detail))
    return replace(report, cases=tuple(cases))
