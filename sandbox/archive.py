"""A strict reader of what a container sends back: regular files and links in GNU tar's own format, nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["BadArchive", "Member", "read_members"]

BLOCK = 512
NAME_BYTES = 16 * 1024


class BadArchive(ValueError):
    """The bytes are no tar of files and links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file or a link; `data` is the target of a link."""

    path: bytes
    data: bytes
    executable: bool
    link: bool


def read_members(archive: bytes, *, torn: bool = False) -> Iterator[Member]:
    """The members in order. With `torn`, an archive that was cut ends with its last whole member.

    Raises:
        BadArchive: something else than a file or link, or not a tar.
    """
    at = 0
    names: dict[bytes, bytes] = {}
    while at + BLOCK <= len(archive):
        header = archive[at : at + BLOCK]
        if not header.strip(b"\0"):
            return
        size = _checked_size(header)
        start, at = at + BLOCK, at + BLOCK + -(-size // BLOCK) * BLOCK
        if at > len(archive):
            break
        body = archive[start : start + size]
        kind = header[156:157]
        if kind in (b"L", b"K"):
            if size > NAME_BYTES:
                raise BadArchive("a name is too long")
            names[kind] = body.rstrip(b"\0")
            continue
        yield _member(header, kind, body, names)
        names = {}
    if not torn:
        raise BadArchive("the archive is cut")


def _member(header: bytes, kind: bytes, body: bytes, names: dict[bytes, bytes]) -> Member:
    if kind not in (b"0", b"\0", b"2"):
        raise BadArchive(f"a member of kind {kind!r}")
    link = kind == b"2"
    if link and body:
        raise BadArchive("a link with a body")
    target = names.get(b"K", _text(header[157:257]))
    return Member(
        path=names.get(b"L", _text(header[:100])),
        data=target if link else body,
        executable=not link and bool(_number(header[100:108]) & 0o100),
        link=link,
    )


def _checked_size(header: bytes) -> int:
    if header[257:265] != b"ustar  \0":
        raise BadArchive("not in GNU tar's format")
    if sum(header[:148]) + 8 * 0x20 + sum(header[156:]) != _number(header[148:156]):
        raise BadArchive("a wrong checksum")
    return _number(header[124:136])


def _number(octal: bytes) -> int:
    digits = octal.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise BadArchive("a number that is not octal")
    return int(digits, 8)


def _text(name: bytes) -> bytes:
    return name.partition(b"\0")[0]
