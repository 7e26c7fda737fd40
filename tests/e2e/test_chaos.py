"""Whole runs against a provider at its worst: they come to the same end, and no call costs more than was set aside."""

from dataclasses import replace

import pytest

from agent.events import CallReserved
from agent.models.chaos import Chaos
from agent.models.gateway import Gateway
from agent.models.server import ScriptedServer
from tests.e2e.harness import LOCAL, RIGHT, billed, branch, events, greenward, mending, told, variables
from tests.gitrepo import git

UNPROVEN = 8
"""As far as a run gets where nothing isolates the tests."""


def mended(red, server):
    ran = greenward("fix", red, *LOCAL, environment=variables(server))
    assert ran.code == UNPROVEN, f"{server.dealt}\n{ran.said}"
    assert "Traceback" not in ran.said
    assert git(red, "show", f"{branch(red)}:sums.py").startswith(RIGHT.strip())
    return ran


@pytest.mark.parametrize("seed", [1, 3])
def test_a_run_gets_through_chaos_to_the_end_that_it_has_without(red, seed):
    with ScriptedServer(replace(mending(), chaos=Chaos(seed=seed, rate=0.6))) as server:
        mended(red, server)
    assert server.dealt.total() > 0
    assert told(red) >= billed(server, red)


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
