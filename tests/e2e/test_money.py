"""Never more than the budget: 100 runs under attack here, 1,000 with `bench/money.py`."""

import os
from collections import Counter

import pytest

from agent.task import Limits
from bench.money import told
from tests.e2e.moneyruns import (
    ANSWERED,
    BEFORE,
    RESERVED,
    SENT,
    Killed,
    MoneyRun,
    Zygote,
    case_of,
    landed,
    money_run,
)

pytestmark = pytest.mark.untraced

CHUNK = 20
WINDOWS = {BEFORE, RESERVED, SENT, ANSWERED}
"""Where a kill comes between what is booked and what is billed."""
OFTEN = 2
MORE = 200
"""So many further runs are attacked at most until kills have landed in each window often enough."""


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as forking:
        yield forking


@pytest.mark.parametrize("first", range(0, 100, CHUNK))
def test_no_run_under_attack_costs_more_than_it_has_booked_or_books_more_than_its_cap(first, zygote):
    """Random caps on dollars, tokens and calls; a hostile provider; kills at random instants, and resumes."""
    runs = [money_run(seed, zygote) for seed in range(first, first + CHUNK)]
    assert [run.wrong for run in runs if run.wrong] == []
    assert sum(run.bill[0] for run in runs) > 0
    further = iter(range(10_000 + 1_000 * first, 10_000 + 1_000 * first + MORE))
    while any(landed(runs)[window] < OFTEN for window in WINDOWS):
        runs.append(money_run(next(further), zygote))
        assert runs[-1].wrong == ()


def test_a_budget_that_is_looked_at_afterwards_is_passed_in_the_same_runs(zygote):
    """Or else the attack would show nothing."""
    runs = [money_run(seed, zygote, "Afterwards") for seed in range(CHUNK)]
    over = sorted(run.over for run in runs if run.over > 1)
    assert len(over) >= CHUNK // 4
    assert over[-1] > 1.2
    wrong = " ".join(text for run in runs for text in run.wrong)
    assert all(
        word in wrong for word in ("dollars billed, ", "tokens billed, ", "calls billed, ", " allowed", "were left")
    )


def test_the_cases_are_hostile_enough_to_mean_something():
    cases = [case_of(seed) for seed in range(100)]
    replies = [reply for case in cases for reply in case.script.replies]
    told = Counter(reply.told for reply in replies)
    assert len(told) == 7
    assert min(told.values()) >= 10
    assert sum(not reply.usage for reply in replies) >= 20
    for limit, plenty in (("dollars", 100), ("tokens", 10**7), ("calls", 1_000)):
        caps = sorted(getattr(case.limits, limit) for case in cases)
        tight = [cap for cap in caps if cap < plenty]
        assert 30 <= len(tight) <= 80
        assert tight[-1] > 10 * max(tight[0], 1 if limit == "calls" else 0)
    assert {case.script.gateway.tokenizer for case in cases} == {"bytes", "quarter"}
    assert all(case.script.gateway.bill_failed and case.script.gateway.bill_broken for case in cases)


def test_a_case_follows_from_its_seed():
    assert case_of(7) == case_of(7)
    assert case_of(7) != case_of(8)


def test_what_came_of_it_is_told_in_figures():
    def ran(seed, bill, booked, *wrong):
        return MoneyRun(
            seed=seed,
            limits=Limits(dollars=2.0, tokens=100, calls=4),
            bill=bill,
            booked=booked,
            kills=(Killed(where=SENT, trigger="time"),) * seed,
            sessions=1 + seed,
            outcome="passed",
            dealt=Counter(cut=seed),
            doubted=1,
            wrong=wrong,
        )

    well, badly = ran(1, (0.5, 50, 2), (1.0, 90, 3)), ran(2, (5.0, 150, 4), (2.5, 90, 4), "seed 2: so it is")
    assert [run.over for run in (well, badly)] == [0.5, 2.5]
    assert (
        told([well, badly], [badly, well])
        == """\
2 runs under attack; bill above books, or books above cap, in 1
taken up 5 times, killed 3 times:
      3 sent, no reply yet
ended: 2 passed
faults by chance: 3, of 1 kinds
replies whose usage was not believed: 2
billed of what was booked, in dollars: median 125%, most 200.0%
  seed 2: so it is
2 of them with a budget that is looked at afterwards: 1 passed their cap,
  the bill being 2.50 times the cap in the median, 2.50 times at most"""
    )


def test_what_was_started_is_stopped():
    with Zygote() as zygote:
        pid = zygote.pid
        assert money_run(2, zygote).wrong == ()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
