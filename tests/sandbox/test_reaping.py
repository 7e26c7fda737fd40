"""What nobody needs any more is removed from the engine, and nothing else is touched."""

import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import Limits
from sandbox.engine import connect
from sandbox.engines import open_engine
from sandbox.hardening import LIFETIME_LABEL, harden
from sandbox.owner import Owner
from sandbox.reaping import GONE, OVER, leftovers, reap
from sandbox.reply import Request
from sandbox.stream import Deadline
from tests.sandbox.proxy import FROM, Fault, Proxy

ROOT = Path(__file__).parents[2]
LONG_AGO = {LIFETIME_LABEL: "0"}
"""Of a container whose time is over as soon as it is made."""
PATIENCE = 30.0


@pytest.fixture
def boot():
    """A boot of its own, so that nothing else on the engine is concerned."""
    return secrets.token_hex(16)


@pytest.fixture
def here(boot):
    return replace(Owner.current(), boot=boot)


@pytest.fixture
def dead(here):
    process = subprocess.Popen(["true"])
    process.wait()
    return replace(here, pid=process.pid)


@pytest.fixture
def make(client, image):
    """Makes containers, and takes away what is left of them in the end."""
    made = []

    def make(owner, **labels):
        spec = harden(client.image(image), Limits(), run_id="left", owner=owner, seconds=60)
        made.append(client.create(replace(spec, labels={**spec.labels, **labels})))
        return made[-1]

    yield make
    for each in made:
        client.remove(each)


def ids(found):
    return {each.id: each.why for each in found}


@pytest.mark.docker
def test_a_container_whose_process_is_gone_is_removed_and_that_of_a_living_one_stays(client, make, here, dead):
    left, kept = make(dead), make(here)
    (found,) = reap(client, here)
    assert (found.id, found.run, found.why) == (left, "left", GONE)
    assert reap(client, here) == ()
    assert {kept} <= {each.id for each in client.containers("greenward.owner")}


@pytest.mark.docker
def test_a_container_whose_owners_number_is_another_ones_by_now_is_removed(client, make, here):
    reused = make(replace(here, started=str(int(here.started) - 1)))
    assert ids(reap(client, here)) == {reused: GONE}


@pytest.mark.docker
def test_containers_of_other_machines_boots_and_namespaces_are_let_alone(client, make, here, dead):
    elsewhere = [make(replace(dead, boot=secrets.token_hex(8))), make(replace(dead, namespace="pid:[1]"))]
    running = make(replace(dead, namespace="pid:[1]"), **LONG_AGO)
    input_held_open = client.attach(running)
    client.start(running)
    time.sleep(1.1)  # the engine counts whole seconds
    found = ids(reap(client, here)).keys()
    input_held_open.close()
    assert not found & {*elsewhere, running}


@pytest.mark.docker
def test_one_that_has_ended_is_removed_once_its_time_is_over_wherever_its_owner_is(client, make, here, dead):
    there, past = replace(dead, boot=secrets.token_hex(8)), replace(dead, namespace="pid:[1]")
    over = {make(owner, **LONG_AGO) for owner in (there, past)}
    time.sleep(1.1)  # the engine counts whole seconds
    found = ids(reap(client, here))
    # whoever else starts on this engine meanwhile removes them for the same reason
    assert {found.get(each, OVER) for each in over} == {OVER}
    assert not over & {each.id for each in client.containers("greenward.owner")}


@pytest.mark.docker
def test_what_a_killed_job_left_that_is_not_seen_from_here_is_removed_long_before_its_time_is_over(
    client, make, here, dead
):
    unseen = replace(dead, namespace="pid:[1]")
    ended, never_begun, running = make(unseen), make(unseen), make(unseen)
    held_open = client.attach(running)
    for each in (ended, running):
        client.start(each)
    client.attach(ended).close()
    client.kill(ended)
    limit = time.monotonic() + PATIENCE
    while client.state(ended).exit_code is None and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(2.1)  # the engine counts whole seconds
    late = ids(leftovers(client, here))
    found = ids(leftovers(client, here, idle=1.0))
    held_open.close()

    assert not late.keys() & {ended, never_begun, running}
    assert {ended: OVER, never_begun: OVER}.items() <= found.items()
    assert running not in found


