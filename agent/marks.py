"""What happens in a run between the turns of its model: sessions, environment, tests, verdicts, commits. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent import events as e
from agent.aside import aside_words
from agent.journal import Entry
from agent.state import RunState
from agent.task import Limits
from agent.verdict import VerdictKind

__all__ = ["Mark", "Tone", "ended", "fork_words", "going_round", "mark_of", "tone_of"]


class Tone(StrEnum):
    """Whether a mark is good news."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    OPEN = "open"
    """It may be good, and is not proven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One thing that happened, in words; `turn` is the last turn before it, 0 if there is none."""

    seq: int
    turn: int
    at: datetime
    what: str
    """The kind of thing, as `baseline`, `commit` or `iteration 2`."""
    words: str
    tone: Tone = Tone.PLAIN
    seconds: float | None = None


def mark_of(entry: Entry, before: RunState, after: RunState, *, turn: int, sessions: int) -> Mark | None:
    """What `entry` is between turns; None if it is part of one, or says nothing to a reader."""
    said = _said(entry.event, before, after, sessions)
    if said is None:
        return None
    what, words, tone, seconds = said
    return Mark(seq=entry.seq, turn=turn, at=entry.at, what=what, words=words, tone=tone, seconds=seconds)


Said = tuple[str, str, Tone, float | None]


def _said(event: e.Event, before: RunState, after: RunState, sessions: int) -> Said | None:  # noqa: C901, PLR0911 - an arm for each
    match event:
        case e.SessionStarted(version=version) if sessions > 1:
            return "session", f"taken up again by greenward {version}", Tone.PLAIN, None
        case e.LimitsChanged(limits=limits):
            return "limits", f"at most {_budget(limits)}", Tone.PLAIN, None
        case e.PlanApproved() | e.PlanWithheld() | e.HintGiven() | e.Continued() | e.Forked():
            return _by_the_user(event, before)
        case e.Prompted() | e.Compacted():
            return _on_the_conversation(event, before)
        case e.EnvironmentPrepared():
            how = "found in the cache" if event.cached else f"made, base image {event.origin}"
            notes = "".join(f"; {note}" for note in event.notes)
            return "environment", how + notes, Tone.PLAIN, event.seconds
        case e.BaselineMeasured(report=report):
            found = "; ".join(each for each in (report.problem or str(report), aside_words(after)) if each)
            return "baseline", found, Tone.PLAIN, report.seconds
        case e.TestsFinished(report=report) | e.ToolReturned(effect=e.TestRun(full=True, report=report)):
            tone = Tone.GOOD if report.ok else Tone.BAD
            return f"iteration {after.spent.iterations}", report.problem or str(report), tone, report.seconds
        case e.VerdictReached(verdict=verdict):
            reasons = () if verdict.kind is VerdictKind.PASSED else verdict.reasons
            return "verdict", "; ".join([verdict.kind.value, *reasons]), tone_of(verdict.kind), verdict.seconds
        case e.Committed() if event.commit != before.tip:
            return "commit", f"{event.commit[:9]} {event.subject}", Tone.PLAIN, None
        case e.RunPaused(reason=reason):
            return "paused", reason, Tone.OPEN, None
        case e.BudgetExhausted(reason=reason):
            return "budget", reason, Tone.BAD, None
        case _:
            return None


def _on_the_conversation(event: e.Prompted | e.Compacted, before: RunState) -> Said | None:
    if isinstance(event, e.Compacted):
        return "context", f"about {event.before:,} tokens shortened to {event.after:,}", Tone.PLAIN, None
    words = going_round(event, before)
    return ("stuck", words.removeprefix("stuck: "), Tone.BAD, None) if words else None


def _by_the_user(
    event: e.PlanApproved | e.PlanWithheld | e.HintGiven | e.Continued | e.Forked, before: RunState
) -> Said:
    match event:
        case e.PlanApproved(plan=plan):
            how = "" if plan == before.plan else ", with changes"
            return "plan", f"approved by the user{how}", Tone.PLAIN, None
        case e.PlanWithheld(reason=reason):
            return "plan", reason, Tone.PLAIN, None
        case e.HintGiven(text=text):
            return "hint", text, Tone.PLAIN, None
        case e.Continued(request=request):
            return "request", request, Tone.PLAIN, None
        case e.Forked():  # pragma: no branch - mypy knows that nothing else is left
            return "forked", fork_words(event, before), Tone.PLAIN, None


def fork_words(event: e.Forked, before: RunState) -> str:
    """Where a run comes from, what was spent by then, and with what it goes on."""
    return (
        f"from run {event.parent} after step {event.step}, ${before.spent.dollars:.4f} spent by then;"
        f" with {event.model}, at most {_budget(event.limits)}"
    )


def going_round(event: e.Prompted, before: RunState) -> str:
    """What the model was told of getting nowhere; empty if it was not."""
    if event.tree:
        return "stuck: the work is put back to the best that was tested"
    return "stuck: another approach is asked for" if e.Say.STUCK in before.remarks else ""


def ended(entry: Entry, before: RunState, *, turn: int) -> Mark | None:
    """The end that a run had come to before `entry` took it up again; None if it had not ended."""
    end = before.finished
    if end is None:
        return None
    words = "; ".join(each for each in (end.outcome.value.replace("_", " "), end.reason) if each)
    return Mark(seq=entry.seq, turn=turn, at=before.at, what="ended", words=words, tone=tone_of(end.outcome))


def tone_of(kind: VerdictKind | e.Outcome | None) -> Tone:
    """How a verdict or an outcome reads: one that asks for more proof is no bad news, and none is no news."""
    return _TONES.get(kind, Tone.BAD)


_TONES: dict[VerdictKind | e.Outcome | None, Tone] = {
    VerdictKind.PASSED: Tone.GOOD,
    VerdictKind.UNPROVEN: Tone.OPEN,
    VerdictKind.NEEDS_REVIEW: Tone.OPEN,
    e.Outcome.PASSED: Tone.GOOD,
    e.Outcome.UNPROVEN: Tone.OPEN,
    e.Outcome.PLANNED: Tone.PLAIN,
    None: Tone.PLAIN,
}


def _budget(limits: Limits) -> str:
    return (
        f"${limits.dollars:.2f}, {limits.tokens:,} tokens, {limits.calls} calls, {limits.iterations} iterations,"
        f" {limits.seconds / 60:g} min, in the sandbox {limits.sandbox_seconds / 60:g} min"
    )
