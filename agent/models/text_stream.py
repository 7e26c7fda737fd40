"""Tells a tool call in text from what is said around it while the reply comes in, for whoever watches."""

import re

from agent.live import Notice, Observer, Streamed

__all__ = ["TextStream"]

_OPENING, _CLOSING = "```tool", "```"
_NAME = re.compile(r'"name"\s*:\s*"(\w+)"')
_NAME_WITHIN = 200
"""Characters of a block in which its name is looked for."""


class TextStream:
    """An observer that passes an answer on with its blocks as pieces of calls, without their fences.

    It only decides how it is shown: what is carried out is read from the whole reply.
    """

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self._held = ""
        """The beginning of a line that may yet be a fence."""
        self._begins = True
        """Whether it is not yet known what the line is."""
        self._block: str | None = None
        """The beginning of the block that is coming in."""

    def __call__(self, notice: Notice) -> None:
        """Take a notice; what is not an answer is passed on as it is."""
        if not isinstance(notice, Streamed) or notice.channel != "answer":
            self._observe(notice)
            return
        for piece in notice.text.splitlines(keepends=True):
            self._take(piece)

    def _take(self, piece: str) -> None:
        """Take a piece of one line, perhaps with its end."""
        if self._begins:
            piece, self._held = self._held + piece, ""
            fence = _OPENING if self._block is None else _CLOSING
            if piece.startswith(fence):
                self._block = "" if self._block is None else None
                piece = piece[len(fence) :]
            elif fence.startswith(piece):
                self._held = piece
                return
        self._begins = piece.endswith("\n")
        if piece:
            self._tell(piece)

    def _tell(self, text: str) -> None:
        if self._block is None:
            self._observe(Streamed(text=text, channel="answer"))
            return
        self._block = (self._block + text)[:_NAME_WITHIN]
        name = _NAME.search(self._block)
        self._observe(Streamed(text=text, channel="call", call=name[1] if name else ""))
