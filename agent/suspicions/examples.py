"""What tests and acceptance criteria give as examples: literals that go in, and the literals that are to come out."""

import ast
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.suspicions.checks import test_functions
from agent.suspicions.source import FunctionLike
from agent.suspicions.values import Value, literal, literals
from agent.task import Criterion

__all__ = ["Example", "examples_of", "of_criterion"]

MOST = 20_000
"""Examples that are gathered in all."""
ROWS = 300
"""Cases of one test that are looked at."""
CONTEXT = 60
"""Literals elsewhere in a test, up to which they count as inputs of what it checks."""
_CONTEXT = 3
"""The weight from which a literal elsewhere in a test counts as an input of what it checks."""
_EQUALS = frozenset(
    {"assertEqual", "assertEquals", "assertListEqual", "assertDictEqual", "assertIs", "assertAlmostEqual"}
)


@dataclass(frozen=True, slots=True)
class Example:
    """One check of one case."""

    inputs: frozenset[Value]
    outputs: frozenset[Value]
    subjects: frozenset[str]
    """Names of what is called."""
    test: str


@dataclass(slots=True)
class _Scene:
    """What names stand for at some point of a test."""

    values: dict[str, Value] = field(default_factory=dict)
    results: dict[str, tuple[frozenset[Value], frozenset[str]]] = field(default_factory=dict)
    """For names that hold what a call gave: what went in, and what was called."""


def examples_of(tree: ast.Module) -> Iterator[Example]:
    """The examples in a test file."""
    tables = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(target := node.targets[0], ast.Name)
    }
    shared = {name: value for name, node in tables.items() if (value := literal(node)) is not None}
    for scope, test in test_functions(tree).items():
        context = frozenset(_context(test, shared))
        context = context if len(context) <= CONTEXT else frozenset()
        steps = [node for node in _in_order(test) if isinstance(node, ast.Assign | ast.For | ast.Assert | ast.Call)]
        for row in _rows(test, tables):
            scene = _Scene({**shared, **row})
            yield from _in_body(steps, scene, scope, context, tables)


