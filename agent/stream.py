"""A run as JSON lines, for programs: each event as the journal has it, and at the end what the run came to."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from agent.events import Event, Outcome
from agent.journal import Entry
from agent.state import RunState
from agent.summary import final_report, next_step
from agent.task import Mode
from agent.testreport import Status, TestReport
from agent.verdict import VerdictKind
from agent.watching import Silent

__all__ = ["SCHEMA", "ErrorLine", "EventLine", "Line", "ResultLine", "Stream", "error_line", "result_line", "schema"]

SCHEMA: Literal[1] = 1
"""Counts changes that readers would notice; fields may be added without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """Something happened: an entry of the run's journal."""

    schema: Literal[1] = SCHEMA
    seq: int
    """Counts the entries of the run from 0, also those of earlier sessions."""
    at: datetime
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one run of the suite showed."""

    passed: int
    failed: int
    """Failed, or broke."""
    skipped: int
    """Skipped, or failed as expected."""
    exit_code: int
    problem: str
    """Why there is no trustworthy result; empty if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run has spent; unsettled reservations count as spent."""

    dollars: float
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    iterations: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run came to, or where it stands."""

    run: str
    mode: Mode
    request: str
    model: str
    outcome: Outcome | None
    """None for a run that has not ended."""
    exit_code: int | None
    reason: str
    verdict: VerdictKind | None
    branch: str
    commit: str
    """The tip of the branch; the base if nothing was committed."""
    tests_before: Counts | None
    tests_after: Counts | None
    cost: Cost
    at: datetime
    """When something was last done."""
    next: str
    """The next command to type, in words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """What was in the way, as standard error has it."""

    message: str
    hint: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLine:
    """The last line of a run that has ended."""

    schema: Literal[1] = SCHEMA
    result: Result


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
    """What a run came to, or where it stands; `where` is the repository as the user named it, for the next command.

    `exit_code` is the process' own, if that is not the outcome's.
    """
    spent, usage = state.spent, state.spent.usage
    code = state.outcome.exit_code if state.outcome and exit_code is None else exit_code
    result = Result(
        run=state.started.run_id,
        mode=state.started.task.mode,
        request=state.started.task.request,
        model=state.started.model,
        outcome=state.outcome,
        exit_code=code,
        reason=state.reason,
        verdict=state.verdict.kind if state.verdict else None,
        branch=state.started.branch,
        commit=state.finished.commit if state.finished else state.tip,
        tests_before=_counts(state.baseline),
        tests_after=_counts(final_report(state)),
        cost=Cost(
            dollars=spent.dollars,
            calls=spent.calls,
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            completion_tokens=usage.completion,
            iterations=spent.iterations,
            seconds=spent.seconds,
        ),
        at=state.worked_at,
        next=next_step(state, where),
    )
    return _json(ResultLine(result=result))


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


def _counts(report: TestReport | None) -> Counts | None:
    if report is None:
        return None
    return Counts(
        passed=report.count(Status.PASSED),
        failed=len(report.failing),
        skipped=report.count(Status.SKIPPED) + report.count(Status.XFAILED),
        exit_code=report.exit_code,
        problem=report.problem,
    )
