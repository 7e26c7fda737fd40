"""What a launcher sends, read back: replies, and what a command prints up to its end.

A byte that is missing, or not as it was sent, is a `SandboxLost`.
"""

import hashlib
from collections.abc import Sequence

from sandbox import SandboxLost
from sandbox.output import HeadTail
from sandbox.stream import ERROR

__all__ = ["REPLY_BYTES", "Following", "Reply", "Request", "checksum"]

REPLY_BYTES = 64 * 1024
AGAIN = " = "


def checksum(data: bytes = b"") -> "hashlib._Hash":
    """The checksum that launchers take: against damage, not against people, so the quickest that every image has."""
    return hashlib.sha1(data, usedforsecurity=False)


class Request:
    """A request as it was made: its mark, its words, and the checksums of the payloads that went with it."""

    def __init__(self, mark: str, verb: str, arguments: Sequence[str]) -> None:
        self.mark = mark
        self.words = [verb, *arguments]
        self.sums: list[str] = []

    def line(self) -> bytes:
        """The request as it is sent."""
        verb, *arguments = self.words
        return " ".join((verb, self.mark, *arguments)).encode() + b"\n"


class Reply:
    """Bytes up to a line that begins with the mark of a request. Where it is `bare`, there are none but that line."""

    def __init__(self, request: Request, limit: int = REPLY_BYTES, *, bare: bool = False) -> None:
        self._request = request
        self._mark = b"\n" + request.mark.encode() + b" "
        self._limit = limit
        self._bare = bare
        self._taken = bytearray()
        self.payload = b""
        self.fields: list[str] | None = None
        self.rest = b""
        """What came after it."""

    def feed(self, piece: bytes) -> None:
        """Take what comes next.

        Raises:
            SandboxLost: it is too much, or not what the launcher sent.
        """
        before = len(self._taken)
        self._taken += piece
        if len(self._taken) > self._limit:
            raise SandboxLost(f"the container sent more than {self._limit} bytes")
        if self._bare and self._taken[: len(self._mark)] != self._mark[: len(self._taken)]:
            raise SandboxLost("the container's reply was damaged on its way")
        at = self._taken.find(self._mark, max(0, before - 4096))
        line_end = self._taken.find(b"\n", at + len(self._mark)) if at >= 0 else -1
        if line_end >= 0:
            self.payload = bytes(self._taken[:at])
            self.rest = bytes(self._taken[line_end + 1 :])
            self.fields = self._checked(self._taken[at + len(self._mark) : line_end].decode(errors="replace"))

    def vouched(self, *, payload: bool = True) -> list[str]:
        """The fields but for the checksums, which are found to be those of what was sent and of what came.

        Raises:
            SandboxLost: they are not.
        """
        own = [checksum(self.payload).hexdigest()] if payload else []
        expected = [*self._request.sums, *own]
        fields = self.fields or []
        split = len(fields) - len(expected)
        if split < 0 or fields[split:] != expected:
            raise SandboxLost("what passed between the container and the host was damaged on its way")
        return fields[:split]

    def _checked(self, line: str) -> list[str]:
        """The fields, which stand there twice, around the request as the launcher read it."""
        parts = [part.split() for part in line.split(AGAIN)]
        if len(parts) != 3 or parts[0] != parts[2] or parts[1] != self._request.words:
            raise SandboxLost("the container's reply was damaged on its way")
        return parts[0]


class Following:
    """A command that was asked for: that it began, its output up to its end, and how it ended."""

    def __init__(self, request: Request, kept: HeadTail) -> None:
        self._request = request
        self._mark = request.mark.encode()
        self._kept = kept
        self._held = b""
        self._digest = checksum()
        self._output_ended = False
        self._start = Reply(request, bare=True)
        self._end = Reply(request, bare=True)

    @property
    def began(self) -> bool:
        """Whether the command was taken as it was sent, and begun."""
        return self._start.fields is not None

    @property
    def replied(self) -> bool:
        """Whether the launcher has told how it ended."""
        return self._end.fields is not None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to come."""
        return self.replied and self._output_ended

    def feed(self, kind: int, piece: bytes) -> None:
        """Take what comes next.

        Raises:
            SandboxLost: it is not what the launcher sent, or that could not take the command.
        """
        if kind == ERROR:
            self._feed_output(piece)
            return
        if self.replied:
            raise SandboxLost("the container says more than it was asked for")
        if not self.began:
            self._start.feed(piece)
            if not self.began:
                return
            if self._start.fields == ["failed"]:
                raise SandboxLost("the container could not take the command")
            self._start.vouched(payload=False)
            piece = self._start.rest
        if piece:
            self._end.feed(piece)

    def flush(self) -> None:
        """Pass on what was held back because the mark begins like it."""
        if not self._output_ended:
            self._kept.feed(self._held)
        self._held = b""

    def told(self) -> list[int]:
        """What the launcher said of the end: exit code, whether processes outlived it, kills, hundredths of a second.

        Raises:
            SandboxLost: the output is not what it took the checksum of.
        """
        *numbers, digest = self._end.fields or [""]
        if digest != self._digest.hexdigest():
            raise SandboxLost("the output of the command was damaged on its way")
        try:
            code, outlived, kills, hundredths = map(int, numbers)
        except ValueError:
            raise SandboxLost("the container does not tell how the command ended") from None
        return [code, outlived, kills, hundredths]

    def _feed_output(self, piece: bytes) -> None:
        data = self._held + piece
        if self._output_ended or self._mark in data[:-1]:  # its own replies, taken for output
            raise SandboxLost("the output of the command was damaged on its way")
        self._output_ended = data.endswith(self._mark)
        sizes = range(min(len(self._mark), len(data)), 0, -1)
        end = len(data) - next((size for size in sizes if data.endswith(self._mark[:size])), 0)
        self._held = data[end:]
        self._digest.update(data[:end])
        self._kept.feed(data[:end])
