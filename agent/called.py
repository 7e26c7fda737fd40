"""What becomes of a run by its calls to the model: the account, and what the provider's count teaches. Pure."""

from dataclasses import replace
from datetime import timedelta

from agent import events as e
from agent.doubts import doubted
from agent.events import Say
from agent.messages import Usage
from agent.state import RunState

__all__ = ["called", "compacted"]

MINUTE = timedelta(minutes=1)
SAFE = 0.9
"""Of a context that was too small: tokens are estimated here and counted there."""


def called(state: RunState, event: e.CallReserved | e.CallFailed | e.ModelReplied) -> RunState:
    """Account for a call. A reservation that is followed by another one was never settled: it stays spent."""
    match event:
        case e.CallReserved():
            asked = (state.at, int(event.estimate * state.density) + event.max_tokens)
            recent = tuple(each for each in state.recent if state.at - each[0] < MINUTE)
            return replace(state, spent=state.spent.reserving(event), reserved=event, recent=(*recent, asked))
        case e.CallFailed():
            return _failed(state, event)
        case e.ModelReplied():  # pragma: no branch - mypy knows that nothing else is left
            return _replied(state, event)


def _failed(state: RunState, event: e.CallFailed) -> RunState:
    spent = state.spent
    if event.usage is None and not event.billed:
        spent = spent.releasing(state.reserved)
    elif event.usage is not None and not doubted(state, event.usage):
        spent = spent.settling(state.reserved, event.usage, state.started.prices)
    return replace(
        state,
        spent=spent,
        reserved=None,
        failures=state.failures + 1,
        starved=state.starved + (event.error == "starved"),
        wait=event.wait or 0.0,
        overflowed=state.reserved.max_tokens if state.reserved and event.error == "overflow" else 0,
    )


def _replied(state: RunState, event: e.ModelReplied) -> RunState:
    if event.usage is not None:
        state = _counted(state, event, event.usage)
    return replace(
        state,
        reserved=None,
        failures=0,
        starved=0,
        wait=0.0,
        overflowed=0,
        messages=(*state.messages, event.message),
        pending=event.message.tool_calls,
    )


def _counted(state: RunState, event: e.ModelReplied, usage: Usage) -> RunState:
    """Settle a reply, and learn from what the provider counted, if that can be true."""
    if doubt := doubted(state, usage, event.form, event.message):
        return replace(state, prefix=(0, 0), least=0) if doubt.of_bound else state
    density = state.density
    if state.reserved and state.reserved.estimate:
        density = max(1.0, usage.prompt / state.reserved.estimate)
    return replace(
        state,
        spent=state.spent.settling(state.reserved, usage, state.started.prices),
        prefix=(len(state.messages), usage.prompt),
        prefix_form=event.form,
        least=usage.prompt,
        density=density,
    )


def compacted(state: RunState, event: e.Compacted) -> RunState:
    """The conversation with parts of it put aside. Its billed part costs no more than it did, but for the pointers."""
    messages = list(state.messages)
    for shortened in event.shortened:
        messages[shortened.index] = shortened.message
    billed, tokens = state.prefix
    pointers = sum(each.message.size for each in event.shortened if each.index < billed)
    habits = replace(state.habits, made=(), answers=frozenset())
    return replace(
        state,
        messages=tuple(messages),
        prefix=(billed, tokens + pointers),
        least=0,
        habits=habits,
        ceiling=_ceiling(state, event),
        remarks=(*state.remarks, Say.COMPACTED),
    )


def _ceiling(state: RunState, event: e.Compacted) -> int:
    """What is known of the context once the server has refused a conversation: less than that, by a rough count."""
    if not state.overflowed:
        return state.ceiling
    return int(SAFE * min(state.context, event.before + state.overflowed))
