"""The control: the judged tests once more, made to fail. Whatever still passes was reported falsely, or cannot fail.

They are made to fail in two ways. Each test's body is wrapped so that it raises at its end whatever it did before; and
beside it stands a twin that expects other values. Every file gets a test that must pass, to show that the file was run
at all: one whose own test does not pass shows nothing either way, and is left out.
"""

import ast
import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from agent.perturbed import FunctionLike, twin_of
from agent.testreport import Status, TestReport

__all__ = ["Control", "Sabotaged", "control_of", "sabotage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotaged:
    """A test file in which the tests `names` (as `TestX::test_a`) and `twins` cannot pass, and `must_pass` has to."""

    source: bytes
    names: frozenset[str]
    twins: Mapping[str, str]
    """From the name of a twin, which expects other values, to that of its test."""
    must_pass: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control to be run: the files to put in place, and what its report means."""

    files: Mapping[str, Sabotaged]

    @property
    def tests(self) -> int:
        """How many test functions are made to fail."""
        return sum(len(file.names) for file in self.files.values())

    @property
    def twins(self) -> int:
        """How many of them have a twin that expects other values."""
        return sum(len(file.twins) for file in self.files.values())

    def suspects(self, report: TestReport) -> tuple[str, ...]:
        """Ids of tests that were made to fail and are reported as passed."""
        return tuple(
            case_id for case_id in sorted(report.ids(Status.PASSED)) if _name(case_id) in self._of(case_id).names
        )

    def insensible(self, report: TestReport) -> tuple[str, ...]:
        """Ids of tests that pass whatever values they expect: their twins are reported as passed."""
        found = (
            case_id.replace(_last(_name(case_id)), _last(test), 1)
            for case_id in sorted(report.ids(Status.PASSED))
            if (test := self._of(case_id).twins.get(_name(case_id)))
        )
        return tuple(found)

    def left_out(self, report: TestReport) -> tuple[str, ...]:
        """Paths of files of which this report shows nothing: the test that has to pass in them did not."""
        passed = {(_path(case_id), _name(case_id)) for case_id in report.ids(Status.PASSED)}
        return tuple(path for path, file in self.files.items() if (path, file.must_pass) not in passed)

    def _of(self, case_id: str) -> Sabotaged:
        return self.files.get(_path(case_id), _NOTHING)


_NOTHING = Sabotaged(source=b"", names=frozenset(), twins={}, must_pass="")


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
    """The Python file `source` with the tests `names` made to fail; None if it holds none of them or is no Python.

    None, too, if it cannot be written down anew: it may be nested deeper than that goes.
    """
    try:
        return _sabotaged(source, names)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _sabotaged(source: bytes, names: Collection[str]) -> Sabotaged | None:
    module = ast.parse(source)
    mark = hashlib.sha256(source).hexdigest()[:12]
    saboteur = _Saboteur(names=frozenset(names), mark=mark)
    saboteur.treat(module.body, "")
    if not saboteur.found:
        return None
    must_pass = f"test_control_{mark}"
    module.body += ast.parse(f"def {must_pass}({', '.join(_parameters(module))}):\n    pass\n").body
    source = ast.unparse(ast.fix_missing_locations(module)).encode()
    return Sabotaged(source=source, names=frozenset(saboteur.found), twins=saboteur.twins, must_pass=must_pass)


@dataclass(slots=True, kw_only=True)
class _Saboteur:
    """Makes the tests `names` of a module raise, and puts twins beside them that expect other values."""

    names: frozenset[str]
    mark: str
    found: set[str] = field(default_factory=set)
    twins: dict[str, str] = field(default_factory=dict)

    def treat(self, body: list[ast.stmt], above: str) -> None:
        """The statements of a module, or of the class whose name ends `above`."""
        for node in tuple(body):
            if isinstance(node, ast.ClassDef):
                self.treat(node.body, f"{above}{node.name}::")
            elif isinstance(node, FunctionLike) and f"{above}{node.name}" in self.names:
                self._test(node, body, above)
            else:
                for branch in _branches(node):
                    self.treat(branch, above)

    def _test(self, node: FunctionLike, body: list[ast.stmt], above: str) -> None:
        name = f"{above}{node.name}"
        twin = twin_of(node, f"{node.name}_control_{self.mark}")
        if twin is not None and name not in self.twins.values():
            body.insert(body.index(node) + 1, twin)
            self.twins[f"{above}{twin.name}"] = name
        node.body = _raising(node.body)
        self.found.add(name)


def _parameters(module: ast.Module) -> Iterator[str]:
    """What every test of a module has to take, for its `pytestmark` gives it to all of them."""
    marks = [each.value for each in module.body if isinstance(each, ast.Assign) and _names(each) == ["pytestmark"]]
    for call in (node for mark in marks for node in ast.walk(mark) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "parametrize" and call.args:
            texts = [node.value for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant)]
            yield from (name for text in texts for name in re.findall(r"[A-Za-z_]\w*", str(text)))


def _names(assigned: ast.Assign) -> list[str]:
    return [target.id for target in assigned.targets if isinstance(target, ast.Name)]


def _branches(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of a statement that may define tests: which of them does so is decided when the file is run."""
    if isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
        yield node.body
        yield getattr(node, "orelse", [])
        yield getattr(node, "finalbody", [])
        yield from (handler.body for handler in getattr(node, "handlers", []))
    elif isinstance(node, ast.Match):
        yield from (case.body for case in node.cases)


def _raising(body: list[ast.stmt]) -> list[ast.stmt]:
    """`body` with an error at its end that neither a return nor an exit nor a skip inside of it can avoid."""
    failing = ast.parse("raise AssertionError('greenward: made to fail')").body
    return [ast.Try(body=body, handlers=[], orelse=[], finalbody=failing)]


def _path(case_id: str) -> str:
    return case_id.partition("::")[0]


def _name(case_id: str) -> str:
    """What stands in the file: the id without its path and its parameters."""
    return case_id.partition("::")[2].partition("[")[0]


def _last(name: str) -> str:
    return name.rpartition("::")[2]
