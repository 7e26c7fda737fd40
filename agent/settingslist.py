"""Settings with their sources, for people and for programs."""

import json

from agent.sourced import Layer
from agent.text import one_line

__all__ = ["SCHEMA", "as_json", "as_text", "listed"]

SCHEMA = 1
VALUE_SHOWN = 120
"""Characters."""


def as_text(layer: Layer) -> str:
    """A line for each setting: name, value and source, aligned as far as values are short."""
    rows = [(name, _shown(each.value), one_line(each.source)) for name, each in layer.items()]
    names = max(len(name) for name, _, _ in rows)
    values = max(len(value) for _, value, _ in rows if len(value) <= VALUE_SHOWN // 3)
    return "\n".join(f"{name:{names}}  {value:{values}}  {source}" for name, value, source in rows)


def as_json(layer: Layer) -> str:
    """One object; `docs/json.md` describes it."""
    return json.dumps({"schema": SCHEMA, "settings": listed(layer)}, indent=2)


def listed(layer: Layer) -> list[dict[str, object]]:
    """The settings as JSON has them, values as they are."""
    return [{"name": name, "value": each.value, "source": each.source} for name, each in layer.items()]


def _shown(value: object) -> str:
    match value:
        case None | ():
            return "none"
        case tuple():
            return one_line(", ".join(map(str, value)), VALUE_SHOWN)
        case float():
            return f"{value:g}"
        case _:
            return one_line(str(value), VALUE_SHOWN) or "none"
