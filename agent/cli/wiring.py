"""From options to what a command works with, and from a run to an exit code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from agent.cli.application import console, resources
from agent.cli.approval import decide
from agent.cli.flags import PROJECT, Flags
from agent.cli.watching import watcher
from agent.errors import UsageProblem

if TYPE_CHECKING:
    from agent.config import Key
    from agent.runs import StoredRun
    from agent.session import Surroundings
    from agent.state import RunState
    from agent.task import Mode, Plan
    from agent.tasks import Planning, Project
    from agent.workspace import Workspace

__all__ = ["conclude", "exit_code_of", "found_run", "project_of", "settled", "surroundings", "workspace_of"]


def surroundings(
    options: Flags, key: "Key | None" = None, *, asks: bool = True, starts_on: Path | None = None
) -> "Surroundings":
    """What a session is given.

    It `asks` if it will ask a model for sure, which takes a key; `starts_on` is the repository that a run starts on.
    """
    from agent.config import load_settings, take_key
    from agent.naming import new_run_id
    from agent.options import settings_of
    from sandbox.engines import Opening

    found = take_key(os.environ)
    settings = load_settings(os.environ, settings_of(options), key=key or found)
    if asks:
        settings.require_key()
    opening = None
    if settings.sandbox == "docker":  # before all the rest, which takes as long to load as a container to start
        purpose = "" if starts_on is None else str(starts_on.resolve())
        opening = Opening(dict(os.environ), purpose=purpose, run_id=new_run_id())
        resources.callback(opening.close)
    from agent.session import Surroundings

    watches = watcher(options)

    def approve(state: "RunState") -> "Plan | None":
        with watches.paused():
            return decide(state)

    return Surroundings(
        settings=settings,
        opening=opening,
        watcher=watches,
        environ=dict(os.environ),
        approve=approve if options.get("approve") else None,
    )


def found_run(repo: Path, run: str | None) -> "StoredRun":
    from agent.runs import find_run, runs_directory

    return find_run(runs_directory(repo, os.environ), run)


@contextmanager
def workspace_of(repo: Path, run: "StoredRun") -> "Iterator[Workspace]":
    """The repository, as far as the run saw it."""
    from agent.workspace import Workspace

    with Workspace.open(repo, only=run.state.started.task.only, environment=dict(os.environ)) as workspace:
        yield workspace


def settled(mode: "Mode", request: str, options: Flags) -> "tuple[str, Planning]":
    """What is asked for, and how its plan comes about.

    Raises:
        UsageProblem: the plan is not one, or there is nobody to approve one.
    """
    from agent.planfile import read_plan
    from agent.tasks import Planning

    path, approve = options["plan"], bool(options["approve"])
    if approve and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageProblem(
            "`--approve` asks, and there is no terminal to ask on",
            hint="`greenward plan` prints a plan, and `greenward resume` carries it out",
        )
    if not isinstance(path, Path):
        return request, Planning(approve=approve)
    wanted, plan = read_plan(path, mode)
    return request.strip() or wanted, Planning(plan=plan)


def project_of(options: Flags) -> "Project":
    from agent.tasks import Project

    return Project(**{name: options[name] for name in PROJECT if options[name] is not None})  # type: ignore[arg-type]


def exit_code_of(state: "RunState", options: Flags) -> int:
    """The code to exit with for what a run came to; 1 if it did not end."""
    from agent.events import Outcome

    if options.get("allow_unproven") and state.outcome is Outcome.UNPROVEN:
        return 0
    return state.outcome.exit_code if state.outcome else 1


def conclude(state: "RunState", where: Path, options: Flags) -> NoReturn:
    """Say what a run came to, and exit with the code for it."""
    from agent.summary import essentials, summary

    if state.outcome is None:
        raise UsageProblem("the run did not end", hint="`greenward resume` goes on")
    code = exit_code_of(state, options)
    named = "" if where == Path() else str(where)
    told = essentials(state, named) if options.get("quiet") else summary(state, named)
    if options.get("json"):
        from agent.stream import result_line

        console.tell(told)
        console.data(result_line(state, named, exit_code=code))
    else:
        console.say(told)
    sys.exit(code)
