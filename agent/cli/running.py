"""Commands that work: they start a run, or go on with one."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from agent.cli.application import app, console
from agent.cli.flags import LIMITS, PROJECT, SERVER, SHARED, Flags, Repo, RunId, Where, with_options
from agent.cli.wiring import conclude, surroundings, workspace_of
from agent.redact import Secret


@app.command()
@with_options(SHARED)
def new(
    directory: Annotated[Path, typer.Argument(help="A new or empty directory for the project.")],
    prompt: Annotated[str, typer.Argument(help="What the project is to do.")],
    options: Flags,
) -> None:
    """Scaffold a project from a prompt.

    Example: greenward new wordcount "A CLI that counts the words of files, with --json"
    """
    from agent.tasks import start_new

    around = surroundings(options)
    conclude(start_new(around, directory, prompt), directory, allow_unproven=bool(options["allow_unproven"]))


@app.command()
@with_options(PROJECT, SHARED)
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
@with_options(PROJECT, SHARED)
def change(
    request: Annotated[str, typer.Argument(help="What is to be different.")], options: Flags, repo: Repo = Path()
) -> None:
    """Carry out a change request, with new tests for it.

    Example: greenward change "add --json to the list command"
    """
    _run_on("change", repo, request, options)


@app.command()
@with_options(SERVER, LIMITS)
def resume(options: Flags, run: RunId = None, repo: Where = Path()) -> None:
    """Take up a run that was interrupted, from where its journal left off; limits that are given replace the run's.

    Example: greenward resume 3f2a --max-cost 2
    """
    from dataclasses import replace

    from agent.events import Outcome
    from agent.options import limits_of, settings_as_in
    from agent.runs import find_unfinished, runs_directory
    from agent.session import Session

    found = find_unfinished(runs_directory(repo, os.environ), run)
    given = limits_of(options)
    around = surroundings(settings_as_in(found.state) | {k: v for k, v in options.items() if v is not None}, asks=False)
    if found.state.outcome is None or (found.state.outcome is Outcome.OUT_OF_BUDGET and given):
        around.settings.require_key()
    else:
        console.tell(f"the run {found.id} has ended already")
    with workspace_of(repo, found) as workspace:
        limits = replace(found.state.started.limits, **given)
        state = Session(workspace=workspace, around=around).resume(found.id, limits)
    conclude(state, repo, allow_unproven=bool(options["allow_unproven"]))


@app.command()
def demo(
    directory: Annotated[
        Path | None, typer.Argument(help="A new directory.", show_default="one in demo-output")
    ] = None,
) -> None:
    """Scaffold a bundled project with a scripted model: real Docker, git and pytest, and no key needed.

    Example: greenward demo
    """
    from agent.config import Key
    from agent.demo import REQUEST, demo_directory, scripted_model
    from agent.tasks import start_new

    target = directory or demo_directory(Path())
    console.tell("demo: the model's replies come from a script, over real HTTP; Docker, git and pytest are real")
    with scripted_model() as flags:
        around = surroundings(flags, key=Key(secret=Secret("scripted-model"), source="demo"))
        conclude(start_new(around, target, REQUEST), target, allow_unproven=False)


def _run_on(mode: Literal["fix", "change"], repo: Path, request: str, options: Flags) -> None:
    from agent.tasks import Project, start_on

    around = surroundings(options)
    project = Project(**{name: options[name] for name in PROJECT if options[name] is not None})  # type: ignore[arg-type]
    state = start_on(around, mode, repo, request, project)
    conclude(state, repo, allow_unproven=bool(options["allow_unproven"]))
