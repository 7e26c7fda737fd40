"""The journal as it is gone through once more, and a model that answers from it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from agent import events as e
from agent.folding import by_the_user
from agent.journal import Entry
from agent.models import Completion, ModelError, Request

__all__ = ["Record", "RecordedModel", "Unlike"]


class Unlike(Exception):
    """What the journal has next cannot come of the state; the message says what can."""


@dataclass(slots=True, kw_only=True)
class Record:
    """The entries of a journal, one after the other."""

    entries: Sequence[Entry]
    links: Sequence[str]
    """Of the journal's chain, one for each entry."""
    place: int = 1
    """Of the next one; the first says which run it is."""

    @property
    def chain(self) -> str:
        """The last link before the next entry: what a proof is bound to."""
        return self.links[self.place - 1]

    @property
    def next(self) -> Entry | None:
        """What happened next; None at the end."""
        return self.entries[self.place] if self.place < len(self.entries) else None

    @property
    def goes_on(self) -> bool:
        """Whether the session went on, and was neither ended nor cut off here."""
        entry = self.next
        return entry is not None and not by_the_user(entry.event) and not isinstance(entry.event, e.RunPaused)

    def next_event(self, *kinds: type[e.Event]) -> e.Event:
        """The next event, which has to be of one of `kinds`.

        Raises:
            Unlike: it is none of these.
        """
        entry = self.next
        if entry is None or not isinstance(entry.event, kinds):
            raise Unlike(f"what comes is {' or '.join(map(_name, kinds))}")
        return entry.event

    def after_next(self) -> e.Event | None:
        """The event behind the next one."""
        return self.entries[self.place + 1].event if self.place + 1 < len(self.entries) else None


def _name(kind: type[e.Event]) -> str:
    """As journals have it."""
    return next(str(each.default) for each in fields(kind) if each.name == "kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedModel:
    """Answers each request as it was answered then, whatever it holds: that is compared elsewhere."""

    record: Record
    name: str = "recorded"

    def complete(self, request: Request) -> Completion:  # noqa: ARG002 - a model is given one
        """The recorded reply.

        Raises:
            ModelError: none came then either.
            Unlike: no call was answered here.
        """
        event = self.record.next_event(e.ModelReplied, e.CallFailed)
        match event:
            case e.ModelReplied():
                return Completion(
                    message=event.message,
                    usage=event.usage,
                    stop_reason=event.stop_reason,
                    request_id=event.request_id,
                    note=event.note,
                )
            case e.CallFailed():
                raise ModelError(event.error, event.message, billed=event.billed, usage=event.usage)
            case _:  # pragma: no cover - it is one of the two
                raise Unlike("what comes is a reply")
