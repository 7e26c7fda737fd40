"""The command line: options in, exit codes out. Only this package reads the environment, prints and exits."""

from agent.cli import running, planning, looking, showing, replaying  # isort: skip # noqa: F401
from agent.cli import deciding, checking, images, demonstrating, verifying, publishing  # isort: skip # noqa: F401
from agent.cli.application import app, main

__all__ = ["app", "main"]
