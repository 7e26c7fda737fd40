"""What a container is kept to, tried out in one: an engine may take a limit, say that it supports it, and leave it out.

What is tried are our own scripts, so a container that does not keep to anything is safe to look at.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox import MIB, Limits, SandboxLost, SandboxUnavailable
from sandbox.channel import Channel
from sandbox.engine import Client, ContainerSpec
from sandbox.hardening import OWN, ROOT, check_inspected, harden
from sandbox.output import HeadTail
from sandbox.owner import Owner

__all__ = ["LIMITS", "Probe", "Probed", "last_line", "probe_container", "probes", "unchecked"]

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
"""Small enough for going beyond each of them to cost nothing."""
SECONDS = 20.0
"""For one probe."""
LIFETIME = 300.0
RUN_ID = "probe"
NOTHING = frozenset({""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A shell script that tries to go beyond one limit, and the last lines that it may print where that is kept."""

    name: str
    script: str
    kept: frozenset[str] = NOTHING
    untried: frozenset[str] = frozenset()
    """Last lines that say that the image lacks what it takes to try."""
    required: bool = True
    """Whether nothing may be executed without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a probe showed; `kept` is None where it could not be tried."""

    name: str
    kept: bool | None
    found: str
    """What it printed, which is the container's own: untrusted text."""
    required: bool = True


def probe_container(client: Client, image: str) -> tuple[Probed, ...]:
    """Try out everything in containers of `image` (a name or an id), whatever the engine says of itself.

    Raises:
        SandboxError: there is no such image, or no container can be made or started.
    """
    known = client.image(image)
    if known is None:
        raise SandboxUnavailable(f"there is no image `{image}` on the engine")
    spec = harden(known, LIMITS, run_id=RUN_ID, owner=Owner.current(), seconds=LIFETIME)
    return tuple(_tried(client, spec, probes(spec)))


@contextmanager
def unchecked(client: Client, spec: ContainerSpec) -> Iterator[tuple[str, Channel]]:
    """A started container, whatever of `spec` is in force: its id, and its launcher's channel."""
    container = client.create(spec)
    try:
        channel = Channel(client.attach(container), client.patience)
        try:
            client.start(container)
            yield container, channel
        finally:
            channel.close()
    finally:
        client.remove(container)


def last_line(channel: Channel, script: str) -> str:
    """The last line that `script` prints.

    Raises:
        SandboxLost: the container died under it.
    """
    kept = HeadTail(MIB)
    ran = channel.run(script + "\n", kept, SECONDS, channel.close)
    if ran.code is None:
        return f"no end within {SECONDS:.0f} s"
    return kept.kept().decode(errors="replace").strip().rpartition("\n")[2]


def _tried(client: Client, spec: ContainerSpec, wanted: Sequence[Probe]) -> Iterator[Probed]:
    """All of them in one container; a new one whenever a probe takes it along."""
    rest = list(wanted)
    described = False
    while rest:
        with unchecked(client, spec) as (container, channel):
            if not described:
                described = True
                yield _described(client, spec, container)
            while rest:
                each = rest.pop(0)
                try:
                    line = last_line(channel, each.script)
                except SandboxLost as lost:
                    yield Probed(name=each.name, kept=False, found=lost.message, required=each.required)
                    break
                kept = None if line in each.untried else line in each.kept
                yield Probed(name=each.name, kept=kept, found=line, required=each.required)


def _described(client: Client, spec: ContainerSpec, container: str) -> Probed:
    """Whether the engine itself says that the container is as it was asked for."""
    try:
        check_inspected(spec, client.inspect(container))
    except SandboxUnavailable as error:
        return Probed(name="flags", kept=False, found=error.message)
    return Probed(name="flags", kept=True, found="")


def probes(spec: ContainerSpec) -> tuple[Probe, ...]:
    """What is tried in a container of `spec`, whose limits are `LIMITS`."""
    return (*_of_resources(), *_of_disks(spec), *_of_isolation(spec))


def _of_resources() -> Iterator[Probe]:
    memory = LIMITS.memory_bytes
    yield Probe(
        name="memory",
        script=f"(head -c {3 * memory} /dev/zero | tail -c {2 * memory} | wc -c) 2>/dev/null; true",
        kept=frozenset({"0"}),
    )
    yield Probe(
        name="memory and swap",
        script="cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes || cat /sys/fs/cgroup/memory.swap.max",
        kept=frozenset({str(memory), "0"}),
        required=False,
    )
    yield Probe(
        name="cpus",
        script="cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max",
        kept=frozenset({f"{LIMITS.cpus * 100_000:.0f}"}),
        required=False,
    )
    many = LIMITS.pids + 26
    yield Probe(name="pids", script=f"sh -c 'for i in $(seq {many}); do sleep 1 & done' >/dev/null 2>&1 && echo all")
    yield Probe(name="nofile", script="ulimit -n", kept=frozenset({str(LIMITS.open_files)}))
    yield Probe(name="fsize", script="(truncate -s 1T big && echo made) 2>/dev/null; rm -f big")
    yield Probe(name="core", script="ulimit -c", kept=frozenset({"0"}))


