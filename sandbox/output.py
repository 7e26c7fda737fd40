"""What is kept of a command's output: its beginning and its end."""

from collections.abc import Callable

__all__ = ["CUT", "TIMED_OUT", "HeadTail"]

TIMED_OUT = 124
"""The exit code of a command that was stopped at its deadline."""
CUT = b"\n[... the middle of the output was cut ...]\n"


class HeadTail:
    """Takes any number of bytes and keeps `limit`: half from the beginning, half from the end; `hear` gets all."""

    def __init__(self, limit: int, hear: Callable[[bytes], None] | None = None) -> None:
        self.half = max(1, limit // 2)
        self._hear = hear
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._hear is not None and data:
            self._hear(data)
        self._total += len(data)
        room = self.half - len(self._head)
        self._head += data[:room] if room > 0 else b""
        self._tail += data[max(0, room) :]
        if len(self._tail) > 2 * self.half + 65536:
            del self._tail[: -self.half]

    @property
    def truncated(self) -> bool:
        """Whether the middle was cut."""
        return self._total > 2 * self.half

    def kept(self) -> bytes:
        """The beginning and the end, with a line between them where the middle was cut."""
        if not self.truncated:
            return bytes(self._head + self._tail)
        return bytes(self._head + CUT + self._tail[-self.half :])
