"""The command that shows one run whole."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from agent.cli.application import app, console
from agent.cli.flags import RunId, Where
from agent.cli.wiring import found_run, workspace_of
from agent.errors import GreenwardError, UsageProblem
from agent.redact import Redactor, Secret

if TYPE_CHECKING:
    from agent.changes import Changes
    from agent.report import Report
    from agent.runs import StoredRun
    from agent.timeline import Timeline

PAGES = (".html", ".htm")


class WithPage(TyperCommand):
    """Lets `--html` stand without a file, which options of typer cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As `--html ''` where no file follows."""
        for place, argument in enumerate(args):
            following = args[place + 1] if place + 1 < len(args) else "--"
            if argument == "--html" and following.startswith("-") and following != "-":
                return super().parse_args(ctx, [*args[:place], "--html=", *args[place + 1 :]])
        return super().parse_args(ctx, args)


@app.command(cls=WithPage)
def show(
    run: RunId = None,
    repo: Where = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[
        str | None,
        typer.Option(metavar="[FILE]", help="Write a page; without FILE `run-<id>.html`, with `-` to stdout."),
    ] = None,
    steps: Annotated[
        bool, typer.Option("--steps", help="Number every step, as `replay` and `fork` do; a line for each.")
    ] = False,
) -> None:
    """Show what a run did, turn by turn, and what it cost.

    Example: greenward show 3f2a --html
    """
    from agent import report
    from agent.journal import read_entries
    from agent.reporttext import as_text
    from agent.runs import JOURNAL
    from agent.summary import summary
    from agent.telling import tell

    if html is not None and (as_json or steps):
        other = "--json" if as_json else "--steps"
        raise UsageProblem(f"`{other}` and `--html` exclude each other", hint="run `greenward show` twice")
    found = found_run(repo, run)
    if steps:
        _steps(found, as_json=as_json)
        return
    told = tell(read_entries(found.directory / JOURNAL))
    where = "" if repo == Path() else str(repo)
    shown = report.report_of(told, where)
    if html is not None:
        _write(html, shown, told, repo, found)
    elif as_json:
        console.say(report.as_json(shown))
    else:
        console.say(f"{summary(told.state, where).strip()}\n\n{as_text(shown)}")


def _steps(found: "StoredRun", *, as_json: bool) -> None:
    from agent.journal import read_entries
    from agent.runs import JOURNAL
    from agent.steplines import step_lines
    from agent.stream import Stream

    entries = tuple(read_entries(found.directory / JOURNAL))
    if as_json:
        for entry in entries:
            Stream(console.data)(entry)
    else:
        console.say("\n".join(step_lines(entries)))


def _write(name: str, shown: "Report", told: "Timeline", repo: Path, found: "StoredRun") -> None:
    """Write the page to the file `name`; where there is none, to one in the current directory."""
    from agent.reportpage import as_page

    path = Path(name or f"run-{found.id}.html")
    if name != "-" and path.suffix not in PAGES:
        raise UsageProblem(
            f"`--html {name}` names no page",
            hint=f"a page's name ends in `.html`; for the run {name}: `greenward show {name} --html`",
        )
    page = _redactor()(as_page(shown, told.exchanges, _changes(shown, repo, found))).encode()
    if name == "-":
        sys.stdout.buffer.write(page)
        return
    try:
        path.write_bytes(page)
    except OSError as error:
        raise UsageProblem(
            f"{path} cannot be written: {error.strerror}", hint="name another file: `--html FILE`"
        ) from error
    console.tell(f"written: {path}")


def _changes(shown: "Report", repo: Path, found: "StoredRun") -> "Changes":
    """The run's patches. A repository that cannot be worked on at the moment is no reason to show nothing."""
    from agent.changes import changes_of, no_changes

    try:
        with workspace_of(repo, found) as workspace:
            return changes_of(shown, workspace.diff)
    except GreenwardError as error:
        return no_changes(error.message)


def _redactor() -> Redactor:
    """Takes this user's keys out of a page, which is made to be passed on."""
    from agent.config import KEY_VARIABLES

    return Redactor(Secret(os.environ[name].strip()) for name in KEY_VARIABLES if name in os.environ)
