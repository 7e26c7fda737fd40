"""Twins of tests that expect something else: where a test says `== 5`, its twin says what cannot be equal, too.

Only what has to fail then is changed: comparisons for equality with a literal that a test asserts at its top level,
where nothing around them decides whether they are reached. A twin that passes all the same compares with what equals
everything, or was reported falsely.
"""

import ast
import copy
from collections.abc import Iterable, Iterator

__all__ = ["FunctionLike", "twin_of"]

FunctionLike = ast.FunctionDef | ast.AsyncFunctionDef

FAR = 7919
"""Added to numbers: further off than any tolerance."""
MARK = "greenward"
LEAVING = frozenset(
    {"raises", "warns", "suppress", "deprecated_call", "assertRaises", "assertRaisesRegex", "assertWarns", "subTest"}
)
"""What a block stands under that may be left before its end."""
OUTSIDE = (ast.Return, ast.Yield, ast.YieldFrom)


def twin_of(test: FunctionLike, name: str) -> FunctionLike | None:
    """`test` as `name`, with other literals where it asserts that something equals one; None if it nowhere does."""
    twin = copy.deepcopy(test)
    twin.name = name
    return twin if sum(map(_changed, _reached(twin.body))) else None


def _reached(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that are carried out whatever is tested, up to where the test may be left."""
    for statement in body:
        if isinstance(statement, ast.With | ast.AsyncWith) and not any(map(_may_be_left, statement.items)):
            yield from _reached(statement.body)
        elif any(isinstance(inner, OUTSIDE) for inner in ast.walk(statement)):
            return
        else:
            yield statement


def _may_be_left(item: ast.withitem) -> bool:
    """Whether the block may end early: a context that has a name may be any, such as a parameter's `raises(...)`."""
    context = item.context_expr
    if not isinstance(context, ast.Call):
        return True
    called = context.func
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in LEAVING


def _changed(statement: ast.stmt) -> int:
    """How many expectations of `statement` were changed."""
    if isinstance(statement, ast.Assert):
        test = statement.test
        parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
        return sum(_compared(part) for part in parts if isinstance(part, ast.Compare))
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _called(statement.value)
    return 0


def _compared(comparison: ast.Compare) -> bool:
    if len(comparison.ops) != 1 or not isinstance(comparison.ops[0], ast.Eq):
        return False
    left, right = comparison.left, comparison.comparators[0]
    if (other := _other(right)) is not None and _other(left) is None:
        comparison.comparators = [other]
    elif (other := _other(left)) is not None and _other(right) is None:
        comparison.left = other
    else:
        return False
    return True


def _called(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "assertEqual" or len(call.args) < 2:
        return False
    compared = ast.Compare(left=call.args[0], ops=[ast.Eq()], comparators=[call.args[1]])
    changed = _compared(compared)
    call.args[:2] = [compared.left, *compared.comparators]
    return changed


def _other(literal: ast.expr) -> ast.expr | None:
    """An expression that equals nothing which equals `literal`; None if that is no literal."""
    if isinstance(literal, ast.Constant):
        return ast.Constant(value=_another(literal.value))
    match literal:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value + FAR))
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            longer = copy.copy(literal)
            longer.elts = [*parts, ast.Constant(value=MARK)]
            return longer
        case ast.Dict(keys=keys, values=values):
            mark = ast.Constant(value=MARK)
            return ast.Dict(keys=[*keys, mark], values=[*values, mark])
        case _:
            return None


def _another(value: object) -> str | bytes | float | complex | bool:
    match value:
        case bool():
            return not value
        case int() | float() | complex():
            return value + FAR
        case str():
            return value + MARK
        case bytes():
            return value + MARK.encode()
        case _:
            return MARK