def of_criterion(criterion: Criterion) -> Example:
    """What the command of an acceptance criterion says, and what it is to print."""
    try:
        words = shlex.split(criterion.command)
    except ValueError:
        words = criterion.command.split()
    nodes = [ast.Constant(word) for word in words if len(word) > 1]
    inputs = {value for node in nodes if (value := literal(node)) is not None}
    for word in words:
        try:
            inputs |= set(literals(ast.parse(word)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    output = literal(ast.Constant(criterion.output))
    outputs = frozenset({output} if output is not None and criterion.output.strip() else ())
    return Example(frozenset(inputs), outputs, frozenset(), criterion.behaviour)


def _in_body(
    steps: Sequence[ast.AST], scene: _Scene, scope: str, context: frozenset[Value], tables: Mapping[str, ast.expr]
) -> Iterator[Example]:
    for node in steps:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                _assign(scene, name, value)
            case ast.For(target=target, iter=cases):
                for row in _cases(cases, tables)[:ROWS]:
                    inner = _Scene({**scene.values, **_bound(target, row)}, dict(scene.results))
                    for statement in ast.walk(node):
                        yield from _example(statement, inner, scope, context)
            case ast.Assert() | ast.Call():
                yield from _example(node, scene, scope, context)
            case _:
                pass


def _in_order(test: FunctionLike) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = list(reversed(test.body))
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(list(ast.iter_child_nodes(node)))


def _assign(scene: _Scene, name: str, value: ast.expr) -> None:
    known = literal(value, scene.values)
    if known is not None:
        scene.values[name] = known
        return
    scene.values.pop(name, None)
    scene.results[name] = _given(value, scene)


def _given(node: ast.expr, scene: _Scene) -> tuple[frozenset[Value], frozenset[str]]:
    """The literals that go into an expression, directly or by way of names, and what it calls."""
    inputs: set[Value] = set(literals(node, scene.values))
    called: set[str] = set()
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=name) if name in scene.results:
                inputs |= scene.results[name][0]
                called |= scene.results[name][1]
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                called.add(name)
            case _:
                pass
    return frozenset(inputs), frozenset(called)


def _example(node: ast.AST, scene: _Scene, scope: str, context: frozenset[Value]) -> Iterator[Example]:
    for computed, expected in _sides(node):
        inputs, called = _given(computed, scene)
        outputs = frozenset(literals(expected, scene.values))
        if called and outputs:
            yield Example(inputs | (context - outputs), outputs, called, scope)


def _sides(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What is computed and what is expected, either way round where that cannot be told."""
    match node:
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq() | ast.Is() | ast.In()], comparators=[right])):
            yield from ((left, right), (right, left))
        case ast.Assert(test=ast.UnaryOp(op=ast.Not(), operand=computed)):
            yield computed, ast.Constant(value=False)
        case ast.Assert(test=ast.BoolOp(op=ast.And(), values=parts)):
            for part in parts:
                yield from _sides(ast.Assert(test=part))
        case ast.Assert(test=computed):
            yield computed, ast.Constant(value=True)
        case ast.Call(func=ast.Attribute(attr=name), args=[one, other, *_]) if name in _EQUALS:
            yield from ((one, other), (other, one))
        case ast.Call(func=ast.Attribute(attr="assertTrue" | "assertFalse" as name), args=[computed, *_]):
            yield computed, ast.Constant(value=name == "assertTrue")
        case _:
            pass


def _cases(cases: ast.expr, tables: Mapping[str, ast.expr]) -> list[ast.expr]:
    """What a loop goes over, where that is written out."""
    match cases:
        case ast.Name(id=name) if name in tables and not isinstance(tables[name], ast.Name):
            return _cases(tables[name], tables)
        case ast.List(elts=rows) | ast.Tuple(elts=rows):
            return rows
        case ast.Call(func=ast.Attribute(value=held, attr="items")):
            table = tables.get(held.id) if isinstance(held, ast.Name) else held
            if not isinstance(table, ast.Dict):
                return []
            return [ast.Tuple(elts=[k, v]) for k, v in zip(table.keys, table.values, strict=True) if k is not None]
        case _:
            return []


def _context(test: FunctionLike, shared: Mapping[str, Value]) -> Iterator[Value]:
    """Literals that a test hands to other calls than those it checks: files it writes, arguments it sets."""
    for node in ast.walk(test):
        if isinstance(node, ast.Expr | ast.Assign | ast.withitem):
            held = node.context_expr if isinstance(node, ast.withitem) else node.value
            yield from (value for value in literals(held, shared) if value.weight >= _CONTEXT)


def _rows(test: FunctionLike, tables: Mapping[str, ast.expr]) -> Iterator[dict[str, Value]]:
    """What the parametrizations of a test bind, case by case; one empty case where there is none."""
    found = False
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=[names, rows, *_]):
                found = True
                target = _target(names)
                for row in _cases(rows, tables)[:ROWS]:
                    yield _bound(target, _unwrapped(row))
            case _:
                pass
    if not found:
        yield {}


def _target(names: ast.expr) -> ast.expr:
    match names:
        case ast.Constant(value=str() as text):
            listed = [ast.Name(id=name.strip()) for name in text.split(",")]
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            listed = [ast.Name(id=str(getattr(each, "value", ""))) for each in elements]
        case _:
            listed = []
    return listed[0] if len(listed) == 1 else ast.Tuple(elts=list(listed))


def _unwrapped(row: ast.expr) -> ast.expr:
    """The values of a `pytest.param(...)`."""
    if isinstance(row, ast.Call) and getattr(row.func, "attr", "") == "param":
        return row.args[0] if len(row.args) == 1 else ast.Tuple(elts=row.args)
    return row


def _bound(target: ast.expr, row: ast.expr) -> dict[str, Value]:
    if isinstance(target, ast.Name):
        return {target.id: value} if (value := literal(row)) is not None else {}
    pairs = zip(getattr(target, "elts", []), getattr(row, "elts", []), strict=False)
    return {
        name.id: value for name, each in pairs if isinstance(name, ast.Name) and (value := literal(each)) is not None
    }
