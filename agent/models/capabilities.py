"""What an endpoint turned out to accept: optional fields that it refuses are left out from then on."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from agent.models.faults import Fault

__all__ = ["OPTIONAL_FIELDS", "CapField", "Capabilities", "Field", "told", "without_refused"]

Field = Literal["stream_options", "prompt_cache_key", "thinking", "tools"]
CapField = Literal["max_completion_tokens", "max_tokens"]

OPTIONAL_FIELDS: dict[Field, str] = {
    "stream_options": r"\b(stream_options|include_usage)\b",
    "prompt_cache_key": r"\b(prompt_cache_key|cache controls?)\b",
    "thinking": r"\b(thinking|reasoning controls?)\b",
    "tools": r"\b(tools?|tool_calls|tool[- ]call(s|ing)|function[- ]calling|functions)\b",
}
"""The fields that a request may do without, with the words in which a refusal names them."""
_NO_REASONING = re.compile(r"reasoning(_content)? is missing", re.IGNORECASE)
_DISORDER = re.compile(r"tool_call_id|must be (followed by|a response to)|insufficient tool messages", re.IGNORECASE)
_TOLD: dict[Field, str] = {
    "tools": "the endpoint takes no tools: they are called in text from here on",
    "thinking": "the endpoint takes no `thinking`: whether the model reasons is left to it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """How to write a request body for one endpoint and model."""

    cap_field: CapField = "max_completion_tokens"
    """The name of the output cap. There is always a cap: without one a call has no worst case."""
    renamed: bool = False
    """Whether the cap goes by its other name already."""
    refused: frozenset[Field] = frozenset()
    """The optional fields that may not be sent."""
    accepted: frozenset[Field] = frozenset()
    """Those that are known to have an effect; of all others nothing is known."""
    filler: Literal["", " "] | None = None
    """Reasoning to send with tool calls that came without any; None sends none."""
    unthinking: bool = False
    """Whether to ask for replies without reasoning, because none that is sent back satisfies the endpoint."""

    @property
    def form(self) -> str:
        """How prompts are written that hold tools: what else their tokens depend on besides the conversation."""
        return "tools" if self.filler is None else f"tools, reasoning {self.filler!r}"


def without_refused(
    known: Capabilities, fault: Fault, sent: frozenset[str], *, needed: frozenset[Field] = frozenset()
) -> Capabilities | None:
    """What is known after `fault`, or None if it teaches nothing that another form of the same request would cure.

    Each step leaves less to try, so that the number of further requests is bounded.

    Args:
        known: what was known when the request was written.
        fault: how the endpoint refused it, before any work.
        sent: the fields of the refused body.
        needed: fields that are not given up.
    """
    if fault.status not in (400, 422) or fault.overflows:
        return None
    if _NO_REASONING.search(fault.text):
        return _with_reasoning(known)
    for name in OPTIONAL_FIELDS:
        if name in sent and name not in known.refused | needed and _names(fault, name):
            return replace(known, refused=known.refused | {name}, accepted=known.accepted - {name})
    if known.cap_field in sent and not known.renamed and _says(fault, rf"\b{known.cap_field}\b", known.cap_field):
        other: CapField = "max_tokens" if known.cap_field == "max_completion_tokens" else "max_completion_tokens"
        return replace(known, cap_field=other, renamed=True)
    return None


def told(before: Capabilities, after: Capabilities) -> str:
    """What a user should know of what was learned, in a line; empty if it changes nothing for them."""
    return next((text for name, text in _TOLD.items() if name in after.refused - before.refused), "")


def _with_reasoning(known: Capabilities) -> Capabilities | None:
    """The next form in which reasoning that was never received may pass; the last is to do without any."""
    if known.filler != " ":
        return replace(known, filler="" if known.filler is None else " ")
    if known.unthinking or "thinking" in known.refused:
        return None
    return replace(known, unthinking=True)


def _names(fault: Fault, name: Field) -> bool:
    """Whether `fault` refuses a field; that results of tools are out of order is no word against tools."""
    return _says(fault, OPTIONAL_FIELDS[name], name) and not (name == "tools" and _DISORDER.search(fault.text))


def _says(fault: Fault, words: str, name: str) -> bool:
    named = re.split(r"[.\[]", fault.param)[0] == name
    return named or bool(re.search(words, f"{fault.code} {fault.text}", re.IGNORECASE))
