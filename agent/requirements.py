"""Requirements as text: pip's requirements files with their includes, and names and markers of PEP 508."""

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

__all__ = ["Needs", "Read", "join", "name_of", "parse_file", "parse_lines", "settled", "stated", "with_marker"]

Read = Callable[[str], bytes | None]
"""Reads a file of the tree by its path from the tree's root; None if there is none."""

DEPTH = 10
KEPT_OPTIONS = ("--index-url", "--extra-index-url", "--pre", "--prefer-binary", "--no-binary", "--only-binary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a project says that it needs, gathered from one or several of its files."""

    requirements: tuple[str, ...] = ()
    """Lines of PEP 508, and the few options of pip that go with them."""
    constraints: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    """Whole texts of requirements files with hashes: pip wants each of them in a call of its own."""
    build: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: "Needs") -> "Needs":
        return Needs(
            requirements=_unique(self.requirements + other.requirements),
            constraints=_unique(self.constraints + other.constraints),
            locked=_unique(self.locked + other.locked),
            build=_unique(self.build + other.build),
            notes=_unique(self.notes + other.notes),
        )

    def names(self) -> frozenset[str]:
        """Normalised names of all that is required or locked."""
        lines = [*self.requirements, *(line for text in self.locked for line in text.splitlines())]
        return frozenset(name for line in lines if (name := name_of(line)))


def parse_file(path: str, read: Read, depth: int = 0) -> Needs:
    """The needs that the requirements file at `path` states, with those of the files that it includes."""
    data = read(path)
    if data is None or depth > DEPTH:
        return Needs(notes=(f"{path} is included, but there is no such file",)) if depth else Needs()
    text = data.decode(errors="replace").removeprefix("\ufeff")
    if re.search(r"--hash[= ]", text):
        return Needs(locked=("\n".join(_without_local(_joined(text))) + "\n",))
    return parse_lines(_joined(text), where=path, read=read, depth=depth)


def parse_lines(lines: Iterable[str], *, where: str, read: Read, depth: int = 0) -> Needs:
    """The needs that `lines` of the file `where` state; paths in them are relative to that file."""
    needs = Needs()
    for line in lines:
        text = _without_comment(line)
        if text:
            needs += _line(text, where, read, depth)
    return needs


def stated(lines: Iterable[str], where: str) -> Needs:
    """The needs in a list of requirements of the manifest `where`; it holds no options of pip."""
    needs = Needs()
    for line in lines:
        if text := line.strip():
            needs += _requirement(text, where)
    return needs


def _line(text: str, where: str, read: Read, depth: int) -> Needs:
    option = re.match(r"(-r|--requirement|-c|--constraint|-e|--editable|--[a-z-]+|-[a-z])[= ]?\s*(.*)$", text)
    if option is None:
        return _requirement(text, where)
    name, value = option.groups()
    if name in ("-r", "--requirement"):
        return parse_file(join(posixpath.dirname(where), value), read, depth + 1)
    if name in ("-c", "--constraint"):
        included = parse_file(join(posixpath.dirname(where), value), read, depth + 1)
        return Needs(constraints=included.requirements + included.constraints, notes=included.notes)
    if name in ("-e", "--editable") and "://" in value:
        return _requirement(_named(value), where)
    if name in KEPT_OPTIONS and not value.startswith(("file:", "/", ".")):
        return Needs(requirements=(text,))
    return Needs(notes=() if name in ("-e", "--editable") else (f"{where}: the option `{name}` is left out",))


def _requirement(text: str, where: str) -> Needs:
    text = re.split(r"\s--[a-z]", text, maxsplit=1)[0].strip()
    if text.startswith((".", "/", "~")) or "file:" in text:
        return Needs()
    if re.fullmatch(r"[a-z+]+://\S+", text):
        return Needs(requirements=(text,))
    try:
        Requirement(text)
    except InvalidRequirement:
        return Needs(notes=(f"{where}: `{text}` is no requirement that can be installed, and is left out",))
    return Needs(requirements=(text,))


def _named(url: str) -> str:
    """A source URL with `#egg=name` as a direct reference."""
    bare, _, fragment = url.partition("#")
    egg = re.search(r"egg=([\w.\[\],-]+)", fragment)
    return f"{egg[1]} @ {bare}" if egg else bare


def name_of(line: str) -> str:
    """The normalised name that a requirement's line begins with; empty if there is none."""
    found = re.match(r"\s*([A-Za-z0-9][\w.-]*)", line)
    return canonicalize_name(found[1]) if found and "://" not in line.split("@", maxsplit=1)[0] else ""


def join(directory: str, path: str) -> str:
    """`path` seen from `directory`, normalised, relative to the tree's root."""
    return posixpath.normpath(posixpath.join(directory, path))


def with_marker(line: str, marker: str) -> str:
    """The requirement `line`, needed only where `marker` holds too."""
    if not marker:
        return line
    bare, separator, own = line.partition(";")
    both = f"({own.strip()}) and ({marker})" if separator else marker
    return f"{bare.strip()} ; {both}"


def settled(needs: Needs, own_name: str, extras: dict[str, Sequence[str]]) -> Needs:
    """`needs` with references of the project to its own extras replaced by what these hold."""
    result: list[str] = []
    seen: set[str] = set()
    pending = list(needs.requirements)
    while pending:
        line = pending.pop(0)
        if not own_name or name_of(line) != canonicalize_name(own_name) or line.startswith("-"):
            result.append(line)
            continue
        wanted = re.search(r"\[([^\]]*)\]", line)
        for extra in (name_of(part) for part in (wanted[1].split(",") if wanted else ())):
            if extra not in seen:
                seen.add(extra)
                pending[:0] = next((list(lines) for key, lines in extras.items() if name_of(key) == extra), [])
    return replace(needs, requirements=_unique(tuple(result)))


def _joined(text: str) -> list[str]:
    return text.replace("\\\r\n", " \\\n").replace("\\\n", " ").splitlines()


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*$", "", line).strip()


def _without_local(lines: Iterable[str]) -> list[str]:
    dropped = ("-e", "--editable", ".", "/", "--find-links", "-f", "--trusted-host")
    return [text for line in lines if (text := _without_comment(line)) and not text.startswith(dropped)]


def _unique(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))
