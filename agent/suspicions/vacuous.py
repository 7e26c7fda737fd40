"""Tests that cannot fail, or whose checks hold whatever the code does.

Found: tests in which nothing is called, looked up or checked; tests whose every check is caught again, stands behind
an unconditional return, below `if False` or in a function that nobody calls; checks of constants and of non-empty
tuples, `or True`, mock methods that are named and not called; a thing compared with itself. Not found: a test that
calls the code and checks nothing, for a call can fail; checks in a loop or a branch that happens never to be taken.
False alarms: placeholders, tests of reflexive equality, and `assert True` for "it got here" beside other checks.
"""

import ast
from collections.abc import Iterator, Sequence

from agent.suspicions.checks import is_check, test_functions
from agent.suspicions.kinds import Kind
from agent.suspicions.source import FunctionLike
from agent.suspicions.values import truth
from agent.suspicions.work import Finding, Role, Subject

__all__ = ["vacuous"]

_CAN_FAIL = (
    ast.Call | ast.Import | ast.ImportFrom | ast.Raise | ast.Subscript | ast.Attribute | ast.With | ast.AsyncWith
    | ast.Await | ast.Delete | ast.BinOp | ast.Yield | ast.YieldFrom | ast.For | ast.AsyncFor | ast.ClassDef
)  # fmt: skip
_CATCHES = frozenset({"AssertionError", "Exception", "BaseException"})
_MOCKS = ("assert_called", "assert_not_called", "assert_any_call", "assert_has_calls", "assert_awaited", "called_once")


def vacuous(subject: Subject) -> Iterator[Finding]:
    """What of the tests in a file cannot fail."""
    if subject.role is not Role.TEST:
        return
    for scope, test in test_functions(subject.source.tree).items():
        for kind, line, words in _faults(test):
            yield Finding(kind, line, f"{scope} {kind}", f"`{test.name}`: {words}", scope)


def _faults(test: FunctionLike) -> Iterator[tuple[Kind, int, str]]:
    checks = [node for node in ast.walk(test) if is_check(node)]
    constant = [node for node in checks if _is_constant(node)]
    yield from ((Kind.CONSTANT_ASSERT, _line(node, test), f"{_shown(node)} always holds") for node in constant)
    for node in ast.walk(test):
        if _compares_itself(node):
            yield Kind.SELF_COMPARISON, _line(node, test), f"{_shown(node)} compares a thing with itself"
        elif (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Attribute) and node.value.attr.startswith(_MOCKS)
        ):
            yield Kind.CONSTANT_ASSERT, node.lineno, f"`{node.value.attr}` is named, and not called"
    swallowed, idle = _swallowed(test), {id(node) for node in constant}
    real = [node for node in checks if id(node) not in idle]
    answers = any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(test))
    if not answers and not any(_can_fail(statement) for statement in test.body):
        yield Kind.CANNOT_FAIL, test.lineno, "nothing in it can fail"
    elif real and all(id(node) in swallowed for node in real):
        yield (
            Kind.SWALLOWED_FAILURE,
            _line(real[0], test),
            "the failure of its checks is caught, and nothing comes of it",
        )
    elif real and not _reached(test, real):
        yield Kind.UNREACHABLE_CHECK, _line(real[0], test), "none of its checks is ever reached"


