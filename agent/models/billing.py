"""What a provider bills for a reply, and what it says that it does: two things, and not always the same."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.messages import Usage
from agent.models.gateway import Gateway
from agent.models.reply import ScriptedReply, Told
from agent.models.tokens import PrefixCache, Tokenizer, count_tokens, first_tokens, prompt_units

__all__ = ["DEFAULT_CAP", "Bill", "after_work", "cap_of", "told_usage", "used", "within_cap"]

DEFAULT_CAP = 32_768
"""Tokens of output if a request names no cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What one reply costs."""

    request: int
    """The number of the request, 1 for the first."""
    usage: Usage
    """What is charged: nothing if the reply broke and broken ones are free."""
    told: Usage | None
    """What the reply says of it; None if it says nothing."""
    whole: bool
    """Whether the reply was sent whole."""


def cap_of(body: Mapping[str, Any]) -> int:
    """The most tokens of output that a request allows."""
    cap = body.get("max_completion_tokens", body.get("max_tokens"))
    return DEFAULT_CAP if cap is None else int(cap)


def used(reply: ScriptedReply, body: Mapping[str, Any], cache: PrefixCache, tokenizer: Tokenizer) -> Usage:
    """The tokens of a prompt and of the reply to it; the prompt is remembered in `cache`."""
    units = prompt_units(body, tokenizer)
    said = sum(count_tokens(text, tokenizer) for text in _texts(reply))
    return Usage(prompt=sum(tokens for _, tokens in units), cached=cache.cached(units), completion=max(1, said))


def told_usage(usage: Usage, reply: ScriptedReply, body: Mapping[str, Any], gateway: Gateway) -> Usage | None:
    """The usage that the gateway reports for a reply that used `usage`.

    Args:
        usage: the truth.
        reply: what is said.
        body: the request.
        gateway: what it makes of the truth; an inflated figure stays within a token for each byte, and within the cap.
    """
    if not reply.usage or gateway.usage_in == "none":
        return None
    told = reply.told or gateway.told
    if told == "inflated":
        return _inflated(usage, reply, body)
    half = Usage(prompt=max(1, usage.prompt // 2), cached=usage.cached // 2, completion=max(1, usage.completion // 2))
    figures: Mapping[Told, Usage] = {
        "exact": usage,
        "deflated": half,
        "zero": Usage(),
        "negative": Usage(prompt=-usage.prompt, completion=-usage.completion),
        "excessive": Usage(prompt=100 * usage.prompt, completion=100 * usage.completion),
        "overcached": replace(usage, cached=usage.prompt + 1),
        "scant": Usage(prompt=1, completion=1),
    }
    return figures[told]


def after_work(reply: ScriptedReply) -> bool:
    """Whether an error, or a page in place of a reply, does not say that the request was refused before any work.

    A content filter may have looked at the request, or at the reply.
    """
    unsure = reply.status in (200, 408, 409, 425, 499) or reply.error_type == "content_filter"
    return unsure or reply.status >= 500


def within_cap(reply: ScriptedReply, cap: int, tokenizer: Tokenizer) -> ScriptedReply:
    """`reply` as far as `cap` tokens go: reasoning, words and calls are cut where they are used up."""
    if sum(count_tokens(text, tokenizer) for text in _texts(reply)) <= cap:
        return reply
    left, texts = cap, list[str]()
    for text in _texts(reply):
        texts.append(first_tokens(text, left, tokenizer))
        left -= count_tokens(texts[-1], tokenizer)
    reasoning, said, *arguments = texts
    calls = tuple(
        replace(call, arguments={}, raw_arguments=text.removeprefix(call.name))
        for call, text in zip(reply.calls, arguments, strict=True)
        if text.startswith(call.name)
    )
    kept = reasoning if reply.reasoning is not None else None
    return replace(reply, reasoning=kept, say=said, calls=calls, finish_reason="length")


def _inflated(usage: Usage, reply: ScriptedReply, body: Mapping[str, Any]) -> Usage:
    """As much as a token for each byte, and no more than the cap."""
    prompt = sum(tokens for _, tokens in prompt_units(body, "bytes"))
    said = sum(count_tokens(text, "bytes") for text in _texts(reply))
    return Usage(prompt=max(usage.prompt, prompt), completion=max(usage.completion, min(cap_of(body), said)))


def _texts(reply: ScriptedReply) -> list[str]:
    return [reply.reasoning or "", reply.say, *(call.name + call.text for call in reply.calls)]
