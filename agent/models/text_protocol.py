"""Tool calls as text, for endpoints that take no `tools`: fenced blocks in replies, results in messages of the user.

What is kept of a conversation is the same in both protocols: this is only how it is written down for the model.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from agent.messages import Message, ToolCall
from agent.models import Request
from agent.models.accumulate import RawCall, Reply
from agent.models.history import repaired
from agent.models.signatures import described
from agent.models.wire import NO_OUTPUT, sound_arguments
from agent.text import fenced
from prompts import render

__all__ = ["as_text", "read_calls", "with_calls"]

_FENCE = re.compile(r"^ {0,3}(?P<marks>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE)
_TOOL = re.compile(r"`{3,}tool(?=[\s{]|\Z)")
_BLANKS = re.compile(r"\s*")
_END = re.compile(r"\s*(?:`{3,}|\Z)")
_CLOSING_LINE = re.compile(r"^ {0,3}`{3,}[ \t\r]*$", re.MULTILINE)
_NAME = re.compile(r'"name"\s*:\s*"([^"\\\n]*)"')
_DECODER = json.JSONDecoder(strict=False)


def as_text(request: Request) -> Request:
    """The same request without tools and tool messages, message for message, the tools described by the system's.

    The same messages always give the same text, and another one changes nothing in those before it, so that prefixes
    stay cached.
    """
    messages = list(_as_text(repaired(request.messages)))
    if request.tools:
        instructions = render("text_protocol", tools=[described(tool) for tool in request.tools])
        if not messages or messages[0].role != "system":
            messages.insert(0, Message(role="system"))
        told = f"{messages[0].content}\n\n{instructions}".lstrip()
        messages[0] = replace(messages[0], content=told)
    return replace(request, messages=tuple(messages), tools=())


def read_calls(content: str) -> tuple[str, tuple[RawCall, ...]]:
    """What a reply says outside of its blocks, and the calls in these.

    A block is one only if its fence opens at the start of a line and inside no other fence, and it ends where its JSON
    does, whatever that contains. One that is no call becomes a call with all of its text as arguments, which no tool
    takes: so the model is told what is wrong.
    """
    said: list[str] = []
    calls: list[RawCall] = []
    kept = place = 0
    inside = ""
    while found := _FENCE.search(content, place):
        place = found.end()
        marks, info = found["marks"], found["info"].strip()
        if inside:
            closes = marks[0] == inside[0] and len(marks) >= len(inside) and not info
            inside = "" if closes else inside
        elif opening := _TOOL.match(content, found.start()):
            said.append(content[kept : found.start()])
            made, place = _read_block(content, opening.end())
            calls += made
            kept = place
        elif marks[0] == "~" or "`" not in info:
            inside = marks
    said.append(content[kept:])
    return "\n\n".join(filter(None, (text.strip() for text in said))) if calls else content, tuple(calls)


def with_calls(reply: Reply) -> Reply:
    """`reply` with the calls in its content taken out of it; what is reasoned calls nothing."""
    said, calls = read_calls(reply.content)
    return replace(reply, content=said, calls=(*reply.calls, *calls))


def _as_text(messages: Iterable[Message]) -> Iterator[Message]:
    names: dict[str | None, str] = {}
    for message in messages:
        names |= {call.id: call.name for call in message.tool_calls}
        if message.role == "tool":
            content = message.content if message.content.strip() else NO_OUTPUT
            result = fenced(content, "result")
            name = json.dumps(names.get(message.tool_call_id, ""))
            yield Message(role="user", content=f"Result of the call {message.tool_call_id} of {name}:\n{result}")
        elif message.tool_calls:
            blocks = [message.content.strip(), *map(_block, message.tool_calls)]
            yield Message(role="assistant", content="\n\n".join(filter(None, blocks)))
        else:
            yield replace(message, reasoning=None)


def _block(call: ToolCall) -> str:
    name, arguments = json.dumps(call.name), sound_arguments(call.arguments)
    return f'```tool\n{{"name": {name}, "arguments": {arguments}}}\n```'


def _read_block(content: str, start: int) -> tuple[list[RawCall], int]:
    """The calls in a block whose content begins at `start`, and where the block ends."""
    calls: list[RawCall] = []
    place = start
    while True:
        place = _after_blanks(content, place)
        try:
            members, end = _members(content, place)
            call = _call(members, content[place:end])
        except (ValueError, RecursionError):
            return _broken(content, place, calls)
        calls.append(call)
        if closing := _END.match(content, end):
            return calls, closing.end()
        if content[_after_blanks(content, end)] != "{":
            return _broken(content, place, calls[:-1])
        place = end


def _broken(content: str, start: int, calls: list[RawCall]) -> tuple[list[RawCall], int]:
    """The calls before `start`, and the rest of the block as one that cannot be carried out."""
    closing = _CLOSING_LINE.search(content, start)
    text = content[start : closing.start() if closing else len(content)]
    name = _NAME.search(text)
    return [*calls, RawCall(id="", name=name[1] if name else "", arguments=text)], (
        closing.end() if closing else len(content)
    )


def _call(members: dict[str, str], text: str) -> RawCall:
    """The call that an object tells of; without `arguments` all of the object stands for them, unless it is bare."""
    name = json.loads(members.get("name", "null"))
    arguments = members.get("arguments", "{}" if members.keys() == {"name"} else text)
    if arguments.startswith('"'):
        arguments = json.loads(arguments, strict=False)
    return RawCall(id="", name=name if isinstance(name, str) else "", arguments=arguments)


def _members(text: str, place: int) -> tuple[dict[str, str], int]:
    """The members of the JSON object at `place`, each as its text, and where the object ends.

    Raises:
        ValueError: there is no such object, or one of its keys occurs twice.
    """
    members: dict[str, str] = {}
    place = _after(text, place, "{")
    while not text.startswith("}", place):
        place = _after(text, place, ",") if members else place
        key, end = _DECODER.raw_decode(text, place)
        if not isinstance(key, str) or key in members:
            raise ValueError(f"no key of its own: {key}")
        place = _after(text, _after_blanks(text, end), ":")
        _, end = _DECODER.raw_decode(text, place)
        members[key] = text[place:end]
        place = _after_blanks(text, end)
    return members, place + 1


def _after(text: str, place: int, mark: str) -> int:
    """Where it goes on behind `mark`, which must stand at `place`."""
    if not text.startswith(mark, place):
        raise ValueError(f"{mark} is missing")
    return _after_blanks(text, place + 1)


def _after_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place
