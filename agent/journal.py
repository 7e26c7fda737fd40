"""The run's journal: one JSON line for each event, durable before the next thing is done.

Each line ends with a link of a hash chain over all lines before it, so that a changed, lost or reordered line shows.
A line torn at the end of the file was never acknowledged: it is cut off. Damage elsewhere is an error that names its
line.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter, ValidationError

from agent.durable import Moment, Passing, storing, sync_directory, unnoticed
from agent.errors import DamagedRun, StorageProblem, UsageProblem
from agent.events import SCHEMA, Event, RunStarted

__all__ = ["Entry", "Journal", "links_of", "read_entries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event, its place and its time."""

    seq: int
    at: datetime
    event: Event


_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)
_LINK = b',"chain":"'
_TAIL = 64 * 1024
"""Bytes at the end of a journal in which its last line is looked for first."""
_TRIES, _PAUSE = 20, 0.01
"""How often a lock is tried, and how many seconds apart."""


class Journal:
    """An append-only file of entries, held by one process at a time.

    Raises `DamagedRun` if a line is damaged, and `UsageProblem` if another process works on the same run.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        scrub: Callable[[str], str] = lambda text: text,
        passing: Passing = unnoticed,
    ) -> None:
        self.path = path
        self._clock = clock
        self._scrub = scrub
        self._passing = passing
        self._watchers: list[Callable[[Entry], None]] = []
        with storing(path):
            self._file = path.open("ab+", buffering=0)
        try:
            self._lock()
            self._entries, self._chain, self._end = _parse(path.read_bytes(), path)
            with storing(path):
                self._file.truncate(self._end)
                if not self._entries:
                    sync_directory(path.parent)
        except BaseException:
            self._file.close()
            raise

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries)

    @property
    def closed(self) -> bool:
        """Whether nothing can be appended any more."""
        return self._file.closed

    @property
    def chain(self) -> str:
        """The hash over everything written so far, in hexadecimal."""
        return self._chain

    def watch(self, watcher: Callable[[Entry], None]) -> None:
        """Have `watcher` told of every entry after it is durable."""
        self._watchers.append(watcher)

    def append(self, event: Event) -> Entry:
        """Write `event` durably and return its entry as it stands in the file: secrets scrubbed, all text Unicode.

        An append that cannot be carried out leaves nothing behind, so that another may follow; one whose line could not
        be synced is the last, for nobody knows then what is on the disk. One that is interrupted (Ctrl-C) is there
        whole, or not at all.

        Raises:
            StorageProblem: it cannot be written.
        """
        if self._file.closed:
            raise StorageProblem(f"{self.path} is not written any more", hint="`greenward resume` tries it again")
        entry = Entry(seq=len(self._entries), at=self._clock(), event=event)
        body = self._scrub(_json(entry)).encode(errors="replace")
        entry = _ENTRY.validate_json(body)
        chain = _link(self._chain, body)
        self._write(entry, chain, body[:-1] + _LINK + chain.encode() + b'"}\n')
        for watcher in self._watchers:
            watcher(entry)
        return entry

    def _write(self, entry: Entry, chain: str, line: bytes) -> None:
        written = False
        try:
            with storing(self.path):
                self._passing(Moment.JOURNAL_BEGUN)
                left = memoryview(line)
                while left:
                    left = left[self._file.write(left) :]
                written = True
                self._passing(Moment.JOURNAL_WRITTEN)
                os.fsync(self._file.fileno())
        except StorageProblem:
            self._take_back(for_good=written)
            raise
        except BaseException:
            if not written:
                self._take_back()
            else:
                with suppress(OSError):
                    os.fsync(self._file.fileno())
                self._take_in(entry, chain, line)
            raise
        self._take_in(entry, chain, line)
        self._passing(Moment.JOURNAL_SYNCED)

    def _take_in(self, entry: Entry, chain: str, line: bytes) -> None:
        self._entries.append(entry)
        self._chain = chain
        self._end += len(line)

    def _take_back(self, *, for_good: bool = False) -> None:
        """Cut off what is there of a line; after that nothing is written any more if it is `for_good`."""
        try:
            self._file.truncate(self._end)
        except OSError:
            for_good = True
        if for_good:
            self._file.close()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        """Hold the run. A process that was killed a moment ago, and its last child, are given time to let go of it."""
        for attempt in range(_TRIES):
            time.sleep(_PAUSE if attempt else 0.0)
            with storing(self.path), suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
        raise UsageProblem(
            f"another process is working on the run {self.path.parent.name}", hint="wait for it, or stop it first"
        )


def read_entries(path: Path) -> Iterator[Entry]:
    """Read a journal without holding it: also of a run that another process works on."""
    entries, _, _ = _parse(path.read_bytes(), path)
    yield from entries


def links_of(path: Path) -> tuple[str, ...]:
    """The link that the chain has with each line of a journal, in hexadecimal.

    Raises:
        DamagedRun: a line is damaged.
    """
    data = path.read_bytes()
    _parse(data, path)
    return tuple(line.rpartition(_LINK)[2][:-2].decode() for line in data.split(b"\n")[:-1])


def read_last(path: Path) -> Entry | None:
    """The last whole entry of a journal, without a look at those before it; None if there is none.

    Raises:
        DamagedRun: its line is no entry.
    """
    with path.open("rb") as file:
        size, tail = file.seek(0, os.SEEK_END), b""
        while tail.count(b"\n") < 2 and len(tail) < size:
            file.seek(max(0, size - max(_TAIL, 2 * len(tail))))
            tail = file.read()
    line = tail.rpartition(b"\n")[0].rpartition(b"\n")[2]
    return _entry(line.rpartition(_LINK)[0] + b"}", path, tail.count(b"\n")) if line else None


def _parse(data: bytes, path: Path) -> tuple[list[Entry], str, int]:
    """The entries, the last link of the chain, and where the last whole line ends."""
    entries: list[Entry] = []
    chain, end = "", 0
    *lines, torn = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        body = _body(line, chain)
        if body is None:
            raise _damaged(path, number)
        entries.append(_entry(body, path, number))
        chain = _link(chain, body)
        end += len(line) + 1
    if _body(torn[:-1], chain) is not None:  # a whole line and one byte more: the end of the line was overwritten
        raise _damaged(path, len(lines) + 1)
    return entries, chain, end


def _body(line: bytes, chain: str) -> bytes | None:
    """What the line says, without its link; None unless the link is the one that follows on `chain`."""
    body, _, tail = line.rpartition(_LINK)
    body += b"}"
    return body if tail == _link(chain, body).encode() + b'"}' else None


def _damaged(path: Path, number: int) -> DamagedRun:
    return DamagedRun(f"{path}: line {number} is damaged", hint="restore the file from a backup")


def _entry(body: bytes, path: Path, number: int) -> Entry:
    try:
        entry = _ENTRY.validate_json(body)
    except ValidationError as error:
        raise DamagedRun(
            f"{path}: line {number} is of no kind that this version knows",
            hint="it may come from a newer greenward: update, then try again",
        ) from error
    if isinstance(entry.event, RunStarted) and entry.event.schema > SCHEMA:
        raise DamagedRun(
            f"{path} has schema {entry.event.schema}; this version knows {SCHEMA}", hint="update greenward"
        )
    return entry


def _json(entry: Entry) -> str:
    """One line of JSON. Unlike pydantic's own, it takes names of files that are not Unicode, and infinite numbers."""
    return json.dumps(_ENTRY.dump_python(entry, mode="json"), ensure_ascii=False, separators=(",", ":"))


def _link(previous: str, body: bytes) -> str:
    return hashlib.sha256(previous.encode() + body).hexdigest()
