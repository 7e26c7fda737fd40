"""Which figures of a provider cannot be true. Pure, and asked by the fold, so that a resumed run decides the same.

What is not believed settles nothing: what was reserved stays spent, and no later bound rests on it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.messages import Message, Usage
from agent.models import Request
from agent.state import RunState
from agent.text import least_tokens

__all__ = ["Doubt", "doubted", "least_of"]

SHARE = 0.9
"""Of what was counted last: hosts behind one name write the same conversation down a little differently."""
PLAIN = ("string", "integer", "number", "boolean")
"""Types that are a word however a schema is written; `object` and `array` may be brackets."""
CALLED = "tools"
"""How the form of a prompt begins in which calls are calls, and no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why a figure is not believed."""

    reason: str
    of_bound: bool = False
    """Whether an earlier figure, which the bound rested on, was too low if this one is true: neither is relied on."""


def doubted(state: RunState, usage: Usage, form: str | None = None, said: Message | None = None) -> Doubt | None:
    """Why `usage` cannot be what the call came to that `state` has reserved; None if it can.

    Args:
        state: before the reply, with the conversation that was sent.
        usage: what the provider reported.
        form: how the prompt was written; None if that is not known.
        said: the reply; None if there is none that can be used.
    """
    least, spoken = _least_prompt(state, form), _least_said(said) if said else 0
    if min(usage.prompt, usage.cached, usage.completion) < 0:
        return Doubt(reason="it counts fewer tokens than none")
    if usage.cached > usage.prompt:
        return Doubt(reason=f"{usage.cached:,} tokens of a prompt of {usage.prompt:,} cannot be cached")
    if usage.prompt < max(1, least):
        return Doubt(reason=f"a prompt of at least {least:,} tokens cannot be one of {usage.prompt:,}")
    if usage.completion < spoken:
        return Doubt(reason=f"at least {spoken:,} tokens were said, and cannot be {usage.completion:,}")
    if state.reserved is None:
        return None
    most = state.reserved.tokens - state.reserved.max_tokens
    if usage.prompt > most:
        return Doubt(reason=f"a prompt of at most {most:,} tokens cannot be one of {usage.prompt:,}", of_bound=True)
    if usage.completion > state.reserved.max_tokens:
        return Doubt(reason=f"{usage.completion:,} tokens are more than the cap of {state.reserved.max_tokens:,}")
    return None


def least_of(request: Request) -> int:
    """As few tokens as `request` can have been: its texts alone, whatever a template puts around them.

    Reasoning is left out, for templates may do so, and of the tools what no way to write them down can do without.
    """
    tools = (text for tool in request.tools for text in (tool.name, tool.description, *_told(tool.parameters)))
    return sum(map(_least_sent, request.messages)) + sum(map(least_tokens, tools))


def _least_prompt(state: RunState, form: str | None) -> int:
    """As few tokens as the prompt can have: by its texts, and by what was counted last for its unchanged beginning.

    Reasoning is not relied on: templates leave it out once something else than calls and their answers has followed.
    """
    least = state.reserved.least if state.reserved else 0
    if not state.least or form != state.prefix_form:
        return least
    billed, counted = state.prefix[0], int(SHARE * state.least)
    before, rest = state.messages[:billed], state.messages[billed:]
    if not (form.startswith(CALLED) and _one_turn(rest)):
        thoughts = (message.reasoning or "" for message in before)
        counted -= sum(len(text.encode("utf-8", "surrogatepass")) for text in thoughts)
    return max(least, counted + sum(map(_least_sent, rest)))


def _least_sent(message: Message) -> int:
    """As few tokens as a message can be in a prompt."""
    values = (text for call in message.tool_calls for text in _values(call.arguments))
    return least_tokens(message.content) + sum(map(least_tokens, values))


def _values(arguments: str) -> Iterator[str]:
    """The texts among the arguments of a call; what is no object is not sent."""
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        yield from (value for value in found.values() if isinstance(value, str))


def _told(schema: object) -> Iterator[str]:
    """What a schema says in whatever way it is written down: its words, and its fields with their types."""
    if not isinstance(schema, dict):
        return
    description, kind, fields = schema.get("description"), schema.get("type"), schema.get("properties")
    yield description if isinstance(description, str) else ""
    yield kind if kind in PLAIN else ""
    for name, field in fields.items() if isinstance(fields, dict) else ():
        yield name
        yield from _told(field)
    yield from _told(schema.get("items"))


def _one_turn(messages: Sequence[Message]) -> bool:
    """Whether there are only calls, and their answers."""
    return all(message.role == "tool" or message.tool_calls for message in messages)


def _least_said(message: Message) -> int:
    """As few tokens as a reply can have been."""
    calls = (text for call in message.tool_calls for text in (call.name, call.arguments))
    return sum(map(least_tokens, (message.content, message.reasoning or "", *calls)))
