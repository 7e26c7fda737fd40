"""Where code answers a literal with a literal: comparisons with what comes of them, `match`, tables."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.suspicions.source import BROKEN, FunctionLike, Source
from agent.suspicions.values import Value, literal, literals

__all__ = ["Answer", "answers_of", "handed_out", "in_table", "returns_general"]

_MEASURES = frozenset({"len", "type", "isinstance", "id", "hash", "ord"})
_WRITES = frozenset({"str", "repr", "dumps"})
_MOST_CASES = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """For these inputs, one of these outputs. A `group` is one table, or the branches of one function."""

    inputs: tuple[Value, ...]
    outputs: frozenset[Value]
    line: int
    group: str
    is_branch: bool

    @property
    def key(self) -> tuple[object, ...]:
        """What it is, wherever it stands."""
        return (tuple(value.key for value in self.inputs), frozenset(value.key for value in self.outputs))


def answers_of(source: Source) -> Iterator[Answer]:
    """Every such place in a file."""
    names = _constants(source.tree)
    for place in source.placed:
        branches, table = f"branches {place.scope}", f"table {place.line} {place.scope}"
        if condition := _condition(place.node, names):
            test, said = condition
            cases = _patterns(test) if isinstance(test, ast.pattern) else _asked(test, names)
            for case in cases[:_MOST_CASES]:
                yield Answer(case, said, getattr(test, "lineno", place.line), branches, is_branch=True)
        match place.node:
            case ast.Dict(keys=keys, values=values):
                yield from in_table(zip(keys, values, strict=True), table, names)
            case ast.List(elts=rows) | ast.Tuple(elts=rows) | ast.Set(elts=rows):
                yield from in_table(map(_pair, rows), table, names)
            case ast.Call(func=ast.Name(id="zip"), args=[one, other]):
                yield from in_table(zip(_elements(source, one), _elements(source, other), strict=False), table, names)
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=key)], value=value):
                yield from in_table([(key, value)], f"table {name} {place.scope}", names)
            case _:
                pass


def in_table(
    pairs: Iterable[tuple[ast.expr | None, ast.expr | None]], group: str, names: Mapping[str, Value] | None = None
) -> Iterator[Answer]:
    """The entries of a table whose keys are literals."""
    for key, value in pairs:
        if key is None or value is None:
            continue
        asked, said = literal(key, names), frozenset(literals(value, names))
        if asked is not None and said:
            yield Answer((asked,), said, getattr(key, "lineno", 0), group, is_branch=False)


def handed_out(source: Source) -> list[tuple[int, Sequence[Value]]]:
    """Lists of three literals and more that are used up one by one, by `next` or `pop`, each with its line."""
    taken: set[str] = set()
    lists: dict[str, ast.expr] = {}
    for place in source.placed:
        match place.node:
            case ast.Call(func=ast.Name(id="next"), args=[ast.Name(id=name) | ast.Attribute(attr=name), *_]):
                taken.add(name)
            case ast.Call(
                func=ast.Attribute(attr="pop" | "popleft", value=ast.Name(id=name) | ast.Attribute(attr=name))
            ):
                taken.add(name)
            case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
                inner = value.args[0] if isinstance(value, ast.Call) and len(value.args) == 1 else value
                lists[name] = inner
            case _:
                pass
    values = [(node.lineno, literal(node)) for name, node in lists.items() if name in taken]
    return [
        (line, held.parts) for line, held in values if held is not None and sum(p.weight > 0 for p in held.parts) > 2
    ]


def _constants(tree: ast.Module) -> dict[str, Value]:
    """Names that a module gives to literals."""
    return {
        target.id: value
        for node in tree.body
        if isinstance(node, ast.Assign) and (value := literal(node.value)) is not None and not value.parts
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _condition(node: ast.AST, names: Mapping[str, Value]) -> tuple[ast.expr | ast.pattern, frozenset[Value]] | None:
    """What a branch asks, and the literals that it answers with; None for what is no such branch."""
    match node:
        case ast.If(test=test, body=body):
            said = _said(body, names)
        case ast.match_case(pattern=test, body=body):
            said = _said(body, names)
        case ast.IfExp(test=test, body=value):
            said = frozenset(literals(value, names))
        case ast.Return(value=ast.Compare() as test):
            said = frozenset(literals(ast.Constant(value=True)))
        case _:
            return None
    return (test, said) if said else None


def _pair(row: ast.expr) -> tuple[ast.expr | None, ast.expr | None]:
    """A row's elements but the last, and that one."""
    if not isinstance(row, ast.Tuple | ast.List) or not row.elts[1:]:
        return None, None
    front = row.elts[0] if len(row.elts) == 2 else ast.Tuple(elts=row.elts[:-1], lineno=row.lineno)
    return front, row.elts[-1]


