"""Objects that agree with whatever they are compared to.

Found: `__eq__`, `__instancecheck__` and `__subclasscheck__` that never look at what they are given and say yes, and
`__ne__` that says no, in a class, by assignment or in a dictionary handed to `type`; also those that compare the
other side with itself. Constant `__bool__`, `__hash__`, `__contains__` and orderings are found as well, and only
worth a flag: sentinels have them. Not found: an `__eq__` that looks at the other side in order to become equal to it.
False alarms: matchers such as `ANY`, which belong into tests; those in directories of tests are flagged alone.
"""

import ast
from collections.abc import Iterator

from agent.suspicions.kinds import Kind
from agent.suspicions.source import FunctionLike, Placed, folded
from agent.suspicions.work import Finding, Role, Subject

__all__ = ["equality"]

_AGREES = {"__eq__": True, "__instancecheck__": True, "__subclasscheck__": True, "__ne__": False}
_CONSTANT = frozenset({"__bool__", "__hash__", "__contains__", "__lt__", "__le__", "__gt__", "__ge__", "__len__"})
_WATCHED = _CONSTANT | _AGREES.keys()


def equality(subject: Subject) -> Iterator[Finding]:
    """Methods that always answer the same."""
    for place in subject.source.placed:
        for name, body in _methods(place):
            answers = _answers(name, body)
            if len(answers) != 1 or None in answers:
                continue
            agrees = name in _AGREES and answers == {_AGREES[name]}
            if not agrees and subject.role is not Role.CODE:
                continue
            kind = Kind.ALWAYS_EQUAL if agrees and subject.role is Role.CODE else Kind.CONSTANT_ANSWER
            says = "whatever it is asked" if agrees else "always the same"
            yield Finding(kind, place.line, f"{place.scope}{name}", f"`{name}` answers {says}", place.scope)


def _methods(place: Placed) -> Iterator[tuple[str, FunctionLike | ast.Lambda]]:
    match place.node:
        case (ast.FunctionDef() | ast.AsyncFunctionDef()) as node if node.name in _WATCHED:
            yield node.name, node
        case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=ast.Lambda() as body):
            if name in _WATCHED:
                yield name, body
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(value, ast.Lambda) and (name := folded(key) or "") in _WATCHED:
                    yield name, value
        case _:
            pass


def _returned(method: FunctionLike | ast.Lambda) -> list[ast.expr]:
    if isinstance(method, ast.Lambda):
        return [method.body]
    found = [node.value for node in ast.walk(method) if isinstance(node, ast.Return) and node.value is not None]
    return [value for value in found if not (isinstance(value, ast.Name) and value.id == "NotImplemented")]


def _answers(name: str, body: FunctionLike | ast.Lambda) -> set[bool | None]:
    """What a method can answer; one that agrees with the other side without looking at it agrees with all."""
    other, returned = _other(body), _returned(body)
    answers = {_answer(value, other) for value in returned}
    looks = any(isinstance(node, ast.Name) and node.id == other for node in ast.walk(body))
    return {_AGREES[name]} if name in _AGREES and None in answers and other and not looks else answers


def _other(method: FunctionLike | ast.Lambda) -> str:
    arguments = method.args.posonlyargs + method.args.args
    return arguments[-1].arg if arguments else ""


def _answer(value: ast.expr, other: str) -> bool | None:
    """What an expression is whatever the method is given; None if that depends."""
    match value:
        case ast.Constant(value=constant):
            return bool(constant)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            answer = _answer(inner, other)
            return None if answer is None else not answer
        case ast.Compare(left=ast.Name(id=one), ops=[operator], comparators=[ast.Name(id=two)]) if one == two == other:
            return isinstance(operator, ast.Eq | ast.Is | ast.LtE | ast.GtE)
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.Name(id="object")]):
            return True
        case ast.BoolOp(op=operation, values=values):
            decides = isinstance(operation, ast.Or)
            return decides if any(_answer(each, other) is decides for each in values) else None
        case _:
            return None
