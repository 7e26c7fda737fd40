"""Files that are whole or not there, whatever moment the process or the machine ends at."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from agent.errors import StorageProblem

__all__ = ["storage_problem", "sync_directory", "write_durably"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def write_durably(path: Path, data: bytes) -> None:
    """Put a file with the content `data` at `path`; whoever reads it sees all of it, or what was there before.

    One process at a time may write to the same path. What a killed one leaves is a file beside it, named like it with
    `.new` at the end, which the next write replaces.

    Raises:
        StorageProblem: it cannot be written; what was at `path` before is there unchanged.
    """
    draft = path.with_name(f"{path.name}.new")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise storage_problem(path, error) from error


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


def storage_problem(path: Path, error: OSError) -> StorageProblem:
    """What to say when `path` could not be written because of `error`."""
    hint = "see what the system's log says of that disk, then go on with `greenward resume`"
    if error.errno in _FULL:
        hint = "free some disk space, then go on with `greenward resume`; what was written before is whole"
    elif error.errno in _CLOSED:
        hint = "make it writable, then go on with `greenward resume`"
    return StorageProblem(f"{path} cannot be written: {error.strerror or error}", hint=hint)