def _elements(source: Source, node: ast.expr) -> list[ast.expr]:
    """The elements of a list that is written out, here or at the module's level."""
    if isinstance(node, ast.Name):
        named = (each.value for each in source.tree.body if isinstance(each, ast.Assign) and _assigns(each, node.id))
        node = next(named, node)
    return node.elts if isinstance(node, ast.List | ast.Tuple) else []


def _assigns(node: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)


def _said(body: list[ast.stmt], names: Mapping[str, Value]) -> frozenset[Value]:
    """The literals that a branch returns, prints, yields or keeps, where it does little else."""
    found: set[Value] = set()
    for statement in body[:3]:
        match statement:
            case ast.Return(value=ast.expr() as value) | ast.Assign(value=value) | ast.AugAssign(value=value):
                found |= set(literals(value, names))
            case ast.Expr(value=ast.Call(args=arguments)):
                found |= {value for argument in arguments for value in literals(argument, names)}
            case ast.Expr(value=ast.Yield(value=ast.expr() as value)):
                found |= set(literals(value, names))
            case _:
                pass
    return frozenset(found)


Asked = list[tuple[Value, ...]]
"""The inputs for which a condition holds, one tuple for each way."""


def _asked(test: ast.expr, names: Mapping[str, Value]) -> Asked:
    """The inputs that a condition is about; empty if it is about anything but literals."""
    match test:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return _compared(left, operator, right, names)
        case ast.Call(func=ast.Attribute(value=given, attr="startswith" | "endswith" | "__eq__"), args=[wanted]):
            value = literal(wanted, names)
            return [(value,)] if value is not None and _is_input(given) else []
        case ast.BoolOp(op=ast.Or(), values=parts):
            return [case for part in parts for case in _asked(part, names)]
        case ast.BoolOp(op=ast.And(), values=parts):
            single = [cases[0] for part in parts if len(cases := _asked(part, names)) == 1]
            return [tuple(value for case in single for value in case)] if single else []
        case _:
            return []


def _compared(left: ast.expr, operator: ast.cmpop, right: ast.expr, names: Mapping[str, Value]) -> Asked:
    if isinstance(operator, ast.Eq | ast.Is):
        for side, other in ((left, right), (right, left)):
            value = literal(side, names)
            if value is not None and _is_input(other):
                return [(_read(value) if _writes(other) else value,)]
    if isinstance(operator, ast.In):
        if (value := literal(left, names)) is not None and _is_input(right):
            return [(value,)]
        elements = getattr(right, "elts", getattr(right, "keys", [])) if _is_input(left) else []
        return [(value,) for each in elements if (value := literal(each, names)) is not None]
    return []


def _writes(node: ast.expr) -> bool:
    """Whether an expression is something written down, as `str(x)` is."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in _WRITES


def _read(value: Value) -> Value:
    """What a text says that is a literal itself, as `"[3, 1, 2]"`."""
    text = value.key[1] if isinstance(value.key, tuple) and value.key[0] == "text" else None
    try:
        read = literal(ast.parse(text, mode="eval").body) if isinstance(text, str) else None
    except BROKEN:
        return value
    return value if read is None else read


def _is_input(node: ast.expr) -> bool:
    """Whether an expression is something that came from outside, and no measure of it."""
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        return name not in _MEASURES
    return isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Tuple | ast.List)


def _patterns(pattern: ast.pattern) -> list[tuple[Value, ...]]:
    match pattern:
        case ast.MatchValue(value=value):
            return [(found,)] if (found := literal(value)) is not None else []
        case ast.MatchOr(patterns=patterns):
            return [case for each in patterns for case in _patterns(each)]
        case ast.MatchSequence(patterns=patterns):
            parts = [_patterns(each) for each in patterns]
            return (
                [tuple(v for part in parts for v in part[0])] if parts and all(len(each) == 1 for each in parts) else []
            )
        case _:
            return []


def returns_general(function: FunctionLike) -> bool:
    """Whether a function returns something that it works out, and not only literals."""
    return any(
        isinstance(node, ast.Return | ast.Yield) and node.value is not None and literal(node.value) is None
        for node in ast.walk(function)
    )
