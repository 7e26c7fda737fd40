"""The bench: the project's own test command, run on a tree, and what it showed."""

import glob
import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from agent.events import EnvironmentPrepared, Event
from agent.junit import parse
from agent.place import Place
from agent.recipe import Recipe
from agent.state import RunState, seconds_left
from agent.testreport import Status, TestCase, TestReport
from agent.text import decode, excerpt, sanitise
from sandbox import Command, ExecResult, SetupFailed
from sandbox.output import TIMED_OUT

__all__ = [
    "NO_TESTS",
    "OWN_REPORT",
    "Bench",
    "after_build",
    "build_script",
    "comes_first",
    "selecting",
    "test_command",
    "to_report",
]

JUNIT, BUILD_FAILED = "junit.xml", "build-failed"
ADDOPTS = f'export PYTEST_ADDOPTS="--junitxml=$GREENWARD_OUT/{JUNIT} -o junit_family=xunit1"'
"""Asks pytest for its report whatever starts it; `xunit1` names the file of each test."""
TO_THE_END = "--maxfail=0 --continue-on-collection-errors --tb=no --show-capture=no"
"""For a run in which all tests fail: goes on, and does not write down why. At the end of the command, whose own `-x`
would stop it at the first of them."""
DETAIL_LIMIT, OUTPUT_LIMIT, DETAILS_KEPT = 4_000, 6_000, 60
"""Characters of a traceback and of the output that an event carries, and how many tracebacks."""
SHORTEST = 1.0
"""Seconds that a run of the suite has at least, also where the budget leaves less."""
NO_TESTS = 5
"""Pytest's exit code where it finds none: nothing that a change may not begin with."""
NOT_BUILT, NOT_INSTALLED = "the build failed", "what the manifests ask for cannot be installed"
OWN_REPORT = re.compile(r"\s--junit-?xml(?:=|\s+)\S+")
PYTEST = re.compile(r"(?:^|[\s/])(?:pytest|py\.test)(?=\s|$)")
TAKE_A_VALUE = frozenset(
    ("-c", "-k", "-m", "-n", "-o", "-p", "-r", "-W", "--ignore", "--deselect", "--rootdir", "--confcutdir", "--cov")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Prepares the place and runs the suite."""

    place: Place
    timeout: float
    """Seconds for one run of the suite, its build included."""

    def prepare(self, state: RunState) -> Iterator[Event]:
        """Make the environment for the tree as it stands."""
        environment, recipe = self.place.prepare(state, state.tree)
        self.place.expect(state, state.tree)
        yield EnvironmentPrepared(
            id=environment.id,
            origin=environment.origin,
            cached=environment.cached,
            seconds=environment.seconds,
            build=recipe.build,
            test=recipe.test,
            notes=recipe.notes,
        )

    def run(
        self, state: RunState, tree: str, selection: tuple[str, ...] = (), without: Collection[str] = ()
    ) -> TestReport:
        """The report of the suite, or of `selection`, in the warm working copy, without the files `without`.

        The tree stays as it is: what tests write is no part of the work, and the working copy is put right before the
        next command.
        """
        cwd = state.started.task.cwd
        recipe = self.place.recipe(tree, state)
        test = recipe.test
        if selection:
            test = selecting(test, selection, self._project_files(tree, cwd))
        command = test_command(recipe, test, self.seconds(state), cwd)
        command = replace(command, script=command.script.replace(ADDOPTS, f"{ADDOPTS}{ignoring(without)}"))
        try:
            execution = self.place.execute(state, tree, command)
        except SetupFailed as error:
            if tree == state.base:
                raise
            return no_environment(error)
        return to_report(execution.result, cwd)

    def run_fresh(
        self, state: RunState, tree: str, seconds: float | None = None, selection: tuple[str, ...] = ()
    ) -> TestReport:
        """The report of the suite, or of `selection`, on `tree` in a new container.

        It has `seconds`, or all that a run of the suite may take.
        """
        cwd = state.started.task.cwd
        recipe = self.place.recipe(tree, state)
        test = selecting(recipe.test, selection, self._project_files(tree, cwd)) if selection else recipe.test
        command = test_command(recipe, test, seconds or self.timeout, cwd)
        return to_report(self.place.execute_fresh(state, tree, command), cwd)

    def run_control(self, state: RunState, tree: str, files: Collection[str]) -> TestReport:
        """The report of the tests in `files`, in a new container, none of which ends the run by failing."""
        cwd = state.started.task.cwd
        recipe = self.place.recipe(tree, state)
        test = f"{selecting(recipe.test, files, self._project_files(tree, cwd))} {TO_THE_END}"
        command = test_command(recipe, test, self.timeout, cwd)
        return to_report(self.place.execute_fresh(state, tree, command), cwd)

    def seconds(self, state: RunState) -> float:
        """What a run of the suite may take, verdicts aside: those are never cut short by the budget."""
        return max(SHORTEST, min(self.timeout, seconds_left(state, to_the_end=True)))

    def _project_files(self, tree: str, cwd: str) -> list[str]:
        """The files of `tree` below the project's directory, relative to it."""
        prefix = f"{cwd}/" if cwd else ""
        files = (entry.path for entry in self.place.workspace.files(tree))
        return [path[len(prefix) :] for path in files if path.startswith(prefix)]


def test_command(recipe: Recipe, test: str, timeout: float, cwd: str) -> Command:
    """The command `test` after the project's build; a report of its own would take the place of ours."""
    return Command(
        script=f"{build_script(recipe)}\n{ADDOPTS}\n{OWN_REPORT.sub('', test)}\n",
        timeout=timeout,
        cwd=cwd,
        collect=(JUNIT, BUILD_FAILED),
    )


def selecting(test: str, selection: Collection[str], paths: Collection[str]) -> str:
    """The command `test` for the tests in `selection` alone; `paths` are the project's files.

    Files and directories that it names itself are left out. Of a command that starts pytest out of sight, only what it
    starts is known.
    """
    chosen = shlex.join(selection)
    if not PYTEST.search(test):
        return f"python -m pytest {chosen}"
    try:
        words = shlex.split(test)
    except ValueError:
        return f"{test} {chosen}"
    runner = next((n for n, word in enumerate(words) if PYTEST.search(word)), len(words))
    known = {*paths, *("/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1))}
    own = [
        word
        for before, word in zip(words[runner:], words[runner + 1 :], strict=False)
        if before not in TAKE_A_VALUE and word.partition("::")[0].removeprefix("./").rstrip("/") in known
    ]
    for word in own:
        test = re.sub(rf"\s(['\"]?){re.escape(word)}\1(?=\s|$)", "", test)
    return f"{test} {chosen}"


def ignoring(paths: Collection[str]) -> str:
    """Shell lines that have pytest pass over files, and over all that is in directories, which end in `/`.

    The project's own command stays as it is, whatever it starts, and with it the order of its tests.
    """
    if not paths:
        return ""
    options = shlex.join(
        f"--ignore-glob={glob.escape(path)}*" if path.endswith("/") else f"--ignore={path}" for path in paths
    )
    return f'\nPYTEST_ADDOPTS="$PYTEST_ADDOPTS "{shlex.quote(options)}'


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


def no_environment(error: SetupFailed) -> TestReport:
    """What a run of the suite shows whose manifests ask for what cannot be installed."""
    problem = f"{NOT_INSTALLED}: {error.message}"
    return TestReport(exit_code=1, problem=problem, output=excerpt(sanitise(error.log), OUTPUT_LIMIT))


def comes_first(report: TestReport) -> bool:
    """Whether what kept a run of some tests from having a result would keep one of all tests from it, too."""
    return report.exit_code == TIMED_OUT or report.problem.startswith((NOT_BUILT, NOT_INSTALLED))


def to_report(result: ExecResult, cwd: str = "") -> TestReport:
    """What a run of the suite showed, small enough for an event, with ids that begin at the directory `cwd`."""
    output = excerpt(sanitise(decode(result.output)), OUTPUT_LIMIT)
    if result.out_of_memory:
        problem = "the tests ran out of memory, and the kernel killed some of their processes"
        return TestReport(exit_code=result.exit_code, problem=problem, output=output, seconds=result.seconds)
    if BUILD_FAILED in result.files:
        return TestReport(exit_code=1, problem=NOT_BUILT, output=output, seconds=result.seconds)
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
        case_id = case.id.removeprefix(f"{cwd}/") if cwd else case.id
        cases.append(replace(case, id=case_id, detail=detail))
    return replace(report, cases=tuple(cases))
