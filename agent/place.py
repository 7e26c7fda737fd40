"""Where a run's commands are executed: the environment that a tree's manifests call for, and a sandbox in it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from agent.recipe import Recipe
from agent.seal import Seal
from agent.state import Phase, RunState
from agent.testreport import TestReport
from agent.workspace import Workspace
from sandbox import Command, Engine, Environment, ExecResult, Execution, Limits, Sandbox, SandboxLost

__all__ = ["Place", "seal_of"]

T = TypeVar("T")

ATTEMPTS = 3
"""How often a command is run whose sandbox died under it."""


@dataclass(slots=True, kw_only=True)
class Place:
    """Runs commands on trees. What it holds is a cache: all of it can be rebuilt from a tree."""

    engine: Engine
    workspace: Workspace
    recipe: Callable[[str, RunState], Recipe]
    """The recipe for a tree: how its environment is set up, how it is built and tested."""
    limits: Limits
    run_id: str
    say: Callable[[str], None]
    _open: tuple[Environment, Sandbox] | None = field(default=None, init=False)

    def prepare(self, state: RunState, tree: str) -> tuple[Environment, Recipe]:
        """The environment for `tree`, made if need be.

        Raises:
            SandboxError: there is no engine or no image, or the setup failed.
        """
        recipe = self.recipe(tree, state)
        return self.engine.prepare(recipe.setup, self.say), recipe

    def seal(self, state: RunState) -> Seal:
        """What may not be changed at this point of the run."""
        return seal_of(state, self.workspace, self.recipe(state.base, state).settings.sealed)

    def execute(self, state: RunState, tree: str, command: Command) -> Execution:
        """Run `command` on `tree` in the warm working copy, and take back what it changed."""
        work = self.workspace.tree(tree, seal=self.seal(state), ignore_base=self._rules(state, tree))
        return self._persistently(lambda: self._sandbox(state, tree).execute(work, command))

    def execute_fresh(self, state: RunState, tree: str, command: Command) -> ExecResult:
        """Run `command` on `tree` in a new container; nothing comes back but its result."""
        work = self.workspace.tree(tree, seal=self.seal(state), ignore_base=self._rules(state, tree))
        return self._persistently(lambda: self._sandbox(state, tree).execute_fresh(work, command))

    def violations(self, state: RunState, tree: str) -> tuple[str, ...]:
        """Sealed files that differ in `tree` all the same, in words: none, unless something is wrong with us."""
        return self.workspace.violations(state.witness_tree, tree, self.seal(state))

    @property
    def isolated(self) -> bool:
        return self._open is not None and self._open[1].isolated

    def close(self) -> None:
        if self._open is not None:
            _, sandbox = self._open
            self._open = None
            sandbox.__exit__(None, None, None)

    def _rules(self, state: RunState, tree: str) -> str:
        """Whose `.gitignore` holds: the base's, or under `new`, where the base has none, the tree's own."""
        return tree if state.started.task.mode == "new" else state.base

    def _sandbox(self, state: RunState, tree: str) -> Sandbox:
        environment, _ = self.prepare(state, tree)
        if self._open is not None and self._open[0].id == environment.id:
            return self._open[1]
        self.close()
        sandbox = self.engine.open(environment, limits=self.limits, run_id=self.run_id).__enter__()
        self._open = (environment, sandbox)
        return sandbox

    def _persistently(self, attempt: Callable[[], T]) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return attempt()
            except SandboxLost as error:
                self.say(f"the sandbox was lost ({error.message}); trying again")
                self.close()
        return attempt()


def seal_of(state: RunState, workspace: Workspace, sealed: tuple[str, ...] = ()) -> Seal:
    """What may not be changed at this point of the run; `sealed` are further patterns of paths."""
    task = state.started.task
    open_still = task.mode == "new" and state.phase is not Phase.CODE
    return Seal.of(
        (entry.path for entry in workspace.files(state.witness_tree)),
        test_files=_test_files(state.baseline, task.cwd),
        policy="free" if open_still else task.test_policy,
        unsealed=(*task.allow_test_changes, *(opened.path for opened in state.unsealed)),
        sealed=sealed,
    )


def _test_files(report: TestReport | None, cwd: str) -> tuple[str, ...]:
    """The files of the tests that were collected, from the root of the tree."""
    names = {case_id.partition("::")[0] for case_id in report.ids()} if report else set()
    return tuple(sorted(f"{cwd}/{name}" if cwd else name for name in names))
