"""Turns a conversation into the messages of a request body, in the form that Moonshot's API insists on."""

import json
import re
from collections.abc import Sequence
from typing import Any

from agent.messages import Message, ToolCall
from agent.models.accumulate import REASONING_KEYS
from agent.models.history import repaired
from agent.models.schema import TOOL_NAME
from agent.text import tokens

__all__ = ["NO_OUTPUT", "Wire", "estimate_tokens", "messages_to_wire", "sound_arguments"]

NO_OUTPUT = "(no output)"

Wire = dict[str, Any]


def messages_to_wire(messages: Sequence[Message], *, filler: str | None = None) -> list[Wire]:
    """`messages` as JSON objects.

    Content that is blank is left out beside tool calls, and a message that says nothing is not sent. Each tool call
    is followed by exactly one result. The same messages always give the same bytes, so that prefixes stay cached.

    Args:
        messages: the conversation.
        filler: the reasoning to send with tool calls that came without any; None sends none.
    """
    projected = (_to_wire(message, filler) for message in repaired(messages))
    return [message for message in projected if message is not None]


def estimate_tokens(body: object) -> int:
    """A rough count of the tokens of a JSON value: a quarter of its ASCII characters, and each other one."""
    return tokens(json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def _to_wire(message: Message, filler: str | None) -> Wire | None:
    content = _encodable(message.content)
    blank = not content.strip()
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": NO_OUTPUT if blank else content}
    if blank and not message.tool_calls:
        return None
    wire: Wire = {"role": message.role}
    if not blank:
        wire["content"] = content
    if message.tool_calls:
        wire |= _reasoning(message, filler)
        wire["tool_calls"] = [_call_to_wire(call) for call in message.tool_calls]
    return wire


def _reasoning(message: Message, filler: str | None) -> Wire:
    text = filler if message.reasoning is None else message.reasoning
    if text is None:
        return {}
    text = _encodable(text)
    if message.reasoning_key == "reasoning_details":
        return {"reasoning_details": [{"type": "reasoning.text", "text": text}]}
    return {message.reasoning_key if message.reasoning_key in REASONING_KEYS else REASONING_KEYS[0]: text}


def _call_to_wire(call: ToolCall) -> Wire:
    name = call.name
    if not TOOL_NAME.fullmatch(name):
        name = ("tool_" + re.sub(r"[^a-zA-Z0-9_-]", "_", name))[:64]
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": name, "arguments": sound_arguments(call.arguments)},
    }


def sound_arguments(text: str) -> str:
    """The text if it is a JSON object, else an empty one: one bad call must not spoil every later request."""
    text = _encodable(text)
    if isinstance(_parsed(text, strict=True), dict):
        return text
    value = _parsed(text, strict=False)
    return json.dumps(value) if isinstance(value, dict) else "{}"


def _parsed(text: str, *, strict: bool) -> object:
    """The value of `text`, or None: also for what some parsers refuse, as halves of surrogate pairs in escapes."""
    try:
        value = json.loads(text, strict=strict, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _encodable(text: str) -> str:
    """`text` with halves of surrogate pairs, as in names of files, replaced: a body is UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
