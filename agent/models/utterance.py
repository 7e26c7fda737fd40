"""How a scripted reply is said: the chunks of a stream, or one body, in the shape of Moonshot's API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.messages import Usage
from agent.models.script import ScriptedReply

__all__ = ["completion_body", "stream_events"]

PIECE = 12
"""Characters of a delta."""


def stream_events(
    reply: ScriptedReply,
    ids: Sequence[str],
    *,
    model: str,
    number: int,
    choice_usage: Usage | None,
    chunk_usage: Usage | None,
) -> Iterator[bytes]:
    """The events of a stream: role, reasoning, content, calls in fragments, why it ends, usage, `[DONE]`."""
    for delta in _deltas(reply, ids):
        yield _event(_chunk(model, number, [{"index": 0, "delta": delta, "finish_reason": None}]))
    last: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": _finish_reason(reply)}
    if choice_usage:
        last["usage"] = usage_body(choice_usage)
    yield _event(_chunk(model, number, [last]))
    if chunk_usage:
        yield _event(_chunk(model, number, []) | {"usage": usage_body(chunk_usage)})
    yield b"data: [DONE]\n\n"


def completion_body(
    reply: ScriptedReply, ids: Sequence[str], model: str, number: int, usage: Usage | None
) -> dict[str, Any]:
    """The whole reply in one body."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.say or None}
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if reply.calls:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.text}}
            for call_id, call in zip(ids, reply.calls, strict=True)
        ]
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(reply)}
    body = _chunk(model, number, [choice]) | {"object": "chat.completion"}
    return body | {"usage": usage_body(usage)} if usage else body


def usage_body(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "cached_tokens": usage.cached,
    }


def _deltas(reply: ScriptedReply, ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    yield {"role": "assistant", "content": ""}
    if reply.reasoning == "":
        yield {"reasoning_content": ""}
    for piece in _pieces(reply.reasoning or ""):
        yield {"reasoning_content": piece}
    for piece in _pieces(reply.say):
        yield {"content": piece}
    for index, (call_id, call) in enumerate(zip(ids, reply.calls, strict=True)):
        head = {"index": index, "id": call_id, "type": "function"}
        yield {"tool_calls": [head | {"function": {"name": call.name, "arguments": ""}}]}
        for piece in _pieces(call.text):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))


def _finish_reason(reply: ScriptedReply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.calls else "stop")


def _chunk(model: str, number: int, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": model,
        "choices": choices,
    }


def _event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"
