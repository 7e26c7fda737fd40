"""The arguments of a tool call: the JSON text of a model, taken strictly, and the schema that describes it."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, dataclass_transform

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from agent.text import one_line

__all__ = ["MAX_CHARACTERS", "BadArguments", "params", "parse", "schema"]

MAX_CHARACTERS = 4_000_000
MAX_REASON = 500
_MAX_DIGITS = 18
_MAX_FAULTS = 4

T = TypeVar("T")


class BadArguments(Exception):
    """What is wrong with arguments, in at most 500 characters."""

    def __init__(self, reason: str) -> None:
        super().__init__(one_line(reason, MAX_REASON))


@dataclass_transform(frozen_default=True, kw_only_default=True)
def params(cls: type[T]) -> type[T]:
    """Make `cls` the arguments of a tool: a frozen dataclass that takes no field but its own."""
    return with_config(ConfigDict(extra="forbid"))(dataclass(frozen=True, slots=True, kw_only=True)(cls))


def parse(kind: type[T], text: str) -> T:
    """The arguments in `text`; blank text stands for no arguments.

    Raises:
        BadArguments: the text is no JSON object, or not one for `kind`.
    """
    try:
        return TypeAdapter(kind).validate_python(_object(text))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [_fault(fault["loc"], fault["msg"]) for fault in faults[:_MAX_FAULTS]]
        more = [f"and {len(faults) - _MAX_FAULTS} more"] if len(faults) > _MAX_FAULTS else []
        raise BadArguments("; ".join([*told, *more])) from None
    except RecursionError:
        raise BadArguments("the arguments are nested too deeply") from None


def schema(kind: type) -> dict[str, Any]:
    """The JSON schema of `kind` in the subset that Moonshot's validator takes, without references.

    Titles and the descriptions of objects are left out: they repeat names, and every request carries them.
    """
    raw = TypeAdapter(kind).json_schema()
    definitions = raw.pop("$defs", {})
    plain = _plain(raw, definitions)
    assert isinstance(plain, dict)  # noqa: S101 - a schema of a dataclass is an object
    return plain


def _plain(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return _plain(definitions[reference.removeprefix("#/$defs/")] | rest, definitions)
    properties = {name: _plain(item, definitions) for name, item in node.get("properties", {}).items()}
    dropped = {"title", "properties", "description"} if properties else {"title"}
    rest = {key: _plain(value, definitions) for key, value in node.items() if key not in dropped}
    return rest | ({"properties": properties} if properties else {})


def _object(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise BadArguments(f"the arguments have {len(text):,} characters, more than {MAX_CHARACTERS:,}")
    if not text.strip():
        return {}
    try:
        value = json.loads(
            text,
            strict=False,
            object_pairs_hook=_unique,
            parse_constant=_no_number,
            parse_int=_integer,
            parse_float=_float,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadArguments("a text holds half of a surrogate pair, which is no character") from None
    except ValueError as error:
        raise BadArguments(f"the arguments are no JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadArguments(f"the arguments must be a JSON object, not {_NAMES.get(type(value), 'a number')}")
    return value


_NAMES: dict[type, str] = {list: "a list", str: "a string", bool: "a truth value", type(None): "null"}


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise BadArguments(f"the key `{one_line(key, 60)}` occurs twice")
        value[key] = item
    return value


def _no_number(word: str) -> NoReturn:
    raise BadArguments(f"{word} is no number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise BadArguments(f"a number has {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise BadArguments("a number is too large")
    return value


def _fault(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in location)
    return f"`{one_line(where, 80)}`: {message}" if where else message
