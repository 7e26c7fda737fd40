"""What is known of a run at one moment: the state, and what passes until the next entry."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from agent import events as e
from agent.display.steps import files_of
from agent.folding import apply, fold
from agent.journal import Entry
from agent.live import Channel, Line, Notice, Said, Streamed, Working
from agent.messages import ToolCall
from agent.state import RunState
from agent.testreport import TestReport
from agent.text import tokens

__all__ = ["Scene", "Speech"]

TAIL = 2_000
"""Characters kept of what streams by."""
_SUBJECT = re.compile(r'"(?:path|command|pattern)"\s*:\s*"((?:[^"\\]|\\.){1,200})')


@dataclass(slots=True)
class Speech:
    """What the model has said so far in one channel: its end, its beginning and its length."""

    tail: str = ""
    head: str = ""
    characters: int = 0
    tokens: int = 0
    """An estimate."""

    def add(self, text: str) -> None:
        """Take the next piece."""
        self.characters += len(text)
        self.tokens += tokens(text)
        self.tail = (self.tail + text)[-TAIL:]
        if len(self.head) < TAIL:
            self.head = (self.head + text)[:TAIL]


@dataclass(slots=True, kw_only=True)
class Scene:
    """Takes entries and notices; whoever draws reads the rest."""

    clock: Callable[[], float]
    state: RunState | None = None
    since: float = 0.0
    """When the last entry came, by the clock."""
    written: set[str] = field(default_factory=set)
    """Paths that the model has written."""
    speech: dict[Channel, Speech] = field(default_factory=dict)
    speaking: Channel | None = None
    call: tuple[str, int] = ("", 0)
    """The tool that is being called, and which call of the reply it is."""
    line: str = ""
    """The last line of what is being executed."""
    step: str = ""
    """The slow step that was said last."""
    working: Working | None = None
    selection: TestReport | None = None
    """The last run of some of the tests, until all of them are run."""

    def __post_init__(self) -> None:
        self.since = self.clock()

    def catch_up(self, entries: tuple[Entry, ...], state: RunState) -> None:
        """Take in what happened in earlier sessions, and the state that it folds to."""
        self.state = state
        calls: tuple[ToolCall, ...] = ()
        for entry in entries:
            match entry.event:
                case e.ModelReplied(message=message):
                    calls = message.tool_calls
                case e.ToolReturned() as returned:
                    self._returned(returned, calls)
                case e.TestsFinished():
                    self.selection = None
                case _:
                    pass

    def take(self, entry: Entry) -> tuple[RunState, RunState]:
        """Take in what happened; returns the state before and after."""
        before = None if isinstance(entry.event, e.RunStarted) else self.state
        self.state = fold([entry]) if before is None else apply(before, entry)
        before = before or self.state
        self.since, self.line, self.step, self.working = self.clock(), "", "", None
        match entry.event:
            case e.CallReserved() | e.ModelReplied() | e.CallFailed():
                self.speech, self.speaking, self.call = {}, None, ("", 0)
            case e.ToolReturned() as returned:
                self._returned(returned, before.pending)
            case e.TestsFinished():
                self.selection = None
            case _:
                pass
        return before, self.state

    def pass_by(self, notice: Notice) -> None:
        """Take in a notice."""
        match notice:
            case Streamed():
                self._streamed(notice)
            case Working():
                self.working = None if notice.finished else notice
            case Line(text=text):
                self.line = text
            case Said(text=text):
                self.step, self.line = text, ""

    @property
    def elapsed(self) -> float:
        """Seconds since the last entry."""
        return max(0.0, self.clock() - self.since)

    @property
    def subject(self) -> str:
        """What the call that is coming in is about, as far as it is known."""
        found = _SUBJECT.search(self.speech["call"].head) if "call" in self.speech else None
        return found[1] if found else ""

    def _streamed(self, notice: Streamed) -> None:
        call = (notice.call, notice.number)
        if notice.channel == "call" and call[1] != self.call[1]:
            self.speech.pop("call", None)
        if notice.channel == "call":
            self.call = call
        self.speaking = notice.channel
        self.speech.setdefault(notice.channel, Speech()).add(notice.text)

    def _returned(self, event: e.ToolReturned, calls: tuple[ToolCall, ...]) -> None:
        call = next((call for call in calls if call.id == event.call_id), None)
        if call is not None and not event.is_error:
            self.written.update(files_of(call))
        match event.effect:
            case e.TestRun(report=report, full=full):
                self.selection = None if full else report
            case _:
                pass
