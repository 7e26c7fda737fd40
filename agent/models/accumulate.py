"""Puts a reply together from the chunks of a stream, whatever the host makes of the format.

Pure: chunks are decoded JSON of any shape, and nothing here raises.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from agent.live import Observer, Streamed, ignore
from agent.messages import Usage
from agent.text import least_tokens

__all__ = ["REASONING_KEYS", "Accumulator", "RawCall", "Reply", "read_usage"]

REASONING_KEYS = ("reasoning_content", "reasoning", "reasoning_details")
MOST_TOKENS = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCall:
    """A tool call as it was received; any field may be empty or nonsense."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """All that a stream said, unjudged."""

    content: str = ""
    reasoning: str | None = None
    reasoning_key: str = "reasoning_content"
    calls: tuple[RawCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    chunks: int = 0
    """How many chunks held a choice."""
    streamed: bool = True
    """Whether it came in as a stream, as was asked for."""


@dataclass(slots=True)
class _Slot:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Accumulator:
    """Takes chunks in order; `reply()` tells what they amount to so far, and `observe` is told each piece.

    Only the first choice counts. A whole `message` in place of a `delta` is taken too, so that a body that is not a
    stream goes the same way.
    """

    def __init__(self, observe: Observer = ignore) -> None:
        self._observe = observe
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._reasoning_key = ""
        self._reasoned = False
        self._slots: list[_Slot] = []
        self._by_index: dict[int, _Slot] = {}
        self._finish_reason: str | None = None
        self._usage: object = None
        self._chunks = 0

    @property
    def finished(self) -> bool:
        """Whether the server has said why it stopped: what follows can only be usage."""
        return self._finish_reason is not None

    def add(self, chunk: object) -> None:
        """Take one chunk; what is not understood is passed over."""
        body = _mapping(chunk)
        if body.get("usage") is not None:
            self._usage = body["usage"]
        for choice in map(_mapping, _sequence(body.get("choices"))):
            if choice.get("index") in (0, None):
                self._add_choice(choice)

    def reply(self) -> Reply:
        """What was said so far."""
        content = _joined(self._content)
        calls = tuple(
            RawCall(id=slot.id, name=slot.name, arguments=_joined(slot.arguments))
            for slot in self._slots
            if slot.name or any(slot.arguments)
        )
        reasoning = _joined(self._reasoning) if self._reasoned else None
        usage = read_usage(self._usage)
        said = (content, reasoning or "", *(text for call in calls for text in (call.name, call.arguments)))
        if usage and usage.completion < sum(map(least_tokens, said)):
            usage = None  # what was said may not be known any more to whoever is told of it
        return Reply(
            content=content,
            reasoning=reasoning,
            reasoning_key=self._reasoning_key or REASONING_KEYS[0],
            calls=calls,
            finish_reason=self._finish_reason,
            usage=usage,
            chunks=self._chunks,
        )

    def _add_choice(self, choice: dict[str, Any]) -> None:
        self._chunks += 1
        if choice.get("usage") is not None:
            self._usage = choice["usage"]
        if isinstance(choice.get("finish_reason"), str) and choice["finish_reason"]:
            self._finish_reason = choice["finish_reason"]
        delta = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
        if text := _text(delta.get("content")):
            self._content.append(text)
            self._observe(Streamed(text=text, channel="answer"))
        self._add_reasoning(delta)
        for call in map(_mapping, _sequence(delta.get("tool_calls"))):
            self._add_call(call)

    def _add_reasoning(self, delta: dict[str, Any]) -> None:
        """Hosts that spell the field twice send the same text twice: the first key that holds text is kept to."""
        for key in REASONING_KEYS:
            text = _text(delta.get(key))
            if text is None or self._reasoning_key not in ("", key):
                continue
            self._reasoned = True
            if text:
                self._reasoning_key = key
                self._reasoning.append(text)
                self._observe(Streamed(text=text, channel="reasoning"))

    def _add_call(self, delta: dict[str, Any]) -> None:
        function = _mapping(delta.get("function"))
        name = _string(function.get("name"))
        slot = self._slot(delta.get("index"), _string(delta.get("id")), name)
        slot.id = slot.id or _string(delta.get("id"))
        if not slot.name or name.startswith(slot.name):
            slot.name = name or slot.name
        elif not slot.name.endswith(name):
            slot.name += name
        arguments = function.get("arguments")
        if isinstance(arguments, (dict, list)):
            arguments = json.dumps(arguments, ensure_ascii=False)
        slot.arguments.append(_string(arguments))
        number = self._slots.index(slot)
        self._observe(Streamed(text=_string(arguments), channel="call", call=slot.name, number=number))

    def _slot(self, index: object, call_id: str, name: str) -> _Slot:
        """The call that a delta goes on with; a known index with another id and a name begins another call."""
        known = self._known(index, call_id, name)
        if known is not None and not (call_id and name and known.id not in ("", call_id)):
            return known
        slot = _Slot()
        self._slots.append(slot)
        if isinstance(index, int):
            self._by_index[index] = slot
        return slot

    def _known(self, index: object, call_id: str, name: str) -> _Slot | None:
        if isinstance(index, int):
            return self._by_index.get(index)
        if call_id:
            return next((slot for slot in self._slots if slot.id == call_id), None)
        last = self._slots[-1] if self._slots else None
        begins_another = last is not None and name and last.name not in ("", name)
        return None if begins_another else last


def read_usage(reported: object) -> Usage | None:
    """The usage that a server reported, or None if any number in it cannot be true."""
    usage = _mapping(reported)
    details = _mapping(usage.get("prompt_tokens_details"))
    cached = usage.get("cached_tokens")
    if cached is None:
        cached = details.get("cached_tokens")
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    counts = (prompt, completion, 0 if cached is None else cached)
    if any(type(count) is not int or not 0 <= count <= MOST_TOKENS for count in counts):
        return None
    result = Usage(prompt=counts[0] or 0, completion=counts[1] or 0, cached=counts[2])
    return result if result.prompt and result.cached <= result.prompt else None


def _joined(pieces: list[str]) -> str:
    """The text of `pieces`; surrogate pairs that a chunk border cut apart become the characters that they stand for."""
    return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _text(value: object) -> str | None:
    """Text, or the text of a list of parts; None if there is neither."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_string(_mapping(part).get("text")) for part in value)
    return None
