"""A run as plain lines: what happened, told from the entries of its journal."""

import json
from collections.abc import Callable, Iterator

from agent import events as e
from agent.aside import aside_lines
from agent.folding import apply, fold
from agent.journal import Entry
from agent.live import Notice, Said
from agent.marks import fork_words, going_round
from agent.messages import ToolCall
from agent.state import RunState
from agent.task import Limits, Plan
from agent.testreport import Status, TestReport
from agent.text import number_of, one_line, sanitise
from agent.verdict import VerdictKind
from agent.watching import Silent

__all__ = ["Progress", "budget_line", "compared", "lines", "some", "spent_line", "subject", "used_lines"]

FLAGS_SHOWN = 8
NAMES_SHOWN = 3


class Progress(Silent):
    """Turns each entry into lines and hands them to `write`: the watcher where nothing can be drawn."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._state: RunState | None = None

    def __call__(self, entry: Entry) -> None:
        before = None if isinstance(entry.event, e.RunStarted) else self._state
        self._state = fold([entry]) if before is None else apply(before, entry)
        for line in lines(entry.event, before or self._state, self._state):
            self._write(line)

    def catch_up(self, entries: tuple[Entry, ...], state: RunState) -> None:  # noqa: ARG002  (the state has it all)
        """Take in what happened in earlier sessions without telling it again."""
        self._state = state

    def notice(self, notice: Notice) -> None:
        """Tell what is said of slow steps; the rest is for those who can draw."""
        if isinstance(notice, Said):
            self._write(_plain(notice.text))


def lines(event: e.Event, before: RunState, after: RunState) -> Iterator[str]:
    """What `event`, which led from one state to the other, is to be told as: lines that are safe to print."""
    return map(_plain, _lines(event, before, after))


def compared(report: TestReport, before: RunState) -> tuple[frozenset[str], frozenset[str]]:
    """The ids of the tests that `report` shows fixed and broken since the last full run, or since the baseline.

    Flaky ones are neither.
    """
    earlier = before.report or before.baseline
    if earlier is None:
        return frozenset(), frozenset()
    flaky = before.hidden.union(report.flaky)
    fixed = report.ids(Status.PASSED) & frozenset(earlier.failing) - flaky
    return fixed, frozenset(report.failing) & earlier.ids(Status.PASSED) - flaky


def budget_line(limits: Limits) -> str:
    """As `$1.00, 8 iterations, 80 calls, 30 min`."""
    iterations, calls = number_of(limits.iterations, "iteration"), number_of(limits.calls, "call")
    return f"${limits.dollars:.2f}, {iterations}, {calls}, {_minutes(limits.seconds)}"


def spent_line(state: RunState) -> str:
    """As `$0.0100 of $1.00, 3 calls`."""
    spent, calls = state.spent, number_of(state.spent.calls, "call")
    return f"${spent.dollars:.4f} of ${state.started.limits.dollars:.2f}, {calls}"


def some(lines: tuple[str, ...], most: int = FLAGS_SHOWN) -> Iterator[str]:
    """`lines`, or the first of them and how many more there are."""
    yield from lines[:most]
    if len(lines) > most:
        yield f"and {len(lines) - most} more"


def used_lines(state: RunState) -> tuple[str, ...]:
    """What was used of each limit, on three lines."""
    spent, limits, usage = state.spent, state.started.limits, state.spent.usage
    calls = f"{spent.calls} of {number_of(limits.calls, 'call')}"
    iterations = f"{spent.iterations} of {number_of(limits.iterations, 'iteration')}"
    tokens = f"{usage.prompt:,} in, {usage.cached:,} of them cached, {usage.completion:,} out"
    sandbox = f"{spent.sandbox_seconds:.0f} s of {_minutes(limits.sandbox_seconds)}"
    return (
        f"cost:    ${spent.dollars:.4f} of ${limits.dollars:.2f}, {calls}, {iterations}",
        f"tokens:  {spent.tokens:,} of {limits.tokens:,} ({tokens})",
        f"time:    {spent.seconds:.0f} s of {_minutes(limits.seconds)}, in the sandbox {sandbox}",
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} min"


def subject(call: ToolCall | None) -> str:
    """What a call is about, on one line: its path, command or pattern; empty if that cannot be told."""
    try:
        arguments = json.loads(call.arguments) if call else {}
    except (ValueError, RecursionError):
        return ""
    if not isinstance(arguments, dict):
        return ""
    return next((one_line(str(arguments[k])) for k in ("path", "command", "pattern", "reason") if arguments.get(k)), "")


def _lines(event: e.Event, before: RunState, after: RunState) -> Iterator[str]:  # noqa: C901, PLR0912 - an arm each
    match event:
        case e.RunStarted():
            yield f"run {event.run_id}: {event.task.mode} with {event.model}, at most {budget_line(event.limits)}"
        case e.LimitsChanged() | e.PlanApproved() | e.HintGiven() | e.Continued() | e.Forked():
            yield from _by_the_user(event, before)
        case e.EnvironmentPrepared():
            how = "cached" if event.cached else f"made in {event.seconds:.0f} s, base image {event.origin}"
            yield f"environment: {how}; tests: {one_line(event.test)}"
            yield from (f"  note: {one_line(note)}" for note in event.notes)
        case e.BaselineMeasured():
            yield from _baseline(event, after)
        case e.CallFailed():
            then = "giving up" if event.wait is None else f"trying again in {event.wait:.1f} s"
            yield f"model: no reply ({event.error}: {one_line(event.message)}); {then}"
        case e.Prompted() if words := going_round(event, before):
            yield words
        case e.Compacted():
            yield f"context: about {event.before:,} tokens shortened to {event.after:,}"
        case e.ModelReplied(message=message) if message.content.strip():
            yield f"model: {one_line(message.content)}"
        case e.ToolReturned():
            yield from _tool(event, before, after)
        case e.TestsFinished():
            yield _tests(event.report, before, after)
        case e.VerdictReached(verdict=verdict):
            local = after.started.sandbox == "local"
            where = "fresh directories, isolated by nothing" if local else "fresh containers"
            free = ", tests that were free to change" if after.tests_are_free else ""
            yield f"judge: {verdict.kind} ({verdict.seconds:.1f} s in {where}{free})"
            if verdict.kind is not VerdictKind.PASSED:
                yield from (f"  {one_line(reason)}" for reason in verdict.reasons)
            yield from (f"  note: {one_line(note)}" for note in verdict.notes)
            yield from (f"  flagged: {one_line(said)}" for said in some(verdict.flagged))
        case e.Committed() if after.tip != before.tip:
            yield f"commit: {event.commit[:9]} {one_line(event.subject)}"
        case e.RunPaused() if after.tip != before.tip:
            yield f"paused: {one_line(event.reason)}; the branch is at {event.commit[:9]}, the best so far"
        case e.RunPaused():
            yield f"paused: {one_line(event.reason)}"
        case e.BudgetExhausted():
            yield f"budget: {one_line(event.reason)}"
        case _:
            return


def _baseline(event: e.BaselineMeasured, after: RunState) -> Iterator[str]:
    how = "".join((f", {event.runs} runs" if event.runs > 1 else "", ", cached" if event.cached else ""))
    yield f"baseline: {event.report} ({event.report.seconds:.1f} s{how})"
    yield from (f"  aside: {line}" for line in aside_lines(after))


def _by_the_user(
    event: e.LimitsChanged | e.PlanApproved | e.HintGiven | e.Continued | e.Forked, before: RunState
) -> Iterator[str]:
    match event:
        case e.LimitsChanged(limits=limits):
            yield f"limits: at most {budget_line(limits)}"
        case e.PlanApproved(plan=plan):
            yield "plan: approved as it is" if plan == before.plan else "plan: approved, with changes"
            if plan != before.plan:
                yield from _plan(plan)
        case e.HintGiven(text=text):
            yield f"hint: {one_line(text)}"
        case e.Continued(request=request, limits=limits):
            yield f"request: {one_line(request)}"
            yield f"limits: at most {budget_line(limits)}, all that was spent before included"
        case e.Forked():  # pragma: no branch - mypy knows that nothing else is left
            yield f"run {event.run_id}: forked {one_line(fork_words(event, before), 300)}"


def _tool(event: e.ToolReturned, before: RunState, after: RunState) -> Iterator[str]:
    match event.effect:
        case e.Planned(plan=plan):
            yield from _plan(plan)
        case e.TestRun(report=report, full=True):
            yield _tests(report, before, after)
        case e.TestRun(report=report):
            yield f"  some tests: {report}"
        case e.Unsealed(path=path, reason=reason):
            yield f"  unseal {one_line(path)}: {one_line(reason)}"
        case e.Finish():
            yield f"model: {event.effect.status}. {one_line(event.effect.reason)}".rstrip()
        case _:
            call = next((call for call in before.pending if call.id == event.call_id), None)
            failed = f" - {one_line(event.content)}" if event.is_error else ""
            failed = " - answered before" if event.repeats else failed
            yield f"  {one_line(event.name, 64)} {subject(call)}".rstrip() + failed


def _plan(plan: Plan) -> Iterator[str]:
    yield f"plan: {one_line(plan.summary)}"
    yield from (f"  {number}. {one_line(step)}" for number, step in enumerate(plan.steps, start=1))
    yield from (f"  shows: {one_line(c.shown_by)} -> {one_line(c.output or c.behaviour)}" for c in plan.criteria)


def _tests(report: TestReport, before: RunState, after: RunState) -> str:
    fixed, broken = compared(report, before)
    line = f"iteration {after.spent.iterations}: {one_line(report.problem) or report}"
    return f"{line}{_names(', fixed', fixed)}{_names(', broken', broken)} ({spent_line(after)})"


def _names(word: str, ids: frozenset[str]) -> str:
    if not ids:
        return ""
    shown = " ".join(one_line(case_id) for case_id in sorted(ids)[:NAMES_SHOWN])
    more = f" and {len(ids) - NAMES_SHOWN} more" if len(ids) > NAMES_SHOWN else ""
    return f"{word} {shown}{more}"


def _plain(text: str) -> str:
    return sanitise(text).replace("\n", "\\n")
