"""What a command changed: two listings of a container's files, compared. Both are hostile data."""

from collections.abc import Mapping
from os import fsdecode

from sandbox import Candidate, SandboxLost

__all__ = ["TICK_SECONDS", "Listing", "changes", "parse"]

TICK_SECONDS = 0.012
"""Longer than a tick of any kernel's clock: two changes of a file that far apart have different times."""

Listing = Mapping[bytes, bytes]
"""From path to kind, mode, size, time of the last change and inode."""


def parse(listing: bytes) -> Listing:
    """Read NUL-terminated `KIND MODE SIZE CTIME INODE<tab>PATH`.

    Raises:
        SandboxLost: it is nothing of the kind.
    """
    records = listing.split(b"\0")
    if records.pop():
        raise SandboxLost("the container's listing is cut")
    found = {}
    for record in records:
        status, separator, path = record.partition(b"\t")
        if not separator or not path or status.count(b" ") != 4:
            raise SandboxLost("the container's listing cannot be read")
        found[path] = status
    return found


def changes(before: Listing, after: Listing) -> tuple[Candidate, ...]:
    """The paths that differ, sorted. The time of the last change cannot be set back by a command."""
    changed = [_candidate(path, status) for path, status in after.items() if before.get(path) != status]
    changed += [Candidate(path=fsdecode(path), kind="deleted") for path in before.keys() - after.keys()]
    return tuple(sorted(changed, key=lambda candidate: candidate.path))


def _candidate(path: bytes, status: bytes) -> Candidate:
    kind, mode, size, _, _ = status.split(b" ")
    if kind == b"l":
        return Candidate(path=fsdecode(path), kind="link", size=_number(size, 10))
    if kind != b"f":
        return Candidate(path=fsdecode(path), kind="other")
    executable = bool(_number(mode, 8) & 0o100)
    return Candidate(path=fsdecode(path), kind="file", size=_number(size, 10), executable=executable)


def _number(digits: bytes, base: int) -> int:
    try:
        return int(digits, base)
    except ValueError:
        raise SandboxLost("the container's listing cannot be read") from None
