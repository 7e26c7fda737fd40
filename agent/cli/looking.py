"""Commands that show what runs did."""

import os
import sys
from pathlib import Path

from agent.cli.application import app, console
from agent.cli.flags import RunId, Where
from agent.cli.wiring import found_run, workspace_of
from agent.text import sanitise


@app.command()
def runs(repo: Where = Path()) -> None:
    """List the runs of a repository, newest first.

    Example: greenward runs
    """
    from agent.runs import damaged_runs, runs_directory, stored_runs
    from agent.summary import run_line

    directory = runs_directory(repo, os.environ)
    lines = [run_line(run) for run in stored_runs(directory)]
    for error in damaged_runs(directory):
        console.tell(f"damaged: {sanitise(error.message)}")
    console.say("\n".join(lines) or "no runs yet")


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
