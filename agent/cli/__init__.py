"""The command line: options in, exit codes out. Only this package reads the environment, prints and exits."""

from agent.cli import running, planning, looking, showing, deciding, images, demonstrating  # noqa: F401, I001 - in the order of `--help`
from agent.cli.application import app, main

__all__ = ["app", "main"]
