"""Whole runs against a provider at its worst: they come to the same end, and no call costs more than was set aside."""

from collections import Counter
from dataclasses import replace

import pytest

from agent.events import CallReserved
from agent.messages import Usage
from agent.models.gateway import Gateway
from agent.models.server import ScriptedServer
from tests.e2e.chaosruns import chaos_run, dealt_by, wrong_with
from tests.e2e.harness import LOCAL, RIGHT, billed, branch, events, greenward, mending, told, variables
from tests.gitrepo import git

pytestmark = pytest.mark.untraced

UNPROVEN = 8
"""As far as a run gets where nothing isolates the tests."""


def mended(red, server):
    ran = greenward("fix", red, *LOCAL, environment=variables(server))
    assert ran.code == UNPROVEN, f"{server.dealt}\n{ran.said}"
    assert "Traceback" not in ran.said
    assert git(red, "show", f"{branch(red)}:sums.py").startswith(RIGHT.strip())
    return ran


@pytest.mark.parametrize("first", range(0, 30, 3))
def test_whatever_goes_wrong_a_run_ends_well_and_within_its_budget(first):
    """Faults of every kind in three of ten answers; `make bench` does the same with ten times as many seeds."""
    runs = [chaos_run(seed) for seed in range(first, first + 3)]
    assert [run.wrong for run in runs] == [()] * 3


def test_the_seeds_deal_out_enough_to_mean_something():
    dealt = Counter(kind for seed in range(30) for kind in dealt_by(seed))
    assert dealt.total() >= 20
    assert len(dealt) >= 15


def test_what_must_not_be_is_seen(tmp_path, red):
    with ScriptedServer(mending()) as server:
        ran = mended(red, server)
        assert list(wrong_with(red, server, ran)) == []
        (red / "sums.py").write_text("")
        server.bills.append(replace(server.bills[-1], usage=Usage(prompt=10**9)))
        ran = replace(ran, code=1, err="Traceback (most recent call last)")
        found = " ".join(wrong_with(red, server, ran))
    assert all(word in found for word in ("a traceback", "the exit code 1", "billed", "the checkout was touched"))


@pytest.mark.parametrize("told_as", ["exact", "inflated"])
def test_no_call_costs_more_than_was_set_aside_if_each_byte_is_a_token(red, told_as):
    gateway = Gateway(tokenizer="bytes", told=told_as)
    with ScriptedServer(replace(mending(), gateway=gateway)) as server:
        mended(red, server)
    reserved, bills = events(red, CallReserved), [bill.usage for bill in server.bills]
    assert len(bills) == len(reserved) == len(mending().replies)
    for one, bill in zip(reserved, bills, strict=True):
        assert bill.prompt <= one.tokens - one.max_tokens
        assert bill.completion <= one.max_tokens
    assert told(red) >= billed(server, red)
