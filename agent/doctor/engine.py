"""The sandbox: its engine, its base image, and whether containers are kept to their limits."""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

from agent.config import Settings
from agent.doctor import Context, Finding, ok, problem, skipped, warning
from agent.doctor.machine import room, version_in
from agent.errors import SandboxProblem
from sandbox import SandboxUnavailable
from sandbox.contained import container_mark
from sandbox.endpoint import Endpoint
from sandbox.engine import Client, EngineInfo
from sandbox.engines import cache_directory
from sandbox.hardening import harden
from sandbox.images import Base, Names, base_image, present_base
from sandbox.owner import Owner
from sandbox.probe import LIMITS, Probed, last_line, probe_container, unchecked

__all__ = [
    "check_disk",
    "check_engine",
    "check_image",
    "check_limits",
    "of_engine",
    "of_limits",
    "way_to",
    "with_engine",
]

SAFE = {"engine": (29, 5, 1), "runc": (1, 2, 8), "Docker Desktop": (4, 44, 3)}
"""The versions that close known ways out of containers, or into the host through the engine."""
FREE_BYTES, FREE_FILES = "df -B1 --output=avail / | tail -n 1", "df --output=iavail / | tail -n 1"

Check = Callable[[Context], Finding]


def with_engine(look: Callable[[Context, Client, Settings], Finding]) -> Check:
    """A check that is skipped where there is no engine, or none is wanted."""

    def check(context: Context) -> Finding:
        settings = context.usable_settings()
        if settings is None:
            return skipped("the settings cannot be used")
        if settings.sandbox == "local":
            return skipped("the sandbox is `local`")
        with ExitStack() as stack:
            try:
                client = stack.enter_context(context.engine())
            except SandboxUnavailable:
                return skipped("no engine answers")
            return look(context, client, settings)

    check.__doc__ = look.__doc__
    return check


def check_engine(context: Context) -> Finding:
    """Whether an engine answers, and which one."""
    settings = context.usable_settings()
    if settings is not None and settings.sandbox == "local":
        return warning(
            "the sandbox is `local`: it isolates nothing, and its best verdict is `unproven`"
            + (
                " (this container keeps tests from the machine around it, not from greenward)"
                if container_mark()
                else ""
            ),
            "for a proof use the sandbox `docker`",
        )
    with context.engine() as client:
        return of_engine(client.info(), client.endpoint)


def of_engine(info: EngineInfo, endpoint: Endpoint) -> Finding:
    """What to think of an engine that says this of itself, and is reached there."""
    named = "Docker" if info.name == "Engine" else info.name or "an engine"
    parts = [f"{endpoint.url}: {named} {info.version}", f"API {info.api}", info.product, info.storage_driver]
    parts += [f"cgroups v{info.cgroup_version}" if info.cgroup_version else "", "rootless" if info.rootless else ""]
    parts += [f"runc {info.runc}" if info.runc else "", info.system]
    way, seen = way_to(endpoint, container_mark())
    found = f"{', '.join(part for part in parts if part)}; {way}"
    stated = {
        "engine": info.version if info.name == "Engine" else "",
        "runc": info.runc,
        "Docker Desktop": info.product if info.product.startswith("Docker Desktop") else "",
    }
    old = [
        f"{name} before {'.'.join(map(str, SAFE[name]))}"
        for name, text in stated.items()
        if text and version_in(text) < SAFE[name]
    ]
    if old:
        return warning(
            f"{found}; {', '.join(old)}: known holes were closed since",
            "update it, unless your distribution has mended them; for strangers' code use a stronger runtime",
        )
    if info.rootless and info.cgroup_version == "1":
        hint = "a rootless engine needs cgroups v2 to limit anything"
        return warning(f"{found}; its limits may not be kept", hint)
    return warning(found, seen) if seen else ok(found)


def way_to(endpoint: Endpoint, container: str) -> tuple[str, str]:
    """How an engine is reached from here, and what to do about it if anything; `container` is what tells of one."""
    if endpoint.url.startswith("unix:"):
        outside = ": that of the machine around this container, if it was mounted" if container else ""
        return f"reached by a socket{outside}", ""
    host = urlsplit(endpoint.url).hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        return f"reached by TCP on this {'container' if container else 'machine'}", ""
    way = f"on another machine or in another container, `{host}`: its paths are not those of here, and need not be"
    if endpoint.tls:
        return f"{way}; reached with TLS" if endpoint.verify else f"{way}; reached with TLS, but not checked", ""
    hint = (
        "whoever reaches it controls it, and reads what is sent: use TLS (port 2376), unless the network is this job's"
    )
    return f"{way}; reached in the clear", hint


