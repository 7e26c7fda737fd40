"""What there is to say of a run, in one object: for the terminal, for `--json` and for the page. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from agent.aside import Aside, aside_of
from agent.events import Outcome
from agent.marks import Mark
from agent.messages import Usage
from agent.origin import Origin, origin_of
from agent.suites import Suite, suite_of
from agent.summary import final_report, headline, next_step, proof
from agent.task import Limits, Mode, Plan, Prices
from agent.text import sanitise
from agent.timeline import Asked, IterationView, Judgement, Payment, Timeline, Turn

__all__ = ["SCHEMA", "Environment", "Report", "as_json", "report_of"]

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where commands and tests were run."""

    id: str
    """The image's digest, or the name of a local environment."""
    origin: str
    cached: bool
    seconds: float
    build: str
    test: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run, finished or not. Times are UTC, amounts US dollars, durations seconds."""

    schema: int = SCHEMA
    run: str
    mode: Mode
    """Of the request."""
    request: str
    """What was asked for last."""
    asked: tuple[Asked, ...]
    """All that was asked for, in its order."""
    outcome: Outcome | None
    """None while the run has not ended."""
    headline: str
    """The outcome in a word, and the reason for it."""
    proof: str
    """Whose tests and which criteria showed it; empty unless the verdict is green."""
    next: str
    """What to type next."""
    model: str
    sandbox: str
    branch: str
    base_commit: str
    """Where the branch leaves the user's history."""
    base_tree: str
    commit: str
    """Where the branch was left, or stands."""
    tree: str
    began: datetime
    last: datetime
    """When something was last done."""
    seconds: float
    """Worked, without the time between sessions."""
    sessions: int
    spent: float
    calls: int
    usage: Usage
    limits: Limits
    prices: Prices
    forked: Origin | None
    """Which run this one was forked from, and what of `spent` is from before; None if it began by itself."""
    baseline: Suite | None
    """What the suite showed before anything was done; None if it was not run then."""
    tests_before: Suite | None
    """What the result is measured against."""
    tests_after: Suite | None
    aside: tuple[Aside, ...]
    """Tests of the base that are no measure of the work."""
    plan: Plan | None
    environment: Environment | None
    turns: tuple[Turn, ...]
    marks: tuple[Mark, ...]
    """What happened between turns."""
    iterations: tuple[IterationView, ...]
    verdicts: tuple[Judgement, ...]
    payments: tuple[Payment, ...]


def report_of(told: Timeline, where: str = "") -> Report:
    """The report on a run; `where` is the repository as the user named it, empty for the current directory."""
    state = told.state
    started, spent = state.started, state.spent
    after = final_report(state)
    return Report(
        run=started.run_id,
        mode=started.task.mode,
        request=started.task.request,
        asked=told.asked,
        outcome=state.outcome,
        headline=headline(state),
        proof=proof(state),
        next=sanitise(next_step(state, where)),
        model=started.model,
        sandbox=started.sandbox,
        branch=started.branch,
        base_commit=state.root_commit,
        base_tree=state.root_tree,
        commit=state.finished.commit if state.finished else state.tip,
        tree=state.result_tree,
        began=told.began,
        last=state.worked_at,
        seconds=spent.seconds,
        sessions=told.sessions,
        spent=spent.dollars,
        calls=spent.calls,
        usage=spent.usage,
        limits=started.limits,
        prices=started.prices,
        forked=origin_of(state),
        baseline=told.baseline,
        tests_before=suite_of(state.baseline) if state.baseline is not None else None,
        tests_after=suite_of(after) if after is not None else None,
        aside=aside_of(state),
        plan=state.plan,
        environment=_environment(told),
        turns=told.turns,
        marks=told.marks,
        iterations=told.iterations,
        verdicts=told.judgements,
        payments=told.payments,
    )


def as_json(report: Report) -> str:
    """`report` as one JSON object in ASCII, so that a terminal acts on no character of it; null for an infinity."""
    plain = json.loads(TypeAdapter(Report).dump_json(report))
    return json.dumps(plain, indent=2)


def _environment(told: Timeline) -> Environment | None:
    made = told.state.environment
    if made is None:
        return None
    return Environment(
        id=made.id,
        origin=made.origin,
        cached=made.cached,
        seconds=made.seconds,
        build=made.build,
        test=made.test,
        notes=made.notes,
    )
