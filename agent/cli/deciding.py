"""Commands that bring a result into the checkout, and take it out again."""

import os
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.application import app, console
from agent.cli.flags import RunId, Where
from agent.cli.wiring import found_run, workspace_of


@app.command()
def accept(
    run: RunId = None,
    repo: Where = Path(),
    merge: Annotated[bool, typer.Option("--merge", help="Keep the run's history, as a merge.")] = False,
) -> None:
    """Apply a run's result to the checkout.

    It becomes a commit if the checkout is clean, else changes to its files.

    Example: greenward accept 3f2a
    """
    from agent.accepting import accept_run

    found = found_run(repo, run)
    with workspace_of(repo, found) as workspace:
        console.say(accept_run(workspace, found, merge=merge, environ=os.environ))


@app.command()
def undo(run: RunId = None, repo: Where = Path()) -> None:
    """Take an accept back.

    Example: greenward undo 3f2a
    """
    from agent.accepting import undo_run

    found = found_run(repo, run)
    with workspace_of(repo, found) as workspace:
        console.say(undo_run(workspace, found, environ=os.environ))
