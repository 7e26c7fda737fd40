"""Asking again: what is sent and reserved is worked out anew, and answered from the record."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from agent import events as e
from agent.asking import Asker
from agent.compaction import Compactor
from agent.ledger import reserve
from agent.models import ModelError, Rendered, Request
from agent.models.schema import normalise
from agent.models.text_protocol import as_text
from agent.models.wire import as_sent
from agent.pacing import Pace
from agent.replay.record import Record, RecordedModel
from agent.state import RunState
from agent.tools.toolbox import SPECS

__all__ = ["AskedAgain"]

FORMS = ("tools", "text", "tools, reasoning ''", "tools, reasoning ' '")
"""How the names of forms begin in which a prompt may have been written down for the wire."""
FILLER = re.compile(r"tools, reasoning '(.*?)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFaster(Pace):
    """Asks for no more than was asked for then: nobody knows any more what a minute allowed."""

    most: int

    def cap(self, wanted: int, prompt: int) -> int:  # noqa: ARG002 - a pace is told both
        """The cap of then, if it was lower."""
        return min(wanted, self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAgain:
    """The run's own asker, with the record in the place of the model."""

    record: Record
    compactor: Compactor

    def __call__(self, state: RunState) -> Iterator[e.Event]:
        """What comes of asking, a reservation first."""
        entry = self.record.next
        then = entry.event if entry else None
        pace = NoFaster(most=then.max_tokens) if isinstance(then, e.CallReserved) else Pace()
        asker = Asker(
            model=RecordedModel(record=self.record),
            tools=SPECS,
            delay=self._wait,
            sleep=lambda _seconds: None,
            compactor=self.compactor,
            rendered=lambda request: self._rendered(state, request),
            pace=pace,
        )
        yield from asker.ask(state)

    def _wait(self, _error: ModelError, _failures: int, _left: float) -> float | None:
        event = self.record.next_event(e.CallFailed)
        return event.wait if isinstance(event, e.CallFailed) else None

    def _rendered(self, state: RunState, request: Request) -> Rendered:
        """The request in the form in which it was sent: the reply says so, and so does what was reserved."""
        entry, reply = self.record.next, self.record.after_next()
        first = reply.form if isinstance(reply, e.ModelReplied) else state.prefix_form
        written = [_written(request, form) for form in dict.fromkeys((first, *FORMS))]
        if entry is None or not isinstance(entry.event, e.CallReserved):
            return written[0]
        return next((each for each in written if _reserves(state, each, entry.event)), written[0])


def _written(request: Request, form: str) -> Rendered:
    """As the client writes it, by what the name of the form says of it."""
    if form.startswith("text"):
        return Rendered(request=as_text(request), form=form)
    filler = found[1] if (found := FILLER.match(form)) else None
    tools = tuple(replace(tool, parameters=normalise(tool.parameters)) for tool in request.tools)
    messages = as_sent(request.messages, filler=filler)
    return Rendered(request=replace(request, messages=messages, tools=tools), form=form)


def _reserves(state: RunState, rendered: Rendered, then: e.CallReserved) -> bool:
    """Whether sending it reserves what was reserved then."""
    now = reserve(state, replace(rendered.request, max_tokens=then.max_tokens), rendered.form)
    return isinstance(now, e.CallReserved) and (now.tokens, now.estimate) == (then.tokens, then.estimate)
