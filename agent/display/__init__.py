"""What one sees in a terminal while a run works: a log that stays, and below it a few lines that are drawn in place."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, RLock, Thread
from typing import Self, TextIO

from rich.console import Console
from rich.text import Text

from agent.display.frame import frame
from agent.display.log import log, said
from agent.display.region import RESTORE, Region
from agent.display.scene import Scene
from agent.display.signs import signs_for
from agent.journal import Entry
from agent.live import Notice, Said
from agent.state import RunState
from agent.text import encodable

__all__ = ["RESTORE", "Display", "terminal"]

INTERVAL = 0.1
"""Seconds between two frames."""
INDENT = "     "
"""Of the second line of prose and all that follow."""
OWN_SIZE = ("COLUMNS", "LINES")
"""Variables that would fix a size which the terminal may change."""


def terminal(file: TextIO, environ: Mapping[str, str]) -> Console:
    """The terminal behind `file`, without colours if `NO_COLOR` is set at all."""
    return Console(
        file=file,
        force_terminal=True,
        no_color="NO_COLOR" in environ,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={name: value for name, value in environ.items() if name not in OWN_SIZE},
    )


class Display:
    """A watcher that draws. While it is entered, nothing else may write to its terminal."""

    def __init__(
        self,
        console: Console,
        *,
        redact: Callable[[str], str] = lambda text: text,
        clock: Callable[[], float] = time.monotonic,
        interval: float = INTERVAL,
    ) -> None:
        """`redact` takes secrets out of a line."""
        self._console = console
        self._redact = redact
        self._scene = Scene(clock=clock)
        self._signs = signs_for(console.encoding)
        self._region = Region(console, self._frame)
        self._interval = interval
        self._lock = RLock()
        self._over = Event()
        self._ticker = Thread(target=self._tick, name="display", daemon=True)

    def catch_up(self, entries: tuple[Entry, ...], state: RunState) -> None:
        """Take in what happened in earlier sessions."""
        with self._lock:
            self._scene.catch_up(entries, state)

    def __call__(self, entry: Entry) -> None:
        """Print what stays of what happened, and draw the rest."""
        with self._lock:
            before, after = self._scene.take(entry)
            self._print(*log(entry.event, before, after, self._signs))
            self._region.refresh()

    def notice(self, notice: Notice) -> None:
        """Take in what passes; the next frame shows it."""
        with self._lock:
            self._scene.pass_by(notice)
            if isinstance(notice, Said):
                self._print(said(notice.text))

    def refresh(self) -> None:
        """Draw what has changed now, and not only after the interval."""
        with self._lock:
            if not self._over.is_set():
                self._region.refresh()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A block in which nothing is drawn, so that somebody can be asked."""
        with self._lock:
            self._region.stop()
        try:
            yield
        finally:
            with self._lock:
                self._region.start()

    def __enter__(self) -> Self:
        self._region.start()
        self._ticker.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        with self._lock, suppress(OSError):
            self._region.stop()

    def _print(self, *texts: Text) -> None:
        """Print all of `texts` at once, above the region."""
        if texts:
            self._console.print(Text("\n").join(self._wrapped(self._fit(text)) for text in texts), soft_wrap=True)

    def _wrapped(self, text: Text) -> Text:
        if text.no_wrap:
            return text
        return Text(f"\n{INDENT}").join(text.wrap(self._console, max(20, self._console.width - len(INDENT) - 1)))

    def _frame(self, width: int, height: int) -> list[Text]:
        return [self._fit(line) for line in frame(self._scene, width, height, self._signs)]

    def _fit(self, text: Text) -> Text:
        """`text` without secrets, and in characters that the terminal knows."""
        plain = encodable(self._redact(text.plain), self._console.encoding)
        return text if plain == text.plain else Text(plain, style=text.style, no_wrap=text.no_wrap)

    def _tick(self) -> None:
        """Draw until it is over, or the terminal is gone: the run goes on without."""
        with suppress(OSError):
            while not self._over.wait(self._interval):
                self.refresh()
