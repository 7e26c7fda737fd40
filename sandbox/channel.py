"""The host's side of what `launcher.sh` serves: requests to a container's main process, and its replies.

Everything that comes back was written by, or in reach of, hostile code: sizes are capped here, times are the host's,
and a reply that does not fit is a `SandboxLost`.
"""

import contextlib
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sandbox import SandboxLost
from sandbox.output import HeadTail
from sandbox.stream import ERROR, Deadline, DeadlinePassed, Stream

__all__ = ["Channel", "Ran"]

PIECE_BYTES = 1024 * 1024
REPLY_BYTES = 64 * 1024
LISTING_BYTES = 128 * 1024 * 1024
STOP_SECONDS = 3.0
"""What a command that is stopped at its deadline has for handing over the end of its output."""
END_OF_TAR = bytes(1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command in a container ended; `code` is None if the deadline passed."""

    code: int | None
    seconds: float
    outlived: bool = False
    """Processes outlived the command and were killed."""
    kills: int = 0
    """Processes that the kernel killed for want of memory."""
    died: bool = False
    """The container died with the command."""


class Channel:
    """Requests to one launcher, one at a time. Any error leaves it unusable."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def close(self) -> None:
        self._stream.close()

    def ping(self, deadline: Deadline) -> None:
        """Ask for a sign of life."""
        self._ask("ping", deadline)

    def missing(self, deadline: Deadline) -> tuple[str, ...]:
        """The programs that the launcher needs and the image lacks, or has in another make."""
        payload, _ = self._ask("probe", deadline)
        return tuple(payload.decode(errors="replace").split())

    def facts(self, deadline: Deadline) -> dict[str, tuple[str, ...]]:
        """What the kernel says holds for the processes in the container, by name."""
        payload, _ = self._ask("facts", deadline)
        found: dict[str, tuple[str, ...]] = {}
        for line in payload.decode(errors="replace").splitlines():
            name, _, value = line.partition(":")
            found[name] = (*found.get(name, ()), *value.split())
        return found

    def unpack(self, deleted: Iterable[str], archive: Iterable[bytes], deadline: Deadline) -> str:
        """Delete files, with the directories that this leaves empty, and unpack a tar; returns what went wrong."""
        gone = [_encode(path) for path in deleted]
        parents = {path.rpartition(b"/")[0] for path in gone} - {b""}
        mark = self._send_request("unpack", deadline, str(len(gone)))
        if gone:
            self._send_payload((path + b"\0" for path in gone), deadline)
            self._send_payload((path + b"\0" for path in sorted(parents, reverse=True)), deadline)
        self._send_payload(_with_end(archive), deadline)
        payload, fields = self._reply(mark, deadline)
        return "" if fields == ["0"] else payload.decode(errors="replace").strip() or "unpacking failed"

    def listing(self, deadline: Deadline) -> bytes | None:
        """All files in the tree; None if not all could be seen. Each is `KIND MODE SIZE CTIME INODE<tab>PATH<nul>`."""
        payload, fields = self._ask("list", deadline, limit=LISTING_BYTES)
        return payload if fields == ["0"] else None

    def mend(self, deadline: Deadline) -> None:
        """Make what the command closed to itself readable again."""
        self._ask("mend", deadline)

    def pack(self, directory: str, paths: Iterable[str], limit: int, deadline: Deadline) -> bytes:
        """A tar of `paths` below `directory`, cut off at `limit` bytes."""
        mark = self._send_request("pack", deadline, directory, str(limit))
        self._send_payload((_encode(path) + b"\0" for path in paths), deadline)
        payload, _ = self._reply(mark, deadline, limit=limit + REPLY_BYTES)
        return payload

    def run(self, script: str, kept: HeadTail, timeout: float) -> Ran:
        """Run a shell script, its output going to `kept`; past `timeout` seconds it is stopped.

        Raises:
            SandboxLost: the launcher is gone; `kept` has what came until then.
        """
        began = time.monotonic()
        deadline = Deadline(timeout)
        mark = secrets.token_hex(16)
        following = _Following(mark, kept)
        try:
            self._send_request("run", deadline, str(kept.half), mark=mark)
            self._send_payload([_encode(script)], deadline)
            self._follow(following, deadline)
        except DeadlinePassed:
            self._stop(following)
            return Ran(code=None, seconds=time.monotonic() - began)
        finally:
            following.flush()
        try:
            code, outlived, kills = (int(field) for field in following.reply.fields or ())
        except ValueError:
            raise SandboxLost("the container could not take the command") from None
        return Ran(code=code, seconds=time.monotonic() - began, outlived=bool(outlived), kills=kills)

    def leave(self, deadline: Deadline) -> None:
        """Let the launcher exit with the code of the last command, and wait for its end."""
        self._send_request("leave", deadline)
        try:
            while True:
                self._stream.receive(deadline)
        except SandboxLost:
            return

    def _ask(self, verb: str, deadline: Deadline, *, limit: int = REPLY_BYTES) -> tuple[bytes, list[str]]:
        return self._reply(self._send_request(verb, deadline), deadline, limit=limit)

    def _send_request(self, verb: str, deadline: Deadline, *arguments: str, mark: str = "") -> str:
        mark = mark or secrets.token_hex(16)
        self._stream.send(" ".join((verb, mark, *arguments)).encode() + b"\n", deadline)
        return mark

    def _send_payload(self, pieces: Iterable[bytes], deadline: Deadline) -> None:
        for piece in _even(pieces):
            self._stream.send(b"%d\n" % len(piece) + piece, deadline)
        self._stream.send(b"0\n", deadline)

    def _reply(self, mark: str, deadline: Deadline, *, limit: int = REPLY_BYTES) -> tuple[bytes, list[str]]:
        found = _Reply(mark, limit)
        while found.fields is None:
            kind, piece = self._stream.receive(deadline)
            if kind != ERROR:
                found.feed(piece)
        return found.payload, found.fields

    def _follow(self, following: "_Following", deadline: Deadline) -> None:
        while not following.ended:
            following.feed(*self._stream.receive(deadline))

    def _stop(self, following: "_Following") -> None:
        deadline = Deadline(STOP_SECONDS)
        with contextlib.suppress(SandboxLost):  # a command that holds the launcher forfeits the end of its output
            self._stream.send(b"stop\n", deadline)
            self._follow(following, deadline)


class _Following:
    """A command's output up to its end, and the launcher's reply."""

    def __init__(self, mark: str, kept: HeadTail) -> None:
        self._mark = mark.encode()
        self._kept = kept
        self._held = b""
        self._output_ended = False
        self.reply = _Reply(mark, REPLY_BYTES)

    @property
    def ended(self) -> bool:
        refused = self.reply.fields == ["failed"]
        return refused or (self._output_ended and self.reply.fields is not None)

    def feed(self, kind: int, piece: bytes) -> None:
        if kind != ERROR:
            self.reply.feed(piece)
            return
        data = self._held + piece
        self._output_ended = data.endswith(self._mark)
        sizes = range(min(len(self._mark), len(data)), 0, -1)
        end = len(data) - next((size for size in sizes if data.endswith(self._mark[:size])), 0)
        self._held = data[end:]
        self._kept.feed(data[:end])

    def flush(self) -> None:
        """Pass on what was held back because the mark begins like it."""
        if not self._output_ended:
            self._kept.feed(self._held)
        self._held = b""


class _Reply:
    """Bytes up to a line that begins with the mark."""

    def __init__(self, mark: str, limit: int) -> None:
        self._mark = b"\n" + mark.encode() + b" "
        self._limit = limit
        self._taken = bytearray()
        self.payload = b""
        self.fields: list[str] | None = None

    def feed(self, piece: bytes) -> None:
        before = len(self._taken)
        self._taken += piece
        if len(self._taken) > self._limit:
            raise SandboxLost(f"the container sent more than {self._limit} bytes")
        at = self._taken.find(self._mark, max(0, before - 4096))
        line_end = self._taken.find(b"\n", at + len(self._mark)) if at >= 0 else -1
        if line_end >= 0:
            self.payload = bytes(self._taken[:at])
            self.fields = self._taken[at + len(self._mark) : line_end].decode(errors="replace").split()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _with_end(archive: Iterable[bytes]) -> Iterator[bytes]:
    yield from archive
    yield END_OF_TAR  # an empty archive is one, too


def _even(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of a good size: each one costs the launcher a process."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= PIECE_BYTES:
            yield bytes(held[:PIECE_BYTES])
            del held[:PIECE_BYTES]
    if held:
        yield bytes(held)
