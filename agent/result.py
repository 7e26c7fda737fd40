"""What a run came to, or where it stands, for programs: the last line of `--json`, and the file `result.json`."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from agent.aside import Aside, aside_of
from agent.events import Outcome, Refusal, Why
from agent.origin import Origin, origin_of
from agent.state import Iteration, RunState
from agent.summary import final_report, next_step, proof
from agent.suspicions import Suspicion
from agent.task import Limits, Mode
from agent.testreport import Status, TestReport
from agent.verdict import VerdictKind

__all__ = ["RESULT", "SCHEMA", "Result", "ResultLine", "result_file", "result_of", "schema"]

RESULT = "result.json"
"""The file's name in the directory of a run."""
SCHEMA: Literal[1] = 1
"""Counts changes that readers would notice; fields may be added without."""


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
    reused: int = 0
    """How many of the tests were not run again: they are counted as they ended before."""


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
    """Wall clock, without the time between sessions."""
    sandbox_seconds: float
    """In which commands and tests were executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """An iteration, as it stands on the branch."""

    id: str
    """The same as the one before where the iteration changed nothing."""
    tree: str
    iteration: int
    tests: Counts
    verdict: VerdictKind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What ended the last session, although the run has not ended: `greenward resume` goes on."""

    why: Why
    reason: str


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
    sandbox: str
    """`docker`, or `local`: nothing isolated what was executed, and nothing is proven."""
    tests_were_free: bool
    """Whether no test was sealed, because the user said so."""
    suspicions: tuple[Suspicion, ...]
    """What the judge found in the changes of the last verdict, with what each led to."""
    refused: tuple[Refusal, ...]
    """Changes that the model tried and that may not be: of sealed files, or of paths out of bounds."""
    stopped: Stopped | None
    """None for a run that has ended, that works, or whose process was killed."""
    proof: str
    """Whose tests and which criteria showed that it is green; empty unless it is."""
    proof_id: str
    """Of `proof.json` beside this file, and of the note on the commit; empty: there is none, so it is not green."""
    branch: str
    base: str
    """The commit that the branch begins from."""
    commit: str
    """The tip of the branch, which is at the best that was measured; the base if nothing was committed."""
    tree: str
    """What that commit holds."""
    commits: tuple[Commit, ...]
    """Of the last request, oldest first."""
    tests_before: Counts | None
    tests_after: Counts | None
    aside: tuple[Aside, ...]
    """Tests of the base that are no measure of the work: old failures that may stay, flaky and environmental ones."""
    cost: Cost
    limits: Limits
    forked: Origin | None
    """Which run this one was forked from, and what of the cost is from before; None if it began by itself."""
    entries: int
    """Of the journal when this was written: if it holds more by now, this is not the last word."""
    at: datetime
    """When something was last done."""
    next: str
    """The next command to type, in words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLine:
    """The last line of a run that has ended."""

    schema: Literal[1] = SCHEMA
    result: Result


_RESULT: TypeAdapter[ResultLine] = TypeAdapter(ResultLine)


def result_of(state: RunState, where: str = "", *, exit_code: int | None = None) -> Result:
    """What a run came to, or where it stands; `where` is the repository as the user named it, for the next command.

    `exit_code` is the process' own, if that is not the outcome's.
    """
    started, paused = state.started, state.paused
    code = state.outcome.exit_code if state.outcome and exit_code is None else exit_code
    return Result(
        run=started.run_id,
        mode=started.task.mode,
        request=started.task.request,
        model=started.model,
        outcome=state.outcome,
        exit_code=code,
        reason=state.reason,
        verdict=state.verdict.kind if state.verdict else None,
        sandbox=state.started.sandbox,
        tests_were_free=state.tests_are_free,
        suspicions=state.verdict.suspicions if state.verdict else (),
        refused=state.refused,
        stopped=Stopped(why=paused.why, reason=paused.reason) if paused and not state.outcome else None,
        proof=proof(state),
        proof_id=state.finished.proof if state.finished else "",
        branch=started.branch,
        base=state.root_commit,
        commit=state.finished.commit if state.finished else state.tip,
        tree=state.result_tree,
        commits=tuple(map(_commit, state.iterations)),
        tests_before=_counts(state.baseline),
        tests_after=_counts(final_report(state)),
        aside=aside_of(state),
        cost=_cost(state),
        limits=started.limits,
        forked=origin_of(state),
        entries=state.entries,
        at=state.worked_at,
        next=next_step(state, where),
    )


def result_file(state: RunState, *, exit_code: int) -> bytes:
    """What `result.json` holds: the one object that `docs/result.schema.json` describes."""
    line = ResultLine(result=result_of(state, exit_code=exit_code))
    return json.dumps(_RESULT.dump_python(line, mode="json"), indent=2).encode() + b"\n"


def schema() -> dict[str, Any]:
    """The JSON schema of that object."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "`result.json` of a run",
        **_RESULT.json_schema(mode="serialization"),
    }


def _cost(state: RunState) -> Cost:
    spent, usage = state.spent, state.spent.usage
    return Cost(
        dollars=spent.dollars,
        calls=spent.calls,
        prompt_tokens=usage.prompt,
        cached_tokens=usage.cached,
        completion_tokens=usage.completion,
        iterations=spent.iterations,
        seconds=spent.seconds,
        sandbox_seconds=spent.sandbox_seconds,
    )


def _commit(iteration: Iteration) -> Commit:
    counts, verdict = _counted(iteration.report), iteration.verdict
    return Commit(
        id=iteration.commit,
        tree=iteration.tree,
        iteration=iteration.number,
        tests=counts,
        verdict=verdict.kind if verdict else None,
    )


def _counts(report: TestReport | None) -> Counts | None:
    return None if report is None else _counted(report)


def _counted(report: TestReport) -> Counts:
    return Counts(
        passed=report.count(Status.PASSED),
        failed=len(report.failing),
        skipped=report.count(Status.SKIPPED) + report.count(Status.XFAILED),
        exit_code=report.exit_code,
        problem=report.problem,
        reused=report.reused,
    )
