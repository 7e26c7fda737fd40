"""The control: the judged tests once more, made to fail. Whatever still passes was reported falsely, or cannot fail.

Each test's body is wrapped so that it raises at its end whatever it did before, and every file gets a test that must
pass, to show that the file was run at all. A file whose own test does not pass shows nothing either way: it is left
out.
"""

import ast
import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from agent.testreport import Status, TestReport

__all__ = ["Control", "Sabotaged", "control_of", "sabotage"]

FunctionLike = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotaged:
    """A test file in which the tests `names` (as `TestX::test_a`) cannot pass, and `must_pass` has to."""

    source: bytes
    names: frozenset[str]
    must_pass: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control to be run: the files to put in place, and what its report means."""

    files: Mapping[str, Sabotaged]

    @property
    def tests(self) -> int:
        """How many test functions are made to fail."""
        return sum(len(file.names) for file in self.files.values())

    def suspects(self, report: TestReport) -> tuple[str, ...]:
        """Ids of tests that were made to fail and are reported as passed."""
        return tuple(
            case_id for case_id in sorted(report.ids(Status.PASSED)) if _name(case_id) in self._names(_path(case_id))
        )

    def left_out(self, report: TestReport) -> tuple[str, ...]:
        """Paths of files of which this report shows nothing: the test that has to pass in them did not."""
        passed = report.ids(Status.PASSED)
        return tuple(path for path, file in self.files.items() if f"{path}::{file.must_pass}" not in passed)

    def _names(self, path: str) -> Collection[str]:
        return self.files[path].names if path in self.files else ()


def control_of(report: TestReport, read: Callable[[str], bytes | None]) -> Control:
    """The control for the tests that passed in `report`; `read` gives a test file by the path in its tests' ids.

    Tests that are not written out in the file that their id names (inherited, generated, doctests) are left out.
    """
    wanted: dict[str, set[str]] = {}
    for case_id in report.ids(Status.PASSED):
        wanted.setdefault(_path(case_id), set()).add(_name(case_id))
    files = {}
    for path, names in sorted(wanted.items()):
        source = read(path) if path.endswith(".py") else None
        made = sabotage(source, names) if source is not None else None
        if made is not None:
            files[path] = made
    return Control(files=files)


def sabotage(source: bytes, names: Collection[str]) -> Sabotaged | None:
    """The Python file `source` with the tests `names` made to fail; None if it holds none of them or is no Python."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    found = frozenset(_wrap(module.body, "", frozenset(names)))
    if not found:
        return None
    must_pass = f"test_control_{hashlib.sha256(source).hexdigest()[:12]}"
    module.body += ast.parse(f"def {must_pass}():\n    pass\n").body
    return Sabotaged(source=ast.unparse(ast.fix_missing_locations(module)).encode(), names=found, must_pass=must_pass)


def _wrap(body: list[ast.stmt], above: str, names: frozenset[str]) -> list[str]:
    """Make the named tests of a module or class raise, and return the names of those that were found."""
    found = []
    for node in body:
        if isinstance(node, ast.ClassDef):
            found += _wrap(node.body, f"{above}{node.name}::", names)
        elif isinstance(node, FunctionLike) and f"{above}{node.name}" in names:
            node.body = _raising(node.body)
            found.append(f"{above}{node.name}")
        elif isinstance(node, ast.If | ast.Try | ast.With):
            found += _wrap(node.body, above, names)
    return found


def _raising(body: list[ast.stmt]) -> list[ast.stmt]:
    """`body` with an error at its end that neither a return nor an exit nor a skip inside of it can avoid."""
    failing = ast.parse("raise AssertionError('greenward: made to fail')").body
    return [ast.Try(body=body, handlers=[], orelse=[], finalbody=failing)]


def _path(case_id: str) -> str:
    return case_id.partition("::")[0]


def _name(case_id: str) -> str:
    """What stands in the file: the id without its path and its parameters."""
    return case_id.partition("::")[2].partition("[")[0]
