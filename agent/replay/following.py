"""Going through a journal: the run's own loop decides what comes next, and what comes is held against the record."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from agent import __version__
from agent import events as e
from agent.errors import DamagedRun, GreenwardError, StorageProblem
from agent.folding import apply, by_the_user, fold
from agent.habits import EXECUTE
from agent.journal import Entry
from agent.loop import Kit, next_events
from agent.messages import digest_of
from agent.replay import Divergence, Replayed, Step, Tally
from agent.replay.likeness import difference, told
from agent.replay.record import Record, Unlike
from agent.scribe import Scribe
from agent.state import RunState
from agent.steplines import step_words

__all__ = ["Follower", "Sessions"]

SAYS = (e.Prompted, e.ModelReplied, e.ToolReturned, e.Compacted, e.PlanApproved, e.Continued)
"""Events that become part of the conversation, or change it."""
HINTS: Mapping[str, str] = {
    "version": "it was recorded by greenward {then}, and this is {now}: replay it with that version",
    "digest": "something said there is not what was sent, or the digest of it was changed after it was recorded",
    "proof": "the proof is bound to each byte before it, one of which was changed: there, or in what else was recorded",
    "executed": "what differs from one execution to the next, as an order, a network or a flaky test, diverges as well",
    "record": "the journal was changed after it was written, or greenward itself does this differently than it did",
}


class Sessions(Protocol):
    """Makes what a session of the run works with."""

    def kit(self, state: RunState, version: str) -> Kit:
        """For a session that greenward `version` begins at `state`."""
        ...


class Diverged(Exception):
    """Something else came than the journal has."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(divergence.difference)
        self.divergence = divergence


