"""Finds tool calls that a host failed to parse and left in the text as control tokens of the model."""

import json
import re

from agent.models.accumulate import RawCall

__all__ = ["leaks", "recover"]

_MARKER = re.compile(r"<\|tool_calls?_(?:section_begin|section_end|begin|argument_begin|end)\|>")
_CALL = re.compile(
    r"(?:<\|tool_call_begin\|>)?\s*(?:functions\.)?(?P<name>[A-Za-z_][\w-]*):\d+\s*"
    r"<\|tool_call_argument_begin\|>(?P<arguments>.*?)"
    r"(?=<\|tool_call_end\|>|<\|tool_calls_section_end\|>|<\|tool_call_begin\|>|\Z)",
    re.DOTALL,
)


def leaks(text: str) -> bool:
    """Whether control tokens of tool calls stand in `text`."""
    return bool(_MARKER.search(text))


def recover(text: str, names: frozenset[str]) -> tuple[str, tuple[RawCall, ...]] | None:
    """The text before the tokens and the calls in them, or None unless every call is whole and names a known tool."""
    matches = list(_CALL.finditer(text))
    calls = tuple(RawCall(id="", name=match["name"], arguments=match["arguments"].strip()) for match in matches)
    whole = len(calls) == text.count("<|tool_call_argument_begin|>") > 0
    if not whole or not all(call.name in names and _is_object(call.arguments) for call in calls):
        return None
    markers = [match.start() for match in _MARKER.finditer(text)]
    return text[: min(matches[0].start(), *markers)].strip(), calls


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text, strict=False), dict)
    except (ValueError, RecursionError):
        return False
