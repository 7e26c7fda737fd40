"""Turns a conversation into the messages of a request body, in the form that Moonshot's API insists on."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from agent.messages import Message, ToolCall
from agent.models.schema import TOOL_NAME
from agent.text import tokens

__all__ = ["adjacent", "call_count", "estimate_tokens", "messages_to_wire"]

INTERRUPTED = "The call was interrupted; nothing is known of its result."
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
    projected = (_to_wire(message, filler) for message in adjacent(messages))
    return [message for message in projected if message is not None]


def adjacent(messages: Iterable[Message]) -> list[Message]:
    """The conversation with each tool result right after its call: missing ones made up, strays and doubles dropped."""
    messages = list(messages)
    results: dict[str | None, Message] = {}
    for message in messages:
        if message.role == "tool":
            results.setdefault(message.tool_call_id, message)
    ordered: list[Message] = []
    for message in messages:
        if message.role == "tool":
            continue
        ordered.append(message)
        ordered += [results.get(call.id) or _interrupted(call) for call in message.tool_calls]
    return ordered


def call_count(messages: Iterable[Message]) -> int:
    """How many tool calls the conversation holds: the number of the next one."""
    return sum(len(message.tool_calls) for message in messages)


def estimate_tokens(body: object) -> int:
    """A rough count of the tokens of a JSON value: a quarter of its ASCII characters, and each other one."""
    return tokens(json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def _interrupted(call: ToolCall) -> Message:
    return Message(role="tool", tool_call_id=call.id, content=INTERRUPTED)


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
    return {message.reasoning_key: text}


def _call_to_wire(call: ToolCall) -> Wire:
    name = call.name
    if not TOOL_NAME.fullmatch(name):
        name = ("tool_" + re.sub(r"[^a-zA-Z0-9_-]", "_", name))[:64]
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": name, "arguments": _arguments(_encodable(call.arguments))},
    }


def _arguments(text: str) -> str:
    """The text if it is a JSON object, else an empty one: one bad call must not spoil every later request."""
    if isinstance(_parsed(text, strict=True), dict):
        return text
    value = _parsed(text, strict=False)
    return json.dumps(value) if isinstance(value, dict) else "{}"


def _parsed(text: str, *, strict: bool) -> object:
    try:
        return json.loads(text, strict=strict, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _encodable(text: str) -> str:
    """`text` with halves of surrogate pairs, as in names of files, replaced: a body is UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
