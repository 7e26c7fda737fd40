"""The checks that Moonshot's API makes of a request, so that a scripted server refuses what the real one refuses."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from agent.models.mfjs import problem_of_schema

__all__ = ["problem_of_body", "problem_of_schema"]

_FIXED = {"top_p": 0.95, "n": 1, "presence_penalty": 0, "frequency_penalty": 0}
_KNOWN = frozenset(
    {
        "model",
        "messages",
        "tools",
        "tool_choice",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "thinking",
        "prompt_cache_key",
        "safety_identifier",
        "response_format",
        "stop",
        *_FIXED,
    }
)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9-_]{2,63}")
MOST_TOOLS = 128

Json = Mapping[str, Any]


def problem_of_body(body: Json, *, reasoned: Collection[int] | None = (), thinking_only: bool = False) -> str | None:
    """The first thing that the API would refuse in a request body, in its own words where they are known.

    Args:
        body: the decoded body, of any shape.
        reasoned: which replies of the conversation, counted from 0, were given with reasoning; it has to come back with
            their calls while thinking is on. None: all of them were.
        thinking_only: whether the model cannot be had without thinking.
    """
    try:
        return next(_problems(body, reasoned, thinking_only), None)
    except (AttributeError, TypeError, KeyError) as error:
        return f"the request is malformed: {error}"


def _problems(body: Json, reasoned: Collection[int] | None, thinking_only: bool) -> Iterator[str]:
    for name in sorted(body.keys() - _KNOWN):
        yield f"unknown field: {name}"
    thinks = body.get("thinking", {}).get("type") != "disabled"
    yield from _thinking_problems(body, thinking_only)
    yield from _sampling_problems(body, thinks)
    yield from _length_problems(body)
    if not isinstance(body.get("stream", False), bool):
        yield "invalid stream: a boolean is wanted"
    if not isinstance(body.get("stream_options", {}), dict):
        yield "invalid stream_options: an object is wanted"
    if "stream_options" in body and not body.get("stream"):
        yield "stream_options is only allowed with stream"
    yield from _format_problems(body.get("response_format"))
    yield from _tool_problems(body.get("tools", []))
    yield from _choice_problems(body, thinks)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        yield "messages must be a list of messages, and not empty"
        return
    if thinks:
        yield from _reasoning_problems(messages, reasoned)
    yield from _message_problems(messages)


def _thinking_problems(body: Json, thinking_only: bool) -> Iterator[str]:
    if "thinking" not in body:
        return
    thinking = body["thinking"]
    if unknown := sorted(thinking.keys() - {"type", "keep"}):
        yield f"invalid thinking: additional property {unknown[0]} is not allowed"
    if thinking.get("type") not in ("enabled", "disabled"):
        yield "invalid thinking: type must be enabled or disabled"
    if thinking.get("keep") not in ("all", None):
        yield "invalid thinking: keep must be all or null"
    if thinking_only and thinking.get("type") == "disabled":
        yield "invalid thinking: only type=enabled is allowed for this model"


def _sampling_problems(body: Json, thinks: bool) -> Iterator[str]:
    fixed = {"temperature": 1 if thinks else 0.6, **_FIXED}
    for name, value in fixed.items():
        if name in body and (isinstance(body[name], bool) or body[name] != value):
            yield f"invalid {name}: only {value} is allowed for this model"


def _length_problems(body: Json) -> Iterator[str]:
    if "max_tokens" in body and "max_completion_tokens" in body:
        yield "send either max_tokens or max_completion_tokens, never both"
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body and (type(body[name]) is not int or body[name] < 1):
            yield f"invalid {name}: a positive integer is wanted"
    stop = body.get("stop", [])
    stops = [stop] if isinstance(stop, str) else stop
    if len(stops) > 5 or any(len(text.encode()) > 32 for text in stops):
        yield "invalid stop: at most 5 strings of 32 bytes"


def _format_problems(wanted: Any) -> Iterator[str]:
    if wanted is None:
        return
    if wanted.get("type") not in ("text", "json_object", "json_schema"):
        yield "invalid response_format: type must be text, json_object or json_schema"
    if wanted.get("type") == "json_schema":
        problem = problem_of_schema(wanted["json_schema"].get("schema"), "response_format")
        if problem is not None:
            yield problem


def _tool_problems(tools: Any) -> Iterator[str]:
    if not isinstance(tools, list) or len(tools) > MOST_TOOLS:
        yield f"tools must be a list of at most {MOST_TOOLS}"
        return
    names: set[str] = set()
    for tool in tools:
        function = tool.get("function", {}) if isinstance(tool, dict) else {}
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f"Invalid request: function name is invalid, must match {_NAME.pattern}: {name!r}"
        if name in names:
            yield f"function name {name} is duplicated"
        names.add(str(name))
        if function.get("parameters", {}).get("type") != "object":
            yield f"tools.function.parameters of {name} is not a valid schema: the root must be an object"
        problem = problem_of_schema(function.get("parameters"), str(name))
        if problem is not None:
            yield problem


def _choice_problems(body: Json, thinks: bool) -> Iterator[str]:
    choice = body.get("tool_choice", "auto")
    if choice in ("auto", "none"):
        return
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    if choice != "required" and named is None:
        yield f"invalid tool_choice: {choice}"
    if thinks:
        yield f"tool_choice '{'specified' if named else 'required'}' is incompatible with thinking enabled"
    if named is not None and named not in [tool["function"]["name"] for tool in body.get("tools", ())]:
        yield f"invalid tool_choice: there is no tool {named}"


def _reasoning_problems(messages: list[dict[str, Any]], reasoned: Collection[int] | None) -> Iterator[str]:
    replies = [(index, message) for index, message in enumerate(messages) if message.get("role") == "assistant"]
    for number, (index, message) in enumerate(replies):
        given = reasoned is None or number in reasoned
        if given and _calls(message) and not message.keys() & {"reasoning_content", "reasoning", "reasoning_details"}:
            yield (
                f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {index}"
            )


def _message_problems(messages: list[dict[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    unanswered: list[str] = []
    for index, message in enumerate(messages):
        role = message.get("role")
        if role not in ("system", "user", "assistant", "tool"):
            yield f"invalid role at index {index}: {role}"
        if unanswered and role != "tool":
            yield f"tool_calls must be followed by tool messages responding to each tool_call_id: {unanswered}"
        yield from _content_problems(message, index)
        if role == "tool":
            if message.get("tool_call_id") not in unanswered:
                yield f"tool_call_id {message.get('tool_call_id')} is not found"
            unanswered = [other for other in unanswered if other != message.get("tool_call_id")]
        for call in _calls(message):
            yield from _call_problems(call, seen)
            seen.add(call["id"])
            unanswered.append(call["id"])
    if unanswered:
        yield f"insufficient tool messages following tool_calls message: {unanswered}"


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    return message.get("tool_calls") or []


def _content_problems(message: dict[str, Any], index: int) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, list):
        if any(not str(part.get("text", "")).strip() for part in content):
            yield f"Invalid request: text content is empty, must not be empty at position {index}"
        content = "".join(str(part.get("text", "")) for part in content)
    blank = not (isinstance(content, str) and content.strip())
    if blank and ("content" in message or not message.get("tool_calls")):
        yield f"message at position {index} with role '{message.get('role')}' must not be empty"


def _call_problems(call: dict[str, Any], seen: set[str]) -> Iterator[str]:
    function = call.get("function", {})
    if not call.get("id") or call["id"] in seen:
        yield f"duplicate or missing tool call id: {call.get('id')!r}"
    if not _NAME.fullmatch(str(function.get("name"))):
        yield f"function name is invalid, must match {_NAME.pattern}: {function.get('name')!r}"
    try:
        value = json.loads(function.get("arguments"))
    except (TypeError, ValueError):
        value = None
    if not isinstance(value, dict):
        yield f"function arguments of {call.get('id')} are not a JSON object"
