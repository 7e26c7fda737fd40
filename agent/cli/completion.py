"""What a shell offers while a command line is typed.

Shells evaluate what they are handed, zsh as code: ids and descriptions have no character that any of them minds.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import typer

from agent.config import SANDBOX_KINDS
from agent.errors import DamagedRun, GreenwardError

__all__ = ["complete_run", "complete_sandbox"]

RUNS_SHOWN = 20
REQUEST_SHOWN = 50
"""Characters."""
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NOT_PLAIN = re.compile(r"[^A-Za-z0-9 .,_/+-]+")


def complete_run(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of the repository's runs that begin with `incomplete`, newest first, each with what it was for."""
    try:
        return list(_runs(Path(ctx.params.get("repo") or "."), incomplete))
    except (GreenwardError, OSError):
        return []


def complete_sandbox(incomplete: str) -> list[str]:
    """The kinds of sandbox that begin with `incomplete`."""
    return [kind for kind in SANDBOX_KINDS if kind.startswith(incomplete)]


def _runs(repo: Path, incomplete: str) -> Iterator[tuple[str, str]]:
    from agent.runs import JOURNAL, runs_directory

    found = runs_directory(repo, os.environ).glob(f"*/{JOURNAL}")
    named = [path for path in found if RUN_ID.fullmatch(path.parent.name) and path.parent.name.startswith(incomplete)]
    newest = sorted(named, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[:RUNS_SHOWN]:
        yield path.parent.name, _described(path.parent)


def _described(directory: Path) -> str:
    """Mode, status and request of a run, in plain characters."""
    from agent.runs import find_run

    try:
        run = find_run(directory.parent, directory.name)
    except DamagedRun:
        return "damaged"
    task = run.state.started.task
    request = NOT_PLAIN.sub(" ", task.request[: 4 * REQUEST_SHOWN])
    return f"{task.mode} {NOT_PLAIN.sub(' ', run.status)} {' '.join(request.split())[:REQUEST_SHOWN]}".strip()