@dataclass(slots=True, kw_only=True)
class Follower:
    """Goes through a record, entry by entry."""

    run: str
    record: Record
    sessions: Sessions
    scribe: Scribe
    """Of the scratch repository."""
    recheck: bool = False
    state: RunState = field(init=False)
    tally: Tally = field(default_factory=Tally, init=False)
    _kit: Kit | None = field(default=None, init=False)
    _versions: list[str] = field(default_factory=list, init=False)
    _unsure: list[Step] = field(default_factory=list, init=False)
    """What was said since the last call that agreed, and was not brought about again to the letter."""

    def __post_init__(self) -> None:
        self.state = fold(self.record.entries[:1])

    def follow(self) -> Replayed:
        """Go through all of it, or up to the first divergence.

        Raises:
            DamagedRun: objects that are needed are missing.
            SandboxError: nothing can be executed.
        """
        divergence = None
        try:
            while (entry := self.record.next) is not None:
                self._come_to(entry)
        except Diverged as diverged:
            divergence = diverged.divergence
        state, git = self.state, self.scribe.workspace.git
        tip = git.find(f"refs/heads/{state.started.branch}") or state.root_commit
        return Replayed(
            run=self.run,
            steps=len(self.record.entries),
            versions=tuple(dict.fromkeys(self._versions)),
            recheck=self.recheck,
            outcome=state.outcome,
            branch=state.started.branch,
            tip=tip,
            tree=self.scribe.workspace.tree_of(tip),
            tally=self.tally,
            divergence=divergence,
        )

    def _come_to(self, entry: Entry) -> None:
        """Take what a user did as it stands, and bring about what the run did."""
        match entry.event:
            case e.SessionStarted(version=version):
                self._take(entry)
                self._versions.append(version)
                self._kit = self.sessions.kit(self.state, version)
            case e.RunPaused(why=why, reason=reason):
                self._bring_about(self.scribe.pause(self.state, why, reason))
                self._kit = None
            case e.Forked():
                self._branch_off(entry, entry.event)
            case event if by_the_user(event):
                self._take(entry)
            case _ if self.state.outcome is not None or self._kit is None:
                raise self._diverged(entry, "nothing comes: no session is at work on the run")
            case _:
                self._bring_about(next_events(self.state, self._kit))

    def _bring_about(self, events: Iterator[e.Event]) -> None:
        """Hold what comes against the record, for as long as the session of then went on."""
        entry = first = self.record.next
        while entry is not None:
            with self._naming(entry):
                came = next(events, None)
            if came is None and entry is first:
                raise self._diverged(entry, "nothing comes")
            if came is None:
                return
            self._compare(entry, came)
            self._take(entry, came)
            entry = self.record.next if self.record.goes_on else None

    def _branch_off(self, entry: Entry, event: e.Forked) -> None:
        """The run is another one from here on, with a branch of its own."""
        state = self.state
        begins = state.finished.commit if state.finished else state.tip
        if event.commit != begins:
            raise self._diverged(entry, f"its branch begins at {begins}, not at {event.commit}")
        self._take(entry)
        self._kit = None
        if event.commit != state.root_commit:
            with self._naming(entry):
                self.scribe.workspace.advance(event.branch, event.commit, None)

    def _compare(self, entry: Entry, came: e.Event) -> None:
        if came is entry.event:
            return
        then, now = told(entry.event), told(came)
        if then.like(now):
            return
        if then.alike_in_facts(now) and self._versions[-1:] != [__version__]:
            self.tally.reworded[entry.event.kind] += 1
            return
        if then.alike_in_facts(now) and isinstance(entry.event, e.RunFinished):
            raise self._somewhere(entry, difference(then, now), "proof")
        raise self._diverged(
            entry, difference(then, now), executed=then.executed or _executes(entry.event) or _executes(came)
        )

    def _take(self, entry: Entry, came: e.Event | None = None) -> None:
        """Go on to the next entry."""
        event, again = entry.event, came is not None and came is not entry.event
        if isinstance(event, e.CallReserved):
            self._check_conversation(entry, event)
        if isinstance(event, SAYS) and not (again and _to_the_letter(event, came)):
            self._unsure.append(self._step(entry))
        self._count(event, again=again)
        self.state = apply(self.state, entry)
        self.record.place += 1

    def _check_conversation(self, entry: Entry, event: e.CallReserved) -> None:
        """That what was said so far is what was sent then, to the letter."""
        now = digest_of(self.state.messages)
        if not event.digest:
            self.tally.unsigned += 1
            return
        if event.digest != now:
            shown = f"- digest of the conversation: {event.digest}\n+ digest of the conversation: {now}"
            raise self._somewhere(entry, shown, "digest")
        self.tally.conversations += 1
        self._unsure.clear()

    def _count(self, event: e.Event, *, again: bool) -> None:
        tally = self.tally
        (tally.again if again else tally.recorded)[event.kind] += 1
        match event:
            case e.ModelReplied():
                tally.calls += 1
            case e.ToolReturned(tree=tree) if again and tree != self.state.tree:
                tally.edits += 1
            case e.Committed(commit=commit) | e.RunPaused(commit=commit) | e.RunFinished(commit=commit):
                if commit != self.state.tip:
                    tally.commits.append(commit)
            case _:
                pass

    @contextmanager
    def _naming(self, entry: Entry) -> Iterator[None]:
        """Says at which step something went wrong, and whether that is a divergence."""
        try:
            yield
        except Unlike as unlike:
            raise self._diverged(entry, str(unlike)) from None
        except StorageProblem:
            raise
        except DamagedRun as error:
            raise DamagedRun(f"step {entry.seq} cannot be done again: {error.message}", hint=error.hint) from error
        except GreenwardError as error:
            raise self._diverged(entry, f"an error: {error.message}", executed=True) from error

    def _somewhere(self, entry: Entry, shown: str, why: str) -> Diverged:
        """A divergence that shows at `entry`, and is there or in something that was said since the last call."""
        return Diverged(Divergence(steps=(*self._unsure, self._step(entry)), difference=shown, hint=self._hint(why)))

    def _diverged(self, entry: Entry, came: str, *, executed: bool = False) -> Diverged:
        """The divergence at `entry`; `came` is the difference, or what comes in its place."""
        step = self._step(entry)
        shown = came if came.startswith(("-", "+")) else f"- {step.kind}: {step.what}\n+ {came}"
        other = self._versions[-1:] != [__version__] and bool(self._versions)
        why = "version" if other else "executed" if executed and self.recheck else "record"
        return Diverged(Divergence(steps=(step,), difference=shown, hint=self._hint(why)))

    def _step(self, entry: Entry) -> Step:
        return Step(step=entry.seq, kind=entry.event.kind, what=step_words(entry.event, self.state))

    def _hint(self, why: str) -> str:
        then = self._versions[-1] if self._versions else "another version"
        more = "; `--recheck` runs commands and tests again, and finds out which" if why in ("digest", "proof") else ""
        return HINTS[why].format(then=then, now=__version__) + ("" if self.recheck else more)


def _executes(event: e.Event) -> bool:
    return isinstance(event, e.BaselineMeasured | e.TestsFinished | e.VerdictReached) or (
        isinstance(event, e.ToolReturned) and event.name in EXECUTE
    )


def _to_the_letter(event: e.Event, came: e.Event | None) -> bool:
    """Whether what came says the same in every character; a reply comes from the record in any case."""
    return came is not None and not isinstance(event, e.ModelReplied) and told(event).words == told(came).words
