"""Both sandboxes do what every sandbox must; what the local one cannot do is listed by name."""

import os
import secrets

import pytest

from sandbox.bench import Bench
from sandbox.contract import BEHAVIOURS
from sandbox.docker import DockerSandbox
from sandbox.local import KNOWN_GAPS, LocalSandbox
from sandbox.owner import Owner
from tests.sandbox.trees import DictTree

NAMES = {behaviour.__name__ for behaviour in BEHAVIOURS}


def each_behaviour():
    return pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=[behaviour.__name__ for behaviour in BEHAVIOURS])


@pytest.fixture
def canary(monkeypatch):
    value = f"canary-{secrets.token_hex(8)}"
    monkeypatch.setenv("HOST_SECRET", value)
    return value


@each_behaviour()
@pytest.mark.docker
def test_a_container_does_what_every_sandbox_must(behaviour, canary, client, image):
    def open_sandbox(limits):
        return DockerSandbox(client, image, limits=limits, run_id=f"test-{canary}", owner=Owner.current())

    behaviour(Bench(open=open_sandbox, tree=DictTree, canary=canary))


@each_behaviour()
def test_a_directory_does_what_every_sandbox_must(behaviour, canary):
    if behaviour.__name__ in KNOWN_GAPS:
        pytest.skip(f"known gap: {KNOWN_GAPS[behaviour.__name__]}")

    def open_sandbox(limits):
        return LocalSandbox(path=os.environ["PATH"], limits=limits)

    behaviour(Bench(open=open_sandbox, tree=DictTree, canary=canary))


def test_each_known_gap_is_a_behaviour():
    assert set(KNOWN_GAPS) <= NAMES
    assert len(BEHAVIOURS) > 30
