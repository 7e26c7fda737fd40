"""The one policy for paths that a model writes or a command leaves behind.

Two strengths: what no path may ever be, and what a path that is not yet in the tree may not be. A file that the
repository already has under an awkward name can be edited; another one of that kind cannot be made.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sandbox import Refusal

__all__ = ["GITLINK", "LINK", "Move", "always_ignored", "dot_git", "fold", "reason", "refusals", "shape"]

LINK = "120000"
GITLINK = "160000"

_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])")
_SHORT_NAME = re.compile(r"git~[0-9]+")
_BAD_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NOT_ON_WINDOWS = frozenset('<>:"|?*')
_CACHES = frozenset(
    {
        "__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".hypothesis",
        ".venv",
        ".tox",
        ".nox",
        ".eggs",
        "node_modules",
        ".coverage",
    }
)
_CACHE_SUFFIXES = (".pyc", ".pyo", ".egg-info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What is about to happen to a path: it is written, or (`gone`) removed."""

    path: str
    gone: bool = False


def fold(path: str) -> str:
    """Equal for paths that are one file on a file system that ignores case or normalisation."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def dot_git(component: str) -> bool:
    """Whether some file system takes `component` for `.git`."""
    visible = "".join(c for c in component if unicodedata.category(c) != "Cf")
    plain = fold(visible.partition(":")[0].rstrip(" ."))
    return plain == ".git" or bool(_SHORT_NAME.fullmatch(plain))


def always_ignored(path: str) -> bool:
    """Whether `path` is a cache or an artefact that no repository wants, whatever its `.gitignore` says."""
    return any(
        part in _CACHES or part.endswith(_CACHE_SUFFIXES) or part.startswith(".coverage.") for part in path.split("/")
    )


def shape(path: str) -> str | None:
    """Why `path` can name no file in a tree at all; None if it can."""
    parts = path.split("/")
    clauses = {
        "is empty": not path,
        "is absolute": path.startswith("/"),
        "begins with `~`": path.startswith("~"),
        "leads out by `..`": ".." in parts,
        "has an empty or `.` component": "" in parts or "." in parts,
        "contains a backslash": "\\" in path,
        "contains control, format or undecodable characters": not _BAD_CATEGORIES.isdisjoint(
            unicodedata.category(c) for c in path
        ),
        "names git's own directory": any(dot_git(part) for part in parts),
        "is too long": _length(path) > 4096 or any(_length(part) > 255 for part in parts),
    }
    return next((clause for clause, applies in clauses.items() if applies), None)


def reason(path: str) -> str | None:
    """Why no file may be made at `path`; None if it may, as far as the path alone tells."""
    if clause := shape(path):
        return clause
    for part in path.split("/"):
        if part[-1] in " .":
            return "has a component that ends in a dot or a space"
        if _NOT_ON_WINDOWS & set(part):
            return "contains a character that Windows forbids"
        if _RESERVED.fullmatch(part.partition(".")[0].rstrip(" ").casefold()):
            return "has a component that Windows reserves"
    return None


def refusals(moves: Sequence[Move], modes: Mapping[str, str]) -> tuple[Refusal, ...]:
    """Which of `moves`, made at once on a tree of `modes` by path, are against the policy, and why."""
    found = []
    seen: set[str] = set()
    final = _after(moves, modes)
    spellings = _spellings([path for path in final if path in modes])
    parents = _parents(final)
    for move in moves:
        clause = "occurs twice" if move.path in seen else _clause(move, modes, final, parents, spellings)
        seen.add(move.path)
        if clause:
            found.append(Refusal(path=move.path, reason=clause))
        elif not move.gone and move.path not in modes:
            spellings |= {key: name for key, name in _spellings([move.path]).items() if key not in spellings}
    return tuple(found)


def _clause(
    move: Move, modes: Mapping[str, str], final: set[str], parents: set[str], spellings: Mapping[str, str]
) -> str | None:
    known = move.path in modes
    if clause := shape(move.path) if known else reason(move.path):
        return clause
    if clause := _special(move.path, modes):
        return clause
    if move.gone:
        return None if known else "does not exist"
    if move.path in parents:
        return "is a directory"
    for parent in _ancestors(move.path):
        if parent in final:
            return f"lies under `{parent}`, which is a file"
    if known:
        return None
    for name in (*_ancestors(move.path), move.path):
        other = spellings.get(fold(name))
        if other is not None and other != name:
            return f"differs from `{other}` only in case or normalisation"
    return None


def _length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _special(path: str, modes: Mapping[str, str]) -> str | None:
    for name in (*_ancestors(path), path):
        mode = modes.get(name)
        if mode == LINK:
            return "is a symbolic link" if name == path else f"leads through the symbolic link `{name}`"
        if mode == GITLINK:
            return "is a submodule" if name == path else f"lies in the submodule `{name}`"
    return None


def _after(moves: Sequence[Move], modes: Mapping[str, str]) -> set[str]:
    gone = {move.path for move in moves if move.gone}
    return (set(modes) | {move.path for move in moves if not move.gone}) - gone


def _ancestors(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _parents(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        while "/" in path:
            path = path.rpartition("/")[0]  # noqa: PLW2901 - climbing
            if path in found:
                break
            found.add(path)
    return found


def _spellings(paths: Sequence[str]) -> dict[str, str]:
    return {fold(name): name for name in (*_parents(paths), *paths)}
