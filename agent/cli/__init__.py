"""The command line: options in, exit codes out. Only this package reads the environment, prints and exits."""

from agent.cli import running, planning, looking, deciding, images, demonstrating  # noqa: F401, I001 - as `--help` has it
from agent.cli.application import app, main

__all__ = ["app", "main"]
