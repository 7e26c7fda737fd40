"""What a test checks: asserts, unittest's methods and expected errors, each with how much it demands."""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from agent.suspicions.source import FunctionLike, Source, assigned, functions
from agent.suspicions.values import literal, truth

__all__ = [
    "CONSTANT",
    "EXACT",
    "MOST",
    "Check",
    "RaisesCheck",
    "TestFile",
    "checks_in",
    "expected_errors",
    "is_check",
    "test_functions",
]

CONSTANT, TRUE, BOUND, ABOUT, EQUAL, EXACT = range(6)
"""What a check demands: nothing, something, a bound, about a value, a value that is computed, a literal value."""
MOST = 2_000
"""Checks that are gathered of one test, give or take a loop."""
_UNITTEST = {
    "assertTrue": TRUE, "assertFalse": TRUE, "assertIsNotNone": TRUE, "assertIsInstance": TRUE, "assertNotEqual": TRUE,
    "assertNotIsInstance": TRUE, "assertIsNot": TRUE, "assertIn": BOUND, "assertNotIn": BOUND, "assertGreater": BOUND,
    "assertGreaterEqual": BOUND, "assertLess": BOUND, "assertLessEqual": BOUND, "assertRegex": BOUND,
    "assertAlmostEqual": ABOUT, "assertAlmostEquals": ABOUT, "assertIsNone": EXACT, "assert_": TRUE,
    "assertNotAlmostEqual": TRUE, "assertCountEqual": EQUAL, "assertNotRegex": TRUE,
}  # fmt: skip
_ABOUT = frozenset({"approx", "isclose", "allclose", "round", "assert_allclose", "assert_almost_equal"})
_USUAL = frozenset({*dir(builtins), "self", "cls", "approx", "pytest", "expected", "isclose"})
_ERRORS = frozenset({"raises", "warns", "assertRaises", "assertRaisesRegex", "assertWarns", "assertWarnsRegex"})
_ANY_ERROR = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})


@dataclass(frozen=True, slots=True)
class Check:
    """One demand of a test."""

    line: int
    strength: int
    text: str
    """Its source, without message."""
    tokens: frozenset[str]
    """Names and literals in it."""
    names: frozenset[str]
    """What it is about: names, but for those of every test."""


@dataclass(frozen=True, slots=True)
class RaisesCheck:
    """An error that a test expects."""

    line: int
    errors: frozenset[str]
    match: str | None
    text: str

    @property
    def takes_any(self) -> bool:
        return bool(self.errors & _ANY_ERROR)


def test_functions(tree: ast.Module) -> dict[str, FunctionLike]:
    """The tests that are written out in a file, by scope."""
    return {
        scope: node
        for scope, node in functions(tree).items()
        if node.name.startswith("test") and not any("fixture" in ast.dump(each) for each in node.decorator_list)
    }


def is_check(node: ast.AST) -> bool:
    """Whether a node demands something, as an assert and a call of `assertEqual` or `pytest.fail` do."""
    match node:
        case ast.Assert():
            return True
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name.startswith(("assert", "_assert")) or name in _ERRORS or name == "fail"
        case ast.Raise(exc=ast.Call(func=ast.Name(id="AssertionError")) | ast.Name(id="AssertionError")):
            return True
        case _:
            return False


def checks_in(node: ast.AST, source: Source, known: frozenset[str] = frozenset()) -> Iterator[Check]:
    """The checks in a statement or function; `known` are names that stand for literals."""
    for inner in ast.walk(node):
        match inner:
            case ast.Assert(test=test):
                for part in test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]:
                    yield _check(part, _strength(part, known))
            case ast.Call(func=ast.Attribute(attr=name), args=args) if name in _UNITTEST or name.startswith("assert"):
                if name not in _ERRORS:
                    yield _check(inner, _of_method(name, args, known))
            case ast.Call(func=ast.Name(id=name)) if name.startswith("assert"):
                yield _check(inner, ABOUT if name in _ABOUT else EQUAL)
            case ast.Call(func=called) if source.dotted(called) in ("pytest.fail", "self.fail"):
                yield _check(inner, EQUAL)
            case ast.Raise() if is_check(inner):
                yield _check(inner, EQUAL)
            case _:
                pass


