"""Commands that take a run's journal as it stands: to go through it again, or to go on from the middle of it."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.application import app, console
from agent.cli.flags import LIMITS, MODEL, OUTPUT, SERVER, Flags, RunId, Where, with_options
from agent.cli.running import go_on
from agent.cli.wiring import found_run, surroundings, workspace_of

if TYPE_CHECKING:
    from agent.events import Event
    from agent.replay import Replayed
    from agent.runs import StoredRun
    from agent.state import RunState

OTHER_MODEL = {name: option for name, option in MODEL.items() if name != "image"}


@app.command()
@with_options(OTHER_MODEL, SERVER, LIMITS, OUTPUT)
def fork(
    options: Flags,
    run: RunId = None,
    repo: Where = Path(),
    at: Annotated[
        int | None,
        typer.Option(metavar="N", help="The last step to take over, from 0.", show_default="all of them"),
    ] = None,
    say: Annotated[str, typer.Option(metavar="TEXT", help="Something for the model to know.")] = "",
) -> None:
    """Go on from any step of a run, as a new run of its own.

    Another model, other limits, or something that is said to the model: the run itself stays as it is. Limits count
    from its beginning. `greenward show RUN --steps` numbers the steps.

    Example: greenward fork 3f2a --at 17 --say "use a regular expression"
    """
    from agent.forking import beginning_of
    from agent.forking import fork as make
    from agent.naming import new_run_id
    from agent.options import limits_of, settings_as_in
    from agent.redact import Redactor
    from agent.reopening import taking_up
    from agent.session import Session

    beginning = beginning_of(found_run(repo, run), at)
    started, asked = beginning.state.started, options["model"]
    kept = settings_as_in(beginning.state) if asked in (None, started.model) else {}
    around = surroundings(kept | {name: value for name, value in options.items() if value is not None})
    key, run_id = around.settings.key, new_run_id()
    with workspace_of(repo, beginning.run) as workspace, around.engine():
        Session(workspace=workspace, around=around).check_sandbox(beginning.state)
        make(
            workspace,
            beginning,
            run_id=run_id,
            settings=around.settings,
            limits=replace(started.limits, **limits_of(options)),
            say=say.strip(),
            scrub=Redactor([key.secret] if key else [], urls=False),
        )

    def given(state: "RunState") -> "tuple[Event, ...] | None":
        return taking_up(state)

    go_on(found_run(repo, run_id), repo, options, around, given)


@app.command()
@with_options({"sandbox": SERVER["sandbox"]})
def replay(
    options: Flags,
    run: RunId = None,
    repo: Where = Path(),
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Run commands, tests and verdicts again, too; that takes the sandbox.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Go through a run once more, and compare it with its record.

    The model's replies are the recorded ones: no key and no network is needed, and nothing of the repository changes.
    Edits and commits are made again, and have to come to the same trees and ids. The first step at which something else
    comes is named, and the exit code is 1.

    Example: greenward replay 3f2a --recheck
    """
    from agent.replay import rendering
    from agent.replay.replaying import replay_plainly

    found = found_run(repo, run)
    replayed = _rechecked(found, repo, options) if recheck else replay_plainly(found, repo, os.environ)
    console.say(rendering.as_json(replayed) if as_json else rendering.as_text(replayed))
    sys.exit(0 if replayed.divergence is None else 1)


def _rechecked(found: "StoredRun", repo: Path, options: Flags) -> "Replayed":
    from agent.config import load_settings
    from agent.live import Said
    from agent.options import settings_as_in, settings_of
    from agent.replay.replaying import replay_executing
    from sandbox.engines import open_engine

    now = {name: value for name, value in options.items() if value is not None}
    settings = load_settings(os.environ, settings_of(settings_as_in(found.state) | now), key=None)
    with open_engine(settings.sandbox, os.environ) as engine:
        return replay_executing(
            found,
            repo,
            os.environ,
            engine=engine,
            settings=settings,
            observe=lambda notice: console.tell(notice.text) if isinstance(notice, Said) else None,
        )
