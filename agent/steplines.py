"""The steps of a run, a line for each: the entries of its journal, by the numbers that `replay` and `fork` speak of."""

from collections.abc import Iterable, Iterator

from agent import events as e
from agent.folding import apply, fold
from agent.journal import Entry
from agent.marks import fork_words
from agent.messages import Message
from agent.progress import budget_line
from agent.state import RunState
from agent.telling import subject_of
from agent.text import number_of, one_line

__all__ = ["step_lines", "step_words"]

SHOWN = 120
"""Characters of what a step was."""


def step_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Number, time (UTC), kind and what it was, of each entry."""
    state: RunState | None = None
    for entry in entries:
        before = state
        state = fold([entry]) if before is None else apply(before, entry)
        words = step_words(entry.event, before or state)
        yield f"{entry.seq:5}  {entry.at:%Y-%m-%d %H:%M:%S}  {entry.event.kind:20}  {words}".rstrip()


def step_words(event: e.Event, before: RunState) -> str:
    """What `event` was, on one line that is safe to print; `before` is the state that it came to."""
    return one_line(_words(event, before), SHOWN)


def _words(event: e.Event, before: RunState) -> str:  # noqa: C901, PLR0911, PLR0912 - an arm for each
    match event:
        case e.RunStarted(task=task, model=model):
            return f"{task.mode} with {model}: {task.request or 'the failing tests'}"
        case e.SessionStarted(version=version):
            return f"by greenward {version}"
        case e.LimitsChanged(limits=limits):
            return f"at most {budget_line(limits)}"
        case e.PlanApproved(plan=plan):
            return plan.summary
        case e.PlanWithheld(reason=reason) | e.BudgetExhausted(reason=reason):
            return reason
        case e.HintGiven(text=text) | e.Continued(request=text):
            return text
        case e.Forked():
            return fork_words(event, before)
        case e.EnvironmentPrepared(test=test):
            return f"tests: {test}"
        case e.BaselineMeasured(report=report) | e.TestsFinished(report=report):
            return report.problem or str(report)
        case e.VerdictReached(verdict=verdict):
            return verdict.kind.value
        case e.Prompted() | e.CallReserved() | e.CallFailed() | e.ModelReplied() | e.Compacted():
            return _said(event, before)
        case e.ToolReturned():
            return _returned(event, before)
        case e.Committed(commit=commit, subject=subject):
            return f"{commit[:9]} {subject}" if commit != before.tip else "nothing new"
        case e.RunPaused(commit=commit, reason=reason):
            return f"{reason}; the branch is at {commit[:9]}"
        case e.RunFinished(outcome=outcome, reason=reason):  # pragma: no branch - mypy knows that nothing else is left
            return f"{outcome.value.replace('_', ' ')}: {reason}"


def _said(event: e.Prompted | e.CallReserved | e.CallFailed | e.ModelReplied | e.Compacted, before: RunState) -> str:
    match event:
        case e.Prompted(about=about, messages=messages):
            return f"{about.value.replace('_', ' ')} ({sum(len(each.content) for each in messages):,} characters)"
        case e.CallReserved(dollars=dollars, max_tokens=cap):
            return f"call {before.spent.calls + 1}: at most ${dollars:.4f}, {cap:,} tokens of reply"
        case e.CallFailed(error=error, message=message):
            return f"{error}: {message}"
        case e.ModelReplied(message=message, stop_reason=stop):
            return _reply(message) or f"({stop})"
        case e.Compacted():  # pragma: no branch - mypy knows that nothing else is left
            return f"{number_of(len(event.shortened), 'message')}: {event.before:,} tokens shortened to {event.after:,}"


def _reply(message: Message) -> str:
    names = ", ".join(call.name for call in message.tool_calls)
    said = one_line(message.content, SHOWN // 2)
    return " ".join(part for part in (said, f"-> {names}" if names else "") if part)


def _returned(event: e.ToolReturned, before: RunState) -> str:
    call = next((call for call in before.pending if call.id == event.call_id), None)
    words = f"{event.name} {subject_of(call) if call else ''}".rstrip()
    if isinstance(event.effect, e.TestRun):
        words += f": {event.effect.report}"
    return f"{words} - {event.content}" if event.is_error else words
