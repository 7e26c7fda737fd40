"""Each flag of a container is in force, is checked, and is missed when it is taken away."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import Command, Limits, SandboxUnavailable
from sandbox.channel import Channel
from sandbox.docker import DockerSandbox
from sandbox.hardening import OWN, ROOT, Owner, check_facts, check_inspected, harden, uid_of
from sandbox.output import HeadTail
from sandbox.stream import Deadline
from tests.sandbox.trees import DictTree

MIB = 1024 * 1024
LIMITS = Limits(
    memory_bytes=160 * MIB,
    work_bytes=16 * MIB,
    tmp_bytes=16 * MIB,
    build_bytes=8 * MIB,
    collected_bytes=MIB,
    inodes=500,
    pids=64,
    open_files=512,
    file_bytes=4 * MIB,
    cpus=1.0,
)


@pytest.fixture
def spec(client, image):
    return harden(client.image(image), LIMITS, run_id="hardening", owner=Owner.current(), seconds=60)


@contextmanager
def unchecked(client, spec):
    """A started container, whatever its flags."""
    container = client.create(spec)
    try:
        channel = Channel(client.attach(container))
        try:
            client.start(container)
            yield container, channel
        finally:
            channel.close()
    finally:
        client.remove(container)


def last_line(client, spec, script):
    kept = HeadTail(MIB)
    with unchecked(client, spec) as (_, channel):
        channel.run(script + "\n", kept, 20)
    return kept.kept().decode().strip().rpartition("\n")[2]


def without(name, **flags):
    return lambda spec: (name, replace(spec, **flags))


def tmpfs_with(path, old, new):
    return lambda spec: ("tmpfs", replace(spec, tmpfs={**spec.tmpfs, path: spec.tmpfs[path].replace(old, new)}))


def ulimit(name, value):
    return lambda spec: ("ulimits", replace(spec, ulimits={**spec.ulimits, name: value}))


def as_root(spec):
    own = spec.tmpfs[OWN].replace(f"uid={uid_of('hardening')}", "uid=0")
    return "user", replace(spec, user="0:0", tmpfs={**spec.tmpfs, OWN: own})


def options(path):
    flags = "grep -x -e nosuid -e nodev -e noexec | sort | xargs"
    return f"awk '$2 == \"{path}\" {{print $4}}' /proc/mounts | tr , '\\n' | {flags}"


FILL_BUILD = "cd /build; for i in 1 2 3; do head -c 3000000 /dev/zero >$i 2>/dev/null || exit; done; echo fits"
TABLE = {
    "network": (without("network", network="host"), "ls /sys/class/net | xargs", "lo"),
    "memory": (
        without("memory", memory=0, memory_and_swap=0),
        "(head -c 300000000 /dev/zero | tail -c 250000000 | wc -c) 2>/dev/null; true",
        "0",
    ),
    "memory and swap": (
        without("memory and swap", memory_and_swap=2 * LIMITS.memory_bytes),
        "cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes || cat /sys/fs/cgroup/memory.swap.max",
        {str(LIMITS.memory_bytes), "0"},
    ),
    "cpus": (
        without("cpus", nano_cpus=0),
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max",
        "100000",
    ),
    "pids": (
        without("pids", pids=-1),
        "sh -c 'for i in $(seq 90); do sleep 1 & done' >/dev/null 2>&1 && echo all",
        "",
    ),
    "nofile": (ulimit("nofile", 4096), "ulimit -n", "512"),
    "fsize": (ulimit("fsize", -1), "truncate -s 1T big && echo made", {"", "File size limit exceeded"}),
    "core": (ulimit("core", -1), "ulimit -c", "0"),
    "size of the tree's disk": (
        tmpfs_with(ROOT, f"size={16 * MIB}", f"size={100 * MIB}"),
        "for i in 1 2 3 4 5 6; do head -c 3000000 /dev/zero >$i 2>/dev/null || exit; done; echo fits",
        "",
    ),
    "size of the disk for builds": (tmpfs_with("/build", f"size={8 * MIB}", "size=100m"), FILL_BUILD, ""),
    "inodes": (
        tmpfs_with("/tmp", "nr_inodes=500", "nr_inodes=5000"),
        "for i in $(seq 600); do true >/tmp/$i || exit 1; done 2>/dev/null; echo fit",
        "",
    ),
    "nosuid and nodev of the tree": (tmpfs_with(ROOT, "nosuid,nodev", "suid,dev"), options(ROOT), "nodev nosuid"),
    "nosuid and nodev of /tmp": (tmpfs_with("/tmp", "nosuid,nodev", "suid,dev"), options("/tmp"), "nodev nosuid"),
    "exec": (tmpfs_with("/tmp", "rw,exec", "rw,noexec"), options("/tmp"), "nodev nosuid"),
    "owner of the tree's disk": (
        tmpfs_with(ROOT, f"uid={uid_of('hardening')}", "uid=0"),
        f"stat -c %u {ROOT}",
        str(uid_of("hardening")),
    ),
    "mode of our own disk": (tmpfs_with(OWN, "mode=0700", "mode=1777"), f"stat -c %a {OWN}", "700"),
    "read-only root": (without("read-only root", read_only=False), "touch /var/tmp/x 2>/dev/null && echo wrote", ""),
    "dropped capabilities": (
        without("dropped capabilities", dropped_capabilities=()),
        "grep CapBnd /proc/self/status | cut -f2",
        "0000000000000000",
    ),
    "no-new-privileges": (
        without("no-new-privileges", security_options=()),
        "grep NoNewPrivs /proc/self/status | cut -f2",
        "1",
    ),
    "seccomp": (
        without("no-new-privileges", security_options=("no-new-privileges", "seccomp=unconfined")),
        "grep ^Seccomp: /proc/self/status | cut -f2",
        "2",
    ),
    "user": (as_root, "id -u", str(uid_of("hardening"))),
    "init": (without("init", init=False), "cat /proc/1/comm", "docker-init"),
    "ipc": (
        without("ipc", ipc="host"),
        f"[ $(readlink /proc/self/ns/ipc) = '{Path('/proc/self/ns/ipc').readlink()}' ] && echo shared",
        "",
    ),
    "shared memory": (
        without("shared memory", shared_memory=256 * MIB),
        "df -k /dev/shm | awk 'NR == 2 {print $2}'",
        str(64 * 1024),
    ),
    "hostname": (without("hostname", hostname="elsewhere"), "cat /proc/sys/kernel/hostname", "sandbox"),
    "environment": (
        lambda spec: ("environment", replace(spec, environment={**spec.environment, "TOKEN": "x"})),
        "echo $TOKEN",
        "",
    ),
}


@pytest.mark.docker
@pytest.mark.parametrize("flag", TABLE)
def test_a_flag_is_in_force_and_missed_when_it_is_taken_away(client, spec, flag):
    take_away, script, safe = TABLE[flag]
    name, weakened = take_away(spec)
    safe = safe if isinstance(safe, set) else {safe}
    assert last_line(client, spec, script) in safe
    assert last_line(client, weakened, script) not in safe
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


PROBES = r"""
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def syscall(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")
def connect(address, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, kind); s.settimeout(2); s.connect(address); s.send(b"x")
def mount():
    if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) < 0:
        raise OSError(ctypes.get_errno(), "refused")
