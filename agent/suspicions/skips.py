"""Tests that are skipped, expected to fail, or hidden from the runner.

Found: every mention of pytest's and unittest's ways to skip and to expect a failure, at the test, class or module
that it stands at, be it behind a name of the module's own; `__test__ = False` and `collect_ignore` where tests live;
the same in code that is tested, which can skip the test that calls it. Not found: a test that returns early because
of the platform, and plugins of pytest with markers of their own.
False alarms: new tests for optional parts of a project skip honestly, so a new test's skip is a kind of its own; a
helper module that used pytest already is taken for a part of the tests.
"""

import ast
from collections.abc import Iterator

from agent.suspicions.kinds import Kind
from agent.suspicions.source import Source, functions
from agent.suspicions.work import Finding, Role, Subject

__all__ = ["skips"]

_PYTEST = ("skip", "xfail", "importorskip", "mark.skip", "mark.skipif", "mark.xfail", "skip.Exception")
_UNITTEST = ("skip", "skipIf", "skipUnless", "expectedFailure", "SkipTest", "case.SkipTest")
_SKIPS = frozenset(
    {f"pytest.{name}" for name in _PYTEST}
    | {f"unittest.{name}" for name in _UNITTEST}
    | {"_pytest.outcomes.skip", "_pytest.outcomes.xfail", "_pytest.outcomes.Skipped", "_pytest.outcomes.exit"}
)
_ENDS = frozenset({"pytest.exit", "pytest.exit.Exception", "_pytest.outcomes.exit", "_pytest.outcomes.Exit"})
_IGNORES = frozenset({"collect_ignore", "collect_ignore_glob"})


def skips(subject: Subject) -> Iterator[Finding]:
    """Mentions of what keeps a test from passing or failing."""
    source, among_tests = subject.source, subject.role is not Role.CODE
    if not among_tests and subject.earlier and _uses_pytest(subject.earlier):
        among_tests = True
    markers, defining = _markers(source)
    earlier = _scopes(subject.earlier)
    earlier |= _for_every_test(source) if earlier else frozenset()
    for place in source.placed:
        node = place.node
        named = source.dotted(node)
        named = markers.get(named, named)
        if named in _ENDS or (named in _SKIPS and not among_tests):
            words = f"`{named}` in code that is tested"
            yield Finding(Kind.SKIP_IN_CODE, place.line, named, words, place.scope)
        elif (named in _SKIPS or _skips_itself(node)) and id(node) not in defining:
            named = named or "skipTest"
            yield Finding(_kind(place.scope, earlier), place.line, named, f"`{named}`{_at(place.scope)}", place.scope)
        elif hidden := _hidden(node, among_tests=among_tests):
            yield Finding(Kind.HIDDEN_TESTS, place.line, hidden, f"`{hidden}` hides tests", place.scope)


def _kind(scope: str, earlier: frozenset[str]) -> Kind:
    """New at something that was there, or part of something that is new itself."""
    return Kind.NEW_SKIP if scope in earlier else Kind.SKIP_IN_NEW_TEST


def _at(scope: str) -> str:
    return f" at `{scope}`" if scope else " for the whole file"


def _scopes(source: Source | None) -> frozenset[str]:
    if source is None:
        return frozenset()
    classes = (place.scope for place in source.placed if isinstance(place.node, ast.ClassDef))
    return frozenset({"", *functions(source.tree), *classes})


def _for_every_test(source: Source) -> frozenset[str]:
    """Fixtures that tests get whether they ask or not: what those do concerns the tests that were there."""
    return frozenset(
        scope
        for scope, function in functions(source.tree).items()
        if any("autouse" in ast.dump(decorator) for decorator in function.decorator_list)
    )


def _markers(source: Source) -> tuple[dict[str, str], set[int]]:
    """The module's own names for markers, as in `needs_x = pytest.mark.skipif(...)`, and the nodes that define them."""
    markers: dict[str, str] = {}
    defining: set[int] = set()
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            called = node.value.func if isinstance(node.value, ast.Call) else node.value
            name, named = node.targets[0].id, source.dotted(called)
            if named in _SKIPS and name != "pytestmark":
                markers[name] = named
                defining |= {id(each) for each in ast.walk(node)}
    return markers, defining


def _skips_itself(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "skipTest"


def _hidden(node: ast.AST, *, among_tests: bool) -> str:
    match node:
        case ast.Assign(targets=[ast.Attribute(attr="__test__")], value=value) if not getattr(value, "value", True):
            return "__test__"
        case ast.Assign(targets=[ast.Name(id="__test__")], value=value) if not getattr(value, "value", True):
            return "__test__" if among_tests else ""
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AugAssign(target=ast.Name(id=name)) if name in _IGNORES:
            return name if among_tests else ""
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))) if name in _IGNORES:
            return name
        case _:
            return ""


def _uses_pytest(source: Source) -> bool:
    return any(
        stands_for.partition(".")[0] in ("pytest", "_pytest", "unittest") for stands_for in source.names.values()
    )
