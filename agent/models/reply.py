"""One answer of a scripted server: what the model says, how its host garbles it, how its gateway breaks it.

Every field is a key of `[[reply]]` in a script; docs/server.md has them in one table. A reply with `fault = "cut"` is
one that a named fault of `agent/models/scenario.py` is laid over.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config

__all__ = ["ErrorShape", "Leak", "Quirk", "ScriptedCall", "ScriptedReply", "Told", "call", "say"]

Quirk = Literal[
    "crlf",
    "empty-choices",
    "interleaved-calls",
    "late-name",
    "no-done",
    "no-index",
    "null-finish-reason",
    "object-arguments",
    "repeated-head",
    "whole-calls",
]
"""A form in which some host streams a reply that is right: nothing of it is lost."""
Leak = Literal["content", "content-bare", "reasoning", "reasoning-bare", "broken"]
"""Where the calls stand as control tokens, with all of these or without those that begin a section and a call."""
ErrorShape = Literal[
    "moonshot", "openai", "coded", "text", "errors", "message", "detail", "errorMessage", "msg", "html", "empty"
]
Told = Literal["exact", "deflated", "inflated", "zero", "negative", "excessive", "overcached", "scant"]
"""What usage tells: the truth, half of it, as much as a token for each byte; or what cannot be: nothing at all, less
than nothing, a hundred times as much, more from the cache than there is, one token each way."""
STRICT = ConfigDict(extra="forbid")


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedCall:
    """A tool call; `raw_arguments` is sent as it is, however malformed."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    raw_arguments: str | None = None

    @property
    def text(self) -> str:
        return json.dumps(self.arguments, ensure_ascii=False) if self.raw_arguments is None else self.raw_arguments


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    """One answer of the server: something said, or a fault."""

    fault: str | None = None
    """A named fault that is laid over the rest."""
    times: Annotated[int, Field(ge=1)] = 1
    """How many replies of the conversation this one is."""
    once: bool | None = None
    """Whether the next reply takes its place when it has been served; by default, if it brings no usable message."""
    expect: tuple[str, ...] = ()
    """Texts that must occur in the messages since the last reply; else the request is refused."""

    reasoning: str | None = None
    say: str = ""
    calls: Annotated[tuple[ScriptedCall, ...], Field(validation_alias="call")] = ()
    finish_reason: str | None = None
    """By default `tool_calls` if there are calls, else `stop`."""
    usage: bool = True
    """Whether the tokens are reported; they are billed all the same."""
    told: Told | None = None
    """What is reported of them; by default what the gateway tells."""

    ids: Literal["counted", "renumbered", "zero", "same", "missing"] = "counted"
    """The ids of calls: counted up over the conversation, from 0 in each reply, `"0"`, one for all, or none."""
    leak: Leak | None = None
    """Leaves the calls in the text as control tokens."""
    quirks: tuple[Quirk, ...] = ()
    reasoning_key: Literal["reasoning_content", "reasoning", "reasoning_details"] = "reasoning_content"

    status: int = 200
    shape: ErrorShape = "moonshot"
    """The form of an error's body."""
    error_type: str | None = None
    """By default the one that Moonshot gives with the status."""
    error_code: str | None = None
    error_message: str = "scripted fault"
    body: str | None = None
    """The body in place of an error or a reply."""
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    """Seconds that the client is asked to wait."""
    retry_after_form: Literal["seconds", "milliseconds", "date"] = "seconds"

    form: Literal["asked", "json"] = "asked"
    """`json` answers in one body though a stream was asked for."""
    between: str = ""
    """Put after each event of a stream, as it is."""
    interrupt: str | None = None
    """Ends a stream in its middle, in good order, with this in place of the rest."""
    hang_up: Literal["close", "reset"] | None = None
    """Ends the connection before a byte of the answer."""
    cut: Annotated[float | None, Field(ge=0, lt=1)] = None
    """Breaks the connection after this share of the body."""
    cut_after: int | None = None
    """Breaks the connection after so many bytes of the body."""
    stall: bool = False
    """Falls silent in the middle of the body until the client goes away."""
    delay: float = 0.0
    """Seconds before the answer begins."""
    gap: float = 0.0
    """Seconds of silence in the middle of the body."""
    pace: float = 0.0
    """Seconds between two pieces of the answer."""

    @property
    def generated(self) -> bool:
        """Whether the model says it; else it is an error, or a page in its place."""
        return self.status == 200 and self.body is None

    @property
    def broken(self) -> bool:
        """Whether it is generated and does not arrive whole."""
        breaks = (self.cut, self.cut_after, self.interrupt, self.hang_up)
        return self.generated and (self.stall or any(one is not None for one in breaks))

    @property
    def passing(self) -> bool:
        """Whether the conversation is no longer after this answer, so that the next request comes to the same place."""
        if self.once is not None:
            return self.once
        silent = not self.say.strip() and (not self.calls or self.finish_reason == "length")
        return silent or not self.generated or self.broken


def say(
    text: str = "", *calls: ScriptedCall, reasoning: str | None = None, expect: tuple[str, ...] = ()
) -> ScriptedReply:
    """A reply that says `text` and makes `calls`."""
    return ScriptedReply(say=text, calls=calls, reasoning=reasoning, expect=expect)


def call(name: str, /, **arguments: object) -> ScriptedCall:
    """A tool call."""
    return ScriptedCall(name=name, arguments=arguments)
