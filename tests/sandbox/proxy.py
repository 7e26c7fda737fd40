"""A proxy before the engine's socket that does harm at a byte: it cuts, delays, corrupts, drops or swallows there."""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

__all__ = ["ENGINE", "FROM", "KINDS", "TO", "Direction", "Fault", "Kind", "Proxy"]

ENGINE = "/var/run/docker.sock"
Direction = Literal["to engine", "from engine"]
Kind = Literal["cut", "delay", "corrupt", "drop", "swallow"]
TO: Direction = "to engine"
FROM: Direction = "from engine"
KINDS: tuple[Kind, ...] = ("cut", "delay", "corrupt", "drop", "swallow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is done, and where: at a byte of all that passes in one direction, on whatever connections it passes."""

    where: Direction
    at: int
    """How many bytes pass unharmed, from the moment when the proxy is armed or has struck."""
    after: bytes = b""
    """What has to pass before the count begins."""
    what: Kind
    """`cut` ends the connection before the byte, `delay` holds it back, `corrupt` changes it, `drop` leaves it out, and
    after `swallow` nothing more passes on this connection in this direction, its end included."""
    times: int = 1
    seconds: float = 0.5
    """How long a delay is."""
    flip: int = 0x01
    """The bits that are changed; the lowest one makes another digit of most digits."""


class Proxy:
    """Listens on a socket of its own and passes everything on; to be closed."""

    def __init__(self, path: Path, engine: str = ENGINE) -> None:
        self.address = f"unix://{path}"
        self.passed: dict[Direction, int] = {TO: 0, FROM: 0}
        """Bytes that went by since it was armed or the count began anew."""
        self.record: list[tuple[Direction, bytes]] = []
        """What went by since it was armed with nothing, in the order in which it came."""
        self._path = path
        self._engine = engine
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._left = 0
        self._begin: int | None = None
        self._struck = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener: socket.socket | None = None
        self.back()

    @property
    def struck(self) -> int:
        """How often it did harm since it was armed."""
        return self._struck

    @property
    def host(self) -> dict[str, str]:
        """The variables of a process that reaches the engine through it."""
        return {"DOCKER_HOST": self.address}

    def arm(self, fault: Fault | None) -> None:
        """Begin to count, and do harm where `fault` says; None: let everything pass."""
        with self._lock:
            self.passed = {TO: 0, FROM: 0}
            self._fault, self._struck = fault, 0
            self._left = fault.times if fault else 0
            self._begin = None
            self.record = []

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _end(*pair)

    def gone(self) -> None:
        """Be as an engine that has ended: no connection is left, and none is taken."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self._path.unlink(missing_ok=True)
        self.cut()

    def back(self) -> None:
        """Take connections (again)."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.gone()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._engine)
            with self._lock:
                self._pairs.append((near, far))
            for source, sink, where in ((near, far, TO), (far, near, FROM)):
                threading.Thread(target=self._pump, args=(source, sink, where), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, where: Direction) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                for piece, fault in self._pieces(data, where):
                    if fault is not None and not _harmed(fault, source, sink):
                        return
                    sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def _pieces(self, data: bytes, where: Direction) -> list[tuple[bytes, Fault | None]]:
        """`data` in pieces, with the faults that strike before them."""
        with self._lock:
            before = self.passed[where]
            self.passed[where] += len(data)
            fault = self._fault
            if fault is None:
                self.record.append((where, data))
            if fault is None or fault.where != where or not self._left:
                return [(data, None)]
            if self._begin is None and (found := data.find(fault.after)) >= 0:
                self._begin = before + found + len(fault.after)
            at = -1 if self._begin is None else self._begin + fault.at - before
            if not 0 <= at < len(data):
                return [(data, None)]
            self._left -= 1
            self._struck += 1
            self._begin = None
        rest = data[at:]
        if fault.what == "corrupt":
            rest = bytes((rest[0] ^ fault.flip,)) + rest[1:]
        elif fault.what == "drop":
            rest = rest[1:]
        return [(data[:at], None), (rest, fault)]


def _harmed(fault: Fault, source: socket.socket, sink: socket.socket) -> bool:
    """Do what a fault does to a connection; whether the rest still passes."""
    if fault.what == "cut":
        _end(source, sink)
        return False
    if fault.what == "swallow":
        while source.recv(65536):
            pass
        return False
    if fault.what == "delay":
        time.sleep(fault.seconds)
    return True


def _end(*sides: socket.socket) -> None:
    for each in sides:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
