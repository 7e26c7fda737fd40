"""What is said between the loop and the model, in the shape of OpenAI's chat completions."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Message", "Role", "ToolCall", "ToolResult", "Usage"]

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
