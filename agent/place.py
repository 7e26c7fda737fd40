"""Where a run's commands are executed: the environment that a tree's manifests call for, and a sandbox in it."""

import glob
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from agent.doctests import hold_examples
from agent.live import LastLine, Line, Observer, Said, Working
from agent.meter import Meter
from agent.recipe import Recipe
from agent.seal import Seal
from agent.state import Phase, RunState
from agent.suspicions.work import Role, role_of
from agent.transfer import GitTree
from agent.workspace import Workspace
from sandbox import (
    Command,
    Engine,
    EngineGone,
    Environment,
    ExecResult,
    Execution,
    Limits,
    Sandbox,
    SandboxError,
    SandboxLost,
    Setup,
    SetupFailed,
)

__all__ = ["HEADLINES", "Place", "kept_closed", "seal_of", "setup_notices"]

T = TypeVar("T")

AHEAD = 2
"""Containers started ahead of their need while the model works: the verdict's and the control's."""
PAUSES = (1.0, 4.0)
"""Seconds before a command whose sandbox died is run for the second time, and for the third and last: they are for an
engine that did not answer, and may be starting anew."""
HEADLINES = ("setting up ", "pulling the ", "bootstrapping ", "importing ", "waiting for ", "the image ")
"""How the sandbox's own messages begin; what else it passes on are lines of pip and its like."""
CONFIGURATION = (".ini", ".toml", ".cfg", ".coveragerc")


@dataclass(slots=True, kw_only=True)
class Place:
    """Runs commands on trees. What it holds is a cache: all of it can be rebuilt from a tree."""

    engine: Engine
    workspace: Workspace
    recipe: Callable[[str, RunState], Recipe]
    """The recipe for a tree: how its environment is set up, how it is built and tested."""
    limits: Limits
    run_id: str
    observe: Observer
    """Is told of slow steps, and of what is printed meanwhile."""
    meter: Meter = field(default_factory=Meter)
    """Counts the seconds in which something is made ready or executed."""
    sleep: Callable[[float], None] = time.sleep
    _environments: dict[str, Environment] = field(default_factory=dict, init=False)
    _sandboxes: dict[str, Sandbox] = field(default_factory=dict, init=False)
    _warm: str = field(default="", init=False)
    """The environment in which the working copy is."""

    def prepare(self, state: RunState, tree: str) -> tuple[Environment, Recipe]:
        """The environment for `tree`, made if need be.

        Raises:
            SandboxError: there is no engine or no image, or the setup failed.
        """
        return self._persistently(lambda: self._prepared(state, tree))

    def expect(self, state: RunState, tree: str) -> None:
        """Have the next container for `tree` started ahead of its need: each is still handed out once, and fresh.

        Where that cannot be done, it is told when one is needed.
        """
        with suppress(SandboxError):
            self._sandbox(self._prepared(state, tree)[0]).expect(1)

    def seal(self, state: RunState) -> Seal:
        """What may not be changed at this point of the run."""
        return seal_of(state, self.workspace, self.recipe(state.base, state).settings.sealed)

    def execute(self, state: RunState, tree: str, command: Command) -> Execution:
        """Run `command` on `tree` in the warm working copy, and take back what it changed.

        Raises:
            SandboxError: nothing came of it.
        """
        work = self._watched(self.workspace.tree(tree, seal=self.seal(state), ignore_base=self._rules(state, tree)))
        command = replace(command, hear=LastLine(self.observe))

        def attempt() -> Execution:
            environment, _ = self._prepared(state, tree)
            if self._warm != environment.id:
                self._leave(self._warm)
                self._warm = environment.id
            execution = self._sandbox(environment).execute(work, command)
            self._sandbox(environment).expect(AHEAD)
            return execution

        return self._persistently(attempt)

    def execute_fresh(self, state: RunState, tree: str, command: Command) -> ExecResult:
        """Run `command` on `tree` in a new container; nothing comes back but its result.

        Raises:
            SandboxError: nothing came of it.
        """
        work = self._watched(self.workspace.tree(tree, seal=self.seal(state), ignore_base=self._rules(state, tree)))
        command = replace(command, hear=LastLine(self.observe))
        return self._persistently(
            lambda: self._sandbox(self._prepared(state, tree)[0]).execute_fresh(work, command),
        )

    def execute_in(self, setup: Setup, tree: str, command: Command) -> ExecResult:
        """Run `command` on `tree` in a new container of the environment that `setup` makes.

        Raises:
            SandboxError: nothing came of it.
        """
        work = self._watched(self.workspace.tree(tree, seal=Seal(policy="locked"), ignore_base=tree))
        command = replace(command, hear=LastLine(self.observe))
        return self._persistently(
            lambda: self._sandbox(self._environment(setup, repr(setup))).execute_fresh(work, command)
        )

    def violations(self, state: RunState, tree: str) -> tuple[str, ...]:
        """Sealed files that differ in `tree` all the same, in words: none, unless something is wrong with us."""
        return self.workspace.violations(state.witness_tree, tree, self.seal(state))

    @property
    def isolated(self) -> bool:
        """Whether all that was executed so far was isolated, and something was."""
        return bool(self._sandboxes) and all(sandbox.isolated for sandbox in self._sandboxes.values())

    def close(self) -> None:
        """Remove whatever runs."""
        for environment in tuple(self._sandboxes):
            self._leave(environment)
        self._environments.clear()

    def _rules(self, state: RunState, tree: str) -> str:
        """Whose `.gitignore` holds: the base's, or under `new`, where the base has none, the tree's own."""
        return tree if state.started.task.mode == "new" else state.base

    def _watched(self, tree: GitTree) -> GitTree:
        def sent(done: int, total: int) -> None:
            self.observe(Working(what="sending the files", done=done, total=total))

        return replace(tree, sent=sent)

    def _prepared(self, state: RunState, tree: str) -> tuple[Environment, Recipe]:
        recipe = self.recipe(tree, state)
        return self._environment(recipe.setup, recipe.key), recipe

    def _environment(self, setup: Setup, key: str) -> Environment:
        if key not in self._environments:
            self._environments[key] = self.engine.prepare(setup, setup_notices(self.observe))
        return self._environments[key]

    def _sandbox(self, environment: Environment) -> Sandbox:
        if environment.id not in self._sandboxes:
            opened = self.engine.open(environment, limits=self.limits, run_id=self.run_id)
            self._sandboxes[environment.id] = opened.__enter__()
        return self._sandboxes[environment.id]

    def _leave(self, environment: str) -> None:
        sandbox = self._sandboxes.pop(environment, None)
        if sandbox is not None:
            sandbox.__exit__(None, None, None)

    def _persistently(self, attempt: Callable[[], T]) -> T:
        with self.meter.running(), self._resumable():
            for pause in PAUSES:
                try:
                    return attempt()
                except SandboxLost as error:
                    self.observe(Said(f"the sandbox was lost ({error.message}); trying again"))
                    self.close()
                    if isinstance(error, EngineGone):
                        self.sleep(pause)
            return attempt()

    @contextmanager
    def _resumable(self) -> Iterator[None]:
        """Say of what ends the run that it can be taken up again."""
        try:
            yield
        except SandboxError as error:
            then = f"`greenward resume {self.run_id}` goes on: nothing is lost"
            if not isinstance(error, SetupFailed) and then not in error.hint:
                error.hint = f"{error.hint}; then {then}" if error.hint else then
            raise