class TestFile:
    """The tests of one file, and what each of them checks."""

    __test__ = False

    def __init__(self, source: Source) -> None:
        self._source = source
        self.tests = test_functions(source.tree)
        self._of_helpers: dict[str, list[Check]] = {}
        for node in functions(source.tree).values():
            if not node.name.startswith("test"):
                self._of_helpers.setdefault(node.name, []).extend(checks_in(node, source))

    def checks(self, scope: str) -> list[Check]:
        """The checks of a test and of the file's helpers that it calls, once for each case of a literal loop."""
        function = self.tests[scope]
        known = _literal_names(function, self._source)
        found = list(checks_in(function, self._source, known))
        for inner in ast.walk(function):
            if len(found) > MOST:
                break
            match inner:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                    found += self._of_helpers.get(name, ())
                case ast.For(iter=(ast.List(elts=cases) | ast.Tuple(elts=cases)), body=body):
                    repeated = [check for statement in body for check in checks_in(statement, self._source, known)]
                    found += repeated * min(len(cases) - 1, 50)
                case _:
                    pass
        return found

    def text(self, scope: str) -> str:
        """All that a test checks, and how: equal for two tests that differ in nothing that matters."""
        return ast.dump(self.tests[scope]) + "".join(check.text for check in self.checks(scope))

    def errors(self, scope: str) -> list[RaisesCheck]:
        """The errors that a test expects, in their order."""
        return expected_errors(self.tests[scope], self._source)


def expected_errors(function: FunctionLike, source: Source) -> list[RaisesCheck]:
    """The errors that a test expects, in their order."""
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and node.args and _last(source.dotted(node.func)) in _ERRORS:
            kinds = node.args[0].elts if isinstance(node.args[0], ast.Tuple) else [node.args[0]]
            given = next((ast.unparse(word.value) for word in node.keywords if word.arg == "match"), None)
            if given is None and _last(source.dotted(node.func)).endswith("Regex") and node.args[1:]:
                given = ast.unparse(node.args[1])
            errors = frozenset(source.dotted(kind) or ast.unparse(kind) for kind in kinds)
            found.append(RaisesCheck(node.lineno, errors, given, ast.unparse(node)))
    return found


def _check(node: ast.expr | ast.Raise, strength: int) -> Check:
    tokens, names = set(), set()
    for inner in ast.walk(node):
        match inner:
            case ast.Attribute(attr=name) | ast.Name(id=name):
                names.add(name)
            case ast.Constant(value=value) if not isinstance(value, int) or value.bit_length() < 256:
                tokens.add(repr(value))
            case _:
                pass
    about = frozenset(name for name in names - _USUAL if not name.startswith("assert"))
    return Check(node.lineno, strength, ast.unparse(node), frozenset(tokens | names), about)


def _strength(test: ast.expr, known: frozenset[str]) -> int:
    if truth(test):
        return CONSTANT
    match test:
        case ast.BoolOp(op=ast.Or(), values=values):
            return CONSTANT if any(map(truth, values)) else BOUND
        case ast.Compare():
            return _of_comparison(test, known)
        case ast.Call(func=called) if _last(ast.unparse(called)) in _ABOUT:
            return ABOUT
        case _:
            return TRUE


def _of_comparison(test: ast.Compare, known: frozenset[str]) -> int:
    match test:
        case ast.Compare(ops=[ast.NotEq() | ast.IsNot()]):
            return TRUE
        case ast.Compare(ops=operators) if all(isinstance(each, ast.Eq | ast.Is) for each in operators):
            sides = [test.left, *test.comparators]
            return max(_of_equality(one, other, known) for one, other in pairwise(sides))
        case _:
            return BOUND


def _of_equality(left: ast.expr, right: ast.expr, known: frozenset[str]) -> int:
    for side in (left, right):
        if isinstance(side, ast.Call) and _last(ast.unparse(side.func)) in _ABOUT:
            return ABOUT
    for side in (left, right):
        if isinstance(side, ast.Constant) and isinstance(side.value, bool):
            return TRUE
        if _is_literal(side, known):
            return EXACT
    return EQUAL


def _is_literal(node: ast.expr, known: frozenset[str]) -> bool:
    """Whether an expression is made of literals, of names for them, and of what builds values out of them."""
    if literal(node) is not None:
        return True
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return bool(names) and all(name in known or name[:1].isupper() for name in names)


def _literal_names(function: FunctionLike, source: Source) -> frozenset[str]:
    """Parameters, and names that are assigned from expressions without calls, in the test or in its module."""
    arguments = function.args
    names = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)} - {"self", "cls"}
    return source.constants | names | assigned(ast.walk(function))


def _of_method(name: str, args: list[ast.expr], known: frozenset[str]) -> int:
    if name in ("assertTrue", "assert_") and args:
        return _strength(args[0], known)
    if name == "assertFalse" and args:
        return CONSTANT if truth(args[0]) is False else TRUE
    if name in ("assertEqual", "assertEquals", "assertListEqual", "assertDictEqual", "assertIs") and len(args) > 1:
        return _of_equality(args[0], args[1], known)
    if name in ("assertIsNone", "assertIsNotNone") and args and literal(args[0]) is not None:
        return CONSTANT
    return _UNITTEST.get(name, EQUAL)


def _last(dotted: str) -> str:
    return dotted.rpartition(".")[2]
