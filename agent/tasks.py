"""From what was typed to a task, and to its run."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent.errors import UsageProblem
from agent.live import Said
from agent.naming import new_run_id
from agent.projectsettings import project_of
from agent.projecttable import read_table
from agent.session import Session, Surroundings
from agent.state import RunState
from agent.task import Plan, Task
from agent.text import excerpt
from agent.workspace import Workspace

__all__ = ["Planning", "Project", "checked", "start_new", "start_on"]

INSTRUCTIONS = "AGENTS.md"
INSTRUCTIONS_LIMIT = 20_000
"""Characters."""
SLUG_WORDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What the user says of the project beside the request."""

    test: str | None = None
    setup: str | None = None
    build: str | None = None
    cwd: str = ""
    only: tuple[str, ...] | list[str] = ()
    allow_test_changes: tuple[str, ...] | list[str] = ()
    free_tests: bool = False
    """Whether tests and the runner's configuration may change like any other file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """Who makes the plan, and whether somebody approves it."""

    plan: Plan | None = None
    """From the user; None: the model makes one."""
    approve: bool = False


def start_new(around: Surroundings, directory: Path, prompt: str, *, planning: Planning) -> RunState:
    """Scaffold a project in `directory`; when it is proven, its files are there and `main` is at the result.

    Raises:
        UsageProblem: the directory cannot be made, or there is something in it.
        SandboxUnavailable: there is no engine; then there is no directory either.
        GreenwardError, SandboxError: something outside of the run is in its way; it can be resumed.
    """
    request = checked(prompt)
    with around.engine():
        pass
    with _created(directory, around) as workspace:
        snapshot = workspace.snapshot(at=around.clock())
        task = Task(
            mode="new",
            request=request,
            base_commit=snapshot.commit,
            base_tree=snapshot.tree,
            image=around.settings.image,
            plan=planning.plan,
            approve=planning.approve,
        )
        return _start(Session(workspace=workspace, around=around), task)


def start_on(
    around: Surroundings,
    mode: Literal["fix", "change"],
    repo: Path,
    request: str,
    *,
    project: Project,
    planning: Planning,
    committed: bool = False,
) -> RunState:
    """Work on a snapshot of the repository at `repo`, or, if it says so, on what is `committed` alone.

    Raises:
        UsageProblem: the request, a setting or the state of the repository does not allow it.
        GreenwardError, SandboxError: something outside of the run is in its way; it can be resumed.
    """
    request = checked(request) if mode == "change" else request.strip()
    only = tuple(project.only)
    with Workspace.open(
        repo, cwd=project.cwd, only=only, environment=around.environ, passing=around.passing
    ) as workspace:
        snapshot = workspace.committed() if committed else workspace.snapshot(at=around.clock())
        read_table(project_of(workspace, snapshot.tree))
        for left_out in snapshot.left_out:
            around.watcher.notice(Said(f"left out: {left_out.path} ({left_out.reason})"))
        task = Task(
            mode=mode,
            request=request,
            base_commit=snapshot.commit,
            base_tree=snapshot.tree,
            cwd=workspace.cwd,
            only=workspace.trees.only,
            setup=project.setup,
            build=project.build,
            test=project.test,
            image=around.settings.image,
            test_policy="free" if project.free_tests else "locked" if mode == "fix" else "additive",
            allow_test_changes=tuple(project.allow_test_changes),
            instructions=_instructions(workspace, snapshot.tree),
            plan=planning.plan,
            approve=planning.approve,
        )
        return _start(Session(workspace=workspace, around=around), task)


@contextmanager
def _created(directory: Path, around: Surroundings) -> Iterator[Workspace]:
    """The workspace of a new repository; of one that could not be made, nothing is left behind."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        workspace = Workspace.create(directory, environment=around.environ, passing=around.passing)
    except BaseException:
        if missing:
            shutil.rmtree(missing[-1], ignore_errors=True)
        raise
    with workspace:
        yield workspace


def _start(session: Session, task: Task) -> RunState:
    opening = session.around.opening
    run_id = (opening and opening.run_id) or new_run_id()
    return session.start(task, run_id, session.workspace.branch_name(_slug(task), run_id))


def checked(request: str) -> str:
    """`request` without the space around it.

    Raises:
        UsageProblem: nothing is left of it.
    """
    if not request.strip():
        raise UsageProblem("the request is empty", hint="say in a sentence what is wanted")
    return request.strip()


def _slug(task: Task) -> str:
    words = re.findall(r"[a-z0-9]+", task.request.lower())[:SLUG_WORDS]
    return "-".join(words) or task.mode


def _instructions(workspace: Workspace, tree: str) -> str:
    """The nearest `AGENTS.md` at or above the project's directory: untrusted text."""
    parts = workspace.cwd.split("/") if workspace.cwd else []
    for depth in range(len(parts), -1, -1):
        try:
            text = workspace.read(tree, "/".join([*parts[:depth], INSTRUCTIONS])).decode("utf-8", "replace")
            return excerpt(text, INSTRUCTIONS_LIMIT)
        except FileNotFoundError:
            continue
    return ""
