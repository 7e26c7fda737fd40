"""The checks that Moonshot's API makes of a request, so that a scripted server refuses what the real one refuses."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

__all__ = ["problem_of_body", "problem_of_schema"]

_FIXED = ("temperature", "top_p", "n", "presence_penalty", "frequency_penalty")
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
        "thinking",
        "prompt_cache_key",
        "response_format",
        "stop",
    }
)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9-_]{2,63}")
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_SCHEMA_WORDS = frozenset(
    {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "anyOf",
        "enum",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "$defs",
        "$ref",
        "title",
        "description",
        "default",
    }
)

Json = Mapping[str, Any]


def problem_of_body(body: Json, *, reasoned: Collection[str] = ()) -> str | None:
    """The first thing that the API would refuse in a request body, in its own words where they are known.

    Args:
        body: the decoded body, of any shape.
        reasoned: ids of tool calls that were given with reasoning, which has to come back with them.
    """
    try:
        return next(_problems(body, reasoned), None)
    except (AttributeError, TypeError) as error:
        return f"the request is malformed: {error}"


def problem_of_schema(schema: object, path: str = "parameters") -> str | None:
    """The first thing in a schema that is outside of MFJS."""
    return next(_schema_problems(schema, path), None)


def _problems(body: Json, reasoned: Collection[str]) -> Iterator[str]:
    for name in body.keys() - _KNOWN:
        yield f"invalid {name}: fixed for this model" if name in _FIXED else f"unknown field: {name}"
    if "max_tokens" in body and "max_completion_tokens" in body:
        yield "send either max_tokens or max_completion_tokens, never both"
    cap = body.get("max_tokens", body.get("max_completion_tokens"))
    if cap is not None and (type(cap) is not int or cap < 1):
        yield "invalid max_completion_tokens: a positive integer is wanted"
    if "stream_options" in body and not body.get("stream"):
        yield "stream_options is only allowed with stream"
    yield from _tool_problems(body.get("tools", []))
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        yield "messages must be a list of messages, and not empty"
        return
    if body.get("thinking", {}).get("type") != "disabled":
        yield from _reasoning_problems(messages, reasoned)
    yield from _message_problems(messages)


def _tool_problems(tools: Any) -> Iterator[str]:
    if not isinstance(tools, list) or len(tools) > 128:
        yield "tools must be a list of at most 128"
        return
    for tool in tools:
        function = tool.get("function", {}) if isinstance(tool, dict) else {}
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f"Invalid request: function name is invalid, must match {_NAME.pattern}: {name!r}"
        if function.get("parameters", {}).get("type") != "object":
            yield f"tools.function.parameters of {name} is not a valid schema: the root must be an object"
        yield from _schema_problems(function.get("parameters"), str(name))


def _schema_problems(schema: Any, path: str) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"At path '{path}': not a schema"
        return
    for word in sorted(schema.keys() - _SCHEMA_WORDS):
        yield f"At path '{path}': keyword not supported: {word}"
    if "anyOf" in schema and "type" in schema:
        yield f"At path '{path}': type beside anyOf"
    if not schema.keys() & {"anyOf", "$ref"} and schema.get("type") not in _TYPES:
        yield f"At path '{path}': type is not defined"
    for name in schema.get("required", ()):
        if name not in schema.get("properties", {}):
            yield f"At path '{path}': required property {name} is not defined"
    if len({type(value) for value in schema.get("enum", ())}) > 1:
        yield f"At path '{path}': enum is not homogeneous"
    for name, inner in _inner_schemas(schema):
        yield from _schema_problems(inner, f"{path}.{name}")


def _inner_schemas(schema: Json) -> Iterator[tuple[str, Any]]:
    yield from schema.get("properties", {}).items()
    yield from schema.get("$defs", {}).items()
    for number, branch in enumerate(schema.get("anyOf", ())):
        yield f"anyOf.{number}", branch
    for word in ("items", "additionalProperties"):
        if not isinstance(schema.get(word, True), bool):
            yield word, schema[word]


def _reasoning_problems(messages: list[dict[str, Any]], reasoned: Collection[str]) -> Iterator[str]:
    for index, message in enumerate(messages):
        if "reasoning_content" not in message and any(call["id"] in reasoned for call in _calls(message)):
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
