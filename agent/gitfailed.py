"""What a git command that failed means: to whom it is told, and what there is to do about it."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from agent.errors import DamagedRun, GreenwardError, StorageProblem, UsageProblem

__all__ = ["GitFailed", "failure", "quoted", "refused"]

_ROOM = 256 * 1024
"""Bytes below which a disk counts as full: git does not always say why it could not write."""
_NO_ROOM = ("No space left", "Disk quota", "File too large")
_NOT_WRITABLE = ("Permission denied", "Read-only file system", "insufficient permission", "unable to create directory")
_NO_GIT = (126, 127)


class GitFailed(DamagedRun):
    """A git command failed; `stderr` is what it said."""

    def __init__(self, message: str, *, hint: str = "", status: int = 1, stderr: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.stderr = stderr


def quoted(text: str) -> str:
    """`text` for a message: what cannot be printed is shown escaped."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def failure(arguments: Sequence[str], status: int, errors: str, *, places: Iterable[Path]) -> GreenwardError:
    """The error for plumbing that ended with `status` and said `errors`; `places` are where it may have written."""
    full = next((place for place in places if _is_full(place)), None)
    said, then = quoted(errors.strip()), "then go on with `greenward resume`"
    what = f"`git {arguments[0]}` failed ({status}): {said}"
    if status not in _NO_GIT and (full or any(words in said for words in _NO_ROOM)):
        where = f"no room is left on the disk of {full}: " if full else ""
        return StorageProblem(f"{where}{what}", hint=f"free some disk space, {then}; what was written before is whole")
    if any(words in said for words in _NOT_WRITABLE):
        return StorageProblem(what, hint=f"make the repository's git directory writable, {then}")
    return refused(arguments, status, errors)


def refused(arguments: Sequence[str], status: int, errors: str) -> GitFailed | UsageProblem:
    """The error for a command that git did not carry out, whyever."""
    if status in _NO_GIT:
        return UsageProblem("git is not installed", hint="install git 2.38 or newer")
    said = quoted(errors.strip())
    hint = "run `git fsck` in the repository"
    return GitFailed(f"`git {arguments[0]}` failed ({status}): {said}", hint=hint, status=status, stderr=said)


def _is_full(directory: Path) -> bool:
    try:
        room = os.statvfs(directory)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < _ROOM or (room.f_files > 0 and room.f_favail == 0)
