"""Commands for base images."""

import os
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.application import app, console
from agent.cli.helping import Program

image = Program(help="Base images.\n\nExample: greenward image import base.tar.zst", no_args_is_help=True)
app.add_typer(image, name="image")


@image.command("import")
def image_import(
    file: Annotated[Path, typer.Argument(help="A file made by `docker save`, perhaps compressed.")],
) -> None:
    """Load the sandbox's base image from a file.

    It takes the place of a registry, where none can be reached.

    Example: greenward image import greenward-base.tar.zst
    """
    from sandbox.engine import connect
    from sandbox.images import import_file

    client = connect(dict(os.environ))
    try:
        console.say(import_file(client, file, console.tell).id)
    finally:
        client.close()
