"""A run that is killed at any moment, and taken up again, ends as if nothing had been."""

from dataclasses import replace
from itertools import chain

import pytest

from agent.durable import Moment
from agent.models.server import ScriptedServer
from tests.crash.runs import KILLED, at_random, from_there, killed_run, undisturbed
from tests.crash.world import FALLING_BACK, MENDING, SCAFFOLDING, copied
from tests.crash.zygote import Kill, Order
from tests.gitrepo import git

pytestmark = pytest.mark.untraced

SHARDS = 8
"""Into so many tests the matrix is divided, so that they can be run side by side."""
OF_A_CHECKOUT = {each for each in Moment if each.startswith(("checkout", "index", "by user"))}
RANDOM = 20


@pytest.fixture(scope="module")
def mending(zygote, tmp_path_factory):
    return undisturbed(zygote, MENDING, tmp_path_factory.mktemp("mending"))


def kills_in(reference):
    """Every kill that leaves another disk behind than the ones before it."""
    return list(chain.from_iterable(point.kills() for point in reference.points))


def all_well(zygote, reference, every, room):
    """What is wrong with those of the runs with which something is."""
    found = {}
    for number, kills in enumerate(every):
        ran = killed_run(zygote, reference, kills, room / str(number))
        if ran.wrong:
            found[str(kills)] = ran.wrong
    return found


def test_a_run_passes_every_moment_but_those_of_a_checkout(mending):
    assert {point.moment for point in mending.points} == set(Moment) - OF_A_CHECKOUT


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_run_that_is_killed_at_any_moment_ends_as_if_nothing_had_been(zygote, mending, shard, tmp_path):
    kills = kills_in(mending)
    assert len(kills) > 70
    assert all_well(zygote, mending, ([kill] for kill in kills[shard::SHARDS]), tmp_path) == {}


def test_a_run_that_is_killed_while_its_branch_returns_to_the_best_ends_there(zygote, tmp_path):
    """What comes before is as in the other run."""
    whole = undisturbed(zygote, FALLING_BACK, tmp_path)
    end = from_there(zygote, whole, Moment.JOURNAL_SYNCED, 1, tmp_path)
    assert end.commits[-1][2] == "Return to iteration 1, the best one"
    assert Moment.REF_MOVED in {point.moment for point in end.points}
    assert all_well(zygote, end, ([kill] for kill in kills_in(end)), tmp_path) == {}


def test_a_scaffold_that_is_killed_while_it_is_made_or_delivered_is_delivered(zygote, tmp_path):
    whole = undisturbed(zygote, SCAFFOLDING, tmp_path)
    end = from_there(zygote, whole, Moment.JOURNAL_SYNCED, 0, tmp_path)
    assert {point.moment for point in end.points} >= {Moment.CHECKOUT_DRAFTED, Moment.BY_USER_DONE}
    assert all_well(zygote, end, ([kill] for kill in kills_in(end)), tmp_path) == {}
    (tmp_path / "begun").mkdir()
    assert all_well(zygote, whole, ([kill] for kill in kills_in(whole)[:4]), tmp_path / "begun") == {}


@pytest.mark.parametrize("moment", [Moment.JOURNAL_SYNCED, Moment.JOURNAL_WRITTEN, Moment.TREE_WRITTEN])
def test_a_run_whose_sessions_are_all_killed_soon_ends_as_if_nothing_had_been(zygote, mending, moment, tmp_path):
    """Each session is killed a little later than the one before: at its first such moment, and so on."""
    kills = [Kill(moment=moment, nth=nth, torn=moment == Moment.JOURNAL_WRITTEN) for nth in (2, 1, 2, 2, 1)]
    ran = killed_run(zygote, mending, kills, tmp_path / "run")
    assert ran.wrong == ()
    assert ran.killed == 5


def test_what_the_user_prunes_between_two_sessions_is_not_the_runs(zygote, mending, tmp_path):
    """The base was never committed by the user: it is the run that keeps it, from before its first event."""
    root = copied(mending.template, tmp_path / "run")
    with ScriptedServer(MENDING.script) as server:
        order = Order(do="fix", repository=str(root), base_url=server.base_url)
        for nth in (1, 11):
            answer = zygote.carry_out(replace(order, kill=Kill(moment=Moment.JOURNAL_SYNCED, nth=nth)))
            assert answer.code == KILLED
            git(root, "gc", "--quiet", "--prune=now")
            order = replace(order, do="resume")
        answer = zygote.carry_out(order)
    assert answer.code == 0, answer
    assert git(root, "rev-parse", "greenward/fix-r1") == mending.commits[-1][0]
    assert git(root, "fsck", "--strict", "--no-dangling", "--no-progress") == ""


@pytest.mark.parametrize("first", range(0, RANDOM, 5))
def test_a_run_that_is_killed_at_any_instant_ends_as_if_nothing_had_been(zygote, mending, first, tmp_path):
    """Also with all the processes that it started; `bench/crash.py` does the same ten times as often."""
    every = [at_random(seed, mending) for seed in range(first, first + 5)]
    assert all_well(zygote, mending, every, tmp_path) == {}
