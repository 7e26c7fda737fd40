"""What a call may cost at its worst. Pure: what was reserved is an event, what was spent a fold of events.

A tokenizer makes at most one token of each byte, so the bytes that the provider has not billed before bound the new
tokens; for the unchanged prefix its own last figure holds.
"""

import json
from dataclasses import dataclass
from math import inf

from agent.doubts import least_of
from agent.events import CallReserved
from agent.models import Request, ToolSpec
from agent.state import RunState
from agent.text import tokens

__all__ = ["Refused", "estimate", "reserve"]

OVERHEAD = 16
"""Tokens of a chat template around one message, and around each of its calls: separators, indices."""
CONTEXT_MARGIN = 1024
"""Tokens of the context kept free (kimi.md, requirement 7)."""
FLOOR = 1024
"""Tokens of output below which a call is not worth sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The next call is not affordable, or does not fit the context."""

    reason: str


def reserve(state: RunState, request: Request, form: str = "tools") -> CallReserved | Refused:
    """The worst case of sending `request`, its output cap clamped to what context and budget leave.

    `request` is what really goes out, and `form` how it is written.
    """
    started, spent = state.started, state.spent
    if over := spent.exceeds(started.limits):
        return Refused(reason=over)
    least = least_of(request)
    prompt = max(_prompt_bound(state, request, form), least)
    estimated = estimate(request)
    room = state.context - int(estimated * state.density) - CONTEXT_MARGIN
    cost_in = prompt * max(started.prices.input, started.prices.cached) / 1e6
    affordable = _affordable(started.limits.dollars - spent.dollars - cost_in, started.prices.output)
    tokens_left = started.limits.tokens - spent.tokens - prompt
    cap = int(min(request.max_tokens, room, affordable, tokens_left))
    if cap < min(FLOOR, request.max_tokens):
        return Refused(reason=_why(cap, room, affordable, state))
    dollars = cost_in + cap * started.prices.output / 1e6
    return CallReserved(dollars=dollars, tokens=prompt + cap, max_tokens=cap, estimate=estimated, least=least)


def estimate(request: Request) -> int:
    """About how many tokens `request` is: a quarter of its ASCII characters, and one for each other character."""
    text = "".join(message.text for message in request.messages) + _schemas(request.tools)
    return tokens(text) + OVERHEAD * len(request.messages)


def _prompt_bound(state: RunState, request: Request, form: str) -> int:
    """What was billed last says nothing of a prompt in another form, or with other messages than the conversation's."""
    same = form == state.prefix_form and len(request.messages) == len(state.messages)
    billed_messages, billed_tokens = state.prefix if same else (0, 0)
    rest = request.messages[billed_messages:]
    size = sum(message.size for message in rest)
    overhead = sum(OVERHEAD * (1 + len(message.tool_calls)) for message in rest)
    return billed_tokens + size + overhead + (0 if billed_messages else len(_schemas(request.tools).encode()))


def _affordable(dollars: float, price: float) -> float:
    """How many tokens of output `dollars` pay for."""
    if dollars < 0:
        return 0.0
    return dollars * 1e6 / price if price else inf


def _schemas(tools: tuple[ToolSpec, ...]) -> str:
    """The tools as they are sent; what is not ASCII is escaped, which is longer than its UTF-8."""
    functions = [{"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in tools]
    return json.dumps([{"type": "function", "function": function} for function in functions])


def _why(cap: int, room: float, affordable: float, state: RunState) -> str:
    if room <= cap:
        return f"the conversation has grown to the model's context of {state.context:,} tokens"
    limits, spent = state.started.limits, state.spent
    if affordable < cap + 1:
        return f"the next call could pass the budget of ${limits.dollars:g} (${spent.dollars:.4f} spent)"
    return f"the next call could pass the budget of {limits.tokens:,} tokens ({spent.tokens:,} spent)"
