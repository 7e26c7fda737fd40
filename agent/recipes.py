"""The recipes of a run's trees: the base's own, and what an edited manifest declares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from agent.build import is_package
from agent.manifests import Declaration, Project
from agent.metadata import needs_metadata, read_metadata
from agent.recipe import Recipe, Settings, read_settings, recipe_for
from agent.state import RunState
from agent.task import Plan, Task
from agent.trees import Entry
from agent.workspace import Workspace
from sandbox import Command, ExecResult, Setup

__all__ = ["Recipes"]

MANIFEST_SUFFIXES = (".toml", ".cfg", ".ini", ".txt", ".in", ".lock", ".py", "PKG-INFO", "Makefile")
"""Files at the project's root, and requirement files one level below, by which a recipe can change."""
BUILD_FILES = ("setup.py", "setup.cfg", "pyproject.toml", ".txt", ".in")
"""Those of them on which it depends what a build backend says."""


@dataclass(slots=True, kw_only=True)
class Recipes:
    """Makes recipes; how a project is tested is read from the base alone."""

    workspace: Workspace
    task: Task
    execute: Callable[[Setup, str, Command], ExecResult] | None = None
    """Runs a command offline on a tree, in the environment of a setup: asks a build backend what only code tells."""
    _declared: dict[tuple[str, ...], Declaration | None] = field(default_factory=dict, init=False)
    _version: str | None = field(default=None, init=False)
    _made: dict[tuple[str, ...], Recipe] = field(default_factory=dict, init=False)

    def for_tree(self, tree: str, state: RunState) -> Recipe:
        """How `tree` is set up, built and tested."""
        entries = self.workspace.trees.entries(tree)
        plan = state.plan
        plans = (*state.earlier_plans, plan) if plan else state.earlier_plans
        key = (repr([(each.dependencies, each.setup, each.test) for each in plans]), *self._manifests(entries))
        if key not in self._made:
            self._made[key] = self._make(tree, entries, plans)
        return self._made[key]

    def _make(self, tree: str, entries: Mapping[str, Entry], plans: tuple[Plan, ...]) -> Recipe:
        settings = self._settings(plans[-1] if plans else None)
        project = Project(read=lambda path: self._read(tree, path), paths=entries.keys(), cwd=self.task.cwd)
        extra = tuple(dict.fromkeys(dependency for plan in plans for dependency in plan.dependencies))
        metadata = self._metadata(project, tree, settings)
        version = self._tagged() if is_package(project) else None
        recipe = recipe_for(project, settings=settings, extra=extra, version=version, metadata=metadata)
        prepared = [plan.setup for plan in plans if plan.setup]
        if prepared and self.task.build is None:
            recipe = replace(recipe, build="\n".join((*prepared, recipe.build)))
        return recipe

    def _metadata(self, project: Project, tree: str, settings: Settings) -> Declaration | None:
        execute = self.execute
        if execute is None or settings.setup is not None or not needs_metadata(project):
            return None
        key = tuple(line for line in self._manifests(self.workspace.trees.entries(tree)) if _shapes_a_build(line))
        if key not in self._declared:
            self._declared[key] = read_metadata(
                project, lambda setup, command: execute(setup, tree, command), settings=settings, version=self._tagged()
            )
        return self._declared[key]

    def _tagged(self) -> str | None:
        """The nearest tag of the base that looks like a version: what its build would read from git, which it lacks."""
        if self._version is None:
            described = ("describe", "--tags", "--abbrev=0", "--match=*[0-9]*", self.task.base_commit)
            self._version = self.workspace.git.text(*described, ok=(0, 128))
        return self._version or None

    def _settings(self, plan: Plan | None) -> Settings:
        """What the user says, then the base, then, in an empty base, the plan."""
        task = self.task
        user = Settings(setup=task.setup, build=task.build, test=task.test, image=task.image)
        base = Project(
            read=lambda path: self._read(task.base_tree, path),
            paths=self.workspace.trees.entries(task.base_tree).keys(),
            cwd=task.cwd,
        )
        settings = user.over(self._own_settings(base))
        if task.mode == "new":
            return settings.over(Settings(test=plan.test if plan else None))
        return replace(settings, test=recipe_for(base, settings=settings).test)

    def _own_settings(self, base: Project) -> Settings:
        """What the repository says of itself, where no model wrote it."""
        tree = self.task.settings_tree
        if not tree:
            return read_settings(base)
        paths = self.workspace.trees.entries(tree).keys()
        return read_settings(replace(base, read=lambda path: self._read(tree, path), paths=paths))

    def _read(self, tree: str, path: str) -> bytes | None:
        try:
            return self.workspace.read(tree, path)
        except FileNotFoundError:
            return None

    def _manifests(self, entries: Mapping[str, Entry]) -> list[str]:
        """Paths and contents of what a recipe may be read from, without reading it."""
        prefix = f"{self.task.cwd}/" if self.task.cwd else ""
        near = (path for path in entries if path.startswith(prefix) and path.count("/", len(prefix)) <= 1)
        return [f"{path} {entries[path].oid}" for path in sorted(near) if path.endswith(MANIFEST_SUFFIXES)]


def _shapes_a_build(manifest: str) -> bool:
    return manifest.rpartition(" ")[0].endswith(BUILD_FILES)
