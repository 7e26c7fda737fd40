"""Judges a reply: what may be used as a completion, what has to be asked for again."""

from collections.abc import Sequence

from agent.messages import Message, ToolCall
from agent.models import Completion, ModelError, Request
from agent.models.accumulate import RawCall, Reply
from agent.models.history import call_count, next_id
from agent.models.leaks import leaks, recover
from agent.text import one_line

__all__ = ["to_completion"]

DEGENERATE = 8
"""So many times one character and nothing else is a malfunction, not an answer."""
_LENGTH = frozenset({"length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length"})
_ORDINARY = frozenset({None, "stop", "tool_calls", "function_call"})


def to_completion(reply: Reply, request: Request, *, request_id: str = "") -> Completion:
    """The whole reply to `request`, with ids of tool calls that are unique in its conversation.

    Raises:
        ModelError: `empty` if nothing usable was said, `starved` if reasoning took all of the cap, `filtered` if the
            provider's filter cut it.
    """
    if reply.finish_reason == "content_filter":
        message, hint = "the provider's content filter cut the reply", "reword the request"
        raise ModelError("filtered", message, hint=hint, usage=reply.usage)
    if _is_cut(reply, request):
        return _cut(reply, request_id)
    content, reasoning, calls, note = reply.content, reply.reasoning, reply.calls, ""
    if not calls:
        content, reasoning, calls, note = _recovered(reply, request)
    if not calls and _says_nothing(content):
        raise _empty(_emptiness(reply), reply)
    if reply.finish_reason not in _ORDINARY:
        note = "; ".join(filter(None, [note, f"the reply ended for `{one_line(reply.finish_reason or '', 60)}`"]))
    return Completion(
        message=Message(
            role="assistant",
            content=content,
            reasoning=reasoning,
            reasoning_key=reply.reasoning_key,
            tool_calls=_numbered(calls, request),
        ),
        usage=reply.usage,
        stop_reason="tool_calls" if calls else _stop_reason(reply.finish_reason),
        request_id=request_id,
        note=note,
    )


def _is_cut(reply: Reply, request: Request) -> bool:
    """Whether the cap cut the reply: hosts have several words for it, and some say nothing but the tokens."""
    if reply.finish_reason is None:
        return reply.usage is not None and reply.usage.completion >= request.max_tokens
    return reply.finish_reason.lower() in _LENGTH


def _cut(reply: Reply, request_id: str) -> Completion:
    """A reply that reached the cap; its tool calls may be cut anywhere and are never carried out."""
    dropped = len(reply.calls)
    note = "the reply was cut at its cap of output tokens"
    if not dropped and _says_nothing(reply.content):
        hint = "allow more output tokens with `--max-output`, or set `thinking` to `disabled`"
        raise ModelError("starved", f"{note} before it said anything", hint=hint, retryable=True, usage=reply.usage)
    if leaks(reply.content):
        raise _empty(f"{note} inside a broken tool call", reply, hint="allow more output tokens")
    note += f"; {dropped} tool call{'s' * (dropped > 1)} dropped" if dropped else ""
    message = Message(
        role="assistant", content=reply.content, reasoning=reply.reasoning, reasoning_key=reply.reasoning_key
    )
    return Completion(message=message, usage=reply.usage, stop_reason="length", request_id=request_id, note=note)


def _recovered(reply: Reply, request: Request) -> tuple[str, str | None, tuple[RawCall, ...], str]:
    """Content, reasoning, calls and a note, with calls taken out of the text in which a host left them."""
    names = frozenset(tool.name for tool in request.tools)
    in_content = leaks(reply.content)
    text = reply.content if in_content else reply.reasoning or ""
    if not in_content and not (_says_nothing(reply.content) and leaks(text)):
        return reply.content, reply.reasoning, (), ""
    found = recover(text, names)
    if found is None:
        raise _empty("the reply holds broken tool-call tokens in place of tool calls", reply)
    before, calls = found
    note = f"{len(calls)} tool call{'s' * (len(calls) > 1)} recovered from control tokens in the text"
    return (before, reply.reasoning, calls, note) if in_content else (reply.content, before, calls, note)


def _numbered(calls: Sequence[RawCall], request: Request) -> tuple[ToolCall, ...]:
    """Hosts number their calls anew in each reply, or repeat ids: all get ids in the model's own format, counted up."""
    taken = {call.id for message in request.messages for call in message.tool_calls}
    number = call_count(request.messages)
    numbered: list[ToolCall] = []
    for call in calls:
        call_id = next_id(call.name, taken, number + len(numbered))
        taken.add(call_id)
        numbered.append(ToolCall(id=call_id, name=call.name, arguments=_whole(call.arguments)))
    return tuple(numbered)


def _whole(arguments: str) -> str:
    """No arguments at all mean an empty object, as some hosts send for tools without parameters."""
    return arguments if arguments.strip() else "{}"


def _says_nothing(content: str) -> bool:
    text = "".join(content.split())
    return not text or (len(text) >= DEGENERATE and len(set(text)) == 1)


def _emptiness(reply: Reply) -> str:
    if reply.content.strip():
        return f"the reply is one character repeated: {reply.content.strip()[:DEGENERATE]}"
    return "the reply holds only reasoning" if reply.reasoning else "the reply is empty"


def _empty(message: str, reply: Reply, *, hint: str = "") -> ModelError:
    return ModelError("empty", message, hint=hint, retryable=True, usage=reply.usage)


def _stop_reason(finish_reason: str | None) -> str:
    return "stop" if finish_reason is None or finish_reason in _ORDINARY else one_line(finish_reason, 60)
