"""Commands that look at this machine and at the settings."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.application import app, console
from agent.cli.flags import LIMITS, MODEL, PROJECT, SERVER, Flags, with_options
from agent.cli.helping import Program
from agent.errors import UsageProblem

if TYPE_CHECKING:
    from agent.sourced import Layer

config = Program(
    help="Show the settings, and where each comes from.\n\nExample: greenward config show", no_args_is_help=True
)

Here = Annotated[Path | None, typer.Option("--repo", help="The repository.", show_default="the current directory")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
PLACE = {name: SERVER[name] for name in ("base_url", "sandbox")}
PROVIDER = {name: MODEL[name] for name in ("model", "prices", "image")}
COMMANDS = {name: PROJECT[name] for name in ("test", "setup", "build", "cwd")}


@app.command()
@with_options({"cwd": PROJECT["cwd"]}, PROVIDER, PLACE)
def doctor(
    options: Flags,
    *,
    repo: Here = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server.")] = False,
    prepare: Annotated[bool, typer.Option("--prepare", help="Make the base image, if it is not there.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what killed runs left, and old environments.")] = False,
    json: AsJson = False,
) -> None:
    """Check whether this machine has what a run takes.

    Programs, disks, sandbox, key, server and repository, each with a hint where it does not do.

    Example: greenward doctor --offline
    """
    from agent.doctor import Context
    from agent.doctor.examining import examine
    from agent.doctor.rendering import as_json, as_text
    from agent.options import settings_of

    context = Context(
        keys=_taken_keys(),
        environ=dict(os.environ),
        flags=settings_of(options),
        repo=repo or Path(),
        named=repo is not None,
        cwd=str(options["cwd"]),
        offline=offline,
        prepare=prepare,
        prune=prune,
        say=console.tell,
    )
    report = examine(context)
    console.say(as_json(report) if json else as_text(report))
    sys.exit(report.exit_code)


@config.command("show")
@with_options(COMMANDS, PROVIDER, {name: MODEL[name] for name in ("context", "max_output")}, PLACE, LIMITS)
def show(options: Flags, repo: Here = None, json: AsJson = False) -> None:
    """Print every setting with its value and its source.

    Of the key only whether there is one. Options are taken as they would be by a run.

    Example: greenward config show --json
    """
    from agent.config import load_settings, take_key
    from agent.options import settings_of
    from agent.settingslist import as_json, as_text
    from agent.sourced import merge

    key = take_key(os.environ)
    settings = load_settings(os.environ, settings_of(options), key=key)
    layer = merge(settings.layer(), _of_project(repo, options))
    console.say(as_json(layer) if json else as_text(layer))


@config.command("path")
def path() -> None:
    """Print where your configuration file is, or would be.

    Example: greenward config path
    """
    from agent.config import config_file

    place = config_file(os.environ)
    if place is None:
        raise UsageProblem("there is no home directory", hint="set `HOME` or `XDG_CONFIG_HOME` to an absolute path")
    if not place.exists():
        console.tell("there is no such file yet")
    console.say(str(place))


def _taken_keys() -> Mapping[str, str]:
    """The variables that may hold a key, taken out of the environment: no child process inherits one."""
    from agent.config import KEY_VARIABLES

    return {name: os.environ.pop(name) for name in KEY_VARIABLES if name in os.environ}


def _of_project(repo: Path | None, options: Flags) -> "Layer":
    """What is known of the project, from its work as it stands; nothing, if nobody named one and there is none."""
    from agent.projectsettings import in_repository, project_of, project_settings
    from agent.workspace import Workspace

    if repo is None and not in_repository(Path()):
        console.tell("no repository here: what a project says is left out")
        return {}
    with Workspace.open(repo or Path(), cwd=str(options["cwd"]), environment=dict(os.environ)) as workspace:
        tree, _ = workspace.scanner.scan(workspace.head_tree())
        return project_settings(project_of(workspace, tree), options)


app.add_typer(config, name="config")
