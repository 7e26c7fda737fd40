"""Commands that work: they start a run, or go on with one."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.cli.application import app, console
from agent.cli.flags import (
    APPROVAL,
    LIMITS,
    OUTPUT,
    PROJECT,
    PROPOSAL,
    SERVER,
    SHARED,
    Flags,
    Repo,
    RunId,
    Where,
    with_options,
)
from agent.cli.proposing import proposing, request_of
from agent.cli.wiring import conclude, found_run, project_of, settled, surroundings, workspace_of
from agent.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.events import Event
    from agent.runs import StoredRun
    from agent.session import Surroundings
    from agent.state import RunState


@app.command()
@with_options(APPROVAL, SHARED, OUTPUT)
def new(
    directory: Annotated[Path, typer.Argument(help="A new or empty directory for the project.")],
    options: Flags,
    prompt: Annotated[str, typer.Argument(help="What the project is to do.")] = "",
) -> None:
    """Scaffold a project from a prompt.

    Example: greenward new wordcount "A CLI that counts the words of files, with --json"
    """
    from agent.tasks import start_new

    request, planning = settled("new", prompt, options)
    around = surroundings(options)
    with around.watcher:
        state = start_new(around, directory, request, planning=planning)
    conclude(state, directory, options)


@app.command()
@with_options(PROJECT, APPROVAL, SHARED, PROPOSAL, OUTPUT)
def fix(
    options: Flags,
    repo: Repo = Path(),
    request: Annotated[str, typer.Option(help="What the model should know besides.")] = "",
) -> None:
    """Mend the code until the failing tests pass; no test is changed.

    Example: greenward fix --test "python -m pytest -q tests"
    """
    _run_on("fix", repo, request, options)


@app.command()
@with_options(PROJECT, APPROVAL, SHARED, PROPOSAL, OUTPUT)
def change(
    options: Flags,
    request: Annotated[str, typer.Argument(help="What is to be different.")] = "",
    repo: Repo = Path(),
    run: Annotated[
        str | None, typer.Option("--continue", metavar="RUN", help="Ask for more of a run that has ended.")
    ] = None,
) -> None:
    """Carry out a change request, with new tests for it.

    Example: greenward change "add --json to the list command"
    """
    if run is None:
        _run_on("change", repo, request, options)
    else:
        _ask_for_more(run, repo, request, options)


@app.command()
@with_options(SERVER, LIMITS, OUTPUT)
def resume(
    options: Flags,
    run: RunId = None,
    repo: Where = Path(),
    hint: Annotated[str, typer.Option("--say", metavar="TEXT", help="Something for the model to know.")] = "",
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The plan to carry out, for a run that waits for approval.")
    ] = None,
) -> None:
    """Take up a run that was interrupted or has a plan to carry out.

    Limits that are given replace the run's.

    Example: greenward resume 3f2a --max-cost 2 --say "the parser is in lexer.py"
    """
    from agent.options import limits_of
    from agent.planfile import read_plan
    from agent.reopening import taking_up
    from agent.runs import find_unfinished, runs_directory

    found = find_unfinished(runs_directory(repo, os.environ), run)
    edited = read_plan(plan, found.state.started.task.mode)[1] if plan else None
    limits = limits_of(options)

    def given(state: "RunState") -> "tuple[Event, ...] | None":
        return taking_up(state, limits=replace(state.started.limits, **limits), hint=hint.strip(), plan=edited)

    goes_on = given(found.state) is not None
    if not goes_on:
        console.tell(f"the run {found.id} has ended already")
    go_on(found, repo, options, _as_begun(found, options, asks=goes_on), given)


def _run_on(mode: Literal["fix", "change"], repo: Path, request: str, options: Flags) -> None:
    asked = request_of(request, options, repo)
    with proposing(options, repo) as proposal:
        around = surroundings(options, starts_on=repo)
        from agent.tasks import start_on

        request, planning = settled(mode, asked, options)
        proposal.begins(around)
        with around.watcher:
            state = start_on(
                around,
                mode,
                repo,
                request,
                project=project_of(options),
                planning=planning,
                committed=bool(options["ci"]),
            )
        proposal.ended(state)
    conclude(state, repo, options)


def _ask_for_more(run: str, repo: Path, request: str, options: Flags) -> None:
    from agent.reopening import further_request
    from agent.tasks import checked

    project = project_of(options)
    if replace(project, allow_test_changes=()) != type(project)() or options["plan"] or options["approve"]:
        raise UsageProblem(
            "a run goes on with the project and the tests that it began with",
            hint="beside `--continue` only limits, the server and `--allow-test-changes` can be given",
        )
    wanted, found = checked(request), found_run(repo, run)
    around = _as_begun(found, options, asks=True)

    def given(state: "RunState") -> "tuple[Event, ...]":
        return (further_request(state, wanted, around.settings.limits, tuple(project.allow_test_changes)),)

    go_on(found, repo, options, around, given)


def _as_begun(found: "StoredRun", options: Flags, *, asks: bool) -> "Surroundings":
    """The surroundings for a run that was begun before, with the model that it was begun with."""
    from agent.options import settings_as_in

    now = {name: value for name, value in options.items() if value is not None}
    return surroundings(settings_as_in(found.state) | now, asks=asks)


def go_on(
    found: "StoredRun",
    repo: Path,
    options: Flags,
    around: "Surroundings",
    given: "Callable[[RunState], tuple[Event, ...] | None]",
) -> None:
    from agent.session import Session

    with workspace_of(repo, found) as workspace, around.watcher:
        state = Session(workspace=workspace, around=around).resume(found.id, given, found.state)
    conclude(state, repo, options)
