"""The checks that Moonshot's API makes of a schema: MFJS, its subset of JSON Schema."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["problem_of_schema"]

_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_WORDS = frozenset(
    {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "anyOf",
        "enum",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "$ref",
        "title",
        "description",
        "default",
    }
)

Json = Mapping[str, Any]


def problem_of_schema(schema: object, path: str = "parameters") -> str | None:
    """The first thing in a schema that is outside of MFJS, or None."""
    if not isinstance(schema, dict):
        return f"At path '{path}': not a schema"
    definitions = schema.get("$defs", {})
    if not isinstance(definitions, dict):
        return f"At path '{path}': $defs is not an object"
    root = {word: value for word, value in schema.items() if word != "$defs"}
    whole = [(path, root), *((f"{path}.$defs.{name}", inner) for name, inner in definitions.items())]
    return next((problem for where, inner in whole for problem in _problems(inner, where, definitions)), None)


def _problems(schema: Any, path: str, definitions: Json) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"At path '{path}': not a schema"
        return
    for word in sorted(schema.keys() - _WORDS):
        yield f"At path '{path}': keyword not supported: {word}"
    if "$ref" in schema:
        yield from _reference_problems(schema["$ref"], path, definitions)
    if "anyOf" in schema and "type" in schema:
        yield f"At path '{path}': type beside anyOf"
    if not schema.keys() & {"anyOf", "$ref"} and schema.get("type") not in _TYPES:
        yield f"At path '{path}': type is not defined"
    for name in schema.get("required", ()):
        if name not in schema.get("properties", {}):
            yield f"At path '{path}': required property {name} is not defined"
    if "enum" in schema and len({type(value) for value in schema["enum"]}) != 1:
        yield f"At path '{path}': enum is not homogeneous"
    for name, inner in _inner_schemas(schema):
        yield from _problems(inner, f"{path}.{name}", definitions)


def _reference_problems(reference: object, path: str, definitions: Json) -> Iterator[str]:
    prefix, _, name = str(reference).rpartition("/")
    if prefix != "#/$defs" or name not in definitions:
        yield f"At path '{path}': $ref is not defined: {reference}"


def _inner_schemas(schema: Json) -> Iterator[tuple[str, Any]]:
    yield from schema.get("properties", {}).items()
    for number, branch in enumerate(schema.get("anyOf", ())):
        yield f"anyOf.{number}", branch
    if "items" in schema:
        yield "items", schema["items"]
    if not isinstance(schema.get("additionalProperties", True), bool):
        yield "additionalProperties", schema["additionalProperties"]
