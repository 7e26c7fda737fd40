"""Tests that replace the very function that they test.

Found, in new and changed tests: all that is called in their checks was replaced in the same test by `patch`,
`patch.object` or `monkeypatch.setattr`. Not found: a subject that is replaced in a fixture, or hollowed out by
replacing all that it calls.
False alarms: tests of the patching itself, and of wrappers that are named like what they wrap.
"""

import ast
import builtins
from collections.abc import Iterator

from agent.suspicions.checks import is_check, test_functions
from agent.suspicions.kinds import Kind
from agent.suspicions.source import FunctionLike, Source, folded
from agent.suspicions.work import Finding, Role, Subject

__all__ = ["mocks"]

_BUILTIN = frozenset({*dir(builtins), "approx", "raises", ""})


def mocks(subject: Subject) -> Iterator[Finding]:
    """Tests that check nothing but what they have replaced."""
    if subject.role is not Role.TEST:
        return
    for scope, test in test_functions(subject.source.tree).items():
        replaced = dict(_replaced(subject.source, test))
        checked = frozenset(_checked(test)) - _BUILTIN if replaced else frozenset()
        if checked and checked <= replaced.keys():
            name = min(checked, key=lambda each: replaced[each])
            words = f"`{test.name}` replaces `{name}`, and tests nothing else"
            yield Finding(Kind.MOCKED_SUBJECT, replaced[name], f"{scope} {name}", words, scope)


def _replaced(source: Source, test: FunctionLike) -> Iterator[tuple[str, int]]:
    for node in ast.walk(test):
        match node:
            case ast.Call(func=called, args=[target, *rest], lineno=line):
                how = source.dotted(called)
                if how.endswith(("patch.object", "monkeypatch.setattr")) and rest and (name := folded(rest[0])):
                    yield name, line
                elif how.endswith((".patch", "monkeypatch.setattr")) or how == "patch":
                    yield (folded(target) or "").rpartition(".")[2], line
            case _:
                pass


def _checked(test: FunctionLike) -> Iterator[str]:
    """Names that are called in checks, or whose result a check is about."""
    results: dict[str, str] = {}
    for node in ast.walk(test):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Call(func=called)):
                results[target] = _name(called)
            case _:
                pass
    for node in ast.walk(test):
        if is_check(node):
            for inner in ast.walk(node):
                match inner:
                    case ast.Call(func=called):
                        yield _name(called)
                    case ast.Name(id=name) if name in results:
                        yield results[name]
                    case _:
                        pass


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