def _look_at_image(context: Context, client: Client, settings: Settings) -> Finding:
    """Whether the base image is there, or how it would be had."""
    base = present_base(client, settings.image, context.names)
    if base is None and context.prepare:
        cache = cache_directory(context.environ)
        base = base_image(
            client, settings.image, host=context.environ, cache=cache, say=context.say, names=context.names
        )
    if base is None:
        ways = _ways(settings.image, context)
        return warning(f"not there yet; a run would {ways}", "`greenward doctor --prepare` does it ahead of time")
    return ok(f"{base.name} ({base.id.removeprefix('sha256:')[:12]}): {_origin(client, base)}")


def _ways(named: str | None, context: Context) -> str:
    """How the image would be had, in the order in which it is tried."""
    names = context.names or Names()
    ways = [f"pull {named or names.pulled}"]
    if named is None:
        able = shutil.which("mmdebstrap", path=context.environ.get("PATH", os.defpath)) and os.geteuid() == 0
        ways.append("make one of Debian's packages" if able else "stop: mmdebstrap and root could make one")
    return ", or else ".join(ways)


def _origin(client: Client, base: Base) -> str:
    known = client.image(base.id)
    bootstrapped = known is not None and "greenward.base" in known.labels
    return f"{base.origin}, made of Debian's packages" if bootstrapped else base.origin


def _look_at_limits(context: Context, client: Client, settings: Settings) -> Finding:
    """Whether a container with our flags is kept to them, tried out."""
    base = present_base(client, settings.image, context.names)
    if base is None:
        return skipped("there is no base image to try them in")
    context.say("trying the limits of a container")
    return of_limits(probe_container(client, base.id))


def of_limits(probed: Sequence[Probed]) -> Finding:
    """What to think of an engine whose containers behave like this."""
    details = {each.name: _in_words(each) for each in probed}
    broken = [each for each in probed if each.kept is False]
    if any(each.required for each in broken):
        return problem(
            f"not kept: {_listed(broken)}",
            "nothing may be executed without it; a rootless engine needs cgroups v2 and their controllers delegated",
            SandboxProblem.exit_code,
            details=details,
        )
    loose = [each for each in probed if not each.kept]
    if loose:
        hint = "a run can do without, but the machine is less protected from it"
        return warning(f"not kept or not tried: {_listed(loose)}", hint, details=details)
    return ok(f"all {len(probed)} are kept, tried in a container", details=details)


def _listed(probed: Sequence[Probed]) -> str:
    return ", ".join(f"{each.name} ({each.found})" if each.found else each.name for each in probed)


def _in_words(probed: Probed) -> str:
    if probed.kept:
        return "kept"
    return f"{'not tried' if probed.kept is None else 'not kept'}: {probed.found}"


def _look_at_disk(context: Context, client: Client, settings: Settings) -> Finding:
    """Room for images and containers, as a container sees it; without an image, as this machine does."""
    root = client.info().root
    base = present_base(client, settings.image, context.names)
    image = client.image(base.id) if base else None
    if image is None:
        try:
            found = os.statvfs(root)
        except OSError:
            return skipped("the engine's disk cannot be seen from here before there is a base image")
        free, files = found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None
        return room(root, free, files, SandboxProblem.exit_code)
    spec = harden(image, LIMITS, run_id="probe", owner=Owner.current(), seconds=60)
    with unchecked(client, spec) as (_, channel):
        free_text, files_text = (last_line(channel, script).strip() for script in (FREE_BYTES, FREE_FILES))
    if not free_text.isdecimal():
        return skipped(f"the room in a container cannot be told: {free_text}")
    return room(root, int(free_text), int(files_text) if files_text.isdecimal() else None, SandboxProblem.exit_code)


check_image = with_engine(_look_at_image)
check_limits = with_engine(_look_at_limits)
check_disk = with_engine(_look_at_disk)
