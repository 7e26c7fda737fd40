"""Patches as git prints them, taken apart for a reader and cut to size. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from agent.text import number_of

__all__ = ["FilePatch", "Line", "LineKind", "Patch", "parse_patch"]

FILE_LINES = 1_000
"""Lines shown of one file."""
LINE = 1_000
"""Characters shown of one line."""
FILES = 300


class LineKind(StrEnum):
    """What a line of a patch is."""

    ADDED = "added"
    REMOVED = "removed"
    SAME = "same"
    HUNK = "hunk"
    """Where in the file the lines that follow are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, its sign included."""

    kind: LineKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePatch:
    """What changed in one file."""

    path: str
    how: str
    """`new`, `deleted`, `changed`, `binary` or `mode`."""
    added: int
    removed: int
    lines: tuple[Line, ...]
    left_out: int = 0
    """Lines that are not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What changed between two trees."""

    files: tuple[FilePatch, ...] = ()
    added: int = 0
    removed: int = 0
    note: str = ""
    """What is not shown, if anything."""

    @property
    def size(self) -> int:
        """Characters of what is shown."""
        return sum(len(line.text) + len(file.path) for file in self.files for line in file.lines)


def parse_patch(text: str, room: int) -> Patch:
    """The patch `text`, of which about `room` characters are shown: the first files, and the head of long ones."""
    files: list[FilePatch] = []
    added = removed = hidden = 0
    for section in _sections(text):
        file = _file(section)
        added, removed = added + file.added, removed + file.removed
        size = sum(len(line.text) for line in file.lines)
        if len(files) >= FILES or size > room:
            hidden += 1
            continue
        room -= size
        files.append(file)
    note = f"{number_of(hidden, 'more file')} changed and not shown here, for their size" if hidden else ""
    return Patch(files=tuple(files), added=added, removed=removed, note=note)


def _sections(text: str) -> Iterator[list[str]]:
    """The lines about each file. A line of content begins with a sign, so that none looks like a header."""
    section: list[str] = []
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            if section:
                yield section
            section = [line]
        elif section:
            section.append(line)
    if section:
        yield section


def _file(section: list[str]) -> FilePatch:
    start = next((n for n, line in enumerate(section) if line.startswith("@@ ")), len(section))
    head, body = section[:start], section[start:]
    if body and not body[-1]:
        body = body[:-1]
    kinds = [_kind(line) for line in body]
    shown = zip(kinds[:FILE_LINES], body[:FILE_LINES], strict=True)
    return FilePatch(
        path=_path(head),
        how=_how(head, has_lines=bool(body)),
        added=kinds.count(LineKind.ADDED),
        removed=kinds.count(LineKind.REMOVED),
        lines=tuple(Line(kind=kind, text=line if len(line) <= LINE else line[:LINE] + "…") for kind, line in shown),
        left_out=max(0, len(body) - FILE_LINES),
    )


def _kind(line: str) -> LineKind:
    kinds = {"+": LineKind.ADDED, "-": LineKind.REMOVED, "@": LineKind.HUNK, "\\": LineKind.HUNK}
    return kinds.get(line[:1], LineKind.SAME)


def _path(head: list[str]) -> str:
    """The file's path as git prints it: quoted, if it holds odd characters."""
    for sign, letter in (("+++ ", "b/"), ("--- ", "a/")):
        name = next((line.removeprefix(sign) for line in head if line.startswith(sign)), "/dev/null")
        if name != "/dev/null":
            return name.rstrip("\t").replace(letter, "", 1)
    both = head[0].removeprefix("diff --git ")
    return both[len(both) // 2 + 1 :].replace("b/", "", 1)


def _how(head: list[str], *, has_lines: bool) -> str:
    if any(line.startswith("Binary files ") for line in head):
        return "binary"
    for word, begin in (("new", "new file mode"), ("deleted", "deleted file mode")):
        if any(line.startswith(begin) for line in head):
            return word
    return "changed" if has_lines else "mode"
