"""What a scripted model says: replies in order, and the faults of a provider between them.

A script is a TOML file:

    model = "kimi-k2.6"             # all keys at the top are optional
    match = "by-history"            # or "in-order"

    [[reply]]
    expect = ["1 failed"]           # must occur in what was said since the last reply
    reasoning = "The sum is off by one."
    say = "I will fix it."

    [[reply.call]]
    name = "write_file"
    [reply.call.arguments]
    path = "sum.py"
    content = '''
    def add(a, b):
        return a + b
    '''

    [[reply]]                       # a fault: served once, then the next reply in its place
    status = 429
    headers = { retry-after = "1" }
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config

from agent.errors import UsageProblem

__all__ = ["Match", "Script", "ScriptedCall", "ScriptedReply", "call", "load_script", "parse_script", "say"]

Match = Literal["by-history", "in-order"]
_STRICT = ConfigDict(extra="forbid")


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedCall:
    """A tool call; `raw_arguments` is sent as it is, however malformed."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    raw_arguments: str | None = None

    @property
    def text(self) -> str:
        return json.dumps(self.arguments, ensure_ascii=False) if self.raw_arguments is None else self.raw_arguments


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    """One answer of the server: something said, or a fault."""

    expect: tuple[str, ...] = ()
    """Texts that must occur in the messages since the last reply; else the request is refused."""
    reasoning: str | None = None
    say: str = ""
    calls: Annotated[tuple[ScriptedCall, ...], Field(validation_alias="call")] = ()
    finish_reason: str | None = None
    """By default `tool_calls` if there are calls, else `stop`."""
    delay: float = 0.0
    """Seconds before the answer begins."""
    pace: float = 0.0
    """Seconds between two pieces of the answer."""
    usage: bool = True
    """Whether the tokens are reported; they are billed all the same."""
    status: int = 200
    body: str | None = None
    """Of an answer with a bad status: the body in place of an error in Moonshot's shape."""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Break the connection after so many bytes of the body."""
    stall: bool = False
    """Fall silent in the middle of the body until the client goes away."""
    once: bool | None = None
    """Whether the next reply takes its place when it has been served; by default, if it brings no usable message."""

    @property
    def passing(self) -> bool:
        """Whether the conversation is no longer after this answer, so that the next request comes to the same place."""
        if self.once is not None:
            return self.once
        silent = not self.say.strip() and (not self.calls or self.finish_reason == "length")
        return silent or self.status != 200 or self.cut_after is not None or self.stall


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """All that a scripted model says.

    By history, the answer depends on how many replies the request already holds: a resumed run goes on where it was.
    In order, it depends on how many requests came before.
    """

    replies: Annotated[tuple[ScriptedReply, ...], Field(validation_alias="reply", min_length=1)]
    model: str = "kimi-k2.6"
    match: Match = "by-history"
    context: int = 262_144

    def places(self) -> tuple[tuple[ScriptedReply, ...], ...]:
        """The replies by their place in a conversation: the passing ones together with the one that stays."""
        places: list[tuple[ScriptedReply, ...]] = []
        here: list[ScriptedReply] = []
        for reply in self.replies:
            here.append(reply)
            if not reply.passing:
                places.append(tuple(here))
                here = []
        return (*places, tuple(here)) if here else tuple(places)


def say(
    text: str = "", *calls: ScriptedCall, reasoning: str | None = None, expect: tuple[str, ...] = ()
) -> ScriptedReply:
    """A reply that says `text` and makes `calls`."""
    return ScriptedReply(say=text, calls=calls, reasoning=reasoning, expect=expect)


def call(name: str, /, **arguments: object) -> ScriptedCall:
    """A tool call."""
    return ScriptedCall(name=name, arguments=arguments)


def load_script(path: Path) -> Script:
    """Read a script from a TOML file.

    Raises:
        UsageProblem: it cannot be read, or is no script.
    """
    try:
        return parse_script(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"cannot read the script {path}: {error}") from None
    except UsageProblem as error:
        raise UsageProblem(f"{path}: {error.message}", hint=error.hint) from None


def parse_script(text: str) -> Script:
    """The script in `text`.

    Raises:
        UsageProblem: it is not TOML, or a key is unknown or has a value of a wrong type.
    """
    try:
        return _ADAPTER.validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f"not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
        raise UsageProblem(f"{where or 'the script'}: {first['msg']}", hint="see `agent/models/script.py`") from None


_ADAPTER = TypeAdapter(Script)
