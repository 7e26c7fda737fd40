"""The command that shows the main job without a key."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.application import app, console
from agent.cli.flags import OUTPUT, Flags, with_options
from agent.cli.wiring import conclude, surroundings
from agent.redact import Secret


@app.command()
@with_options(OUTPUT)
def demo(
    options: Flags,
    directory: Annotated[
        Path | None, typer.Argument(help="A new directory.", show_default="one in demo-output")
    ] = None,
) -> None:
    """Scaffold a bundled project; no key is needed.

    The model is scripted; Docker, git and pytest are real.

    Example: greenward demo
    """
    from agent.config import Key
    from agent.demo import REQUEST, demo_directory, scripted_model
    from agent.tasks import Planning, start_new

    target = directory or demo_directory(Path())
    console.tell("demo: the model's replies come from a script, over real HTTP; Docker, git and pytest are real")
    with scripted_model() as flags:
        around = surroundings(options | flags, key=Key(secret=Secret("scripted-model"), source="demo"))
        with around.watcher:
            state = start_new(around, target, REQUEST, planning=Planning())
    conclude(state, target, options)
