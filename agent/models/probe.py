"""Finds out what an endpoint accepts, by a few tiny requests, and remembers it for runs to come.

At most nine requests go out, each with a prompt of less than 400 tokens and a reply of at most `CAP`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from agent.messages import Message
from agent.models import Request, ToolSpec
from agent.models.accumulate import Reply
from agent.models.capabilities import Capabilities, Field, without_refused
from agent.models.memory import Memory
from agent.models.openai import OpenAIModel
from agent.models.schema import tools_to_wire
from agent.models.text_protocol import as_text, read_calls
from agent.models.wire import Wire, messages_to_wire

__all__ = ["CAP", "PROBES", "Finding", "Probe", "probe_all"]

CAP = 512
"""Tokens of a reply: enough for a call with a little reasoning before it."""
WORD = "Reply with the one word ok."
TOOL = ToolSpec(
    name="note_word",
    description="Note a word.",
    parameters={"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
)
CALL = "Call the tool note_word once, with the word ok. Say nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a probe found, and what follows from it for a run."""

    name: str
    verdict: Literal["works", "refused", "ignored", "unclear"]
    found: str
    follows: str


Probe = Callable[[OpenAIModel, Capabilities], tuple[Finding, Capabilities]]
"""Takes what is known so far, and returns what is known after it, too.

Raises:
    ModelError: the endpoint cannot be asked: key, quota, model or connection.
"""


def probe_all(model: OpenAIModel, memory: Memory) -> Iterator[Finding]:
    """Yield each finding as it is made; what all of them amount to is remembered once the last one is.

    Raises:
        ModelError: the endpoint cannot be asked; nothing is remembered then.
    """
    known = Capabilities(cap_field=model.endpoint.cap_field)
    for probe in PROBES:
        finding, known = probe(model, known)
        yield finding
    memory.remember(model.endpoint.base_url, model.endpoint.model, known)


def probe_stream(model: OpenAIModel, known: Capabilities) -> tuple[Finding, Capabilities]:
    """Whether the smallest request is taken and its reply streamed, and by which name the cap of its length goes."""
    reply, known = _heard(model, known, WORD)
    if reply.streamed:
        finding = _finding("stream", "works", f"the reply is streamed, its length set by `{known.cap_field}`")
    else:
        follows = "long replies may be cut by gateways, and nothing is shown before they are whole"
        finding = _finding("stream", "ignored", "the reply came in one piece", follows)
    return finding, known


def probe_usage(model: OpenAIModel, known: Capabilities) -> tuple[Finding, Capabilities]:
    """Whether the tokens that are billed are reported."""
    reply, known = _heard(model, known, WORD, stream_options={"include_usage": True})
    how = "without being asked" if "stream_options" in known.refused else "with `stream_options`"
    if reply.usage:
        return _finding("usage", "works", f"tokens are reported, {how}"), known
    follows = "each call counts as the most that it could have cost"
    return _finding("usage", "ignored", "tokens are not reported", follows), known


def probe_thinking(model: OpenAIModel, known: Capabilities) -> tuple[Finding, Capabilities]:
    """Whether reasoning can be switched off, and is then really absent."""
    without, known = _heard(model, known, WORD, "thinking", thinking={"type": "disabled"})
    if "thinking" in known.refused:
        follows = "the setting `thinking` has no effect, and reasoning that takes all of a reply cannot be avoided"
        return _finding("thinking", "refused", "`thinking` is not accepted", follows), known
    if without.reasoning:
        follows = "the setting `thinking` has no effect"
        return _finding("thinking", "ignored", "the model reasons although it is told not to", follows), known
    plain, known = _heard(model, known, WORD)
    if not plain.reasoning:
        follows = "the setting `thinking` is sent; what it does is not to be seen"
        return _finding("thinking", "unclear", "no reasoning is shown, with or without", follows), known
    known = replace(known, accepted=known.accepted | {"thinking"})
    return _finding("thinking", "works", "reasoning goes when it is switched off"), known


def probe_tools(model: OpenAIModel, known: Capabilities) -> tuple[Finding, Capabilities]:
    """Whether tools are accepted and called; where they are not, whether they are called in text."""
    fields: dict[str, Any] = {"tools": tools_to_wire([TOOL])}
    if "thinking" in known.accepted:
        fields["thinking"] = {"type": "disabled"}
    reply, known = _heard(model, known, CALL, "tools", **fields)
    if any(call.name == TOOL.name for call in reply.calls):
        return _finding("tools", "works", "tools are called"), replace(known, accepted=known.accepted | {"tools"})
    verdict: Literal["refused", "ignored"] = "refused" if "tools" in known.refused else "ignored"
    known = replace(known, refused=known.refused | {"tools"})
    request = as_text(Request(messages=(Message(role="user", content=CALL),), tools=(TOOL,)))
    reply, known = _heard(model, known, messages_to_wire(request.messages))
    found = "tools are not accepted" if verdict == "refused" else "tools are accepted, but not called"
    if [call.name for call in read_calls(reply.content)[1]] == [TOOL.name]:
        return _finding("tools", verdict, found, "they are called in text, which works"), known
    return _finding("tools", verdict, found, "they are called in text, which this model failed to do when asked"), known


def probe_cache_key(model: OpenAIModel, known: Capabilities) -> tuple[Finding, Capabilities]:
    """Whether requests of one run may be marked as such for the provider's cache."""
    _, known = _heard(model, known, WORD, "prompt_cache_key", prompt_cache_key="greenward-probe")
    if "prompt_cache_key" in known.refused:
        follows = "the provider's cache goes by the prompt alone"
        return _finding("cache key", "refused", "`prompt_cache_key` is not accepted", follows), known
    known = replace(known, accepted=known.accepted | {"prompt_cache_key"})
    return _finding("cache key", "works", "`prompt_cache_key` is accepted", "each run sends its id"), known


PROBES: tuple[Probe, ...] = (probe_stream, probe_usage, probe_thinking, probe_tools, probe_cache_key)


def _heard(
    model: OpenAIModel, known: Capabilities, said: str | list[Wire], sought: Field | None = None, **fields: object
) -> tuple[Reply, Capabilities]:
    """What is replied to the smallest request with `fields`; nothing if `sought`, which is one of them, is refused.

    Raises:
        ModelError: there is no reply.
    """
    messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
    while sought not in known.refused:
        wanted = {name: value for name, value in fields.items() if name not in known.refused}
        body = {"model": model.endpoint.model, "messages": messages, "stream": True, known.cap_field: CAP} | wanted
        heard = model.send(body)
        if isinstance(heard, Reply):
            return heard, known
        taught = without_refused(known, heard, frozenset(body))
        if taught is None:
            raise model.refusal(heard)
        known = taught
    return Reply(), known


def _finding(
    name: str, verdict: Literal["works", "refused", "ignored", "unclear"], found: str, follows: str = ""
) -> Finding:
    return Finding(name=name, verdict=verdict, found=found, follows=follows or "it is made use of")
