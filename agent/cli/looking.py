"""Commands that show what runs did."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.application import app, console
from agent.cli.flags import RunId, Where
from agent.cli.wiring import found_run, workspace_of
from agent.text import sanitise


@app.command()
def runs(
    repo: Where = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print lines of JSON.")] = False,
) -> None:
    """List the runs of a repository, newest first.

    Example: greenward runs
    """
    from agent.runs import damaged_runs, runs_directory, stored_runs
    from agent.summary import run_line

    console.structured = as_json
    directory = runs_directory(repo, os.environ)
    found = list(stored_runs(directory))
    for error in damaged_runs(directory):
        console.tell(f"damaged: {sanitise(error.message)}")
    if as_json:
        from agent.stream import result_line

        for run in found:
            console.data(result_line(run.state, "" if repo == Path() else str(repo)))
        return
    console.say("\n".join(map(run_line, found)) or "no runs yet")


@app.command()
def diff(run: RunId = None, repo: Where = Path()) -> None:
    """Print what a run changed, as a patch.

    Example: greenward diff 3f2a | less
    """
    found = found_run(repo, run)
    with workspace_of(repo, found) as workspace:
        patch = workspace.diff(found.state.root_tree, found.state.result_tree)
    if sys.stdout.isatty():
        console.say(sanitise(patch))
    else:
        sys.stdout.buffer.write(patch.encode("utf-8", "surrogateescape"))
