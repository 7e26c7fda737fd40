"""How a file's content in a work tree and in git's objects correspond: line ends, encodings and keywords, natively.

Git does this with programs that the configuration names (filters); those never run here. Only the Large File Storage's
pointer is computed, as that needs no program.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["ATTRIBUTES", "Attributes", "Conversion", "NotConvertible"]

ATTRIBUTES = ("text", "crlf", "eol", "ident", "filter", "working-tree-encoding")
"""Names of the attributes that matter."""

_KEYWORD = re.compile(rb"\$Id(?::[^$\n]*)?\$")
_LONE = re.compile(rb"\r(?!\n)")
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
_UNSET = {"unspecified": None, "unset": "no", "set": "yes"}


class NotConvertible(Exception):
    """A content cannot be converted without running a program, or at all; the text is a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What git's attributes say of one path; None where they say nothing, `yes` and `no` for set and unset."""

    text: str | None = None
    eol: str | None = None
    ident: bool = False
    filter: str | None = None
    encoding: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "Attributes":
        """From the values as `git check-attr` prints them."""
        known = {name: _UNSET.get(value, value) for name, value in values.items()}
        crlf = known.get("crlf")
        legacy = {"yes": "yes", "no": "no", "input": "yes"}.get(crlf or "")
        kind = known.get("filter")
        return cls(
            text=known.get("text") or legacy,
            eol=known.get("eol") or ("lf" if crlf == "input" else None),
            ident=known.get("ident") == "yes",
            filter=None if kind in (None, "no") else kind,
            encoding=None
            if known.get("working-tree-encoding") in (None, "no", "yes")
            else known["working-tree-encoding"],
        )

    @property
    def plain(self) -> bool:
        """Whether only line ends can differ."""
        return not self.ident and self.filter is None and self.encoding is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The settings `core.autocrlf` (`true`, `input` or `false`) and `core.eol`, applied."""

    autocrlf: str = "false"
    eol: str = "native"

    def to_git(self, data: bytes, attributes: Attributes, indexed: Callable[[], bytes | None]) -> bytes:
        """What git stores for a file that holds `data`; `indexed` gives what it stores for it so far.

        Raises:
            NotConvertible: a filter would have to run, or the encoding is unknown or wrong.
        """
        if attributes.filter == "lfs":
            return data if data.startswith(_POINTER[:40]) else _POINTER % (_sha256(data), len(data))
        if attributes.filter is not None:
            raise NotConvertible(f"passes through the filter `{attributes.filter}`, which is not run")
        if attributes.encoding is not None:
            data = _recoded(data, attributes.encoding, "utf-8")
        action = self._action(attributes)
        if action != "binary" and b"\r\n" in data and not (action == "auto" and _keeps_crlf(data, indexed)):
            data = data.replace(b"\r\n", b"\n")
        return _KEYWORD.sub(b"$Id$", data) if attributes.ident else data

    def to_work_tree(self, data: bytes, attributes: Attributes) -> bytes:
        """What a checkout writes for a blob that holds `data`; keywords are not expanded.

        Raises:
            NotConvertible: a filter would have to run, or the encoding is unknown or wrong.
        """
        if attributes.filter is not None:
            raise NotConvertible(f"passes through the filter `{attributes.filter}`, which is not run")
        action = self._action(attributes)
        if action != "binary" and self._ends_in_crlf(attributes) and b"\n" in data:
            mixed = b"\r" in data or _is_binary(data)
            if not (action == "auto" and mixed):
                data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        return data if attributes.encoding is None else _recoded(data, "utf-8", attributes.encoding)

    def _action(self, attributes: Attributes) -> str:
        if attributes.text is not None:
            return {"no": "binary", "auto": "auto"}.get(attributes.text, "text")
        if attributes.eol is not None:
            return "text"
        return "auto" if self.autocrlf in {"true", "input"} else "binary"

    def _ends_in_crlf(self, attributes: Attributes) -> bool:
        if attributes.eol is not None:
            return attributes.eol == "crlf"
        return self.autocrlf == "true" or (self.autocrlf == "false" and self.eol == "crlf")


def _keeps_crlf(data: bytes, indexed: Callable[[], bytes | None]) -> bool:
    if _is_binary(data):
        return True
    old = indexed()
    return old is not None and b"\r\n" in old and not _is_binary(old)


def _is_binary(data: bytes) -> bool:
    if b"\0" in data or _LONE.search(data):
        return True
    odd = sum(data.count(byte) for byte in _NOT_PRINTED)
    if data.endswith(b"\x1a"):
        odd -= 1
    breaks = data.count(b"\n") + data.count(b"\r\n")
    return (len(data) - breaks - odd) >> 7 < odd


_NOT_PRINTED = tuple(bytes([code]) for code in (*range(1, 32), 127) if code not in b"\b\t\n\f\r\x1b")


def _recoded(data: bytes, source: str, target: str) -> bytes:
    try:
        return data.decode(source).encode(target)
    except (LookupError, UnicodeError) as error:
        raise NotConvertible(f"cannot be converted from {source} to {target}") from error


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
