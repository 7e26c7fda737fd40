"""From the entries of a journal to its timeline. Pure: no clock, disk or model."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from agent import events as e
from agent.folding import apply, fold
from agent.journal import Entry
from agent.marks import Mark, ended, mark_of
from agent.messages import Message, ToolCall
from agent.progress import compared
from agent.state import RunState
from agent.suites import Suite, suite_of
from agent.testreport import TestReport
from agent.timeline import (
    Answer,
    Asked,
    Exchange,
    FailedCall,
    IterationView,
    Judgement,
    Payment,
    Shown,
    Step,
    Timeline,
    Turn,
)
from agent.verdict import Verdict

__all__ = ["subject_of", "tell"]

SUBJECTS = ("path", "command", "pattern", "summary", "status", "id", "glob")
"""Names of arguments that say what a call is about, in the order in which they are looked for."""
NOTE = 500
"""Characters kept of what a tool answered, where that is an error."""


def tell(entries: Iterable[Entry]) -> Timeline:
    """What `entries` tell.

    Raises:
        DamagedRun: they do not begin with the start of a run.
    """
    iterator = iter(entries)
    first = next(iterator, None)
    state = fold([] if first is None else [first])
    task = state.started.task
    teller = _Teller(state=state, asked=[Asked(mode=task.mode, request=task.request, plan=state.plan)])
    for entry in iterator:
        teller.take(entry)
    return teller.told(began=state.at)


def subject_of(call: ToolCall) -> str:
    """What a call is about: its path, command or pattern, or the paths or tests that it lists; empty if unknown."""
    return _subject(call).encode(errors="replace").decode()


def _subject(call: ToolCall) -> str:
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(arguments, dict):
        return ""
    listed = arguments.get("files") if "summary" not in arguments else None
    if isinstance(listed, list):
        return ", ".join(str(one.get("path", "")) if isinstance(one, dict) else str(one) for one in listed)
    if isinstance(tests := arguments.get("tests"), list):
        return " ".join(map(str, tests))
    return next((str(arguments[name]) for name in SUBJECTS if arguments.get(name)), "")


@dataclass(slots=True, kw_only=True)
class _Teller:
    """Takes one entry after the other."""

    state: RunState
    asked: list[Asked]
    sessions: int = 0
    baseline: Suite | None = None
    turns: list[Turn] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    iterations: list[IterationView] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    told_since: list[Message] = field(default_factory=list)
    """What the model was told since its last turn."""
    begun: float = 0.0
    """Seconds spent when the turn began."""

    def told(self, began: datetime) -> Timeline:
        if self.told_since:
            self.exchanges.append(Exchange(turn=len(self.turns) + 1, told=tuple(self.told_since)))
        return Timeline(
            state=self.state,
            began=began,
            sessions=self.sessions,
            asked=tuple(self.asked),
            baseline=self.baseline,
            turns=tuple(self.turns),
            marks=tuple(self.marks),
            iterations=tuple(self.iterations),
            judgements=tuple(self.judgements),
            payments=tuple(self.payments),
            exchanges=tuple(self.exchanges),
        )

    def take(self, entry: Entry) -> None:  # noqa: C901 - one arm for each event
        before, self.state = self.state, apply(self.state, entry)
        match entry.event:
            case e.SessionStarted():
                self.sessions += 1
            case e.BaselineMeasured(report=report) if not self.iterations:
                self.baseline = suite_of(report)
            case e.Continued(request=request):
                self.asked.append(Asked(mode=self.state.started.task.mode, request=request, turn=len(self.turns)))
            case e.Prompted(messages=messages):
                self.told_since += messages
            case e.CallReserved() | e.CallFailed() | e.ModelReplied():
                self._called(before, entry)
            case e.ToolReturned():
                self._returned(before, entry.event)
            case e.VerdictReached(verdict=verdict):
                self._judged(verdict)
            case e.Committed():
                self._committed(before, entry.event)
            case _:
                pass
        if self.state.spent.iterations > before.spent.iterations and self.state.report is not None:
            self._iterated(before, self.state.report)
        self.asked[-1] = replace(self.asked[-1], plan=self.state.plan)
        if self.state.finished is None and (end := ended(entry, before, turn=len(self.turns))):
            self.marks.append(end)
        if mark := mark_of(entry, before, self.state, turn=len(self.turns), sessions=self.sessions):
            self.marks.append(mark)

    def _called(self, before: RunState, entry: Entry) -> None:
        event, spent = entry.event, self.state.spent
        if not self.turns or self.turns[-1].answered:
            number = len(self.turns) + 1
            self.turns.append(Turn(number=number, seq=entry.seq, at=entry.at, iteration=spent.iterations + 1))
            self.exchanges.append(Exchange(turn=number, told=tuple(self.told_since)))
            self.told_since, self.begun = [], spent.seconds
        turn = self._grown(self.turns[-1], before)
        match event:
            case e.CallReserved():
                worst = spent.dollars
                self.payments.append(
                    Payment(call=spent.calls, turn=turn.number, before=before.spent.dollars, worst=worst, after=worst)
                )
            case e.CallFailed():
                failed = FailedCall(at=entry.at, error=event.error, message=event.message, billed=event.billed)
                turn = replace(turn, failed=(*turn.failed, failed))
            case e.ModelReplied():
                turn = self._replied(turn, event)
            case _:
                pass
        if self.payments and not isinstance(event, e.CallReserved):
            self.payments[-1] = replace(self.payments[-1], after=spent.dollars)
        self.turns[-1] = turn

    def _replied(self, turn: Turn, event: e.ModelReplied) -> Turn:
        steps = tuple(Step(tool=call.name, subject=subject_of(call)) for call in event.message.tool_calls)
        self.exchanges[-1] = replace(self.exchanges[-1], reply=event.message)
        return replace(
            turn,
            answered=True,
            said=event.message.content,
            stop_reason=event.stop_reason,
            steps=steps,
            usage=event.usage,
            model_seconds=turn.seconds,
        )

    def _grown(self, turn: Turn, before: RunState) -> Turn:
        """`turn` with the time and the money of one more event."""
        return replace(
            turn,
            seconds=self.state.spent.seconds - self.begun,
            dollars=turn.dollars + self.state.spent.dollars - before.spent.dollars,
        )

    def _returned(self, before: RunState, event: e.ToolReturned) -> None:
        if not self.turns:
            return
        turn = self._grown(self.turns[-1], before)
        place = next((n for n, step in enumerate(turn.steps) if step.answer is Answer.MISSING), None)
        if place is not None:
            seconds = self.state.spent.seconds - before.spent.seconds
            done = replace(_answered(turn.steps[place], event), seconds=seconds)
            turn = replace(turn, steps=(*turn.steps[:place], done, *turn.steps[place + 1 :]))
        self.turns[-1] = turn
        self.exchanges[-1] = replace(self.exchanges[-1], answers=(*self.exchanges[-1].answers, event))

    def _iterated(self, before: RunState, report: TestReport) -> None:
        earlier = before.report or before.baseline
        fixed, broken = compared(report, before)
        self.iterations.append(
            IterationView(
                number=self.state.spent.iterations,
                turn=len(self.turns),
                at=self.state.at,
                before=suite_of(earlier) if earlier is not None else None,
                after=suite_of(report),
                fixed=tuple(sorted(fixed)),
                broken=tuple(sorted(broken)),
                tree_before=before.iterations[-1].tree if before.iterations else before.base,
                tree=self.state.tested_tree,
                dollars=self.state.spent.dollars,
            )
        )

    def _judged(self, verdict: Verdict) -> None:
        if self.iterations:
            self.iterations[-1] = replace(self.iterations[-1], verdict=verdict.kind)
        witnesses = tuple(
            Shown(
                behaviour=w.behaviour, command=w.command, base=w.base, result=w.result, proves=w.proves, guards=w.guards
            )
            for w in verdict.witnesses
        )
        self.judgements.append(
            Judgement(
                iteration=self.state.spent.iterations,
                at=self.state.at,
                kind=verdict.kind,
                tree=verdict.tree,
                reasons=verdict.reasons,
                notes=verdict.notes,
                suspicions=verdict.suspicions,
                tests=suite_of(verdict.report) if verdict.report is not None else None,
                witnesses=witnesses,
                control=verdict.control,
                again=verdict.report.again if verdict.report is not None else (),
                test=verdict.test,
                environment=verdict.environment,
                seconds=verdict.seconds,
            )
        )

    def _committed(self, before: RunState, event: e.Committed) -> None:
        if self.iterations and event.commit != before.tip:
            self.iterations[-1] = replace(self.iterations[-1], commit=event.commit, subject=event.subject)


def _answered(step: Step, event: e.ToolReturned) -> Step:
    """What came of a call."""
    answer = Answer.ERROR if event.is_error else Answer.DONE
    match event.effect:
        case e.TestRun(report=report):
            return replace(step, answer=answer, tests=suite_of(report))
        case e.Finish(reason=reason) | e.Unsealed(reason=reason):
            return replace(step, answer=answer, note=reason)
        case _:
            return replace(step, answer=answer, note=event.content[:NOTE] if event.is_error else "")
