"""Each flag of a container is in force, is checked, and is missed when it is taken away."""

import os
import subprocess
from dataclasses import replace

import pytest

from sandbox import MIB, Command, Limits, SandboxUnavailable
from sandbox.docker import DockerSandbox
from sandbox.engine import Image
from sandbox.hardening import OWN, ROOT, check_facts, check_inspected, harden, uid_of
from sandbox.owner import Owner
from sandbox.probe import LIMITS, last_line, probe_container, probes, unchecked
from sandbox.stream import Deadline
from tests.sandbox.trees import DictTree

OURS = str(os.getpid())


@pytest.fixture
def made_up():
    """What a container of an image that there need not be is created with."""
    image = Image(id="sha256:0", architecture="amd64", environment={}, labels={}, volumes=())
    return harden(image, LIMITS, run_id="hardening", owner=Owner.current(), seconds=60)


@pytest.fixture
def spec(client, image):
    return harden(client.image(image), LIMITS, run_id="hardening", owner=Owner.current(), seconds=60)


def without(name, **flags):
    return lambda spec: (name, replace(spec, **flags))


def tmpfs_with(path, old, new):
    return lambda spec: ("tmpfs", replace(spec, tmpfs={**spec.tmpfs, path: spec.tmpfs[path].replace(old, new)}))


def ulimit(name, value):
    return lambda spec: ("ulimits", replace(spec, ulimits={**spec.ulimits, name: value}))


def as_root(spec):
    own = spec.tmpfs[OWN].replace(f"uid={uid_of('hardening')}", "uid=0")
    return "user", replace(spec, user="0:0", tmpfs={**spec.tmpfs, OWN: own})


TABLE = {
    "network": without("network", network="host"),
    "memory": without("memory", memory=0, memory_and_swap=0),
    "memory and swap": without("memory and swap", memory_and_swap=2 * LIMITS.memory_bytes),
    "cpus": without("cpus", nano_cpus=0),
    "pids": without("pids", pids=-1),
    "nofile": ulimit("nofile", 4096),
    "fsize": ulimit("fsize", -1),
    "core": ulimit("core", -1),
    "size of the tree's disk": tmpfs_with(ROOT, f"size={16 * MIB}", f"size={100 * MIB}"),
    "size of the disk for builds": tmpfs_with("/build", f"size={8 * MIB}", "size=100m"),
    "inodes": tmpfs_with("/tmp", "nr_inodes=500", "nr_inodes=5000"),
    "nosuid and nodev of the tree": tmpfs_with(ROOT, "nosuid,nodev", "suid,dev"),
    "nosuid and nodev of /tmp": tmpfs_with("/tmp", "nosuid,nodev", "suid,dev"),
    "owner of the tree's disk": tmpfs_with(ROOT, f"uid={uid_of('hardening')}", "uid=0"),
    "mode of our own disk": tmpfs_with(OWN, "mode=0700", "mode=1777"),
    "read-only root": without("read-only root", read_only=False),
    "dropped capabilities": without("dropped capabilities", dropped_capabilities=()),
    "no-new-privileges": without("no-new-privileges", security_options=()),
    "seccomp": without("no-new-privileges", security_options=("no-new-privileges", "seccomp=unconfined")),
    "user": as_root,
    "init": without("init", init=False),
    "ipc": without("ipc", ipc="host"),
    "shared memory": without("shared memory", shared_memory=256 * MIB),
    "hostname": without("hostname", hostname="elsewhere"),
    "environment": lambda spec: ("environment", replace(spec, environment={**spec.environment, "TOKEN": "x"})),
}
"""How each flag is taken away, by the name of the probe that misses it."""
ELSEWHERE = {"read-only parts of /proc", "known ways out"}
"""Probes of what no flag of ours takes away alone."""


def seen_by(name, client, spec, container_spec=None):
    """Whether the probe `name` finds its limit kept in a container of `container_spec`."""
    each = next(each for each in probes(spec) if each.name == name)
    with unchecked(client, container_spec or spec) as (_, channel):
        return last_line(channel, each.script) in each.kept


def test_every_probe_has_a_flag_that_it_would_miss(made_up):
    assert {each.name for each in probes(made_up)} == TABLE.keys() | ELSEWHERE


@pytest.mark.docker
@pytest.mark.parametrize("flag", TABLE)
def test_a_flag_is_in_force_and_missed_when_it_is_taken_away(client, spec, flag):
    name, weakened = TABLE[flag](spec)
    assert seen_by(flag, client, spec)
    assert not seen_by(flag, client, spec, weakened)
    with unchecked(client, weakened) as (container, _), pytest.raises(SandboxUnavailable, match=name):
        check_inspected(spec, client.inspect(container))


