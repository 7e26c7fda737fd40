"""An engine that fails in the middle of a run makes no test result: the run tries again, or stops and is resumed."""

import subprocess

import pytest

from agent.events import BaselineMeasured, RunPaused, TestRun, TestsFinished, VerdictReached
from agent.models.script import Script
from agent.models.server import ScriptedServer
from agent.verdict import VerdictKind
from tests.e2e.harness import (
    KEY,
    RIGHT,
    ended,
    entries,
    events,
    greenward,
    journals,
    plan,
    start,
    variables,
    wait_for,
    writes,
)
from tests.sandbox.proxy import FROM, Fault, Proxy

pytestmark = pytest.mark.untraced

SLOW = "sleep 1.5; env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 python -m pytest -q -p no:cacheprovider"
"""Takes longer than it takes the test to let the engine go away."""


@pytest.fixture
def proxy(tmp_path):
    with Proxy(tmp_path / "engine.sock") as made:
        yield made


@pytest.fixture
def server():
    script = Script(replies=(plan(), writes("It has to add.", RIGHT, expect=("The plan is accepted",))))
    with ScriptedServer(script, key=KEY) as made:
        yield made


def containers(run_id):
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"label=greenward.run={run_id}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def measured(root):
    return journals(root) and events(root, BaselineMeasured)


def results(root):
    """What was said of the suite after the baseline, by whatever event says it."""
    found = [entry.event for entry in entries(root)]
    effects = [getattr(event, "effect", None) for event in found]
    return [each for each in (*found, *effects) if isinstance(each, TestsFinished | TestRun | VerdictReached)]


@pytest.mark.docker
def test_a_run_whose_engine_goes_away_stops_without_a_result_and_is_resumed_once_it_is_back(red, server, proxy):
    environment = variables(server, **proxy.host)
    process = start("fix", red, "--test", SLOW, environment=environment)
    wait_for(lambda: measured(red), process)
    proxy.gone()
    ran = ended(process)
    run_id = entries(red)[0].event.run_id
    assert ran.code == 4, ran.said
    assert ran.err.count("trying again") == 2, ran.err
    assert f"`greenward resume {run_id}` goes on: nothing is lost" in ran.err
    assert "is the engine running" in ran.err
    assert [event.why for event in events(red, RunPaused)] == ["sandbox"]
    assert results(red) == []

    proxy.back()
    resumed = greenward("resume", "--repo", red, environment=environment)
    assert resumed.code == 0, resumed.said
    assert len(events(red, BaselineMeasured)) == 1
    assert [event.verdict.kind for event in events(red, VerdictReached)] == [VerdictKind.PASSED]
    assert containers(run_id) == []


@pytest.mark.docker
def test_a_run_whose_connection_is_cut_tries_again_and_ends_as_if_nothing_had_been(red, server, proxy):
    proxy.arm(Fault(where=FROM, after=b"2 failed", at=0, what="cut"))
    own_cache = {"XDG_CACHE_HOME": str(red.parent / "cache")}  # no other test has measured the same tree for this one
    ran = greenward("fix", red, environment=variables(server, **proxy.host, **own_cache))
    assert (ran.code, proxy.struck, ran.err.count("trying again")) == (0, 1, 1), ran.said
    (baseline,) = events(red, BaselineMeasured)
    assert len(baseline.report.failing) == 2
