"""Who watches a run: chosen by the options, and by what standard error is."""

import os
import sys
from typing import TYPE_CHECKING

from agent.cli.application import console
from agent.cli.flags import Flags

if TYPE_CHECKING:
    from agent.watching import Watcher

__all__ = ["watcher"]

DUMB = ("", "dumb", "unknown")


def watcher(options: Flags) -> "Watcher":
    """Draws where a terminal can be drawn on, else prints plain lines; `--json` adds the events on standard output."""
    if not options.get("json"):
        return _for_people(options, drawable=sys.stderr.isatty())
    from agent.stream import Stream
    from agent.watching import Together

    return Together(
        Stream(console.data), _for_people(options, drawable=sys.stderr.isatty() and not sys.stdout.isatty())
    )


def _for_people(options: Flags, *, drawable: bool) -> "Watcher":
    if options.get("quiet") and not options.get("approve"):
        from agent.watching import Silent

        return Silent()
    if options.get("plain") or not drawable or os.environ.get("TERM", "") in DUMB:
        from agent.progress import Progress

        return Progress(console.tell)
    from agent.display import RESTORE, Display, terminal

    console.restore = RESTORE
    return Display(terminal(sys.stderr, os.environ), redact=console.redacted)
