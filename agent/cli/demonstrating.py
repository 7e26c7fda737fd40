"""The command that shows the main job without a key."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.application import app, console
from agent.cli.wiring import conclude, surroundings
from agent.redact import Secret


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
    from agent.tasks import Planning, start_new

    target = directory or demo_directory(Path())
    console.tell("demo: the model's replies come from a script, over real HTTP; Docker, git and pytest are real")
    with scripted_model() as flags:
        around = surroundings(flags, key=Key(secret=Secret("scripted-model"), source="demo"))
        conclude(start_new(around, target, REQUEST, planning=Planning()), target, {})
