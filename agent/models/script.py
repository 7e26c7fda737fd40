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

    [[reply]]                       # a fault by its name, laid over what would be right
    fault = "cut"
    say = "I will"

    [gateway]                       # how all requests are treated; see agent/models/gateway.py
    refuse = ["prompt_cache_key"]

    [chaos]                         # faults by chance; see agent/models/chaos.py
    seed = 1

docs/server.md has every key and every name.
"""

import tomllib
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError, with_config

from agent.errors import UsageProblem
from agent.models.chaos import Chaos
from agent.models.gateway import Gateway
from agent.models.reply import STRICT, ScriptedCall, ScriptedReply, call, say
from agent.models.scenario import spoiled

__all__ = ["Match", "Script", "ScriptedCall", "ScriptedReply", "call", "load_script", "parse_script", "say"]

Match = Literal["by-history", "in-order"]


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """All that a scripted model says.

    By history, the answer depends on how many replies the request already holds: a resumed run goes on where it was.
    In order, it depends on how many requests came before.

    Raises:
        ValueError: a reply names a fault that there is none of.
    """

    replies: Annotated[tuple[ScriptedReply, ...], Field(validation_alias="reply", min_length=1)]
    model: str = "kimi-k2.6"
    match: Match = "by-history"
    context: int = 262_144
    gateway: Gateway = field(default_factory=Gateway)
    chaos: Chaos | None = None

    def __post_init__(self) -> None:
        for reply in self.replies:
            spoiled(reply)

    def places(self) -> tuple[tuple[ScriptedReply, ...], ...]:
        """The replies by their place in a conversation: the passing ones together with the one that stays."""
        places: list[tuple[ScriptedReply, ...]] = []
        here: list[ScriptedReply] = []
        for reply in chain.from_iterable(repeat(reply, reply.times) for reply in self.replies):
            here.append(reply)
            if not spoiled(reply).passing:
                places.append(tuple(here))
                here = []
        return (*places, tuple(here)) if here else tuple(places)


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
        raise UsageProblem(
            f"{where or 'the script'}: {first['msg'].removeprefix('Value error, ')}", hint="see docs/server.md"
        ) from None


_ADAPTER = TypeAdapter(Script)
