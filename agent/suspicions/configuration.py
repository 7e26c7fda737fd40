"""What configures the test runner, or greenward itself.

Found: every `conftest.py` that is new or changed after the tests were sealed; differences in the tables and files
that configure pytest, with the options that hide tests named; entry points for pytest; greenward's own table. Not
found: configuration in variables and in the command of a Makefile, which the judge does not take from the result.
False alarms: a conftest that the request asks for, which is why it is flagged under `change`.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping

from agent.seal import runner_tables
from agent.suspicions.kinds import Kind, Suspicion
from agent.suspicions.work import Change, Work, name_of, parent_of

__all__ = ["configuration"]

_SHARED = frozenset({"pyproject.toml", "setup.cfg", "tox.ini"})
_WHOLE = frozenset({"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", ".coveragerc"})
_ENTRY_POINTS = frozenset({"project", "poetry", "pytest11"})
"""Where `runner_tables` says that plugins are registered."""
_HIDES = re.compile(
    r"--(?:ignore|deselect|co\b|collect-only|noconftest|maxfail|exitfirst)[\w-]*(?:[= ]\S+)?"
    r"|(?:^|\s)-(?:[kmpc]\s*(?:'[^']*'|\"[^\"]*\"|\S+)|x\b)"
)


def configuration(work: Work, change: Change) -> Iterator[Suspicion]:
    """Differences in what configures the runs of the tests."""
    name = name_of(change.path).casefold()
    if name == "conftest.py" and change.sealed != change.after:
        how = "is removed" if change.after is None else "is new" if change.sealed is None else "is changed"
        yield Suspicion(kind=Kind.CONFTEST, path=change.path, words=f"`{name_of(change.path)}` {how}")
    if name in _SHARED | _WHOLE and change.sealed != change.after and _counts_for(work, parent_of(change.path)):
        yield from _of_runner(change, name)
    if name in ("pyproject.toml", "greenward.toml") and _own(name, change.before) != _own(name, change.after):
        words = "what greenward reads of the project is changed; it counts from the next run on"
        yield Suspicion(kind=Kind.OWN_SETTINGS, path=change.path, words=words)


def _of_runner(change: Change, name: str) -> Iterator[Suspicion]:
    before, after = _tables(name, change.sealed), _tables(name, change.after)
    for table in sorted({*before, *after}):
        old, new = before.get(table), after.get(table)
        if old == new:
            continue
        if table in _ENTRY_POINTS:
            if new is not None:
                yield Suspicion(kind=Kind.PLUGIN, path=change.path, words="registers a plugin for pytest")
            continue
        hidden = sorted(_options(new) - _options(old))
        words = "the test runner's configuration is changed"
        words += f", with `{'`, `'.join(hidden)[:100]}`" if hidden else ""
        yield Suspicion(kind=Kind.RUNNER_CONFIGURATION, path=change.path, line=_line(change.after, hidden), words=words)


def _counts_for(work: Work, directory: str) -> bool:
    """Whether tests are run at or below a directory: no other place's configuration is read."""
    if directory in ("", work.cwd):
        return True
    return any(path.startswith(f"{directory}/") for path in work.tests)


def _tables(name: str, data: bytes | None) -> Mapping[str, object]:
    """What in a file configures the test runner; of files that do nothing else, the whole."""
    if name in _WHOLE:
        return {} if data is None else {"file": data}
    return runner_tables(name, data) or {}


def _options(table: object) -> set[str]:
    """The options in a table that keep tests from being run."""
    return {match[0].strip() for match in _HIDES.finditer(_text(table))}


def _text(table: object) -> str:
    match table:
        case bytes() as data:
            return data.decode(errors="replace")
        case dict():
            return "\n".join(map(_text, table.values()))
        case list():
            return " ".join(map(_text, table))
        case _:
            return str(table)


def _line(data: bytes | None, wanted: list[str]) -> int:
    first = wanted[0].partition(" ")[0] if wanted else "\0"
    lines = (data or b"").decode(errors="replace").split("\n")
    return next((number for number, line in enumerate(lines, start=1) if first in line), 0)


def _own(name: str, data: bytes | None) -> Mapping[str, object] | None:
    """Greenward's own table; None without one, or where it cannot be read."""
    try:
        held = tomllib.loads((data or b"").decode())
    except (ValueError, RecursionError):
        return None
    tool = held.get("tool") if name == "pyproject.toml" else {"greenward": held}
    own = tool.get("greenward") if isinstance(tool, dict) else None
    return own if isinstance(own, dict) and own else None