@pytest.mark.docker
def test_one_that_has_just_ended_is_still_its_owners_however_long_it_ran(client, make, here, dead):
    made = make(replace(dead, namespace="pid:[1]"))
    client.start(made)
    time.sleep(3.1)
    client.kill(made)
    assert made not in ids(leftovers(client, here, idle=3.0))


@pytest.mark.docker
def test_one_that_has_ended_and_whose_owner_lives_is_its_owners(client, make, here):
    kept = make(here, **LONG_AGO)
    time.sleep(1.1)
    assert kept not in ids(leftovers(client, here))


@pytest.mark.docker
@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"greenward.owner": "", "greenward.boot": "", LIFETIME_LABEL: "0"},
        {"greenward.owner": "4194305", LIFETIME_LABEL: "0"},
    ],
)
def test_a_container_that_is_not_ours_is_let_alone_whatever_its_image_says(client, make, here, image, labels):
    arguments = [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
    made = subprocess.run(["docker", "create", *arguments, image, "true"], capture_output=True, text=True, check=True)
    foreign = made.stdout.strip()
    try:
        time.sleep(1.1)
        assert foreign not in ids(reap(client, here))
        assert client.state(foreign).status == "created"
    finally:
        client.remove(foreign)


@pytest.mark.docker
def test_a_list_that_was_damaged_on_its_way_does_not_cost_a_living_process_its_container(
    client, make, here, boot, tmp_path
):
    kept = make(here)
    with Proxy(tmp_path / "engine.sock") as proxy:
        behind = connect(proxy.host)
        before = f'"{boot}","greenward.namespace":"{here.namespace}","greenward.owner":"'.encode()
        proxy.arm(Fault(where=FROM, after=before, at=len(str(here.pid)) - 1, what="corrupt", flip=0x01))
        found = ids(reap(behind, replace(here, started="")))
        behind.close()
        assert (proxy.struck, kept in found) == (1, False)
    assert client.state(kept).status == "created"


ORPHAN = """
import os, sys
from dataclasses import replace
from sandbox import Command, Limits
from sandbox.docker import DockerSandbox
from sandbox.engine import connect
from sandbox.owner import Owner
from tests.sandbox.trees import DictTree
owner = replace(Owner.current(), boot=sys.argv[3])
sandbox = DockerSandbox(connect({}), sys.argv[1], limits=Limits(), run_id=sys.argv[2], owner=owner)
sandbox.execute(DictTree(()), Command(script="true"))
print("ready", flush=True)
sandbox.execute(DictTree(()), Command(script="trap '' TERM; sleep 600", timeout=600))
"""


def gone_soon(client, run_id):
    limit = time.monotonic() + PATIENCE
    while any(each.status == "running" for each in client.containers(f"greenward.run={run_id}")):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.docker
def test_a_killed_owner_leaves_nothing_running_and_the_rest_is_reaped(client, image, here, boot):
    arguments = [sys.executable, "-c", ORPHAN, image, boot, boot]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout.readline() == b"ready\n"
            (container,) = client.containers(f"greenward.run={boot}")
            assert container.status == "running"
            assert reap(client, here) == ()
        finally:
            owner.send_signal(signal.SIGKILL)
    assert gone_soon(client, boot)
    assert ids(reap(client, here)) == {container.id: GONE}
    assert client.containers(f"greenward.run={boot}") == ()


@pytest.mark.docker
@pytest.mark.parametrize("late", [0.0, 0.002, 0.005, 0.02])
def test_whoever_dies_as_a_command_begins_leaves_nothing_running(client, make, here, late):
    container = make(here)
    stream, deadline = client.attach(container), Deadline(PATIENCE)
    client.start(container)
    script = b"exec sleep 50"
    stream.send(Request("m", "run", ["1000"]).line() + b"%d\n%s0\n" % (len(script), script), deadline)
    time.sleep(late)
    stream.close()
    limit = time.monotonic() + 10
    while client.state(container).exit_code is None and time.monotonic() < limit:
        time.sleep(0.05)
    assert client.state(container).exit_code is not None


@pytest.mark.docker
def test_opening_the_engine_removes_what_dead_processes_left(client, make):
    here = Owner.current()
    gone = subprocess.Popen(["true"])
    gone.wait()
    left, kept = make(replace(here, pid=gone.pid)), make(here)
    with open_engine("docker", {"PATH": os.environ["PATH"]}):
        there = {each.id for each in client.containers("greenward.owner")}
    assert (left in there, kept in there) == (False, True)
