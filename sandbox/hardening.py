"""What every container is created with, always, and the proof that it is in force: else there is no container."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox import Limits, SandboxUnavailable
from sandbox.engine import ContainerSpec, Image
from sandbox.owner import Owner

__all__ = ["LIFETIME_LABEL", "OUT", "OWN", "ROOT", "RUN_LABEL", "check_facts", "check_inspected", "harden", "uid_of"]

ROOT = "/work"
OWN = "/run/greenward"
OUT = f"{OWN}/out"
RUN_LABEL = "greenward.run"
LIFETIME_LABEL = "greenward.seconds"
"""How long a container runs at most."""
FIRST_UID = 20_000
UIDS = 40_000
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OWN_BYTES = 16 * 1024 * 1024
SHM_BYTES = 64 * 1024 * 1024
LAUNCHER = Path(__file__).with_name("launcher.sh")


def uid_of(run_id: str) -> int:
    """A user id for a run: kernel limits per user are shared by all that have the same one, on the whole host."""
    return FIRST_UID + int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4]) % UIDS


def harden(image: Image, limits: Limits, *, run_id: str, owner: Owner, seconds: float) -> ContainerSpec:
    """The container for a run, which ends by itself after `seconds` should its owner be gone."""
    user = uid_of(run_id)
    inodes = limits.inodes

    def tmpfs(size: int, mode: str) -> str:
        return f"rw,exec,nosuid,nodev,size={size},nr_inodes={inodes},uid={user},gid={user},mode={mode}"

    environment = _environment(image)
    return ContainerSpec(
        image=image.id,
        entrypoint=("timeout", "-s", "KILL", f"{seconds:.0f}", "sh", "-c", LAUNCHER.read_text(), "sh", ROOT, OWN),
        environment=environment,
        removed_environment=tuple(sorted(image.environment.keys() - environment.keys())),
        user=f"{user}:{user}",
        working_directory=ROOT,
        hostname="sandbox",
        labels={RUN_LABEL: run_id, **owner.labels(), LIFETIME_LABEL: f"{seconds:.0f}"},
        tmpfs={
            ROOT: tmpfs(limits.work_bytes, "0755"),
            "/tmp": tmpfs(limits.tmp_bytes, "1777"),  # noqa: S108  (the container's)
            "/build": tmpfs(limits.build_bytes, "0755"),
            OWN: tmpfs(OWN_BYTES + limits.collected_bytes, "0700"),
        },
        network="none",
        memory=limits.memory_bytes,
        memory_and_swap=limits.memory_bytes,
        nano_cpus=int(limits.cpus * 1_000_000_000),
        pids=limits.pids,
        ulimits={"nofile": limits.open_files, "fsize": limits.file_bytes, "core": 0},
        read_only=True,
        dropped_capabilities=("ALL",),
        security_options=("no-new-privileges",),
        init=True,
        log_driver="none",
        ipc="private",
        shared_memory=SHM_BYTES,
    )


def _environment(image: Image) -> dict[str, str]:
    return {
        "HOME": "/tmp/home",  # noqa: S108  (the container's)
        "USER": "greenward",
        "LANG": "C.UTF-8",
        "PATH": f"/opt/greenward/bin:/build/bin:{image.environment.get('PATH') or PATH}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PIP_NO_INDEX": "1",
        "GREENWARD_OUT": OUT,
    }


def check_inspected(spec: ContainerSpec, found: Mapping[str, Any]) -> None:
    """Compare a created container, as the engine describes it, with what it was to be.

    Raises:
        SandboxUnavailable: something is not in force; the message names it.
    """
    config, host = found["Config"], found["HostConfig"]
    wrong = [name for name, wanted, got in _in_force(spec, config, host) if wanted != got]
    wrong += [name for name, got in _absent(found, config, host) if got]
    if wrong:
        raise SandboxUnavailable(
            f"the engine does not keep {', '.join(f'`{name}`' for name in wrong)}",
            hint="nothing is executed without it; see `docker info` for what the engine supports",
        )


def _in_force(
    spec: ContainerSpec, config: Mapping[str, Any], host: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    yield "image", spec.image, config["Image"]
    yield "entrypoint", list(spec.entrypoint), config["Entrypoint"]
    yield "user", spec.user, config["User"]
    yield "hostname", spec.hostname, config["Hostname"]
    yield "working directory", spec.working_directory, config["WorkingDir"]
    yield "labels", dict(spec.labels), {key: config["Labels"].get(key) for key in spec.labels}
    yield "environment", dict(spec.environment), _variables(config["Env"])
    yield "healthcheck", ["NONE"], (config.get("Healthcheck") or {}).get("Test")
    yield "network", spec.network, host["NetworkMode"]
    yield "memory", spec.memory, host["Memory"]
    yield "memory and swap", spec.memory_and_swap, host["MemorySwap"]
    yield "cpus", spec.nano_cpus, host["NanoCpus"]
    yield "pids", spec.pids, host["PidsLimit"]
    yield "ulimits", dict(spec.ulimits), {each["Name"]: each["Hard"] for each in host["Ulimits"] or ()}
    yield "ulimits", dict(spec.ulimits), {each["Name"]: each["Soft"] for each in host["Ulimits"] or ()}
    yield "tmpfs", dict(spec.tmpfs), host["Tmpfs"]
    yield "read-only root", spec.read_only, host["ReadonlyRootfs"]
    yield "dropped capabilities", list(spec.dropped_capabilities), host["CapDrop"]
    yield "no-new-privileges", list(spec.security_options), host["SecurityOpt"]
    yield "init", spec.init, host["Init"]
    yield "log driver", spec.log_driver, host["LogConfig"]["Type"]
    yield "ipc", spec.ipc, host["IpcMode"]
    yield "shared memory", spec.shared_memory, host["ShmSize"]


def _absent(found: Mapping[str, Any], config: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "no command of the image", config.get("Cmd")
    yield "no volumes", found.get("Mounts") or config.get("Volumes") or host.get("VolumesFrom") or host.get("Binds")
    yield "no devices", host.get("Devices") or host.get("DeviceRequests") or host.get("DeviceCgroupRules")
    yield "no privileges", host.get("Privileged") or host.get("CapAdd") or host.get("GroupAdd")
    yield "no ports", host.get("PortBindings") or host.get("PublishAllPorts") or host.get("ExtraHosts")
    yield "namespaces of its own", host.get("PidMode") or host.get("UTSMode") or host.get("UsernsMode")
    yield "masked paths", not host.get("MaskedPaths") or not host.get("ReadonlyPaths")
    yield "the out-of-memory killer", host.get("OomKillDisable")


def _variables(listed: list[str]) -> dict[str, str]:
    """Those with a value; an entry without one takes a variable of the image away."""
    return {name: value for name, separator, value in (each.partition("=") for each in listed) if separator}


def check_facts(spec: ContainerSpec, facts: Mapping[str, tuple[str, ...]]) -> None:
    """Compare what the kernel says inside a started container with what it was to be.

    An engine may accept a limit and leave it out, such as a rootless one on the first version of cgroups.

    Raises:
        SandboxUnavailable: something is not in force; the message names it.
    """
    user = spec.user.partition(":")[0]
    nothing = "0000000000000000"
    wanted = {
        "user": ((user,) * 4, facts.get("Uid")),
        "dropped capabilities": (
            (nothing,) * 3,
            tuple(facts.get(f"Cap{each}", ("",))[0] for each in ("Eff", "Prm", "Bnd")),
        ),
        "no-new-privileges": (("1",), facts.get("NoNewPrivs")),
        "seccomp": (("2",), facts.get("Seccomp")),
        "pids": ((str(spec.pids),), facts.get("Pids")),
        "network": ({"lo"}, _interfaces(facts)),
    }
    wrong = [name for name, (expected, got) in wanted.items() if expected != got]
    memory = facts.get("Memory", ("max",))[0]
    if not re.fullmatch(r"\d+", memory) or int(memory) > spec.memory:
        wrong.append("memory")
    if wrong:
        raise SandboxUnavailable(
            f"the engine took {', '.join(f'`{name}`' for name in wrong)} and does not keep it",
            hint="nothing is executed without it; a rootless engine needs cgroups of the second version",
        )


def _interfaces(facts: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Those that packets could leave by: a fresh namespace has tunnels without an end, always down."""
    idle = ("tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0")
    return set(facts.get("Interface", ())) - set(idle)
