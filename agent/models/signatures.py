"""Writes tools down for a model to read: `read_file(path: string, start: integer = 1)`, and what they are for."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agent.models import ToolSpec
from agent.models.schema import normalise

__all__ = ["described", "signature"]

Schema = Mapping[str, Any]


def signature(tool: ToolSpec) -> str:
    """The name of `tool` and its parameters with their types; one with a default may be left out."""
    return f"{tool.name}({_members(normalise(tool.parameters))})"


def described(tool: ToolSpec) -> str:
    """The signature of `tool`, below it its description, and below that those of its parameters."""
    notes = dict.fromkeys(_notes(normalise(tool.parameters)))
    return "\n".join([signature(tool), f"  {' '.join(tool.description.split())}", *(f"  - {note}" for note in notes)])


def _members(node: Schema) -> str:
    required = node.get("required", ())
    return ", ".join(_member(name, member, name in required) for name, member in node.get("properties", {}).items())


def _member(name: str, member: Schema, required: bool) -> str:
    if required:
        return f"{name}: {_type(member)}"
    if "default" in member:
        return f"{name}: {_type(member)} = {json.dumps(member['default'])}"
    return f"{name}?: {_type(member)}"


def _type(node: Schema) -> str:
    if branches := node.get("anyOf"):
        return " | ".join(map(_type, branches))
    if values := node.get("enum"):
        return " | ".join(json.dumps(value) for value in values)
    match node.get("type"):
        case "array":
            return f"[{_type(node.get('items', {}))}]"
        case "object" if node.get("properties"):
            return f"{{{_members(node)}}}"
        case kind:
            return str(kind)


def _notes(node: Schema) -> Iterator[str]:
    """What is said of the parameters, those inside of others included."""
    for name, member in node.get("properties", {}).items():
        if text := member.get("description"):
            yield f"{name}: {' '.join(str(text).split())}"
        yield from _notes(member.get("items", member))
