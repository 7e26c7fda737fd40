"""Files that are whole or not there, whatever moment the process or the machine ends at; and the names of such moments.

A run passes `Moment`s on its way: after each step that leaves something on disk, and before it where that differs from
the step before. Whoever is handed in as `passing` is told of each, so that a test can end the process right there.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

from agent.errors import StorageProblem

__all__ = [
    "Directories",
    "Moment",
    "Passing",
    "is_about_storage",
    "storage_problem",
    "storing",
    "sync_directory",
    "unnoticed",
    "write_durably",
]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FRESH = 50_000_000
"""Nanoseconds within which a second change of a directory may leave its time as it is: clocks of file systems tick."""


class Moment(StrEnum):
    """What a run has just done, or is about to do, that a killed process leaves behind."""

    JOURNAL_BEGUN = "journal: begun"
    JOURNAL_WRITTEN = "journal: written"
    JOURNAL_SYNCED = "journal: synced"
    BLOB_BEGUN = "blob: begun"
    BLOB_WRITTEN = "blob: written"
    TREE_BEGUN = "tree: begun"
    TREE_WRITTEN = "tree: written"
    COMMIT_BEGUN = "commit: begun"
    COMMIT_MADE = "commit: made"
    OBJECTS_SYNCED = "objects: synced"
    REF_BEGUN = "ref: begun"
    REF_MOVED = "ref: moved"
    REF_SYNCED = "ref: synced"
    FILE_BEGUN = "file: begun"
    FILE_DRAFTED = "file: drafted"
    FILE_RENAMED = "file: renamed"
    FILE_SYNCED = "file: synced"
    CHECKOUT_BEGUN = "checkout: begun"
    CHECKOUT_DRAFTED = "checkout: drafted"
    CHECKOUT_RENAMED = "checkout: renamed"
    CHECKOUT_REMOVED = "checkout: removed"
    INDEX_LOCKED = "index: locked"
    INDEX_RESTORED = "index: restored"
    BY_USER_BEGUN = "by user: begun"
    BY_USER_DONE = "by user: done"


Passing = Callable[[Moment], None]
"""Is told of each moment as it passes."""


def unnoticed(_moment: Moment) -> None:
    """Take no notice."""


class Directories:
    """The directories below one, which are made durable as far as their names may have changed since the last time."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._known: dict[Path, int] = {}

    def sync(self) -> None:
        """Make the names in all of them durable. One that is not there is passed over.

        Raises:
            StorageProblem: they cannot be made so.
        """
        with storing(self._top), suppress(FileNotFoundError):
            with os.scandir(self._top) as found:
                below = [Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False)]
            for path in (*below, self._top):
                self._sync(path)

    def _sync(self, path: Path) -> None:
        changed = path.stat().st_mtime_ns
        if self._known.get(path) == changed:
            return
        sync_directory(path)
        if time.time_ns() - changed > _FRESH:
            self._known[path] = changed


def write_durably(path: Path, data: bytes, passing: Passing = unnoticed) -> None:
    """Put a file with the content `data` at `path`; whoever reads it sees all of it, or what was there before.

    One process at a time may write to the same path. What a killed one leaves is a file beside it, named like it with
    `.new` at the end, which the next write replaces.

    Raises:
        StorageProblem: it cannot be written; what was at `path` before is there unchanged.
    """
    draft = path.with_name(f"{path.name}.new")
    passing(Moment.FILE_BEGUN)
    try:
        with storing(path):
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            passing(Moment.FILE_DRAFTED)
            draft.replace(path)
            passing(Moment.FILE_RENAMED)
            sync_directory(path.parent)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    passing(Moment.FILE_SYNCED)


def sync_directory(path: Path) -> None:
    """Make the names in the directory `path` durable.

    Raises:
        OSError: they cannot be made so.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """A block in which an `OSError` means that `path` cannot be written.

    Raises:
        StorageProblem: that happened.
    """
    try:
        yield
    except OSError as error:
        raise storage_problem(path, error) from error


def is_about_storage(error: OSError) -> bool:
    """Whether `error` can only come of a disk that is full, broken or read-only."""
    return error.errno in _FULL | {errno.EROFS, errno.EIO}


def storage_problem(path: Path, error: OSError) -> StorageProblem:
    """What to say when `path` could not be written because of `error`."""
    hint = "see what the system's log says of that disk, then go on with `greenward resume`"
    if error.errno in _FULL:
        hint = "free some disk space, then go on with `greenward resume`; what was written before is whole"
    elif error.errno in _CLOSED:
        hint = "make it writable, then go on with `greenward resume`"
    return StorageProblem(f"{path} cannot be written: {error.strerror or error}", hint=hint)
