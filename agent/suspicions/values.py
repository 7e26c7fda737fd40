"""Literal values, in a form in which they can be compared and counted whatever is done to them."""

import ast
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Value", "literal", "literals", "shown", "truth"]

_KEYWORD = re.compile(r"[^\w\s]{0,2}[A-Za-z_][\w.+/:*-]*")
"""A word, a name, an option, a path: what programs compare with."""
_SHOWN = 40
_DEPTH = 12
_ELEMENTS = 200


@dataclass(frozen=True, slots=True)
class Value:
    """One literal. Lists and tuples are alike, so are equal numbers, and texts but for the space around them."""

    key: Hashable
    weight: int = field(compare=False)
    """How unlikely it is to be there by chance: about its length; 0 for what stands in every program."""
    is_sample: bool = field(compare=False)
    """Whether it looks like an example, as `2024-02-29` and `(3, 5)` do, and not like a word of a language."""
    parts: tuple["Value", ...] = field(default=(), compare=False)


def literal(node: ast.AST | None, names: Mapping[str, Value] | None = None, depth: int = 0) -> Value | None:
    """The value of a literal, or of a name in `names`; None for any other expression."""
    match node:
        case ast.Constant(value=value):
            return _atom(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=(int() | float()) as number)):
            return _atom(-number)
        case ast.Name(id=name) if names:
            return names.get(name)
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements) if depth < _DEPTH:
            return _container("[]", elements, names, depth)
        case ast.Dict(keys=keys, values=values) if depth < _DEPTH and None not in keys:
            return _container("{}", [each for pair in zip(keys, values, strict=True) for each in pair], names, depth)
        case _:
            return None


def literals(node: ast.AST, names: Mapping[str, Value] | None = None) -> Iterator[Value]:
    """Every literal in an expression, containers and what is in them alike."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.expr) and (value := literal(inner, names)) is not None:
            yield value
            if isinstance(inner, ast.Name):
                yield from _inside(value)


def truth(node: ast.expr) -> bool | None:
    """Whether a literal is true; None for what is none."""
    match node:
        case ast.Constant(value=value):
            return bool(value)
        case ast.List(elts=held) | ast.Tuple(elts=held) | ast.Set(elts=held):
            return bool(held) if not any(isinstance(each, ast.Starred) for each in held) else None
        case ast.Dict(keys=keys):
            return bool(keys)
        case ast.JoinedStr():
            return True
        case ast.Lambda():
            return True
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return None if (answer := truth(inner)) is None else not answer
        case _:
            return None


def shown(value: Value) -> str:
    """The literal for people, cut."""
    key = value.key
    text = repr(key[1]) if isinstance(key, tuple) and len(key) == 2 else repr(key)
    if value.parts:
        text = f"({', '.join(shown(part) for part in value.parts[:6])}{', ...' if value.parts[6:] else ''})"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _inside(value: Value) -> Iterator[Value]:
    for part in value.parts:
        yield part
        yield from _inside(part)


def _atom(value: object) -> Value | None:
    match value:
        case None | bool():
            return Value(("truth", value), 0, is_sample=False)
        case int() if value.bit_length() > 256:
            return Value(("number", value % (1 << 61) + 0.5), 20, is_sample=True)
        case int() | float():
            return Value(("number", value), _digits(value), is_sample=_is_odd(value))
        case str():
            plain = value.strip() if len(value) > 2 else value
            return Value(("text", plain), len(plain), is_sample=_reads_like_an_example(plain))
        case bytes():
            text = value.decode("latin-1")
            return Value(("bytes", value), len(value), is_sample=_reads_like_an_example(text))
        case _:
            return None


def _container(
    kind: str, elements: "list[ast.expr] | list[ast.expr | None]", names: Mapping[str, Value] | None, depth: int
) -> Value | None:
    if len(elements) > _ELEMENTS:
        return None
    parts = [literal(element, names, depth + 1) for element in elements]
    found = tuple(part for part in parts if part is not None)
    if len(found) != len(parts):
        return None
    numbers = sum(isinstance(part.key, tuple) and part.key[0] == "number" for part in found)
    weight = sum(part.weight for part in found) + len(found)
    return Value(
        (kind, tuple(part.key for part in found)), weight, numbers > 1 or any(p.is_sample for p in found), found
    )


def _digits(number: float) -> int:
    if isinstance(number, int) and -3 < number < 3:
        return 0
    return len(repr(number).strip("-").replace(".0", "").strip("0").replace(".", "")) or 1


def _is_odd(number: float) -> bool:
    """A number that nobody chooses: of four digits and more that is not round, or with several decimals."""
    if isinstance(number, int):
        return abs(number) > 1000 and number % 100 != 0 and (abs(number) & (abs(number) - 1)) != 0
    return len(repr(number).partition(".")[2]) > 1 or "e" in repr(number)


def _reads_like_an_example(text: str) -> bool:
    return len(text) > 2 and any(map(str.isalnum, text)) and not _KEYWORD.fullmatch(text)
