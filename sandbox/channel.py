"""The host's side of what `launcher.sh` serves: requests to a container's main process, and its replies.

Everything that comes back was written by, or in reach of, hostile code: sizes are capped here, times are the host's,
and a reply that does not fit is a `SandboxLost`.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sandbox import SandboxLost
from sandbox.output import HeadTail
from sandbox.patience import Patience
from sandbox.reply import REPLY_BYTES, Following, Reply, Request, checksum
from sandbox.stream import ERROR, Deadline, DeadlinePassed, Stream, StreamEnded

__all__ = ["Channel", "Ran"]

PIECE_BYTES = 1024 * 1024
LISTING_BYTES = 128 * 1024 * 1024
END_OF_TAR = bytes(1024)
CLOCKS_DIFFER, TICK = 0.02, 0.05
"""How far the clock of the container's machine may be from the host's: by a share, and by seconds."""


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

    def __init__(self, stream: Stream, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience

    def close(self) -> None:
        self._stream.close()

    def ping(self, deadline: Deadline) -> None:
        """Ask for a sign of life."""
        self._ask("ping", deadline)

    def missing(self, deadline: Deadline) -> tuple[str, ...]:
        """The programs that the launcher needs and the image lacks, or has in another make."""
        return tuple(self._ask("probe", deadline).payload.decode(errors="replace").split())

    def facts(self, deadline: Deadline) -> dict[str, tuple[str, ...]]:
        """What the kernel says holds for the processes in the container, by name."""
        found: dict[str, tuple[str, ...]] = {}
        for line in self._ask("facts", deadline).payload.decode(errors="replace").splitlines():
            name, _, value = line.partition(":")
            found[name] = (*found.get(name, ()), *value.split())
        return found

    def unpack(self, deleted: Iterable[str], archive: Iterable[bytes], deadline: Deadline) -> str:
        """Delete files, with the directories that this leaves empty, and unpack a tar; returns what went wrong."""
        gone = [_encode(path) for path in deleted]
        parents = {path.rpartition(b"/")[0] for path in gone} - {b""}
        request = self._send_request("unpack", deadline)
        self._send_payload(request, (path + b"\0" for path in gone), deadline)
        self._send_payload(request, (path + b"\0" for path in sorted(parents, reverse=True)), deadline)
        self._send_payload(request, _with_end(archive), deadline)
        reply = self._reply(request, deadline)
        if reply.vouched(payload=False) == ["0"]:
            return ""
        return reply.payload.decode(errors="replace").strip() or "unpacking failed"

    def listing(self, deadline: Deadline) -> bytes | None:
        """All files in the tree; None if not all could be seen. Each is `KIND MODE SIZE CTIME INODE<tab>PATH<nul>`."""
        reply = self._ask("list", deadline, limit=LISTING_BYTES)
        return reply.payload if reply.vouched() == ["0"] else None

    def mend(self, deadline: Deadline) -> None:
        """Make what the command closed to itself readable again."""
        self._ask("mend", deadline)

    def pack(self, directory: str, paths: Iterable[str], limit: int, deadline: Deadline) -> bytes:
        """A tar of `paths` below `directory`, cut off at `limit` bytes."""
        request = self._send_request("pack", deadline, directory, str(limit))
        self._send_payload(request, (_encode(path) + b"\0" for path in paths), deadline)
        reply = self._reply(request, deadline, limit=limit + REPLY_BYTES)
        reply.vouched()
        return reply.payload

    def run(self, script: str, kept: HeadTail, timeout: float, kill: Callable[[], None]) -> Ran:
        """Run a shell script, its output going to `kept`; past `timeout` seconds it is stopped.

        `kill` kills the container; it is called if that is what it takes.

        Raises:
            SandboxLost: the launcher is gone, or what passed between it and the host is not what was sent; `kept` has
                what came until then.
        """
        sent = time.monotonic()
        request, deadline = Request(_mark(), "run", [str(kept.half)]), Deadline(self._patience.transfer)
        following = Following(request, kept)
        stopped = False
        try:
            self._stream.send(request.line(), deadline)
            self._send_payload(request, [_encode(script)], deadline)
            self._follow(following, lambda: following.began, deadline)
            stopped = not self._ends(following, Deadline(timeout))
            if stopped and not self._stop(following, kill):
                return Ran(code=None, seconds=time.monotonic() - sent)
        finally:
            following.flush()
        seconds = time.monotonic() - sent
        code, outlived, kills, hundredths = following.told()
        if stopped and hundredths / 100 < timeout * (1 - CLOCKS_DIFFER) - TICK:  # so it had ended, and was not stopped
            raise SandboxLost("the end of the command was told too late")
        late = stopped or (seconds > timeout and hundredths / 100 > timeout)  # so that it began was told late
        return Ran(code=None if late else code, seconds=seconds, outlived=bool(outlived), kills=kills)

    def leave(self, deadline: Deadline) -> None:
        """Let the launcher exit with the code of the last command, and wait for its end."""
        self._send_request("leave", deadline)
        with contextlib.suppress(SandboxLost):
            while True:
                self._stream.receive(deadline)

    def _ask(self, verb: str, deadline: Deadline, *, limit: int = REPLY_BYTES) -> Reply:
        return self._reply(self._send_request(verb, deadline), deadline, limit=limit)

    def _send_request(self, verb: str, deadline: Deadline, *arguments: str) -> Request:
        request = Request(_mark(), verb, arguments)
        self._stream.send(request.line(), deadline)
        return request

    def _send_payload(self, request: Request, pieces: Iterable[bytes], deadline: Deadline) -> None:
        digest = checksum()
        for piece in _even(pieces):
            digest.update(piece)
            self._stream.send(b"%d\n" % len(piece) + piece, deadline)
        self._stream.send(b"0\n", deadline)
        request.sums.append(digest.hexdigest())

    def _reply(self, request: Request, deadline: Deadline, *, limit: int = REPLY_BYTES) -> Reply:
        reply = Reply(request, limit)
        while reply.fields is None:
            kind, piece = self._stream.receive(deadline)
            if kind != ERROR:
                reply.feed(piece)
        return reply

    def _follow(self, following: Following, until: Callable[[], bool], deadline: Deadline) -> None:
        while not until():
            following.feed(*self._stream.receive(deadline))

    def _ends(self, following: Following, deadline: Deadline) -> bool:
        """Whether the command has ended when the deadline passes."""
        try:
            self._follow(following, lambda: following.replied, deadline)
        except DeadlinePassed:
            return False
        self._follow(following, lambda: following.ended, Deadline(self._patience.end))
        return True

    def _stop(self, following: Following, kill: Callable[[], None]) -> bool:
        """Stop the command; whether the launcher tells how it ended. A command that holds the launcher forfeits that.

        Raises:
            SandboxLost: the connection is dead, or the launcher knows of no command.
        """
        with contextlib.suppress(DeadlinePassed):
            self._send_request("stop", Deadline(self._patience.stop))
            if self._ends(following, Deadline(self._patience.stop)):
                return True
        kill()
        try:
            ended = self._ends(following, Deadline(self._patience.end))
        except StreamEnded:  # so all was heard that was said
            return False
        if not ended:
            raise SandboxLost("nothing is heard of the container, not even its end")
        return True


def _mark() -> str:
    return secrets.token_hex(16)


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
