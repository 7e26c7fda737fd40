"""What passes while a run works and is written down nowhere: notices for whoever watches.

All text in them is untrusted, and may be cut anywhere. Whoever is told must not raise, and may be told by any thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Channel", "LastLine", "Line", "Notice", "Observer", "Said", "Streamed", "Working", "ignore"]

Channel = Literal["reasoning", "answer", "call"]
LONGEST = 2_000
"""Characters of a line that are passed on: its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A piece of the model's reply: of its reasoning, its answer, or the arguments of a tool call."""

    text: str
    channel: Channel
    call: str = ""
    """The name of the tool that is being called, as far as it is known."""
    number: int = 0
    """Which call of the reply it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """Something that takes a while has come so far: `done` of `total` bytes."""

    what: str
    done: int
    total: int

    @property
    def finished(self) -> bool:
        return self.done >= self.total


@dataclass(frozen=True, slots=True)
class Line:
    """The last line so far of what is being executed; the next one takes its place."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A slow step that begins, or what the user should know: worth a line that stays."""

    text: str


Notice = Streamed | Working | Line | Said
Observer = Callable[[Notice], None]


def ignore(_notice: Notice) -> None:
    """Tell nobody."""


class LastLine:
    """Takes a command's output as it comes, and tells of its last line that is not blank."""

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self._open = b""

    def __call__(self, output: bytes) -> None:
        """Take the next bytes, cut anywhere."""
        text = (self._open + output)[-4 * LONGEST :]
        self._open = text.rpartition(b"\n")[2]
        last = next((line for line in reversed(text.split(b"\n")) if line.strip()), b"")
        if last:
            self._observe(Line(last.decode(errors="replace")[-LONGEST:]))
