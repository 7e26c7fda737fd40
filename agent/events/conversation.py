"""What was said to the model, what it replied, what its calls came to, and what that may cost."""

from dataclasses import dataclass
from typing import Literal

from agent.events.effects import Effect, Refusal
from agent.events.words import Say
from agent.messages import Message, Usage

__all__ = [
    "BudgetExhausted",
    "CallFailed",
    "CallReserved",
    "Compacted",
    "ModelReplied",
    "Prompted",
    "Shortened",
    "ToolReturned",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """The model was told something; `messages` are appended to the conversation, verbatim."""

    kind: Literal["prompted"] = "prompted"
    about: Say
    messages: tuple[Message, ...]
    tree: str = ""
    """Where the work was put back to, if it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReserved:
    """The worst case of the next call was set aside, before it was sent."""

    kind: Literal["call_reserved"] = "call_reserved"
    dollars: float
    tokens: int
    max_tokens: int
    estimate: int = 0
    """Tokens of the prompt by a rough count, which the usage will put right."""
    least: int = 0
    """As few tokens as the prompt can have: no usage that tells of fewer is believed."""
    digest: str = ""
    """Of the conversation that is sent, as `digest_of` has it; empty in journals that were written without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailed:
    """A call brought no reply. What was reserved stays spent unless nothing was billed."""

    kind: Literal["call_failed"] = "call_failed"
    error: str
    message: str
    billed: bool
    usage: Usage | None = None
    """What the server reported for a reply that could not be used."""
    wait: float | None
    """Seconds until the next attempt; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReplied:
    """The model's whole reply. Without usage the reservation stands."""

    kind: Literal["model_replied"] = "model_replied"
    message: Message
    usage: Usage | None
    stop_reason: str
    request_id: str = ""
    note: str = ""
    """What the client had to change in the reply."""
    form: str = "tools"
    """How the prompt was written: what was billed for it bounds only prompts of the same form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReturned:
    """A tool answered; `tree` is the work as the call left it."""

    kind: Literal["tool_returned"] = "tool_returned"
    call_id: str
    name: str
    content: str
    is_error: bool
    tree: str
    effect: Effect | None = None
    repeats: str = ""
    """The id of the call whose answer still held, so that this one was not carried out."""
    sandbox_seconds: float = 0.0
    refused: tuple[Refusal, ...] = ()
    """Changes that it tried and that may not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """The message at `index` of the conversation, with what was bulky in it put aside."""

    index: int
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """The conversation had grown too long for the model's context: old, bulky parts gave way to pointers."""

    kind: Literal["compacted"] = "compacted"
    shortened: tuple[Shortened, ...]
    before: int
    """Tokens of the next request, as estimated."""
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExhausted:
    """The next call, at its worst, would pass a limit: it was not sent."""

    kind: Literal["budget_exhausted"] = "budget_exhausted"
    reason: str
