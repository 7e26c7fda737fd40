"""A display on an emulated terminal, so that tests see what a user sees."""

import io
import re

import pyte
from rich.console import Console

from agent.display import Display
from agent.journal import Entry
from tests.kits import EPOCH

CODES = re.compile(r"\x1b\[\??[0-9;]*[A-Za-z]")
"""What a display may send a terminal: cursor, erasing, colours and modes."""


class Terminal:
    """A terminal of a size with a display on it; time stands still but for `now`."""

    def __init__(self, width=80, height=24, *, encoding="utf-8", colour="truecolor", **settings):
        self.file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
        self.console = Console(
            file=self.file,
            width=width,
            height=height,
            force_terminal=True,
            legacy_windows=False,
            color_system=colour,
            no_color=colour is None,
        )
        self.now = 0.0
        self.display = Display(self.console, clock=lambda: self.now, interval=3600, **settings)
        self.screen = pyte.HistoryScreen(width, height, history=10_000)
        self.stream = pyte.ByteStream(self.screen)
        self.sent = ""
        self.number = 0

    def __enter__(self):
        self.display.__enter__()
        return self

    def __exit__(self, *error):
        self.display.__exit__(*error)

    def happened(self, *events):
        for event in events:
            self.display(Entry(seq=self.number, at=EPOCH, event=event))
            self.number += 1

    def passed(self, *notices):
        for notice in notices:
            self.display.notice(notice)
        self.display.refresh()

    def update(self):
        """Have the emulator take in what was sent."""
        self.file.flush()
        data = self.file.buffer.getvalue()
        self.file.buffer.seek(0)
        self.file.buffer.truncate()
        self.sent += data.decode(self.file.encoding)
        self.stream.feed(data.replace(b"\n", b"\r\n"))

    @property
    def lines(self):
        """What the screen shows, without blank lines at the end."""
        self.update()
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    @property
    def history(self):
        """What was scrolled out at the top, and what the screen shows."""
        self.update()
        above = ["".join(line[n].data for n in range(self.screen.columns)) for line in self.screen.history.top]
        return [line.rstrip() for line in above] + self.lines

    def style(self, text):
        """How the screen shows the first occurrence of `text`."""
        self.update()
        row, line = next((n, line) for n, line in enumerate(self.screen.display) if text in line)
        return self.screen.buffer[row][line.index(text)]
