"""Containers that are started ahead of their need are as fresh as any, are used, and are gone in the end."""

import secrets
import time

import pytest

from sandbox import Change, Command, Limits, SandboxUnavailable
from sandbox.docker import DockerSandbox
from sandbox.owner import Owner
from sandbox.pool import LIFETIME
from tests.sandbox.trees import DictTree

TREE = DictTree([Change(path="a", data=b"1")])
MARKED = "ls /work /tmp /build $GREENWARD_OUT; touch /work/x /tmp/x /build/x $GREENWARD_OUT/x"


@pytest.fixture
def run_id():
    return secrets.token_hex(8)


@pytest.fixture
def sandbox(client, image, run_id):
    with DockerSandbox(client, image, limits=Limits(), run_id=run_id, owner=Owner.current()) as made:
        yield made


@pytest.fixture
def listed(client, run_id):
    return lambda: {each.id: each.status for each in client.containers(f"greenward.run={run_id}")}


@pytest.fixture
def ids(listed):
    return lambda: set(listed())


def running(listed, count):
    """The ids of the run's containers once there are `count` and all of them run."""
    for _ in range(600):
        found = listed()
        if list(found.values()) == ["running"] * count:
            return set(found)
        time.sleep(0.05)
    raise AssertionError(f"there are not {count} that run, but {found}")


def gone(ids, some):
    for _ in range(600):
        if not ids() & some:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.docker
def test_what_was_started_ahead_is_used_and_each_but_once(sandbox, listed, ids):
    sandbox.expect(2)
    ahead = running(listed, 2)
    first = sandbox.execute_fresh(TREE, Command(script="cat a"))
    left = running(listed, 1)
    second = sandbox.execute(TREE, Command(script="cat a"))

    assert first.output == second.result.output == b"1"
    assert left < ahead
    assert ids() == left, "nothing else was started"


@pytest.mark.docker
def test_one_that_was_started_ahead_holds_nothing_of_another(sandbox):
    sandbox.expect(2)
    sandbox.execute(TREE, Command(script=MARKED))
    outputs = [sandbox.execute_fresh(TREE, Command(script=MARKED)).output for _ in range(3)]

    assert b"x" not in b"".join(outputs).split()
    assert len(set(outputs)) == 1


@pytest.mark.docker
def test_expecting_what_is_there_already_starts_no_more(sandbox, listed):
    for count in (1, 2, 2, 0, 1):
        sandbox.expect(count)

    assert len(running(listed, 2)) == 2


@pytest.mark.docker
def test_nobody_is_given_one_that_ends_before_the_command_does(sandbox, listed, ids):
    sandbox.expect(1)
    (old,) = running(listed, 1)
    result = sandbox.execute_fresh(TREE, Command(script="cat a", timeout=LIFETIME))

    assert result.output == b"1"
    assert gone(ids, {old})


@pytest.mark.docker
def test_leaving_removes_all_that_were_started_or_are_on_their_way(client, image, ids, run_id):
    with DockerSandbox(client, image, limits=Limits(), run_id=run_id, owner=Owner.current()) as sandbox:
        sandbox.execute(TREE, Command(script="true"))
        sandbox.expect(2)
        sandbox.execute_fresh(TREE, Command(script="true"))
        sandbox.expect(2)

    assert ids() == set()


@pytest.mark.docker
@pytest.mark.parametrize("method", ["execute", "execute_fresh"])
def test_one_that_died_while_it_waited_is_given_to_nobody(sandbox, client, listed, method):
    sandbox.expect(1)
    (waiting,) = running(listed, 1)
    client.kill(waiting)
    done = getattr(sandbox, method)(TREE, Command(script="cat a"))

    assert getattr(done, "result", done).output == b"1"


@pytest.mark.docker
def test_what_cannot_be_started_ahead_is_told_when_it_is_needed(client):
    with DockerSandbox(client, f"sha256:{'0' * 64}", limits=Limits(), run_id="none", owner=Owner.current()) as sandbox:
        sandbox.expect(2)
        with pytest.raises(SandboxUnavailable, match="is gone"):
            sandbox.execute(TREE, Command(script="true"))
