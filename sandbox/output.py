"""What is kept of a command's output: its beginning and its end."""

__all__ = ["CUT", "TIMED_OUT", "HeadTail"]

TIMED_OUT = 124
"""The exit code of a command that was stopped at its deadline."""
CUT = b"\n[... the middle of the output was cut ...]\n"


class HeadTail:
    """Takes any number of bytes and keeps `limit` of them, half from the beginning and half from the end."""

    def __init__(self, limit: int) -> None:
        self.half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
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