def _can_fail(statement: ast.stmt) -> bool:
    """Whether anything in a statement can raise; constant asserts and definitions cannot."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Assert):
            if not truth(node.test) and not _is_constant(node):
                return True
            continue
        if isinstance(node, _CAN_FAIL):
            return True
        if isinstance(node, FunctionLike):
            waiting += node.decorator_list
        elif not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return False


def _is_constant(node: ast.AST) -> bool:
    match node:
        case ast.Assert(test=test):
            return _always(test)
        case ast.Call(func=ast.Attribute(attr="assertTrue" | "assert_"), args=[given, *_]):
            return _always(given)
        case ast.Call(func=ast.Attribute(attr="assertFalse"), args=[given, *_]):
            return truth(given) is False
        case ast.Call(func=ast.Attribute(attr="assertEqual" | "assertEquals" | "assertIs"), args=[one, other, *_]):
            return isinstance(one, ast.Constant) and isinstance(other, ast.Constant)
        case ast.Call(func=ast.Attribute(attr="assertIsNotNone"), args=[given, *_]):
            return truth(given) is not None and not (isinstance(given, ast.Constant) and given.value is None)
        case _:
            return False


def _always(test: ast.expr) -> bool:
    """Whether a condition holds whatever the code does."""
    match test:
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(map(_always, values))
        case ast.BoolOp(values=values):
            return all(map(_always, values))
        case ast.Compare(left=ast.Constant(), comparators=others):
            return all(isinstance(other, ast.Constant) for other in others)
        case ast.Compare(left=ast.Call(func=ast.Name(id="len")), ops=[ast.GtE()], comparators=[ast.Constant(value=0)]):
            return True
        case _:
            return bool(truth(test))


def _compares_itself(node: ast.AST) -> bool:
    match node:
        case ast.Assert(
            test=ast.Compare(left=left, ops=[ast.Eq() | ast.Is() | ast.LtE() | ast.GtE()], comparators=[right])
        ):
            pass
        case ast.Call(func=ast.Attribute(attr="assertEqual" | "assertIs" | "assertEquals"), args=[left, right, *_]):
            pass
        case _:
            return False
    return not isinstance(left, ast.Constant) and ast.dump(left) == ast.dump(right)


def _swallowed(test: FunctionLike) -> set[int]:
    """What stands where a failure is caught by a handler, or a `suppress`, that goes on as if nothing was."""
    found: set[int] = set()
    for node in ast.walk(test):
        caught = isinstance(node, ast.Try) and any(map(_swallows, node.handlers))
        if caught or (isinstance(node, ast.With) and any(map(_suppresses, node.items))):
            found |= {id(inner) for statement in getattr(node, "body", ()) for inner in ast.walk(statement)}
    return found


def _swallows(handler: ast.ExceptHandler) -> bool:
    kinds = {inner.id for inner in ast.walk(handler.type) if isinstance(inner, ast.Name)} if handler.type else _CATCHES
    goes_on = not any(isinstance(node, ast.Raise) or is_check(node) for each in handler.body for node in ast.walk(each))
    ends = any(
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("fail", "skip", "exit")
        for each in handler.body
        for node in ast.walk(each)
    )
    return bool(kinds & _CATCHES) and goes_on and not ends


def _suppresses(item: ast.withitem) -> bool:
    call = item.context_expr
    if not isinstance(call, ast.Call) or getattr(call.func, "attr", getattr(call.func, "id", "")) != "suppress":
        return False
    return any(isinstance(given, ast.Name) and given.id in _CATCHES for given in call.args)


def _reached(test: FunctionLike, checks: Sequence[ast.AST]) -> bool:
    """Whether any of the checks can be reached: not behind a return, in a branch never taken, in an idle function."""
    reached: set[int] = set()
    waiting: list[Sequence[ast.stmt]] = [test.body]
    while waiting:
        for statement in waiting.pop():
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    waiting += [] if _is_idle(statement, test) else [statement.body]
                case ast.If(test=given, orelse=rest) | ast.While(test=given, orelse=rest) if truth(given) is False:
                    waiting.append(rest)
                case ast.For(iter=given, orelse=rest) if truth(given) is False:
                    waiting.append(rest)
                case _:
                    reached |= {id(node) for node in ast.walk(statement)}
            if isinstance(statement, ast.Return):
                break
    return any(id(check) in reached for check in checks)


def _is_idle(inner: FunctionLike, test: FunctionLike) -> bool:
    """Whether a function in a test is called by nobody but itself; a decorator may hand it to somebody."""
    own = [node for node in ast.walk(inner) if isinstance(node, ast.Name) and node.id == inner.name]
    named = [node for node in ast.walk(test) if isinstance(node, ast.Name) and node.id == inner.name]
    return len(named) == len(own) and bool(own or not inner.decorator_list)


def _line(node: ast.AST, test: FunctionLike) -> int:
    return getattr(node, "lineno", test.lineno)


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return f"`{text if len(text) <= 60 else text[:59] + '…'}`"
