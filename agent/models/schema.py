"""Rewrites tool schemas into the subset of JSON schema that Moonshot accepts (MFJS)."""

import re
from collections.abc import Sequence
from typing import Any

from agent.models import ToolSpec

__all__ = ["normalise", "tools_to_wire"]

MOST_TOOLS = 128
TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{2,63}")
_KEPT = ("description", "default")
_BOUNDS = {
    "string": ("minLength", "maxLength"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "array": ("minItems", "maxItems"),
}
MOST_CHOICES = 500
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}

Schema = dict[str, Any]


def tools_to_wire(tools: Sequence[ToolSpec]) -> list[dict[str, object]]:
    """The `tools` of a request body.

    Raises:
        ValueError: a name is not allowed or occurs twice, there are too many tools, or a schema cannot be expressed.
    """
    names = [tool.name for tool in tools]
    wrong = [name for name in names if not TOOL_NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"tool names must match {TOOL_NAME.pattern}: {', '.join(wrong)}")
    if len(set(names)) < len(names) or len(names) > MOST_TOOLS:
        raise ValueError(f"at most {MOST_TOOLS} tools, each name once: {', '.join(names)}")
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": normalise(tool.parameters),
            },
        }
        for tool in tools
    ]


def normalise(schema: Schema) -> Schema:
    """`schema` with references inlined, types filled in, and all that MFJS refuses removed or reworded.

    What is lost (patterns, formats) is lost for the model only: arguments are validated against the original.

    Raises:
        ValueError: the root is no object, or a reference is unknown or recursive.
    """
    result = _node(schema, schema, ())
    if result.get("type") != "object":
        raise ValueError("the root of a tool's parameters must be an object")
    return {"type": "object", "properties": {}} | result


def _node(schema: object, root: Schema, inside: tuple[str, ...]) -> Schema:
    node = dict(schema) if isinstance(schema, dict) else {}
    if "$ref" in node:
        name = str(node.pop("$ref"))
        if name in inside:
            raise ValueError(f"a recursive schema cannot be inlined: {name}")
        return _node(_target(name, root) | node, root, (*inside, name))
    for part in node.pop("allOf", ()):
        node = _merged(node, part, root, inside)
    branches = node.get("anyOf") or node.get("oneOf")
    if not branches and isinstance(node.get("type"), list):
        branches = [node | {"type": name} for name in node["type"]]
    if branches:
        return _union(node, [_node(branch, root, inside) for branch in branches])
    return _plain(node, root, inside)


def _merged(node: Schema, part: object, root: Schema, inside: tuple[str, ...]) -> Schema:
    """One schema for a node and a branch of its `allOf`."""
    other = _node(part, root, inside)
    result = other | node
    for key in ("properties", "required"):
        ours, theirs = node.get(key), other.get(key)
        if ours and theirs:
            result[key] = theirs | ours if isinstance(ours, dict) else sorted({*theirs, *ours})
    return result


def _union(node: Schema, branches: list[Schema]) -> Schema:
    """Nothing stands beside `anyOf` but a description; a branch for null goes: a value may be left out."""
    kept = [branch for branch in branches if branch.get("type") != "null"] or branches
    notes = {key: node[key] for key in ("description", "default") if node.get(key) is not None}
    if len(kept) == 1:
        return kept[0] | notes
    return {"anyOf": kept} | notes


def _plain(node: Schema, root: Schema, inside: tuple[str, ...]) -> Schema:
    result: Schema = {"type": _type_of(node)}
    kept = (*_KEPT, *_BOUNDS.get(result["type"], ()))
    result |= {key: node[key] for key in kept if node.get(key) is not None}
    values = node.get("enum", [node["const"]] if "const" in node else [])
    if 0 < len(values) <= MOST_CHOICES and all(_type_name(value) == result["type"] for value in values):
        result["enum"] = list(values)
    if result["type"] == "integer":
        _close_bounds(node, result)
    if result["type"] == "array":
        result["items"] = _node(node.get("items", {}), root, inside)
    if result["type"] == "object":
        _describe_object(node, result, root, inside)
    return result


def _close_bounds(node: Schema, result: Schema) -> None:
    """Exclusive bounds of integers have inclusive equals; those of other numbers are dropped."""
    for exclusive, inclusive, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        if type(node.get(exclusive)) is int:
            result[inclusive] = node[exclusive] + step


def _describe_object(node: Schema, result: Schema, root: Schema, inside: tuple[str, ...]) -> None:
    properties = {name: _node(value, root, inside) for name, value in node.get("properties", {}).items()}
    if properties:
        result["properties"] = properties
    required = [name for name in node.get("required", ()) if name in properties]
    if required:
        result["required"] = required
    additional = node.get("additionalProperties")
    if isinstance(additional, dict):
        result["additionalProperties"] = _node(additional, root, inside)
    elif additional is not None:
        result["additionalProperties"] = bool(additional)


def _type_of(node: Schema) -> str:
    named = node.get("type")
    if isinstance(named, str):
        return named
    if "properties" in node or "additionalProperties" in node:
        return "object"
    if "items" in node or "prefixItems" in node:
        return "array"
    values = node.get("enum") or ([node["const"]] if "const" in node else [])
    return _type_name(values[0]) if values else "string"


def _type_name(value: object) -> str:
    return _TYPES.get(type(value), "null")


def _target(name: str, root: Schema) -> Schema:
    found: object = root
    for step in name.removeprefix("#/").split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    if not name.startswith("#/") or not isinstance(found, dict):
        raise ValueError(f"unknown reference in a schema: {name}")
    return dict(found)
