"""Asking the model: one reserved attempt at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.errors import GreenwardError, ModelProblem, ProviderRefused, UsageProblem
from agent.events import BudgetExhausted, CallFailed, Event, ModelReplied
from agent.ledger import Refused, reserve
from agent.models import Model, ModelError, Request, ToolSpec
from agent.state import RunState

__all__ = ["Asker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Sends the conversation, and says what came back."""

    model: Model
    tools: tuple[ToolSpec, ...]
    delay: Callable[[ModelError, int], float | None]
    """Seconds until the next attempt after this many failures in a row; None: there is none."""
    sleep: Callable[[float], None]

    def ask(self, state: RunState) -> Iterator[Event]:
        """Reserve the worst case, then send.

        Raises:
            ModelProblem: the model cannot be reached; the run can be resumed.
            ProviderRefused: key, quota or credits, or the content.
            UsageProblem: the server does not take such a request, or does not know the model.
        """
        self.sleep(state.wait)
        request = Request(messages=state.messages, tools=self.tools, max_tokens=state.started.max_output)
        reservation = reserve(state, request)
        if isinstance(reservation, Refused):
            yield BudgetExhausted(reason=reservation.reason)
            return
        yield reservation
        request = Request(messages=state.messages, tools=self.tools, max_tokens=reservation.max_tokens)
        try:
            reply = self.model.complete(request)
        except ModelError as error:
            wait = self.delay(error, state.failures + 1)
            yield CallFailed(error=error.kind, message=error.message, billed=error.billed, usage=error.usage, wait=wait)
            if error.kind == "overflow":
                yield BudgetExhausted(reason=f"the conversation does not fit the model's context: {error.message}")
            elif wait is None:
                raise _final(error) from error
            return
        yield ModelReplied(
            message=reply.message, usage=reply.usage, stop_reason=reply.stop_reason, request_id=reply.request_id
        )


def _final(error: ModelError) -> GreenwardError:
    kinds: dict[str, type[GreenwardError]] = {
        "auth": ProviderRefused,
        "quota": ProviderRefused,
        "filtered": ProviderRefused,
        "refused": UsageProblem,
    }
    kind = kinds.get(error.kind, ModelProblem)
    return kind(error.message, hint=error.hint or "resume the run later: nothing is lost")
