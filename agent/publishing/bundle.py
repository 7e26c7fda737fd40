"""The head of a bundle, read without git: which commits it says that it needs and brings. Pure."""

import re
from dataclasses import dataclass

__all__ = ["Bundle", "NoBundle", "parse"]

_FIRST = (b"# v2 git bundle\n", b"# v3 git bundle\n")
_FORMATS = (b"@object-format=sha1", b"@object-format=sha256")
_NEEDED = re.compile(rb"-([0-9a-f]{40}|[0-9a-f]{64})(?: .*)?")
_BROUGHT = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) (refs/[!-~]{1,240})")
_LINES = 16
_LINE = 1_024


class NoBundle(ValueError):
    """What is said to be a bundle is none, or asks for more than commits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle says of itself, and its pack."""

    needs: tuple[str, ...]
    brings: tuple[str, ...]
    """The commits that its refs lead to."""
    pack: bytes


def parse(data: bytes) -> Bundle:
    """The bundle in a file.

    Raises:
        NoBundle: it is none; the message says why.
    """
    first = next((line for line in _FIRST if data.startswith(line)), None)
    if first is None:
        raise NoBundle("it does not begin as a bundle does")
    place = len(first)
    needs: list[str] = []
    brings: list[str] = []
    for _ in range(_LINES):
        end = data.find(b"\n", place, place + _LINE)
        if end < 0:
            break
        line, place = data[place:end], end + 1
        if not line:
            return Bundle(needs=tuple(needs), brings=tuple(brings), pack=data[place:])
        if found := _NEEDED.fullmatch(line):
            needs.append(found[1].decode())
        elif found := _BROUGHT.fullmatch(line):
            brings.append(found[1].decode())
        elif line not in _FORMATS:
            raise NoBundle(f"its head holds {line[:80]!r}")
    raise NoBundle("its head is too long")
