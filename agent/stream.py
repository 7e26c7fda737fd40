"""A run as JSON lines, for programs: each event as the journal has it, and at the end what the run came to."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from agent.events import Event
from agent.journal import Entry
from agent.result import SCHEMA, ResultLine, result_of
from agent.state import RunState
from agent.watching import Silent

__all__ = ["SCHEMA", "ErrorLine", "EventLine", "Line", "ResultLine", "Stream", "error_line", "result_line", "schema"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """Something happened: an entry of the run's journal."""

    schema: Literal[1] = SCHEMA
    seq: int
    """Counts the entries of the run from 0, also those of earlier sessions."""
    at: datetime
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """What was in the way, as standard error has it."""

    message: str
    hint: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLine:
    """The last line where a command failed; the run, if there is one, can perhaps be resumed."""

    schema: Literal[1] = SCHEMA
    error: Error


Line = EventLine | ResultLine | ErrorLine
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


class Stream(Silent):
    """A watcher that hands each entry to `write` as one line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __call__(self, entry: Entry) -> None:
        """Write what happened."""
        self._write(_json(EventLine(seq=entry.seq, at=entry.at, event=entry.event)))


def result_line(state: RunState, where: str = "", *, exit_code: int | None = None) -> str:
    """What a run came to, or where it stands; see `result_of`."""
    return _json(ResultLine(result=result_of(state, where, exit_code=exit_code)))


def error_line(message: str, hint: str, exit_code: int) -> str:
    """That a command failed."""
    return _json(ErrorLine(error=Error(message=message, hint=hint, exit_code=exit_code)))


def schema() -> dict[str, Any]:
    """The JSON schema of a line."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of `greenward --json`",
        **_LINE.json_schema(mode="serialization"),
    }


def _json(line: Line) -> str:
    """One line in ASCII: nothing in it acts on a terminal, and every encoding can write it."""
    return json.dumps(_LINE.dump_python(line, mode="json"), separators=(",", ":"))
