"""The loop: look at the state, do the one thing it calls for, write down what happened.

Starting and resuming are the same call: the state is what the journal says. Whatever watches a run (progress, reports,
costs) reads the journal's entries, and has no seat here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.events import Event, Outcome
from agent.folding import apply, fold
from agent.journal import Journal
from agent.state import Due, RunState, due

__all__ = ["Kit", "Step", "run"]

Step = Callable[[RunState], Iterator[Event]]
"""Does one thing and yields what happened. Each event is durable before the step goes on: a step that spends money
yields what it reserves before it spends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What a run works with: someone to ask, hands to use, a bench to test on, a judge to satisfy, a scribe."""

    approve: Step
    prepare: Step
    measure: Step
    prompt: Step
    ask: Step
    call_tool: Step
    test: Step
    judge: Step
    commit: Step
    finish: Step


def run(journal: Journal, kit: Kit, known: RunState | None = None) -> Outcome:
    """Drive a run to its end, from wherever its journal left off; `known` is what it, or a part of it, folds to."""
    state = fold(journal.entries, known)
    while state.outcome is None:
        for event in next_events(state, kit):
            state = apply(state, journal.append(event))
    return state.outcome


def next_events(state: RunState, kit: Kit) -> Iterator[Event]:  # noqa: C901, PLR0911 - an arm for each thing
    """Do the one thing that `state` calls for, and yield what came of it."""
    match due(state):
        case Due.APPROVE:
            return kit.approve(state)
        case Due.PREPARE:
            return kit.prepare(state)
        case Due.MEASURE:
            return kit.measure(state)
        case Due.PROMPT:
            return kit.prompt(state)
        case Due.ASK:
            return kit.ask(state)
        case Due.CALL_TOOL:
            return kit.call_tool(state)
        case Due.TEST:
            return kit.test(state)
        case Due.JUDGE:
            return kit.judge(state)
        case Due.COMMIT:
            return kit.commit(state)
        case Due.FINISH:  # pragma: no branch - mypy knows that nothing else is left
            return kit.finish(state)
