"""Lines at the end of a terminal that are drawn in place, below all that is printed."""

from collections.abc import Callable, Iterator

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import ControlType, Segment
from rich.text import Text

__all__ = ["RESTORE", "Region"]

SHOW_CURSOR = "\x1b[?25h"
HIDE_CURSOR = "\x1b[?25l"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
"""Between these, terminals that know them show nothing: a frame is seen whole or not at all."""
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
"""A line that a terminal takes for wider than we do is cut off there, and not wrapped."""
RESTORE = END + WRAP + SHOW_CURSOR
"""Puts a terminal right on which a region was not closed."""
ERASE, UP = "\r\x1b[2K", "\x1b[1A"
"""Line by line: terminals may move to their history what is erased as a whole screen."""


class Region(RenderHook):
    """What `draw` returns for a width and a height, kept at the end of what `console` prints.

    Unlike `rich.live`, it draws nothing if nothing has changed, each frame as a whole, and it takes into account that a
    terminal wraps anew what it shows when it becomes narrower. For one thread at a time.
    """

    def __init__(self, console: Console, draw: Callable[[int, int], list[Text]]) -> None:
        self._console = console
        self._draw = draw
        self._shown: list[int] = []
        """Widths of the lines on the screen, in cells."""
        self._frame: tuple[object, ...] = ()
        self._open = False

    def start(self) -> None:
        """Draw from here on."""
        self._open = True
        self._console.push_render_hook(self)
        self._console.print(_codes(HIDE_CURSOR), end="")

    def refresh(self) -> None:
        """Draw anew what has changed."""
        if self._open and self._next()[0] != self._frame:
            self._console.print("", end="")

    def stop(self) -> None:
        """Take all lines away, and leave the cursor where they began."""
        if not self._open:
            return
        self._open = False
        self._console.pop_render_hook()
        self._console.print(_codes(self._erasing() + WRAP + SHOW_CURSOR), end="")
        self._shown, self._frame = [], ()

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What is printed, in the region's place, and the region below it."""
        erase = _codes(BEGIN + self._erasing())
        self._frame, lines = self._next()
        self._shown = [line.cell_len for line in lines]
        return [erase, *renderables, _codes(NO_WRAP), _Lines(lines), _codes(WRAP + END)]

    def _next(self) -> tuple[tuple[object, ...], list[Text]]:
        size = self._console.size
        lines = self._draw(size.width - 1, size.height)
        return (size, *((line.plain, tuple(line.spans), line.style) for line in lines)), lines

    def _erasing(self) -> str:
        """From the end of the last line back to the beginning of the first, however many rows these take by now."""
        size = self._console.size
        rows = sum(max(1, -(-cells // size.width)) for cells in self._shown)
        return ERASE + (UP + ERASE) * (min(rows, size.height) - 1) if rows else ""


class _Codes:
    def __init__(self, codes: str) -> None:
        self._codes = codes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield Segment(self._codes, None, [(ControlType.CARRIAGE_RETURN,)])


class _Lines:
    def __init__(self, lines: list[Text]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            line.end = ""
            yield from line.render(console)


def _codes(codes: str) -> ConsoleRenderable:
    return _Codes(codes)
