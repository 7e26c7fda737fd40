"""Asking the model: one reserved attempt at a time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from agent.compaction import Compactor
from agent.doubts import doubted
from agent.errors import GreenwardError, ModelProblem, ProviderRefused, UsageProblem
from agent.events import BudgetExhausted, CallFailed, Event, ModelReplied
from agent.ledger import Refused, estimate, reserve
from agent.messages import digest_of
from agent.models import Model, ModelError, Rendered, Request, ToolSpec
from agent.pacing import Pace
from agent.state import RunState, clock_left

__all__ = ["Asker", "as_it_is"]

LARGER = 2
"""So many times the cap is allowed to a reply after one that reasoning used up."""
STARVED_OFTEN = 2
"""After so many of these in a row the model is asked to answer without reasoning."""


def as_it_is(request: Request) -> Rendered:
    """A request that is sent as it stands."""
    return Rendered(request=request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Sends the conversation, and says what came back."""

    model: Model
    tools: tuple[ToolSpec, ...]
    delay: Callable[[ModelError, int, float], float | None]
    """Seconds until the next attempt after this many failures in a row, with this many left; None: there is none."""
    sleep: Callable[[float], None]
    compactor: Compactor
    rendered: Callable[[Request], Rendered] = as_it_is
    """What a request comes to on the wire: that is what is reserved for."""
    clock: Callable[[], float] = time.monotonic
    pace: Pace = field(default_factory=Pace)

    def ask(self, state: RunState) -> Iterator[Event]:
        """Reserve the worst case, then send.

        Raises:
            ModelProblem: the model cannot be reached; the run can be resumed.
            ProviderRefused: key, quota or credits, or the content.
            UsageProblem: the server does not take such a request, or does not know the model.
        """
        began = self.clock()
        self.sleep(state.wait)
        if self.compactor.due(state) and (compacted := self.compactor.compact(state)):
            yield compacted
            return
        request = _request(state, self.tools)
        rendered = self.rendered(request)
        prompt = int(estimate(rendered.request) * state.density)
        cap = self.pace.cap(request.max_tokens, prompt)
        request = replace(request, max_tokens=cap)
        rendered = replace(rendered, request=replace(rendered.request, max_tokens=cap))
        reservation = reserve(state, rendered.request, rendered.form)
        if isinstance(reservation, Refused):
            yield BudgetExhausted(reason=reservation.reason)
            return
        if pause := self.pace.pause(state, prompt + reservation.max_tokens):
            self.sleep(pause)
        ends = began + clock_left(state)
        if (seconds := ends - self.clock()) <= 0:
            yield _out_of_time(state)
            return
        yield replace(reservation, digest=digest_of(state.messages))
        try:
            reply = self.model.complete(replace(request, max_tokens=reservation.max_tokens, seconds=seconds))
        except ModelError as error:
            yield from self._failed(state, error, self.clock() - began)
            return
        replied = ModelReplied(
            message=reply.message,
            usage=reply.usage,
            stop_reason=reply.stop_reason,
            request_id=reply.request_id,
            note=reply.note,
            form=rendered.form,
        )
        yield _remarked(replied, replace(state, reserved=reservation))

    def _failed(self, state: RunState, error: ModelError, took: float) -> Iterator[Event]:
        """What comes of a failure, after `took` seconds: another try, if there is time for one, or the end."""
        left = state.started.limits.seconds - state.spent.seconds - took
        out_of_time = clock_left(state) <= took
        wait = 0.0 if out_of_time else self.delay(error, state.failures + 1, left)
        yield CallFailed(error=error.kind, message=error.message, billed=error.billed, usage=error.usage, wait=wait)
        if error.kind == "overflow":
            yield self._overflow(state, error)
        elif out_of_time:
            yield _out_of_time(state)
        elif wait is None:
            raise _final(error, state.started.run_id, left) from error

    def _overflow(self, state: RunState, error: ModelError) -> Event:
        """Room for one more try, if there is any to be had, and none was made for the same reason just before."""
        compacted = None if state.overflowed else self.compactor.compact(replace(state, overflowed=1))
        reason = f"the conversation does not fit the model's context: {error.message}"
        return compacted or BudgetExhausted(reason=reason)


def _out_of_time(state: RunState) -> BudgetExhausted:
    return BudgetExhausted(reason=f"the budget of {state.started.limits.seconds:g} seconds is spent")


def _remarked(reply: ModelReplied, state: RunState) -> ModelReplied:
    """`reply` with a word on its usage where that is not believed: the fold will not, and a reader should know why."""
    doubt = doubted(state, reply.usage, reply.form, reply.message) if reply.usage else None
    if doubt is None:
        return reply
    return replace(reply, note="; ".join(filter(None, (reply.note, f"the usage is not believed: {doubt.reason}"))))


def _request(state: RunState, tools: tuple[ToolSpec, ...]) -> Request:
    """The conversation; with more room for the reply, and then without reasoning, where reasoning took all of it."""
    cap = state.started.max_output * (LARGER if state.starved else 1)
    return Request(messages=state.messages, tools=tools, max_tokens=cap, think=state.starved < STARVED_OFTEN)


def _final(error: ModelError, run_id: str, left: float) -> GreenwardError:
    kinds: dict[str, type[GreenwardError]] = {
        "auth": ProviderRefused,
        "quota": ProviderRefused,
        "filtered": ProviderRefused,
        "refused": UsageProblem,
    }
    kind = kinds.get(error.kind, ModelProblem)
    message, resume = error.message, f"`greenward resume {run_id}` goes on: nothing is lost"
    if error.retryable and error.retry_after is not None and error.retry_after >= left:
        message += f"; it asks to wait {error.retry_after:.0f} s, and the run has {max(0.0, left):.0f} s left"
        resume = f"then `greenward resume {run_id}`, with more `--max-minutes` if need be"
    if error.kind in _NOT_RESUMED:
        return kind(message, hint=error.hint)
    return kind(message, hint=f"{error.hint}; {resume}" if error.hint else resume)


_NOT_RESUMED = frozenset({"refused", "filtered"})
"""The same request would be refused again."""
