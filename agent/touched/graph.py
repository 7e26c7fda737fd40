"""Who uses whom in a tree of sources, and how closely: as far as it can be told without running anything. Pure.

What is followed are imports with what they imply (the `__init__.py` of each package, the `conftest.py` of each
directory above a test), names of modules within strings, and names of files. Where a source may import what it does not
name, it is taken to use everything, from afar. What this misses costs time and no more: all tests run before any
report can be green.
"""

import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import PurePosixPath

from agent.touched.facts import Facts, Import

__all__ = ["Graph", "graph_of"]

DIRECT, FILE, THROUGH, LOOSE, ANYTHING = 1, 2, 3, 4, 8
"""How far away is what a source imports; a file that it names; what is imported only as its package or by way of it;
what its strings seem to name; and all modules, where it may import any."""
FOLLOWED = 6
"""How often a name is followed from the module that imports it to the one that it is from."""
_ANY = ""
"""Stands for any module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The sources of a tree."""

    users: Mapping[str, Mapping[str, int]]
    """By path, which sources use the file and how far they are from it."""
    mentioning: Mapping[str, Collection[str]]
    """By string, the sources that hold it."""

    def distances(self, changed: Collection[str]) -> dict[str, int]:
        """How far each source is from the nearest of the files `changed`, if it uses one at all."""
        found: dict[str, int] = {}
        waiting = [(0, path) for path in changed]
        while waiting:
            distance, path = heappop(waiting)
            if path in found:
                continue
            found[path] = distance
            users = self._users(path) if distance == 0 else self.users.get(path, {})
            for user, further in users.items():
                if user not in found:
                    heappush(waiting, (distance + further, user))
        return {path: distance for path, distance in found.items() if path != _ANY}

    def mentioned(self, path: str) -> bool:
        """Whether any source names the file at `path`, or what it is in."""
        return any(name in self.mentioning for name, _ in _names_of(path))

    def _users(self, path: str) -> Mapping[str, int]:
        """Who uses a file that changed: also by its name, or because it may use any."""
        found = dict(self.users.get(path, {}))
        for name, distance in _names_of(path):
            for user in self.mentioning.get(name, ()):
                found[user] = min(distance, found.get(user, distance))
        if path.endswith(".py"):
            for user in self.users.get(_ANY, {}):
                found.setdefault(user, ANYTHING)
        return found


def graph_of(
    facts: Mapping[str, Facts],
    tests: Collection[str],
    *,
    everywhere: Collection[str] = (),
    programs: Mapping[str, str] | None = None,
) -> Graph:
    """The graph of the sources `facts` by their paths, of which `tests` hold tests.

    `everywhere` are modules that the test runner loads whatever it runs, `programs` the modules behind the project's
    own commands.
    """
    sources = _Sources(facts)
    users: dict[str, dict[str, int]] = defaultdict(dict)
    mentioning: dict[str, set[str]] = defaultdict(set)
    loaded = [target for name in everywhere for target in sources.modules(name)]
    for path, each in facts.items():
        implied = [(target, DIRECT) for target in (*sources.conftests(path), *loaded)] if path in tests else []
        started = [(found, LOOSE) for name in each.mentions & (programs or {}).keys()
                   for found in sources.modules((programs or {})[name])]  # fmt: skip
        for target, distance in (*sources.used_by(path), *implied, *started):
            if target != path:
                users[target][path] = min(distance, users[target].get(path, distance))
        for mention in each.mentions:
            mentioning[mention.removeprefix("./").strip("/")].add(path)
        if each.opaque:
            users[_ANY][path] = ANYTHING
    return Graph(users=users, mentioning=mentioning)


