"""How a scripted reply is said: the chunks of a stream, or one body, in the shape of Moonshot's API or a host's own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any

from agent.messages import Usage
from agent.models.reply import ScriptedReply

__all__ = ["Utterance", "as_text", "completion_body", "in_stream", "leaked", "stream_events", "usage_body"]

PIECE = 12
"""Characters of a delta."""
_ARGUMENTS = "<|tool_call_argument_begin|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A reply that is about to be said."""

    reply: ScriptedReply
    ids: Sequence[str | None]
    """Of its calls."""
    model: str
    number: int
    """Of the request."""
    usage: Mapping[str, Any] | None
    """What is reported."""


def stream_events(utterance: Utterance, *, usage_in: Sequence[str]) -> list[bytes]:
    """The events of a stream: role, reasoning, content, calls in fragments, why it ends, usage, `[DONE]`.

    Args:
        utterance: what is to be said.
        usage_in: where usage is told: `choice`, `last` and `chunk` in any number.
    """
    reply, quirks = utterance.reply, utterance.reply.quirks
    chunks = [_chunk(utterance, [])] if "empty-choices" in quirks else []
    chunks += [_chunk(utterance, [{"index": 0, "delta": delta, "finish_reason": None}]) for delta in _deltas(utterance)]
    reason = None if "null-finish-reason" in quirks else _finish_reason(reply)
    choice: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": reason}
    told = {"usage": utterance.usage} if utterance.usage else {}
    if "choice" in usage_in:
        choice |= told
    chunks.append(_chunk(utterance, [choice]) | (told if "last" in usage_in else {}))
    if told and "chunk" in usage_in:
        chunks.append(_chunk(utterance, []) | told)
    events = [b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n" for chunk in chunks]
    if "no-done" not in quirks:
        events.append(b"data: [DONE]\n\n")
    if "crlf" in quirks:
        events = [event.replace(b"\n", b"\r\n") for event in events]
    return events


def in_stream(reply: ScriptedReply, events: Sequence[bytes]) -> tuple[bytes, ...]:
    """`events` as they go out, with what the script puts between them or in place of the second half."""
    kept = events if reply.interrupt is None else [*events[: len(events) // 2], reply.interrupt.encode()]
    between = reply.between.encode()
    return tuple(piece for event in kept for piece in (event, between) if piece)


def completion_body(utterance: Utterance) -> dict[str, Any]:
    """The whole reply in one body."""
    reply = utterance.reply
    message: dict[str, Any] = {"role": "assistant", "content": reply.say or None}
    if reply.reasoning is not None:
        message |= _reasoned(reply, reply.reasoning)
    if reply.calls:
        message["tool_calls"] = [
            _identified(call_id) | {"function": {"name": call.name, "arguments": call.text}}
            for call_id, call in zip(utterance.ids, reply.calls, strict=True)
        ]
    reason = None if "null-finish-reason" in reply.quirks else _finish_reason(reply)
    choice = {"index": 0, "message": message, "finish_reason": reason}
    body = _chunk(utterance, [choice]) | {"object": "chat.completion"}
    return body | {"usage": utterance.usage} if utterance.usage else body


def usage_body(usage: Usage, cached_in: str = "usage") -> dict[str, Any]:
    """Usage as it is reported; `cached_in` is one of the choices of `Gateway.cached_in`."""
    body: dict[str, Any] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    }
    if cached_in in ("usage", "both"):
        body["cached_tokens"] = usage.cached
    if cached_in in ("details", "both"):
        body["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    return body


def as_text(reply: ScriptedReply) -> str:
    """What is said and the calls, these as fenced blocks: a model speaks so to which no tools were offered."""
    blocks = [
        f'```tool\n{{"name": {json.dumps(call.name)}, "arguments": {call.text or "{}"}}}\n```' for call in reply.calls
    ]
    return "\n\n".join([*([reply.say] if reply.say else []), *blocks])


def leaked(reply: ScriptedReply, first: int = 0) -> ScriptedReply:
    """`reply` with its calls left in the text as control tokens; `first` is the number of the first call."""
    if reply.leak is None or not reply.calls:
        return reply
    bare = reply.leak.endswith("bare")
    calls = [
        ("" if bare else "<|tool_call_begin|>functions.")
        + f"{call.name}:{first + n}{_ARGUMENTS}{call.text}<|tool_call_end|>"
        for n, call in enumerate(reply.calls)
    ]
    tokens = ("" if bare else "<|tool_calls_section_begin|>") + "".join(calls)
    if bare:
        tokens = tokens.removesuffix("<|tool_call_end|>")
    tokens += "<|tool_calls_section_end|>"
    if reply.leak == "broken":
        tokens = tokens[: tokens.rindex(_ARGUMENTS) + len(_ARGUMENTS) + 1]
    if reply.leak.startswith("reasoning"):
        return replace(reply, reasoning=(reply.reasoning or "") + tokens, calls=(), leak=None)
    return replace(reply, say=reply.say + tokens, calls=(), leak=None)


def _deltas(utterance: Utterance) -> Iterator[Mapping[str, Any]]:
    reply = utterance.reply
    yield {"role": "assistant", "content": ""}
    if reply.reasoning == "":
        yield _reasoned(reply, "")
    for piece in _pieces(reply.reasoning or ""):
        yield _reasoned(reply, piece)
    for piece in _pieces(reply.say):
        yield {"content": piece}
    calls = [_call_deltas(utterance, index) for index in range(len(reply.calls))]
    if "interleaved-calls" in reply.quirks:
        by_turns = chain.from_iterable(zip_longest(*calls))
        yield from ({"tool_calls": [delta]} for delta in by_turns if delta)
    else:
        yield from ({"tool_calls": [delta]} for delta in chain.from_iterable(calls))


def _call_deltas(utterance: Utterance, index: int) -> list[dict[str, Any]]:
    """The deltas of one call: its head, then the arguments in pieces."""
    call, quirks = utterance.reply.calls[index], utterance.reply.quirks
    head, name = _identified(utterance.ids[index]), {"name": call.name}
    pieces: list[Any] = ["", *_pieces(call.text)]
    if "whole-calls" in quirks:
        pieces = [call.text]
    if "object-arguments" in quirks:
        pieces = ["", dict(call.arguments)]
    deltas: list[dict[str, Any]] = [{"function": {"arguments": piece}} for piece in pieces]
    named = deltas[-1] if "late-name" in quirks else deltas[0]
    named["function"] = name | named["function"]
    deltas[0] = head | deltas[0]
    if "repeated-head" in quirks:
        deltas = [head | {"function": name | delta["function"]} for delta in deltas]
    return deltas if "no-index" in quirks else [{"index": index} | delta for delta in deltas]


def _identified(call_id: str | None) -> dict[str, Any]:
    return {"type": "function"} if call_id is None else {"id": call_id, "type": "function"}


def _reasoned(reply: ScriptedReply, text: str) -> dict[str, Any]:
    if reply.reasoning_key == "reasoning_details":
        return {reply.reasoning_key: [{"type": "reasoning.text", "text": text}]}
    return {reply.reasoning_key: text}


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))


def _finish_reason(reply: ScriptedReply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.calls else "stop")


def _chunk(utterance: Utterance, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{utterance.number}",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": utterance.model,
        "choices": choices,
    }
