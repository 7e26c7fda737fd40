"""The conversation of a run as a reader gets it: word for word up to a size, with arguments taken apart. Pure."""

import json
from dataclasses import dataclass

from agent.messages import Message, ToolCall
from agent.telling import subject_of
from agent.text import excerpt, one_line, sanitise
from agent.timeline import Exchange

__all__ = ["Argument", "Said", "ShownCall", "ShownExchange", "Transcript", "transcript_of"]

ROOM = 1_500_000
"""Characters shown of a conversation, about."""
TEXT = 20_000
"""Characters shown of one text at most; in a long conversation it is less."""
LEAST = 400
FIRST, LAST = 100, 300
"""Exchanges that are shown, where there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message that the model was sent."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a call: text as it is, anything else as JSON. Without a name it is all of them, unreadable."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCall:
    """A tool call and its answer; None if there is none."""

    tool: str
    subject: str
    arguments: tuple[Argument, ...]
    answer: str | None
    is_error: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownExchange:
    """A turn: what was said to the model, what it replied, what its calls came to."""

    turn: int
    told: tuple[Said, ...]
    reasoning: str
    said: str
    replied: bool
    calls: tuple[ShownCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The beginning of a conversation, and its end where not all of it is shown."""

    first: tuple[ShownExchange, ...]
    last: tuple[ShownExchange, ...] = ()
    left_out: int = 0
    """Exchanges between the two."""


def transcript_of(exchanges: tuple[Exchange, ...]) -> Transcript:
    """`exchanges`, cut so that a page can hold them."""
    hidden = len(exchanges) - FIRST - LAST
    first = exchanges if hidden <= 0 else exchanges[:FIRST]
    last = () if hidden <= 0 else exchanges[-LAST:]
    texts = sum(len(each.told) + 2 + 2 * len(each.answers) for each in (*first, *last))
    limit = max(LEAST, min(TEXT, ROOM // max(texts, 1)))
    return Transcript(
        first=tuple(_shown(each, limit) for each in first),
        last=tuple(_shown(each, limit) for each in last),
        left_out=max(hidden, 0),
    )


def _shown(exchange: Exchange, limit: int) -> ShownExchange:
    reply = exchange.reply
    return ShownExchange(
        turn=exchange.turn,
        told=tuple(Said(role=each.role, text=_cut(each.content, limit)) for each in exchange.told),
        reasoning=_cut((reply.reasoning or "") if reply else "", limit),
        said=_cut(reply.content if reply else "", limit),
        replied=reply is not None,
        calls=_calls(exchange, reply, limit) if reply else (),
    )


def _calls(exchange: Exchange, reply: Message, limit: int) -> tuple[ShownCall, ...]:
    """The calls with their answers, which come in the same order."""
    shown = []
    for place, call in enumerate(reply.tool_calls):
        answer = exchange.answers[place] if place < len(exchange.answers) else None
        shown.append(
            ShownCall(
                tool=one_line(call.name, 64),
                subject=one_line(subject_of(call), 120),
                arguments=tuple(_arguments(call, limit)),
                answer=_cut(answer.content, limit) if answer else None,
                is_error=answer.is_error if answer else False,
            )
        )
    return tuple(shown)


def _arguments(call: ToolCall, limit: int) -> list[Argument]:
    try:
        arguments = json.loads(call.arguments)
        if isinstance(arguments, dict):
            return [
                Argument(name=one_line(name, 64), value=_cut(_value(value), limit)) for name, value in arguments.items()
            ]
    except (ValueError, RecursionError):
        pass
    return [Argument(name="", value=_cut(call.arguments, limit))]


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _cut(text: str, limit: int) -> str:
    """`text` made visible and cut to `limit` characters; what is made visible may be six times as long."""
    return excerpt(sanitise(excerpt(text, limit)), limit)