def write(path):
    with open(path, "w") as file:
        file.write("x")
escapes = {
    "tcp": lambda: connect(("1.1.1.1", 53)),
    "udp": lambda: connect(("1.1.1.1", 53), socket.SOCK_DGRAM),
    "metadata": lambda: connect(("169.254.169.254", 80)),
    "names": lambda: socket.getaddrinfo("example.org", 80),
    "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
    "root": lambda: write("/x"),
    "etc": lambda: write("/etc/passwd"),
    "dev": lambda: write("/dev/x"),
    "core pattern": lambda: write("/proc/sys/kernel/core_pattern"),
    "sysrq": lambda: write("/proc/sysrq-trigger"),
    "kcore": lambda: open("/proc/kcore", "rb").read(1),
    "mknod": lambda: os.mknod("/tmp/null", 0o20666, os.makedev(1, 3)),
    "setuid": lambda: os.setuid(0),
    "chown": lambda: os.chown("/tmp", 0, 0),
    "mount": mount,
    "unshare": lambda: syscall(272, 0x10000000),
    "bpf": lambda: syscall(321, 0, 0, 0),
    "perf": lambda: syscall(298, 0, 0, -1, -1, 0),
    "keyctl": lambda: syscall(250, 0, -3, 0),
    "userfaultfd": lambda: syscall(323, 0),
    "engine": lambda: os.stat("/var/run/docker.sock"),
}
for name, escape in escapes.items():
    try:
        escape()
    except OSError:
        continue
    print(name)
print("done")
"""


@pytest.mark.docker
def test_known_ways_out_of_a_container_are_closed(client, image):
    with DockerSandbox(client, image, limits=Limits(), run_id="escapes", owner=Owner.current()) as sandbox:
        command = Command(script=f"python3 - <<'END'\n{PROBES}\nEND", timeout=60)
        assert sandbox.execute(DictTree(()), command).result.output == b"done\n"


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
