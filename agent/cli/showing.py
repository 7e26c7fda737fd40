"""The command that shows one run whole."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.application import app, console
from agent.cli.flags import RunId, Where
from agent.cli.wiring import found_run


@app.command()
def show(
    run: RunId = None,
    repo: Where = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a run did: outcome and proof, request, plan, turns with their cost, iterations, verdicts.

    Example: greenward show 3f2a
    """
    from agent import report
    from agent.journal import read_entries
    from agent.reporttext import as_text
    from agent.runs import JOURNAL
    from agent.summary import summary
    from agent.telling import tell

    told = tell(read_entries(found_run(repo, run).directory / JOURNAL))
    where = "" if repo == Path() else str(repo)
    shown = report.report_of(told, where)
    if as_json:
        console.say(report.as_json(shown))
    else:
        console.say(f"{summary(told.state, where).strip()}\n\n{as_text(shown)}")
