"""The base image: the one that is named, else ours, else pulled, else bootstrapped from the distribution's packages."""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox import SandboxUnavailable
from sandbox.engine import Client
from sandbox.scratch import scratch

__all__ = ["DEFAULT", "PULLED", "Base", "Names", "base_image", "import_file", "locked", "present_base"]

SUITE = "bookworm"
SUITES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
DEFAULT = f"greenward-base:{SUITE}-1"
"""Our own base image; the number counts its recipes."""
PULLED = "python:3.11-slim"
"""What is pulled where there is a registry."""
PACKAGES = ("python3", "python3-pip", "python3-venv", "git", "ca-certificates")
BOOTSTRAP_SECONDS = 900.0
ZSTD = b"\x28\xb5\x2f\xfd"
MANUALLY = (
    "`greenward image import FILE` takes the file that `docker save` wrote elsewhere, `--image` names another one"
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the default base image is called, and what is pulled in its place."""

    default: str = DEFAULT
    pulled: str = PULLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base image that is on the engine."""

    id: str
    name: str
    origin: str
    """`present`, `pulled`, `imported` or `bootstrapped`."""


def base_image(
    client: Client, named: str | None, *, host: Mapping[str, str], cache: Path, say: Say, names: Names | None = None
) -> Base:
    """The image to build environments on: the one `named`, or the default one, which is made if need be.

    `host` are the variables of the host's process (for its `PATH` and proxies); `cache` is a directory for locks.

    Raises:
        SandboxUnavailable: there is none, and none can be had.
    """
    if named is not None:
        return _named(client, named, say)
    names = names or Names()
    if found := present_base(client, None, names):
        return found
    with locked(cache / "base-image.lock", say):
        return present_base(client, None, names) or _made(client, host, cache, say, names)


def present_base(client: Client, named: str | None, names: Names | None = None) -> Base | None:
    """The image that `base_image` would take, if it is on the engine already."""
    names = names or Names()
    for name in (names.default, names.pulled) if named is None else (named,):
        if found := client.image(name):
            return Base(id=found.id, name=name, origin="present")
    return None


def import_file(client: Client, path: Path, say: Say, names: Names | None = None) -> Base:
    """Take in the base image from a file that `docker save` wrote, plain or compressed by gzip or zstd.

    Raises:
        SandboxUnavailable: the file cannot be read, or holds not exactly one image.
    """
    say(f"importing the base image from {path}")
    try:
        with path.open("rb") as file:
            packed = file.read(4) == ZSTD
        loaded = _load_packed(client, path) if packed else _load(client, path)
    except OSError as error:
        raise SandboxUnavailable(f"cannot read {path}: {error.strerror}") from error
    default = (names or Names()).default
    if default not in loaded:
        if len(loaded) != 1:
            raise SandboxUnavailable(f"{path} holds {len(loaded)} images, not one", hint="`docker save NAME > FILE`")
        client.tag(loaded[0], default)
    found = client.image(default)
    if found is None:
        raise SandboxUnavailable(f"the image of {path} is not there after it was imported")
    return Base(id=found.id, name=default, origin="imported")


@contextmanager
def locked(path: Path, say: Say) -> Iterator[None]:
    """Hold the lock file at `path`; the lock ends with its process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process that sets up the same")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _named(client: Client, name: str, say: Say) -> Base:
    if found := present_base(client, name):
        return found
    say(f"pulling the image {name}")
    try:
        return Base(id=client.pull(name, say), name=name, origin="pulled")
    except SandboxUnavailable as error:
        raise SandboxUnavailable(
            f"there is no image `{name}` on the engine, and it cannot be pulled: {error.message}",
            hint="`docker images` lists what there is; without `--image` the default is taken",
        ) from error


def _made(client: Client, host: Mapping[str, str], cache: Path, say: Say, names: Names) -> Base:
    say(f"pulling the base image {names.pulled}")
    try:
        return Base(id=client.pull(names.pulled, say), name=names.pulled, origin="pulled")
    except SandboxUnavailable as error:
        reason = error.message
    program = shutil.which("mmdebstrap", path=host.get("PATH", os.defpath))
    if program is None or os.geteuid() != 0:
        lacking = "mmdebstrap is not installed" if program is None else "that takes root"
        raise SandboxUnavailable(
            f"there is no base image: {reason}; and it cannot be bootstrapped: {lacking}",
            hint=f"install mmdebstrap (Debian's package of that name) and run as root once; or: {MANUALLY}",
        )
    say(f"bootstrapping the base image from {SUITE}'s packages (once, about half a minute)")
    made = _bootstrapped(client, program, host, cache, names.default)
    return Base(id=made, name=names.default, origin="bootstrapped")


def _bootstrapped(client: Client, program: str, host: Mapping[str, str], cache: Path, reference: str) -> str:
    environment = {name: value for name, value in host.items() if name == "PATH" or name.lower().endswith("_proxy")}
    with scratch(cache) as directory:
        archive = directory / "root.tar"
        command = [
            program, "--variant=minbase", f"--include={','.join(PACKAGES)}",
            *(f"--aptopt={path}" for path in _apt_options(Path("/etc/apt/apt.conf.d"))),
            '--customize-hook=rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/hostname" "$1/etc/resolv.conf"',
            """--customize-hook=sed -i '\\,://[^/ ]*@,d' "$1/etc/apt/sources.list" """,
            SUITE, str(archive), *_apt_sources(Path("/etc/apt")),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=BOOTSTRAP_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise SandboxUnavailable(
                f"bootstrapping took more than {BOOTSTRAP_SECONDS:.0f} s", hint=MANUALLY
            ) from error
        if done.returncode:
            end = done.stderr.decode(errors="replace").strip()[-1000:]
            raise SandboxUnavailable(f"bootstrapping the base image failed: {end}", hint=MANUALLY)
        with archive.open("rb") as filesystem:
            changes = [f'LABEL greenward.base="{reference}"', 'CMD ["sh"]']
            return client.import_image(filesystem, reference=reference, changes=changes)


def _apt_sources(directory: Path) -> list[str]:
    """The host's own sources for the suite, as one-line entries; none: mmdebstrap knows the usual ones."""
    lines: list[str] = []
    for path in sorted([directory / "sources.list", *directory.glob("sources.list.d/*")]):
        if path.suffix in (".list", ".sources") and path.is_file():
            text = path.read_text(errors="replace")
            lines += _stanzas(text) if path.suffix == ".sources" else _entries(text)
    return lines


def _entries(text: str) -> Iterable[str]:
    for line in text.splitlines():
        if re.match(rf"deb\s+(?:\[[^\]]*\]\s+)?\S+\s+(?:{'|'.join(SUITES)})\s+main\b", line):
            yield line


def _stanzas(text: str) -> Iterable[str]:
    """The entries of a file in the deb822 format."""
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = dict(re.findall(r"(?m)^(\S+):\s*(.*(?:\n[ \t].*)*)", stanza))
        suites = [
            suite for suite in fields.get("Suites", "").split() if re.fullmatch(rf"{SUITE}(-updates|-security)?", suite)
        ]
        if "deb" not in fields.get("Types", "").split() or "main" not in fields.get("Components", "").split():
            continue
        key = fields.get("Signed-By", "")
        signed = f" [signed-by={key}]" if key.startswith("/") and "\n" not in key else ""
        yield from (f"deb{signed} {uri} {suite} main" for uri in fields.get("URIs", "").split() for suite in suites)


def _apt_options(directory: Path) -> list[Path]:
    """The host's files of apt settings that say how to reach the network."""
    files = sorted(path for path in directory.glob("*") if path.is_file()) if directory.is_dir() else []
    return [
        path
        for path in files
        if re.search(r"(?i)Acquire::https?|Acquire\s*\{|CaInfo", path.read_text(errors="replace"))
    ]


def _load(client: Client, path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        return client.load(file)


def _load_packed(client: Client, path: Path) -> tuple[str, ...]:
    program = shutil.which("zstd")
    if program is None:
        raise SandboxUnavailable(f"{path} is compressed with zstd, which is not installed", hint="install `zstd`")
    with subprocess.Popen([program, "-dcq", "--", str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
        names = client.load(process.stdout)
    if process.returncode:
        raise SandboxUnavailable(f"{path} is damaged: zstd ended with {process.returncode}")
    return names