@pytest.mark.docker
def test_a_disk_that_runs_no_programs_is_missed(client, spec):
    name, weakened = tmpfs_with("/tmp", "rw,exec", "rw,noexec")(spec)
    assert not seen_by("nosuid and nodev of /tmp", client, spec, weakened)
    with unchecked(client, weakened) as (container, _), pytest.raises(SandboxUnavailable, match=name):
        check_inspected(spec, client.inspect(container))


@pytest.mark.docker
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("log driver", {"log_driver": "json-file"}),
        ("labels", {"labels": {}}),
        ("working directory", {"working_directory": "/"}),
        ("no volumes", {"binds": ("/etc/hostname:/mnt:ro",)}),
        ("entrypoint", {"entrypoint": ("sleep", "60")}),
    ],
)
def test_what_is_seen_from_outside_only_is_checked_as_well(client, spec, name, flags):
    container = client.create(replace(spec, **flags))
    try:
        check_inspected(replace(spec, **flags, binds=()), client.inspect(container)) if "binds" not in flags else None
        with pytest.raises(SandboxUnavailable, match=name):
            check_inspected(spec, client.inspect(container))
    finally:
        client.remove(container)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("memory", {"memory": 0, "memory_and_swap": 0}),
        ("pids", {"pids": 1000}),
        ("network", {"network": "host"}),
        ("user", {"user": "0:0"}),
        ("dropped capabilities", {"dropped_capabilities": ()}),
        ("no-new-privileges", {"security_options": ()}),
        ("seccomp", {"security_options": ("no-new-privileges", "seccomp=unconfined")}),
    ],
)
def test_a_limit_that_the_engine_takes_and_does_not_keep_is_found_inside(client, spec, name, flags):
    with unchecked(client, spec) as (_, channel):
        check_facts(spec, channel.facts(Deadline(20)))
    with unchecked(client, replace(spec, **flags)) as (_, channel), pytest.raises(SandboxUnavailable, match=name):
        check_facts(spec, channel.facts(Deadline(20)))


@pytest.mark.docker
def test_known_ways_out_of_a_container_are_closed(client, spec):
    assert seen_by("known ways out", client, spec)


@pytest.mark.docker
def test_a_way_out_that_is_open_is_told(client, spec):
    each = next(each for each in probes(spec) if each.name == "known ways out")
    _, weakened = as_root(replace(spec, read_only=False, dropped_capabilities=()))
    with unchecked(client, weakened) as (_, channel):
        line = last_line(channel, each.script)
    assert line.startswith("open: ")
    assert {"root", "etc", "mknod", "setuid"} <= set(line.removeprefix("open: ").split(", "))


def test_a_proc_that_can_be_written_to_is_told(made_up):
    each = next(each for each in probes(made_up) if each.name == "read-only parts of /proc")
    outside = subprocess.run(["sh", "-c", each.script], capture_output=True, text=True, check=True).stdout.strip()
    assert "sys" in outside.split()
    assert outside not in each.kept


@pytest.mark.docker
def test_a_container_keeps_to_all_that_is_tried_and_nothing_is_left_of_it(client, image):
    found = probe_container(client, image)
    assert [each for each in found if not each.kept] == []
    assert len(found) == len(TABLE) + len(ELSEWHERE) + 1
    assert not [each for each in client.containers("greenward.run=probe") if each.labels["greenward.owner"] == OURS]


@pytest.mark.docker
def test_an_image_without_python_leaves_the_known_ways_untried(client, spec):
    each = next(each for each in probes(spec) if each.name == "known ways out")
    with unchecked(client, spec) as (_, channel):
        assert last_line(channel, f"PATH=/nowhere\n{each.script}") in each.untried


@pytest.mark.docker
def test_an_image_that_is_not_there_cannot_be_tried(client):
    with pytest.raises(SandboxUnavailable, match="no image `greenward-none:1`"):
        probe_container(client, "greenward-none:1")


@pytest.mark.docker
def test_orphans_are_buried(client, image):
    limits = replace(Limits(), pids=64)
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do (true & true & true &); done; echo ok"
    with DockerSandbox(client, image, limits=limits, run_id="orphans", owner=Owner.current()) as sandbox:
        outputs = [sandbox.execute(DictTree(()), Command(script=script)).result.output for _ in range(4)]
    assert outputs == [b"ok\n"] * 4


def test_each_run_has_a_user_of_its_own():
    uids = {uid_of(f"run-{number}") for number in range(200)}
    assert len(uids) > 190
    assert all(20_000 <= uid < 60_000 for uid in uids)


@pytest.mark.docker
def test_the_default_disks_fit_into_the_memory(client, image):
    limits = Limits()
    spec = harden(client.image(image), limits, run_id="x", owner=Owner.current(), seconds=1)
    sizes = [int(part.split("=")[1]) for each in spec.tmpfs.values() for part in each.split(",") if "size=" in part]
    assert sum(sizes) < limits.memory_bytes