def setup_notices(observe: Observer) -> Callable[[str], None]:
    """What an engine may tell its messages to: its own ones are said, lines of pip and its like are but shown."""

    def told(line: str) -> None:
        observe(Said(line) if line.startswith(HEADLINES) else Line(line))

    return told


def seal_of(state: RunState, workspace: Workspace, sealed: tuple[str, ...] = ()) -> Seal:
    """What may not be changed at this point of the run; `sealed` are further patterns of paths."""
    task = state.started.task
    ids = state.baseline.ids() if state.baseline else frozenset()
    with_examples = {path for path in hold_examples(ids) if role_of(path) is Role.CODE}
    return Seal.of(
        (entry.path for entry in workspace.files(state.witness_tree)),
        test_files=_in({each.partition("::")[0] for each in ids} - with_examples, task.cwd),
        with_examples=_in(with_examples, task.cwd),
        policy="free" if _nothing_sealed(state) else task.test_policy,
        unsealed=(*task.allow_test_changes, *(glob.escape(opened.path) for opened in state.unsealed)),
        sealed=sealed,
    )


def kept_closed(state: RunState, seal: Seal, path: str) -> str:
    """Why the sealed file at `path` may not be opened for changes; empty if it may."""
    mode, folded = state.started.task.mode, path.casefold()
    if mode == "fix":
        return "under `fix` no test may change. If it is wrong, call `finish` with the status `blocked` and say why"
    beside = any(folded.startswith(f"{each}/") for each in seal.directories)
    among_tests = beside or folded in seal.files | seal.examples
    if _nothing_sealed(state) or not among_tests or folded not in seal.base:
        return "it is not sealed as a test"
    if folded.endswith(CONFIGURATION):
        return "it configures the test runner"
    return "it is open already" if any(opened.path == path for opened in state.unsealed) else ""


def _nothing_sealed(state: RunState) -> bool:
    return state.started.task.mode == "new" and state.phase is not Phase.CODE


def _in(names: Collection[str], cwd: str) -> tuple[str, ...]:
    """The files, named from the project's directory, as they are named from the root of the tree."""
    return tuple(sorted(f"{cwd}/{name}" if cwd else name for name in names))
