"""The connection to a container's process: bytes in, and the engine's frames of output and error out."""

import contextlib
import struct
import time
from collections.abc import Iterator
from typing import Any, Protocol

from sandbox import SandboxLost

__all__ = ["ERROR", "OUTPUT", "Deadline", "DeadlinePassed", "Stream", "StreamEnded"]

OUTPUT = 1
ERROR = 2
HEADER = struct.Struct(">B3sL")
NOTHING = bytes(3)
FRAME_BYTES = 16 * 1024 * 1024


class Deadline:
    """A point in time by the host's monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then; not negative."""
        return max(0.0, self._end - time.monotonic())


class DeadlinePassed(SandboxLost):
    """The other side neither took nor gave anything in time."""

    def __init__(self) -> None:
        super().__init__("the container does not answer")


class StreamEnded(SandboxLost):
    """The process ended, and all was heard that came before."""


class Socket(Protocol):
    """What is used of a socket, whether plain or with TLS."""

    def settimeout(self, seconds: float | None, /) -> None: ...
    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class Stream:
    """A hijacked connection. `raw` is what the SDK hands out: a socket, or a file object around one."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._socket: Socket = getattr(raw, "_sock", raw)
        self._pending = bytearray()
        self._kind = 0
        self._left = 0

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Hand over all of `data`.

        Raises:
            DeadlinePassed: it was not taken in time.
            SandboxLost: the connection is cut.
        """
        with self._mapped(deadline):
            self._socket.sendall(data)

    def receive(self, deadline: Deadline) -> tuple[int, bytes]:
        """The next piece of what the process wrote, and where: (`OUTPUT` or `ERROR`, bytes); never empty.

        Raises:
            DeadlinePassed: nothing came in time.
            StreamEnded: the process ended.
            SandboxLost: the connection is cut, or what comes are no frames, or not all of one.
        """
        while self._left == 0:
            self._need(HEADER.size, deadline)
            self._kind, nothing, self._left = HEADER.unpack(self._pending[: HEADER.size])
            del self._pending[: HEADER.size]
            if self._kind not in (OUTPUT, ERROR) or nothing != NOTHING or self._left > FRAME_BYTES:
                raise SandboxLost("the engine's stream is out of step")
        if not self._pending:
            self._fill(deadline)
        piece = bytes(self._pending[: self._left])
        del self._pending[: self._left]
        self._left -= len(piece)
        return self._kind, piece

    def close(self) -> None:
        """Cut the connection; the process sees the end of its input."""
        around = getattr(self._socket, "_response", None)  # with TLS, it has a file that keeps the socket open
        for each in (self._socket, self._raw) if around is None else (around, self._socket):
            with contextlib.suppress(OSError):
                each.close()

    def _need(self, size: int, deadline: Deadline) -> None:
        while len(self._pending) < size:
            self._fill(deadline)

    def _fill(self, deadline: Deadline) -> None:
        with self._mapped(deadline):
            piece = self._socket.recv(65536)
        if not piece and (self._left or self._pending):
            raise SandboxLost("the connection to the container ended in the middle of a frame")
        if not piece:
            raise StreamEnded("the connection to the container ended")
        self._pending += piece

    @contextlib.contextmanager
    def _mapped(self, deadline: Deadline) -> Iterator[None]:
        left = deadline.left()
        if left <= 0:
            raise DeadlinePassed
        try:
            self._socket.settimeout(left)
            yield
        except TimeoutError as error:
            raise DeadlinePassed from error
        except OSError as error:
            raise SandboxLost(f"the connection to the container was cut: {error}") from error
