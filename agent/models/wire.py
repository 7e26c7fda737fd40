"""Turns a conversation into the messages of a request body, in the form that Moonshot's API insists on."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from agent.messages import Message, ToolCall
from agent.models.accumulate import REASONING_KEYS
from agent.models.history import repaired
from agent.models.schema import TOOL_NAME
from agent.text import tokens

__all__ = ["NO_OUTPUT", "Wire", "as_sent", "estimate_tokens", "messages_to_wire", "sound_arguments"]

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
    projected = (_to_wire(message) for message in as_sent(messages, filler=filler))
    return [message for message in projected if message is not None]


def as_sent(messages: Sequence[Message], *, filler: str | None = None) -> tuple[Message, ...]:
    """The conversation with exactly the texts that a request holds: of each message what its bytes are counted by.

    One that says nothing, and so is not sent, is kept in its place.
    """
    return tuple(_as_sent(message, filler) for message in repaired(messages))


def estimate_tokens(body: object) -> int:
    """A rough count of the tokens of a JSON value: a quarter of its ASCII characters, and each other one."""
    return tokens(json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def _as_sent(message: Message, filler: str | None) -> Message:
    content = _encodable(message.content)
    if not content.strip():
        content = NO_OUTPUT if message.role == "tool" else ""
    reasoning = None
    if message.tool_calls:
        reasoning = filler if message.reasoning is None else _encodable(message.reasoning)
    calls = tuple(_sound(call) for call in message.tool_calls)
    return replace(message, content=content, reasoning=reasoning, tool_calls=calls)


def _sound(call: ToolCall) -> ToolCall:
    name = call.name
    if not TOOL_NAME.fullmatch(name):
        name = ("tool_" + re.sub(r"[^a-zA-Z0-9_-]", "_", name))[:64]
    return replace(call, name=name, arguments=sound_arguments(call.arguments))


def _to_wire(message: Message) -> Wire | None:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.content}
    if not message.content and not message.tool_calls:
        return None
    wire: Wire = {"role": message.role}
    if message.content:
        wire["content"] = message.content
    if message.tool_calls:
        wire |= _reasoning(message)
        wire["tool_calls"] = [_call_to_wire(call) for call in message.tool_calls]
    return wire


def _reasoning(message: Message) -> Wire:
    if message.reasoning is None:
        return {}
    if message.reasoning_key == "reasoning_details":
        return {"reasoning_details": [{"type": "reasoning.text", "text": message.reasoning}]}
    return {message.reasoning_key if message.reasoning_key in REASONING_KEYS else REASONING_KEYS[0]: message.reasoning}


def _call_to_wire(call: ToolCall) -> Wire:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


@lru_cache(maxsize=2_000)
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
