"""Within the tokens a minute that a provider allows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agent import events as e
from agent.errors import UsageProblem
from agent.pacing import Pace
from tests.kits import EPOCH, QueuedModel, World, blocked, folded, report, started, turn

SECOND = timedelta(seconds=1)


def asked(*calls):
    """A state with a call of so many tokens at each of these seconds."""
    events = [e.CallReserved(dollars=0.0, tokens=0, max_tokens=cap, estimate=100) for _, cap in calls]
    state = folded(started(), *events)
    return replace(state, recent=tuple((EPOCH + at * SECOND, 100 + cap) for at, cap in calls))


def pace(tokens, at):
    return Pace(tokens=tokens, now=lambda: EPOCH + at * SECOND)


def test_the_calls_of_the_last_minute_are_kept_with_prompt_and_cap():
    reserved = e.CallReserved(dollars=0.0, tokens=0, max_tokens=900, estimate=100)
    state = folded(started(), *[reserved] * 4, tick=25.0)

    assert [(at - EPOCH).total_seconds() for at, _ in state.recent] == [50.0, 75.0, 100.0]
    assert {tokens for _, tokens in state.recent} == {1_000}


@pytest.mark.parametrize(
    ("limit", "calls", "at", "wait"),
    [
        (None, [(0, 900)] * 9, 1, 0.0),
        (3_000, [], 0, 0.0),
        (3_000, [(0, 900), (10, 900)], 20, 0.0),
        (2_500, [(0, 900), (10, 900)], 20, 40.0),
        (1_000, [(0, 900), (10, 900)], 20, 50.0),
        (1_000, [(0, 900)], 61, 0.0),
    ],
)
def test_a_call_waits_until_it_fits_into_a_minute(limit, calls, at, wait):
    assert pace(limit, at).pause(asked(*calls), 1_000) == wait


def test_the_cap_is_what_a_minute_leaves_beside_the_prompt():
    assert Pace().cap(32_768, 10_000) == 32_768
    assert pace(20_000, 0).cap(32_768, 5_000) == 15_000
    with pytest.raises(UsageProblem, match="leaves no room") as problem:
        pace(5_500, 0).cap(32_768, 5_000)
    assert "tokens_per_minute" in problem.value.hint


def test_a_run_keeps_to_it():
    kit = World(reports={"base": report(a="failed")}).kit()
    slept, model = [], QueuedModel([turn(blocked("no"))])
    asker = replace(kit.ask.__self__, model=model, sleep=slept.append, pace=pace(3_000, 30))
    state = replace(asked((0, 1_000)), say=None)
    reserved, _ = asker.ask(state)

    assert model.requests[0].max_tokens == reserved.max_tokens == 2_048
    assert slept[1] == pytest.approx(30.0)
