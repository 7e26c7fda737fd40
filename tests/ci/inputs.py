"""Inputs of a CI/CD component as GitLab takes them: checked by type, options and pattern, then put in their places."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_INPUT = re.compile(r"\$\[\[\s*inputs\.([\w-]+)\s*\]\]")
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str, "number": (int, float), "boolean": bool, "array": list,
}  # fmt: skip


class NotTaken(ValueError):
    """GitLab makes no pipeline of such inputs."""


def jobs_of(component: Path, given: Mapping[str, object]) -> dict[str, Any]:
    """The jobs of a component that is included with the inputs `given`."""
    head, jobs = yaml.safe_load_all(component.read_text())
    spec = {name: each or {} for name, each in head["spec"]["inputs"].items()}
    if unknown := given.keys() - spec.keys():
        raise NotTaken(f"unknown input: {sorted(unknown)}")
    values = {name: _taken(name, each, given) for name, each in spec.items()}
    return _filled(jobs, values)


def _taken(name: str, spec: Mapping[str, Any], given: Mapping[str, object]) -> object:
    if name not in given and "default" not in spec:
        raise NotTaken(f"{name} is required")
    value = given.get(name, spec.get("default"))
    kind = spec.get("type", "string")
    if not isinstance(value, _TYPES[kind]) or (kind == "number" and isinstance(value, bool)):
        raise NotTaken(f"{name} is no {kind}")
    if "options" in spec and value not in spec["options"]:
        raise NotTaken(f"{name} is none of {spec['options']}")
    if "regex" in spec and not re.search(spec["regex"].removesuffix("$") + r"\Z", str(value)):
        raise NotTaken(f"{name} does not match {spec['regex']}")
    return value


def _filled(node: Any, values: Mapping[str, object]) -> Any:
    """`node` with its inputs put in: a text that is one input becomes that, with its type."""
    if isinstance(node, dict):
        return {_filled(key, values): _filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(each, values) for each in node]
    if not isinstance(node, str):
        return node
    if whole := _INPUT.fullmatch(node):
        return values[whole[1]]
    return _INPUT.sub(lambda found: str(values[found[1]]), node)
