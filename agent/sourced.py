"""Values with where each came from, checked, in layers of which the later one wins."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from agent.errors import UsageProblem
from agent.text import one_line

__all__ = ["Kind", "Layer", "Sourced", "checked", "close_to", "flat", "merge", "read_toml"]

VALUE_SHOWN = 80
"""Characters of a value that is refused."""


@dataclass(frozen=True, slots=True)
class Sourced:
    """A value, and where it came from in words for people."""

    value: Any
    source: str


Layer = Mapping[str, Sourced]
"""Values by the dotted names of settings."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a setting may be: how a text becomes one, which values are good, and that in words."""

    parse: Callable[[str], object]
    good: Callable[[Any], bool]
    words: str


def merge(*layers: Layer) -> dict[str, Sourced]:
    """One layer of all; the later one wins."""
    return {name: value for layer in layers for name, value in layer.items()}


def checked(
    values: Mapping[str, object],
    kinds: Mapping[str, Kind],
    *,
    source: Callable[[str], str],
    refuse: Callable[[str, str], UsageProblem],
) -> Layer:
    """A layer of `values`; `source` says where the one of a name came from.

    Raises:
        UsageProblem: a value is not of its kind; or what `refuse` makes of a name that has none, and its source.
    """
    for name, value in values.items():
        if name not in kinds:
            raise refuse(name, source(name))
        if not kinds[name].good(value):
            shown = one_line(repr(value), VALUE_SHOWN)
            raise UsageProblem(f"`{name}` is {shown} ({source(name)})", hint=f"it must be {kinds[name].words}")
    return {name: Sourced(value, source(name)) for name, value in values.items()}


def close_to(unknown: str, names: Mapping[str, object]) -> str:
    """A question after the one of `names` that is most like `unknown`; empty if none is."""
    close = get_close_matches(unknown, names, n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def read_toml(data: bytes, where: str) -> dict[str, object]:
    """The table in `data`; `where` names the file.

    Raises:
        UsageProblem: it is no TOML; the message has the line.
    """
    try:
        return tomllib.loads(data.decode().removeprefix("\ufeff"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        problem = one_line(str(error)) or "it is nested too deeply"
        raise UsageProblem(f"{where} cannot be read: {problem}", hint="mend the file, or move it away") from error


def flat(table: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """The values of `table` and of the tables in it, by their dotted names."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
