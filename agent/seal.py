"""What of a repository a run may not touch: the tests that judge it, and what makes machines run code.

| what | locked | additive | free |
|---|---|---|---|
| a test file, `conftest.py` or runner configuration of the base | no | no | yes |
| other files in a directory of tests | no | not those of the base | yes |
| a new test file | outside of sealed directories | yes | yes |
| a new `conftest.py`, or `__init__.py`, at or above sealed tests | no | no | yes |
| a new module beside tests that shadows one of the project's or the standard library's | no | no | yes |
| examples in docstrings that the base runs as tests; the code around them may change | no | no | yes |
| the tables of shared files that configure the test runner | no | no | yes |
| start-up files (`sitecustomize.py`, `usercustomize.py`, `*.pth`), a module named like the test runner | no | no | no |
| what forges, editors and git run by themselves (`Use.SEALED` in `agent/machines.py`) | no | no | no |

The first seven lines can be lifted for single paths (`unsealed`); the last two never. Paths match whatever their case.
"""

import configparser
import fnmatch
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.doctests import examples
from agent.machines import Use, uses
from agent.task import TestPolicy

__all__ = ["Seal", "runner_tables"]

_STARTUP = frozenset({"sitecustomize.py", "usercustomize.py"})
_RUNNERS = frozenset({"pytest", "_pytest", "pluggy", "unittest", "doctest"})
_LIBRARY = frozenset({"unittest", "doctest"})
_CONFIGURATION = frozenset({"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", ".coveragerc"})
_SHARED = frozenset({"pyproject.toml", "setup.cfg", "tox.ini"})
_TEST_DIRECTORIES = frozenset({"test", "tests", "testing", "unittests"})
_SOURCE_ROOTS = frozenset({"src", "lib", "python"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The sealed part of a base tree. All paths in it are case-folded."""

    policy: TestPolicy
    base: frozenset[str] = frozenset()
    """Every file of the base."""
    files: frozenset[str] = frozenset()
    """Test files, every `conftest.py`, and files that only configure the test runner."""
    examples: frozenset[str] = frozenset()
    """Modules of code whose examples are run as tests."""
    directories: frozenset[str] = frozenset()
    """Directories of tests, sealed with all that is in them."""
    above: frozenset[str] = frozenset()
    """Directories that hold sealed tests, or lie above them; the root is the empty string."""
    modules: frozenset[str] = frozenset()
    """The project's own top-level modules."""
    unsealed: tuple[str, ...] = ()
    """Patterns of paths whose tests and configuration may change."""
    sealed: tuple[str, ...] = ()
    """Patterns of further paths that may not change."""

    @classmethod
    def of(
        cls,
        files: Iterable[str],
        *,
        test_files: Iterable[str],
        policy: TestPolicy,
        unsealed: Sequence[str] = (),
        sealed: Sequence[str] = (),
        with_examples: Iterable[str] = (),
    ) -> "Seal":
        """The seal of a base that has `files`, of which the test runner collected `test_files`.

        `with_examples` are modules of code of which it collected nothing but examples in docstrings.
        """
        names = [path.casefold() for path in files]
        tests = {path.casefold() for path in test_files}
        whole = {path for path in names if _name(path) == "conftest.py" or _name(path) in _CONFIGURATION}
        above = {""} if tests else set()
        for path in tests:
            above.update(_ancestors(path))
        directories = {_parent(path) for path in tests if _is_for_tests(_parent(path), names, tests)}
        return cls(
            policy=policy,
            base=frozenset(names),
            files=frozenset(tests | whole),
            examples=frozenset(path.casefold() for path in with_examples),
            directories=frozenset(directories),
            above=frozenset(above),
            modules=frozenset(_modules(names)),
            unsealed=tuple(pattern.casefold() for pattern in unsealed),
            sealed=tuple(pattern.casefold() for pattern in sealed),
        )

    def refusal(self, path: str, old: bytes | None, new: bytes | None) -> str | None:
        """Why the content at `path` may not go from `old` to `new` (None: no file); None if it may."""
        if old == new and old is not None:
            return None
        folded = path.casefold()
        if clause := self._never(folded):
            return clause
        if self.policy == "free" or _matches(folded, self.unsealed):
            return None
        if _matches(folded, self.sealed):
            return "is sealed by the settings"
        if folded in self.examples and not _keeps_examples(old, new):
            return "may change, but not the examples in its docstrings, which are run as tests"
        if clause := self._configuration(folded, old, new):
            return clause
        return self._test(folded, exists=folded in self.base)

    def violations(self, changes: Iterable[tuple[str, bytes | None, bytes | None]]) -> tuple[str, ...]:
        """Which of `changes` (path, content at the base, content in the result) break the seal, as sentences."""
        found = ((path, self.refusal(path, old, new)) for path, old, new in changes)
        return tuple(f"`{path}` {clause}" for path, clause in found if clause)

    def _never(self, path: str) -> str | None:
        name = _name(path)
        if name in _STARTUP or name.endswith(".pth"):
            return "runs whenever Python starts, so it may not be touched"
        if Use.SEALED in uses(path):
            return "is executed or obeyed on developers' machines or by a forge, so it may not be touched"
        if path not in self.base:
            return self._imposter(path)
        return None

    def _imposter(self, path: str) -> str | None:
        name = _name(path).removesuffix(".py")
        if path.endswith(".py") and name in _RUNNERS:
            return f"shadows the test runner's module `{name}`"
        for directory in _ancestors(path):
            known = any(other.startswith(f"{directory}/") for other in self.base)
            if _name(directory) in _RUNNERS - _LIBRARY and not known:
                return f"shadows the test runner's module `{_name(directory)}`"
        return None

    def _configuration(self, path: str, old: bytes | None, new: bytes | None) -> str | None:
        name, directory = _name(path), _parent(path)
        if name in _CONFIGURATION and path not in self.base and directory in self.above:
            return "configures the test runner, so it may not be added"
        if name not in _SHARED or (path not in self.base and directory not in self.above):
            return None
        before, after = runner_tables(name, old), runner_tables(name, new)
        if after is None:
            return "cannot be parsed, so that its tables for the test runner cannot be compared"
        if before is not None and before != after:
            return "may change, but not its tables that configure the test runner"
        return None

    def _test(self, path: str, *, exists: bool) -> str | None:
        name, directory = _name(path), _parent(path)
        if path in self.files:
            return "is sealed: it is part of the tests that judge the run"
        if name in {"conftest.py", "__init__.py"} and not exists and directory in self.above - {""}:
            return "may not be added here: it would change how existing tests run"
        if name == "conftest.py" and not exists and directory in self.above:
            return "may not be added here: it would change how existing tests run"
        inside = any(path.startswith(f"{sealed}/") for sealed in self.directories)
        if not inside:
            return None
        if self.policy == "locked":
            return "lies in a sealed directory of tests"
        if exists:
            return "is sealed: it lies beside the tests that judge the run"
        return self._shadow(path)

    def _shadow(self, path: str) -> str | None:
        for sealed in self.directories:
            if path.startswith(f"{sealed}/"):
                top = path[len(sealed) + 1 :].partition("/")[0]
                stem = top.removesuffix(".py")
                beside = any(known.startswith(f"{sealed}/{top}/") for known in self.base)
                if path.endswith(".py") and not beside and (stem in self.modules or stem in sys.stdlib_module_names):
                    return f"shadows the module `{stem}` for the tests"
        return None


def _keeps_examples(old: bytes | None, new: bytes | None) -> bool:
    """Whether all that is documented by examples in `old` has the same ones in `new`."""
    before, after = examples(old or b""), examples(new or b"")
    return before is not None and after is not None and all(after.get(name) == before[name] for name in before)


def _is_for_tests(directory: str, names: Sequence[str], tests: set[str]) -> bool:
    if not directory:
        return False
    if not _TEST_DIRECTORIES.isdisjoint(directory.split("/")):
        return True
    beside = (path for path in names if _parent(path) == directory and path.endswith(".py"))
    return all(path in tests or _name(path) in {"conftest.py", "__init__.py"} for path in beside)


def _modules(names: Iterable[str]) -> set[str]:
    found = set()
    for path in names:
        parts = path.split("/")
        if path.endswith(".py"):
            top = parts[1] if len(parts) > 1 and parts[0] in _SOURCE_ROOTS else parts[0]
            found.add(top.removesuffix(".py"))
    return found - _TEST_DIRECTORIES


def runner_tables(name: str, data: bytes | None) -> Mapping[str, Any] | None:
    """What in a shared file configures the test runner; None if it cannot be parsed."""
    try:
        text = (data or b"").decode()
        return _of_toml(tomllib.loads(text)) if name.endswith(".toml") else _of_ini(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, configparser.Error, RecursionError):
        return None


def _of_toml(document: Mapping[str, Any]) -> dict[str, Any]:
    tool = _table(document, "tool")
    found = {f"tool.{name}": value for name, value in tool.items() if name.casefold().startswith("pytest")}
    places = {
        "project": _table(_table(document, "project"), "entry-points"),
        "poetry": _table(_table(tool, "poetry"), "plugins"),
    }
    return found | {place: table["pytest11"] for place, table in places.items() if "pytest11" in table}


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _of_ini(text: str) -> dict[str, Any]:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    found: dict[str, Any] = {name: dict(parser[name]) for name in ("pytest", "tool:pytest") if name in parser}
    if parser.has_option("options.entry_points", "pytest11"):
        found["pytest11"] = parser.get("options.entry_points", "pytest11")
    return found


def _matches(path: str, patterns: Iterable[str]) -> bool:
    for pattern in patterns:
        plain = pattern.removesuffix("/")
        variants = [plain, f"{plain}/*"] + ([f"*/{plain}"] if plain != pattern else [])
        if any(fnmatch.fnmatchcase(path, variant) for variant in variants):
            return True
    return False


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _ancestors(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]