def _of_disks(spec: ContainerSpec) -> Iterator[Probe]:
    user = spec.user.partition(":")[0]
    yield Probe(name="size of the tree's disk", script=_fill(ROOT, 6))
    yield Probe(name="size of the disk for builds", script=_fill("/build", 3))
    yield Probe(
        name="inodes",
        script=f"for i in $(seq {LIMITS.inodes + 100}); do true >/tmp/i$i || break; done 2>/dev/null;"
        f" [ ! -e /tmp/i{LIMITS.inodes + 100} ] || echo fit; rm -f /tmp/i*",
    )
    yield Probe(name="nosuid and nodev of the tree", script=_flags_of(ROOT), kept=frozenset({"nosuid nodev"}))
    yield Probe(name="nosuid and nodev of /tmp", script=_flags_of("/tmp"), kept=frozenset({"nosuid nodev"}))  # noqa: S108
    yield Probe(name="owner of the tree's disk", script=f"stat -c %u {ROOT}", kept=frozenset({user}))
    yield Probe(name="mode of our own disk", script=f"stat -c %a {OWN}", kept=frozenset({"700"}), required=False)
    yield Probe(
        name="shared memory",
        script="set -- $(df -k --output=size /dev/shm); echo $2",
        kept=frozenset({str(spec.shared_memory // 1024)}),
        required=False,
    )
    yield Probe(name="read-only root", script="touch /var/tmp/x 2>/dev/null && echo wrote")


def _of_isolation(spec: ContainerSpec) -> Iterator[Probe]:
    yield Probe(name="network", script=INTERFACES)
    yield Probe(name="user", script="id -u", kept=frozenset({spec.user.partition(":")[0]}))
    yield Probe(name="dropped capabilities", script=_status("CapBnd"), kept=frozenset({"0000000000000000"}))
    yield Probe(name="no-new-privileges", script=_status("NoNewPrivs"), kept=frozenset({"1"}))
    yield Probe(name="seccomp", script=_status("Seccomp"), kept=frozenset({"2"}))
    yield Probe(name="read-only parts of /proc", script=WRITABLE_PROC, required=False)
    yield Probe(name="init", script='[ "$(cat /proc/1/comm)" != timeout ] || echo none')
    yield Probe(name="ipc", script=f"[ $(readlink /proc/self/ns/ipc) != '{_own_ipc()}' ] || echo shared")
    yield Probe(name="hostname", script="cat /proc/sys/kernel/hostname", kept=frozenset({spec.hostname}))
    expected = " ".join((*spec.environment, *OF_THE_SHELL))
    yield Probe(
        name="environment",
        script=f"for i in $(env -0 | cut -z -d= -f1 | tr '\\0' '\\n'); do"
        f" case ' {expected} ' in *\" $i \"*) ;; *) printf '%s ' $i ;; esac; done; echo",
    )
    yield Probe(
        name="known ways out",
        script=f"command -v python3 >/dev/null || {{ echo no python3; exit; }}\npython3 - <<'END'\n{WAYS_OUT}\nEND",
        kept=frozenset({"closed"}),
        untried=frozenset({"no python3"}),
    )


def _fill(directory: str, pieces: int) -> str:
    """Prints `fits` if there is room for `pieces` of 3 MB each."""
    numbers = " ".join(str(number) for number in range(1, pieces + 1))
    return (
        f"cd {directory}; for i in {numbers}; do head -c 3000000 /dev/zero 2>/dev/null >full$i || break;"
        f" [ $i -lt {pieces} ] || echo fits; done; rm -f full*"
    )


def _flags_of(path: str) -> str:
    """Prints those of three flags that `path` is mounted with."""
    return (
        f'while read -r _ at _ flags _; do [ "$at" = {path} ] || continue; for i in nosuid nodev noexec; do'
        " case ,$flags, in *,$i,*) printf '%s ' $i ;; esac; done; done </proc/mounts; echo"
    )


def _status(name: str) -> str:
    """Prints a line of the process' status as the kernel has it."""
    return f'while read -r name value; do [ "$name" != {name}: ] || echo $value; done </proc/self/status'


def _own_ipc() -> str:
    try:
        return str(Path("/proc/self/ns/ipc").readlink())
    except OSError:
        return "unknown"


OF_THE_SHELL = ("PWD", "OLDPWD", "SHLVL", "HOSTNAME", "_")
INTERFACES = """\
for i in /sys/class/net/*; do
    case ${i##*/} in lo | tunl0 | gre0 | gretap0 | erspan0 | ip_vti0 | ip6_vti0 | sit0 | ip6tnl0 | ip6gre0) ;;
        *) printf '%s ' ${i##*/} ;;
    esac
done
echo"""
"""Prints the interfaces that packets could leave by; a fresh namespace has tunnels without an end, always down."""
WRITABLE_PROC = """\
for i in bus fs irq sys sysrq-trigger; do
    [ -e /proc/$i ] || continue
    held=
    while read -r _ at _ flags _; do
        [ "$at" != /proc/$i ] || case ,$flags, in *,ro,*) held=1 ;; esac
    done </proc/mounts
    [ "$held" ] || printf '%s ' $i
done
echo"""
"""Prints the parts of /proc that change the kernel and are not mounted to be read only."""
WAYS_OUT = r"""
import ctypes, os, socket
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
ways = {
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
if os.uname().machine != "x86_64":  # the numbers of the calls are of this machine's kind
    for name in ("unshare", "bpf", "perf", "keyctl", "userfaultfd"):
        del ways[name]
found = []
for name, way in ways.items():
    try:
        way()
    except OSError:
        continue
    found.append(name)
print("open: " + ", ".join(found) if found else "closed")
"""
"""A program that prints which known ways out of a container are open."""
