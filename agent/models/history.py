"""Brings a conversation into the order that Moonshot's API insists on, whatever interruptions made of it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from agent.messages import Message, ToolCall

__all__ = ["INTERRUPTED", "call_count", "next_id", "repaired"]

INTERRUPTED = "The call was interrupted; nothing is known of its result."
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def repaired(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The conversation with exactly one result right behind each tool call, and with ids that occur only once.

    Missing results are made up, strays and doubles are dropped, and a call whose id is taken, missing or odd gets
    another one, its result with it. A conversation that is in order stays as it is. As long as it grows at its end and
    each call is answered before anything else is said, so does what is made of it.
    """
    ordered: list[Message] = []
    unanswered: dict[str | None, list[int]] = {}
    taken: set[str] = set()
    for message in messages:
        if message.role == "tool":
            if places := unanswered.get(message.tool_call_id):
                place = places.pop(0)
                ordered[place] = replace(message, tool_call_id=ordered[place].tool_call_id, tool_calls=())
            continue
        calls = _with_ids(message.tool_calls, taken) if message.role == "assistant" else ()
        ordered.append(replace(message, tool_calls=calls))
        unanswered |= {call.id: [] for call in message.tool_calls}
        for call, sent in zip(message.tool_calls, calls, strict=False):
            unanswered[call.id].append(len(ordered))
            ordered.append(Message(role="tool", tool_call_id=sent.id, content=INTERRUPTED))
    return tuple(ordered)


def call_count(messages: Iterable[Message]) -> int:
    """How many tool calls the conversation holds: the number of the next one."""
    return sum(len(message.tool_calls) for message in messages)


def next_id(name: str, taken: set[str], number: int) -> str:
    """An id in the model's own format for call `number` of a conversation, with a higher number if that is taken."""
    stem = "functions." + (re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "unknown")
    while f"{stem}:{number}" in taken:
        number += 1
    return f"{stem}:{number}"


def _with_ids(calls: Sequence[ToolCall], taken: set[str]) -> tuple[ToolCall, ...]:
    """The calls with ids that are not `taken`, where they are entered."""
    named: list[ToolCall] = []
    for call in calls:
        odd = call.id in taken or not _ID.fullmatch(call.id)
        named.append(replace(call, id=next_id(call.name, taken, len(taken))) if odd else call)
        taken.add(named[-1].id)
    return tuple(named)
