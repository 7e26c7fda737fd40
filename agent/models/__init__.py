"""The seam to a language model: one Protocol, its request, its reply and its errors."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

from agent.messages import Message, Usage

__all__ = ["Completion", "Model", "ModelError", "Rendered", "Request", "ToolSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model sees it; `parameters` is a JSON schema with an object at its root."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request for a reply; `max_tokens` caps reasoning and content together."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 32_768
    think: bool = True
    """False asks for a reply without reasoning, where the endpoint lets that be asked."""
    seconds: float = math.inf
    """How long the reply may take; the endpoint's own limit holds besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What a request comes to on the wire, message for message."""

    request: Request
    form: str = "tools"
    """How it is written. What was billed for a prompt bounds only prompts of the same form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A whole reply; never a part of one."""

    message: Message
    usage: Usage | None
    """None if the server reported none: the reservation then counts as spent."""
    stop_reason: str
    """`stop`, `tool_calls`, `length`, `content_filter`, or what the server said."""
    request_id: str = ""
    note: str = ""
    """What the client had to change in the reply, as calls that were cut off and dropped."""


class ModelError(Exception):
    """A call that brought no reply.

    `kind` is a closed set: `auth`, `quota`, `refused` (bad request, unknown model), `overflow` (context), `filtered`,
    `rate_limited`, `overloaded`, `transport` (connection, timeout, broken stream), `empty`, `starved` (reasoning took
    all of the cap).
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        hint: str = "",
        retryable: bool = False,
        billed: bool = True,
        retry_after: float | None = None,
        again: bool = False,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.retryable = retryable
        self.billed = billed
        """False only where the vendor says that nothing is charged (429, or refused before work)."""
        self.retry_after = retry_after
        self.again = again
        """Whether the client learned how to send the same request, which can be reserved anew and sent at once."""
        self.usage = usage
        """What the server reported for a whole but unusable reply (`empty`, `filtered`); else None."""


class Model(Protocol):
    """Something that replies to a conversation."""

    @property
    def name(self) -> str: ...

    def complete(self, request: Request) -> Completion:
        """Return the whole reply to `request`.

        Raises:
            ModelError: there is none; nothing of a partial reply may be used.
        """
        ...