@dataclass(slots=True)
class _Sources:
    """Python files by the names under which they can be imported."""

    facts: Mapping[str, Facts]
    _modules: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list), init=False)
    _below: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list), init=False)
    """All files in a directory, however deep, by each name of the directory."""

    def __post_init__(self) -> None:
        for path in self.facts:
            if not path.endswith(".py"):
                continue
            parts = path.removesuffix(".py").split("/")
            names = parts[:-1] if parts[-1] == "__init__" else parts
            for start in range(len(names)):
                self._modules[".".join(names[start:])].append(path)
            for start in range(len(parts) - 1):
                for end in range(start + 1, len(parts)):
                    self._below[".".join(parts[start:end])].append(path)

    def modules(self, name: str) -> list[str]:
        """The files that `name` may mean: those that lie in no package, else any, but for the standard library's."""
        found = self._modules.get(name, [])
        outermost = [path for path in found if self._starts_outside(path, name)]
        if outermost or name.partition(".")[0] in sys.stdlib_module_names:
            return outermost
        return list(found)

    def conftests(self, path: str) -> Iterator[str]:
        """The `conftest.py` of each directory above a test."""
        parts = path.split("/")[:-1]
        for length in range(len(parts) + 1):
            conftest = "/".join([*parts[:length], "conftest.py"])
            if conftest in self.facts and conftest != path:
                yield conftest

    def used_by(self, path: str) -> Iterator[tuple[str, int]]:
        """What the source at `path` uses, each with its distance."""
        facts = self.facts[path]
        if (package := self._package(path)) is not None:
            yield package, THROUGH
        for each in facts.imports:
            yield from self._imported(path, each)
        for word in facts.words:
            yield from self._worded(word)

    def _imported(self, path: str, named: Import) -> Iterator[tuple[str, int]]:
        if named.name.rpartition(".")[2] == "*":
            yield from self._all_below(path, named)
            return
        if found := self._resolved(path, named):
            for target in found:
                yield target, THROUGH if target.endswith("/__init__.py") else DIRECT
            return
        yield from self._attribute(path, named, FOLLOWED)

    def _attribute(self, path: str, named: Import, further: int) -> Iterator[tuple[str, int]]:
        """What a name stands for that is no module, but something in one: where it is from, and who passes it on."""
        owner, _, name = named.name.rpartition(".")
        owners = self._resolved(path, Import(level=named.level, name=owner)) if owner or named.level else []
        if not owners and owner and further:
            yield from self._attribute(path, Import(level=named.level, name=owner), further - 1)
        for target in owners:
            passed_on = self.facts[target].exports.get(name)
            origin = list(self._origin(target, passed_on, further)) if passed_on and further else []
            yield from origin
            yield target, THROUGH if origin else DIRECT

    def _origin(self, path: str, named: Import, further: int) -> Iterator[tuple[str, int]]:
        if found := self._resolved(path, named):
            yield from ((target, DIRECT) for target in found)
        else:
            yield from self._attribute(path, named, further - 1)

    def _all_below(self, path: str, named: Import) -> Iterator[tuple[str, int]]:
        name = named.name.removesuffix("*").removesuffix(".")
        for target in self._resolved(path, Import(level=named.level, name=name)) if name or named.level else ():
            yield target, DIRECT
        if named.level:
            directory = "/".join((*_above(path, named.level), *(name.split(".") if name else ())))
            prefix = f"{directory}/" if directory else ""
            below: Iterable[str] = (each for each in self.facts if each.startswith(prefix) and each.endswith(".py"))
        else:
            below = self._below.get(name, ())
        for target in below:
            yield target, LOOSE

    def _worded(self, word: str) -> Iterator[tuple[str, int]]:
        """What a name within a string may be: the longest beginning of it that is a module, and its `__main__`."""
        while word:
            found = [path for path in self._modules.get(word, ()) if self._starts_outside(path, word)]
            for target in found:
                yield target, LOOSE
                main = target.removesuffix("__init__.py") + "__main__.py"
                if target.endswith("__init__.py") and main in self.facts:
                    yield main, LOOSE
            word = "" if found else word.rpartition(".")[0]

    def _resolved(self, path: str, named: Import) -> list[str]:
        """The module that an import at `path` names; none if it names no module of the tree."""
        if not named.level:
            return self.modules(named.name)
        base = "/".join((*_above(path, named.level), *(named.name.split(".") if named.name else ())))
        choices = (f"{base}.py", f"{base}/__init__.py" if base else "__init__.py")
        return [choice for choice in choices if choice in self.facts]

    def _package(self, path: str) -> str | None:
        """The `__init__.py` that runs before the module at `path` does."""
        directory, _, name = path.rpartition("/")
        if name == "__init__.py":
            directory = directory.rpartition("/")[0]
        package = f"{directory}/__init__.py"
        return package if directory and package in self.facts and path.endswith(".py") else None

    def _starts_outside(self, path: str, name: str) -> bool:
        """Whether the directory in which the first part of `name` lies is no package itself."""
        plain = path.removesuffix("/__init__.py").removesuffix(".py")
        directory = "/".join(plain.split("/")[: -(name.count(".") + 1)])
        return not directory or f"{directory}/__init__.py" not in self.facts


def _above(path: str, level: int) -> list[str]:
    """The directory from which a relative import with `level` dots in the module at `path` begins."""
    parts = path.split("/")[:-1]
    return parts[: len(parts) - level + 1] if level <= len(parts) + 1 else []


def _names_of(path: str) -> Iterator[tuple[str, int]]:
    """How a source may name the file at `path`: by a path to it, by where it is, by what files of its kind end in."""
    parts = path.split("/")
    for start in range(len(parts)):
        yield "/".join(parts[start:]), FILE
        for end in range(start + 1, len(parts)):
            yield "/".join(parts[start:end]), LOOSE
    stem, suffix = PurePosixPath(path).stem, PurePosixPath(path).suffix
    if suffix and suffix != ".py":
        for name in (stem, suffix, f"*{suffix}", f"**/*{suffix}"):
            yield name, LOOSE
