"""What is said between the loop and the model, in the shape of OpenAI's chat completions."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

__all__ = ["Message", "Role", "ToolCall", "ToolResult", "Usage", "digest_of"]

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call that the model asks for; `arguments` is the JSON text as it was received, perhaps invalid."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool answers; a failed call is a value that the model reads."""

    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the conversation."""

    role: Role
    content: str = ""
    reasoning: str | None = None
    """The model's reasoning, kept and sent back verbatim; None if none was received."""
    reasoning_key: str = "reasoning_content"
    """The field in which the server sent the reasoning; it goes back under the same name."""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """Of a `tool` message: the call that it answers."""

    @property
    def text(self) -> str:
        """All that is sent of it, in one piece, to be measured."""
        calls = "".join(call.id + call.name + call.arguments for call in self.tool_calls)
        return self.role + self.content + (self.reasoning or "") + calls + (self.tool_call_id or "")

    @property
    def size(self) -> int:
        """Bytes, of which a tokenizer makes at most one token each."""
        return len(self.text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one or more calls; `cached` of the `prompt` tokens were served from the provider's prefix cache."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt=self.prompt + other.prompt,
            cached=self.cached + other.cached,
            completion=self.completion + other.completion,
        )


def digest_of(messages: Iterable[Message]) -> str:
    """The SHA-256 of a conversation, in hexadecimal: of its messages as JSON, without what is empty by default.

    Two conversations that differ in any character have different ones. A field that messages get one day changes none
    of those that were there before.
    """
    said = [_without_defaults(message) for message in messages]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _without_defaults(part: Message | ToolCall) -> dict[str, Any]:
    said = {each.name: getattr(part, each.name) for each in fields(part) if getattr(part, each.name) != each.default}
    if isinstance(part, Message) and part.tool_calls:
        said["tool_calls"] = [_without_defaults(call) for call in part.tool_calls]
    return said
