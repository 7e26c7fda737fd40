"""How a project would be set up, built and tested, and who says so: the user, the repository, or its manifests."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.build import is_package
from agent.config import PROJECT_SETTINGS
from agent.manifests import Project
from agent.projecttable import read_table
from agent.recipe import MANIFESTS, Settings, recipe_for
from agent.sourced import Layer, Sourced, merge
from agent.testcommand import found_command
from agent.workspace import Workspace

__all__ = ["in_repository", "project_of", "project_settings"]

REQUIREMENTS = ".greenward/requirements.txt"
PACKAGING = ("pyproject.toml", "setup.cfg", "setup.py")


def in_repository(path: Path) -> bool:
    """Whether there is something like a repository at `path` or above it, be it fit for work or not."""
    here = path.resolve()
    return any((each / ".git").exists() for each in (here, *here.parents))


def project_of(workspace: Workspace, tree: str) -> Project:
    """The project in `tree`, at the workspace's directory."""

    def read(path: str) -> bytes | None:
        try:
            return workspace.read(tree, path)
        except FileNotFoundError:
            return None

    return Project(read=read, paths=workspace.trees.entries(tree).keys(), cwd=workspace.cwd)


def project_settings(project: Project, given: Mapping[str, object]) -> Layer:
    """`test`, `build`, `setup` and `sealed`, each with its source; `given` is what the command line says of them.

    What the repository says of suspicions follows.

    What is found is described: `setup` as what pip is to install, `build` in words.

    Raises:
        UsageProblem: the repository says of itself what it may not say, or what cannot be read.
    """
    said = {name: Sourced(given[name], "command line") for name in PROJECT_SETTINGS if given.get(name) is not None}
    stated = merge(read_table(project), said)
    own = {name: each.value for name, each in stated.items() if name in PROJECT_SETTINGS}
    both = merge(_found(project, Settings(**own)), stated)
    return {name: both[name] for name in (*PROJECT_SETTINGS, *(name for name in stated if name not in own))}


def _found(project: Project, settings: Settings) -> Layer:
    command, file = found_command(project)
    recipe = recipe_for(project, settings=settings)
    required = recipe.setup.files.get(REQUIREMENTS, b"").decode(errors="replace").split("\n")[:-1]
    locked = sum(re.search(r"/locked-\d+\.txt$", name) is not None for name in recipe.setup.files)
    installs = [*required, *(["what is locked"] if locked else [])]
    return {
        "test": Sourced(command, _found_in([file] if file else [])),
        "build": _build(project),
        "setup": Sourced(f"pip install {' '.join(installs)}", _found_in(_manifests(project))),
        "sealed": Sourced((), "the tests that are found"),
    }


def _build(project: Project) -> Sourced:
    if not is_package(project):
        return Sourced("none", "no package")
    return Sourced("pip install -e .", _found_in([name for name in PACKAGING if project.has(name)]))


def _found_in(files: Sequence[str]) -> str:
    return f"found in {', '.join(files)}" if files else "default"


def _manifests(project: Project) -> list[str]:
    return [path for path in project.files() if re.fullmatch(MANIFESTS, path) or path in PACKAGING]
