"""Runs one of the examples as a user would, with its scripted model over real HTTP; exits as greenward does."""

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from agent.models.script import load_script
from agent.models.server import ScriptedServer

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/task.toml"))
PRICES = {"GREENWARD_PRICES_INPUT": "0.48", "GREENWARD_PRICES_CACHED": "0.08", "GREENWARD_PRICES_OUTPUT": "2.00"}
"""What the model would cost at its provider, so that the budget has something to count."""


def main(arguments: list[str]) -> int:
    """Run the example whose name begins with the first argument, in the directory that the second one names."""
    found = [path for path in EXAMPLES if path.name.startswith(arguments[0])] if arguments else []
    if len(found) != 1:
        print("usage: scripts/example NAME [DIRECTORY]; the examples are:", file=sys.stderr)
        print("\n".join(f"  {path.name}" for path in EXAMPLES), file=sys.stderr)
        return 2
    example = found[0]
    project = Path(arguments[1]) if arguments[1:] else _unused(ROOT / "example-output", example.name)
    if project.exists():
        print(f"example: {project} exists already\n\nhint: name another directory", file=sys.stderr)
        return 2
    command = prepare(example, project)
    print("example: the model's replies come from a script, over real HTTP; all else is real", file=sys.stderr)
    print(f"$ {shlex.join(command)}", file=sys.stderr, flush=True)
    with ScriptedServer(load_script(example / "script.toml")) as server:
        variables = {**os.environ, **PRICES, "GREENWARD_BASE_URL": server.base_url, "RUNAPI_KEY": "scripted"}
        done = subprocess.run([sys.executable, "-m", "agent", *command[1:]], cwd=ROOT, env=variables, check=False)
    return done.returncode


def prepare(example: Path, project: Path) -> list[str]:
    """Put the project of `example` at `project`, as a repository; returns the command that works on it."""
    task = tomllib.loads((example / "task.toml").read_text("utf-8"))
    request = task["request"].strip()
    if task["mode"] == "new":
        return ["greenward", "new", str(project), request, *task["options"]]
    shutil.copytree(example / "repo", project)
    git = ("git", "-C", str(project), "-c", "user.name=example", "-c", "user.email=example@localhost")
    for step in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "Import")):
        subprocess.run([*git, *step], check=True)
    wanted = [request] if task["mode"] == "change" else []
    return ["greenward", task["mode"], *wanted, str(project), *task["options"]]


def _unused(parent: Path, name: str) -> Path:
    """A directory below `parent` that does not exist yet, relative to here if it can be."""
    numbers = (f"{name}-{number}" for number in range(2, 10_000))
    path = next(parent / each for each in (name, *numbers) if not (parent / each).exists())
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
