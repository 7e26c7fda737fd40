"""What a plan may cost: more for more work, nothing where nothing is charged, never more than is left."""

from dataclasses import replace

import pytest

from agent.estimate import estimate
from agent.messages import Usage
from agent.spending import Spent
from agent.task import Limits, Plan, PlannedFile, Prices
from tests.kits import PLANNED, folded, started


def planned(files=3, **changes):
    plan = Plan(summary="s", steps=("s",), files=tuple(PlannedFile(path=f"f{n}", purpose="") for n in range(files)))
    state = folded(started("change"), PLANNED)
    return replace(state, plan=plan, prefix=(2, 5_000), **changes)


def test_more_files_cost_more_and_a_bad_run_more_than_a_good_one():
    few, many = estimate(planned(2)), estimate(planned(20))

    assert 0 < few.least_dollars < few.most_dollars
    assert few.least_dollars < many.least_dollars
    assert few.least_calls < many.least_calls < many.most_calls


def test_a_good_run_is_paid_call_by_call_with_the_prefix_from_the_cache():
    state = planned(0)
    prices = state.started.prices
    first = prices.cost(Usage(prompt=5_500, cached=5_000, completion=300))
    second = prices.cost(Usage(prompt=6_300, cached=5_500, completion=300))

    assert estimate(state).least_dollars == pytest.approx(first + second)
    assert estimate(state).least_calls == 2


def test_it_is_never_more_than_what_is_left():
    started_with = replace(started("change"), limits=Limits(dollars=0.01, calls=5))
    state = planned(50, started=started_with, spent=Spent(dollars=0.004, calls=2))

    found = estimate(state)
    assert (found.most_dollars, found.most_calls) == (pytest.approx(0.006), 3)
    assert str(found) == "$0.01 to $0.01, 3 to 3 calls"


def test_a_model_that_costs_nothing_costs_nothing():
    free = replace(started("change"), prices=Prices(input=0, cached=0, output=0))
    assert estimate(planned(9, started=free)).most_dollars == 0
