"""What a run did, as the detectors see it: changed files with their content before and after, and the tests."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from agent.suspicions.kinds import Kind
from agent.suspicions.source import Source, UnreadableError, parsed
from agent.task import Criterion, Mode

__all__ = ["BUDGET", "Change", "Finding", "Read", "Role", "Scan", "Subject", "Work", "name_of", "parent_of", "role_of"]

BUDGET = 4 << 20
"""Bytes of Python that are parsed in all."""
_TESTS = re.compile(r"test_.*\.py|.*_test\.py|tests\.py")
_TEST_DIRECTORIES = frozenset({"test", "tests"})
_SCRIPTS = frozenset({"setup.py", "noxfile.py", "conf.py", "manage.py", "__main__.py", "tasks.py", "hatch_build.py"})
_SCRIPT_DIRECTORIES = frozenset(
    {"docs", "doc", "scripts", "tools", "examples", "example", "bench", "benchmarks", "benchmark", ".github", "bin"}
)


class Role(Enum):
    """What a Python file is there for, by its path."""

    CODE = auto()
    TEST = auto()
    """A test module, or one that stands in a directory of tests."""
    CONFTEST = auto()
    SCRIPT = auto()
    """Documentation, build and helper programs: hardly imported by what is tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One file that the run added, changed or removed."""

    path: str
    before: bytes | None
    """At the base; None if it was not there."""
    sealed: bytes | None
    """Where the tests were sealed: the base, or under `new` the commit of the tests."""
    after: bytes | None

    @property
    def is_python(self) -> bool:
        return self.path.endswith((".py", ".pyi", ".pyw"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All that the detectors are given."""

    mode: Mode
    changes: tuple[Change, ...]
    known: frozenset[str] = frozenset()
    """Every path of the base."""
    tests: Mapping[str, bytes] = field(default_factory=dict)
    """Test files of the result by path; read only where something looks special-cased."""
    installed: frozenset[str] = frozenset()
    """Names of what the project asks to be installed."""
    criteria: tuple[Criterion, ...] = ()
    request: str = ""
    """What the user asked for: values that it names are no secret of the tests."""
    cwd: str = ""
    """The project's directory; empty for the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One version of one Python file, as a scan is given it."""

    path: str
    role: Role
    source: Source
    earlier: Source | None
    """The file as it was; None if it is new, or was no Python."""
    tests: frozenset[str] = frozenset()
    """What modules of tests can be imported as, with slashes for dots, from wherever on their paths."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a scan saw in one file, be it new or not."""

    kind: Kind
    line: int
    token: str
    """What it is, so that the same thing can be found in the file as it was."""
    words: str
    scope: str = ""


Scan = Callable[[Subject], Iterator[Finding]]
"""Says all that it sees in one version of a file. What is new of it is worked out by `agent.suspicions.looking`."""


def role_of(path: str) -> Role:
    """What the Python file at `path` is there for."""
    name, directories = name_of(path), path.split("/")[:-1]
    if name == "conftest.py":
        return Role.CONFTEST
    if _TESTS.fullmatch(name) or not _TEST_DIRECTORIES.isdisjoint(directories):
        return Role.TEST
    if name in _SCRIPTS or (directories and directories[0] in _SCRIPT_DIRECTORIES):
        return Role.SCRIPT
    return Role.CODE


class Read:
    """Parses each file once, as far as the budget of bytes goes."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, bytes], Source | UnreadableError] = {}
        self._left = BUDGET

    def __call__(self, path: str, data: bytes | None) -> Source | None:
        """The file parsed; None if there is none, or it cannot be read."""
        found = self._found(path, data) if data is not None else None
        return found if isinstance(found, Source) else None

    def problem(self, path: str, data: bytes | None) -> UnreadableError | None:
        """Why the file cannot be read; None if it can, or there is none."""
        found = self._found(path, data) if data is not None else None
        return found if isinstance(found, UnreadableError) else None

    def _found(self, path: str, data: bytes) -> Source | UnreadableError:
        key = (path, data)
        if key not in self._kept:
            self._kept[key] = self._parsed(data)
        return self._kept[key]

    def _parsed(self, data: bytes) -> Source | UnreadableError:
        if len(data) > self._left:
            return UnreadableError("more code was changed than is looked at")
        try:
            source = parsed(data)
        except UnreadableError as error:
            return error
        self._left -= len(data)
        return source


def name_of(path: str) -> str:
    return path.rpartition("/")[2]


def parent_of(path: str) -> str:
    return path.rpartition("/")[0]
