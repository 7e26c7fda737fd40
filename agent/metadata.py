"""What only the project's own code declares: its metadata, computed offline in a sandbox."""

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from email.parser import BytesParser

from packaging.requirements import InvalidRequirement, Requirement

from agent.build import backend_of, pretended
from agent.manifests import Declaration, Project, declaration
from agent.recipe import Settings, recipe_for
from agent.requirements import Needs, stated
from sandbox import Command, ExecResult, Setup

__all__ = ["Execute", "needs_metadata", "read_metadata"]

Execute = Callable[[Setup, Command], ExecResult]
"""Runs a command on the project's tree, without a network, in the environment that a setup makes."""

SECONDS = 120.0
COLLECTED = "METADATA"
EXTRA = r"extra\s*==\s*['\"]([^'\"]+)['\"]"

PROGRAM = """
import importlib, os, shutil, sys
backend, within, out = sys.argv[1], sys.argv[2:-1], sys.argv[-1]
sys.path[:0] = [os.path.abspath(path) for path in within]
name, _, attributes = backend.partition(":")
found = importlib.import_module(name)
for attribute in filter(None, attributes.split(".")):
    found = getattr(found, attribute)
os.makedirs("/tmp/metadata", exist_ok=True)
sys.argv[1:] = []
made = found.prepare_metadata_for_build_wheel("/tmp/metadata")
shutil.copy(os.path.join("/tmp/metadata", made, "METADATA"), out)
"""


def needs_metadata(project: Project) -> bool:
    """Whether some dependencies are only known to code of the project."""
    return declaration(project).dynamic


def read_metadata(
    project: Project, execute: Execute, *, settings: Settings | None = None, version: str | None = None
) -> Declaration | None:
    """What the project's build backend says that it needs; None if that cannot be had, whatever the reason.

    The backend runs by `execute`, in an environment that holds the build's requirements only.

    Raises:
        SandboxError: from `execute`.
    """
    # The whole recipe would install what is declared; here only the backend is wanted.
    recipe = recipe_for(project, settings=replace(settings or Settings(), setup=None, build=""), version=version)
    setup = replace(recipe.setup, script="python -m pip install -r .greenward/build.txt")
    setup = replace(setup, files={name: data for name, data in setup.files.items() if name.endswith("build.txt")})
    backend, within = backend_of(project)
    words = shlex.join(["python", "-c", PROGRAM, backend, *within])
    command = Command(
        script=f'{words} "$GREENWARD_OUT/{COLLECTED}"',
        cwd=project.cwd,
        timeout=SECONDS,
        env=pretended(version or "0.0.0"),
        collect=(COLLECTED,),
    )
    result = execute(setup, command)
    metadata = result.files.get(COLLECTED)
    return _parsed(metadata) if result.exit_code == 0 and metadata else None


def _parsed(metadata: bytes) -> Declaration:
    headers = BytesParser().parsebytes(metadata, headersonly=True)
    lines = [str(line) for line in headers.get_all("Requires-Dist", [])]
    extras: dict[str, Needs] = {}
    plain = []
    for line in lines:
        try:
            extra, bare = _split(str(Requirement(line)))
        except InvalidRequirement:
            continue
        if extra:
            extras[extra] = extras.get(extra, Needs()) + stated([bare], COLLECTED)
        else:
            plain.append(bare)
    return Declaration(name=str(headers.get("Name", "")), needs=stated(plain, COLLECTED), extras=extras)


def _split(line: str) -> tuple[str, str]:
    """The extra that a requirement belongs to, if any, and the requirement without that condition."""
    bare, _, marker = line.partition(";")
    found = re.search(EXTRA, marker)
    if found is None:
        return "", line
    rest = re.sub(rf"\s*and\s*{EXTRA}|{EXTRA}\s*and\s*|{EXTRA}", "", marker).strip()
    return found[1], f"{bare.strip()}; {rest}" if rest else bare.strip()
