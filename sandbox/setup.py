"""Environments: a base image with what a project needs installed on it, made with a network and cached by content.

A setup runs in a container of its own that is committed as an image when it ends well. All that the setup needs and
the image must not keep (proxies, package indexes and their credentials, certificates, the manifests) comes in as a
tar on standard input and stays in a tmpfs and in the process' variables: it is in no layer, configuration or history.

An image that was made of anything else than what was sent would be found again and again. So the setup begins only if
the room has its checksum, it ends well only if its last line is heard, and what was committed is looked at.
"""

import hashlib
import io
import re
import secrets
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import Environment, Limits, Sandbox, SandboxError, SandboxLost, Setup, SetupFailed
from sandbox.engine import Client, ContainerSpec, ContainerState
from sandbox.environments import LABEL, Uses
from sandbox.hardening import LIFETIME_LABEL
from sandbox.hints import hint_for
from sandbox.host import HostSettings, host_settings
from sandbox.images import Base, base_image, locked
from sandbox.owner import Owner
from sandbox.reply import checksum
from sandbox.stream import Deadline, DeadlinePassed, Stream, StreamEnded

if TYPE_CHECKING:
    from sandbox.docker import DockerSandbox

__all__ = ["FORMAT", "LABEL", "USES", "DockerEngine", "setup_key"]

FORMAT = "1"
"""Counts changes of what is done around a setup's script: environments of another format are made anew."""
USES = "environments"
"""The cache's directory of marks that say when environments were used."""
SECONDS = 1800.0
LOG_BYTES = 64 * 1024
MARGIN = 60.0
PIDS = 4096
ROOM = "/run/greenward"
PREFIX = "/opt/greenward"
BUILT = "/build"
DAMAGED = 86
"""The exit code for a room that is not as it was sent; nothing is printed before it."""
BOOT = f"""\
head -c "$1" >{ROOM}/room.tar
! command -v sha1sum >/dev/null || [ "$(sha1sum <{ROOM}/room.tar)" = "$2  -" ] || exit {DAMAGED}
tar -xf {ROOM}/room.tar -C {ROOM} && rm {ROOM}/room.tar && exec sh {ROOM}/main.sh </dev/null 2>&1
"""
QUIET = {
    "PIP_NO_INPUT": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_ROOT_USER_ACTION": "ignore",
    "DEBIAN_FRONTEND": "noninteractive",
}
BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS")
PTH = (
    "import os, site, sys; built = os.path.join(os.environ.get('GREENWARD_BUILD', '/build'), 'lib', "
    "'python%d.%d' % sys.version_info[:2], 'site-packages'); end = len(sys.path); site.addsitedir(built); "
    "own = next((n for n, path in enumerate(sys.path) if path.endswith('site-packages')), end); "
    "sys.path[own:] = sys.path[end:] + sys.path[own:end]\n"
)
"""Makes what a build installs into the run's own writable place visible, although the environment is read-only; it goes
before the environment, which may hold a release of the very project (as a dependency of its test runner's)."""
NEUTRAL = 'ENTRYPOINT ["sh", "-c", "exec \\"$@\\"", "sh"]'
"""Runs what it is given. A commit cannot clear the entry point, which is that of the setup's container."""
MAIN = Path(__file__).with_name("setup.sh")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Say = Callable[[str], None]


class DockerEngine:
    """Environments as images of one Docker engine. Belongs to one thread, as its client does."""

    def __init__(self, client: Client, *, host: Mapping[str, str], cache: Path, seconds: float = SECONDS) -> None:
        """`host` are the variables of the host's process, `cache` is a directory for locks; a setup has `seconds`."""
        self._client = client
        self._host = host
        self._cache = cache
        self._seconds = seconds
        self._recent: Path | None = None
        self._anticipated: DockerSandbox | None = None

    def anticipate(self, purpose: str, *, limits: Limits, run_id: str) -> None:
        """Start a container of the environment that was last opened for `purpose`: most likely it is wanted again.

        It is for whoever opens just this environment, with these limits, for this run; else `close` removes it.
        """
        from sandbox.docker import DockerSandbox  # noqa: PLC0415  (only runs need it, not `prepare`)

        self._recent = self._cache / "recent" / hashlib.sha256(purpose.encode()).hexdigest()[:32]
        with suppress(OSError, ValueError):
            image = self._recent.read_text()
            if re.fullmatch(r"sha256:[0-9a-f]{64}", image):
                owner = Owner.current()
                self._anticipated = DockerSandbox(self._client, image, limits=limits, run_id=run_id, owner=owner)
                self._anticipated.expect(1)

    def close(self) -> None:
        """Remove what was anticipated and not wanted."""
        anticipated, self._anticipated = self._anticipated, None
        if anticipated is not None:
            with anticipated:
                pass

    def prepare(self, setup: Setup, say: Say) -> Environment:
        """The image for `setup`: found by its content, or made."""
        began = time.monotonic()
        base = base_image(self._client, setup.image, host=self._host, cache=self._cache, say=say)
        key = setup_key(setup, base.id)
        found = self._cached(key)
        if found is None:
            with locked(self._cache / f"setup-{key[:16]}.lock", say):
                found = self._cached(key)
                image = found or self._made(setup, base, key, say)
        else:
            image = found
        Uses(directory=self._cache / USES).mark(key)
        seconds = time.monotonic() - began
        return Environment(id=image, origin=base.origin, cached=found is not None, seconds=seconds)

    def open(self, environment: Environment, *, limits: Limits, run_id: str) -> Sandbox:
        """A sandbox in `environment`, whose containers are labelled with `run_id`."""
        from sandbox.docker import DockerSandbox  # noqa: PLC0415  (only runs need it, not `prepare`)

        anticipated = self._anticipated
        if anticipated is not None and anticipated.serves(environment.id, limits, run_id):
            self._anticipated = None
            return anticipated
        self._remember(environment.id)
        return DockerSandbox(self._client, environment.id, limits=limits, run_id=run_id, owner=Owner.current())

    def _remember(self, image: str) -> None:
        """Note what may be anticipated the next time; without the note nothing is."""
        if self._recent is None:
            return
        with suppress(OSError):
            self._recent.parent.mkdir(parents=True, exist_ok=True)
            self._recent.write_text(image)

    def _cached(self, key: str) -> str | None:
        image = self._client.image(_reference(key))
        return image.id if image and image.labels.get(LABEL) == key else None

    def _made(self, setup: Setup, base: Base, key: str, say: Say) -> str:
        say("setting up the environment (once for these requirements)")
        settings, end = host_settings(self._host), secrets.token_hex(16)
        room, path = _room(setup, settings, end), f"{PREFIX}/bin:{BUILT}/bin:{self._path(base.id)}"
        with self._container(_spec(base.id, key, self._seconds + MARGIN, room)) as (container, stream):
            log = _Log(settings, say, end)
            self._check(self._run(container, stream, room, log), log)
            # jobs that are containers have locks each of their own: another may have made the same by now
            return self._cached(key) or self._committed(container, key, path)

    def _check(self, ended: ContainerState | None, log: "_Log") -> None:
        """Raise what a setup that ended like this came to, unless it ended well."""
        text = log.text()
        if ended is None and log.complete:
            raise SandboxLost("the end of the setup was told too late")
        if ended is None:
            message = f"the setup took more than {self._seconds:.0f} s, and was stopped"
            raise SetupFailed(message, log=text, hint="`--setup` names another command")
        if ended.exit_code == DAMAGED and not text:
            raise SandboxLost("what the setup was given was damaged on its way")
        if log.complete == bool(ended.exit_code):
            raise SandboxLost(f"how the setup ended is not clear: exit code {ended.exit_code}")
        if ended.exit_code:
            raise SetupFailed(f"the setup ended with exit code {ended.exit_code}", log=text, hint=hint_for(text))

    def _committed(self, container: str, key: str, path: str) -> str:
        """The id of the image that the container was made into."""
        variables = {"PATH": path, "VIRTUAL_ENV": PREFIX}
        no_longer = (*Owner.current().labels(), LIFETIME_LABEL)
        changes = [
            f"ENV {' '.join(f'{name}={value}' for name, value in variables.items())}",
            NEUTRAL,
            'CMD ["sh"]',
            f"LABEL {LABEL}={key} {' '.join(f'{label}=' for label in no_longer)}",
        ]
        reference = _reference(key)
        image = self._client.image(self._client.commit(container, reference=reference, changes=changes))
        if image is None or image.labels.get(LABEL) != key or not variables.items() <= image.environment.items():
            with suppress(SandboxError):
                self._client.remove_image(reference)
            raise SandboxLost("the engine made another image of the setup than it was asked for")
        return image.id

    def _path(self, image: str) -> str:
        found = self._client.image(image)
        return found.environment.get("PATH", DEFAULT_PATH) if found else DEFAULT_PATH

    @contextmanager
    def _container(self, spec: ContainerSpec) -> Iterator[tuple[str, Stream]]:
        container = self._client.create(spec)
        try:
            stream = self._client.attach(container)
            try:
                self._client.start(container)
                yield container, stream
            finally:
                stream.close()
        finally:
            with suppress(SandboxError):
                self._client.remove(container)

    def _run(self, container: str, stream: Stream, room: bytes, log: "_Log") -> ContainerState | None:
        """How the container ended; None if its time was over first."""
        deadline = Deadline(self._seconds)
        try:
            stream.send(room, deadline)
            while True:
                log.add(stream.receive(deadline)[1])
        except DeadlinePassed:
            self._client.kill(container)
            self._hear_out(stream, log)
            return None
        except StreamEnded as error:
            grace = Deadline(self._client.patience.end)
            state = self._client.state(container)
            while state.exit_code is None and grace.left():
                time.sleep(0.05)
                state = self._client.state(container)
            if state.exit_code is None:
                raise SandboxLost("the connection to the setup's container was cut") from error
            return state

    def _hear_out(self, stream: Stream, log: "_Log") -> None:
        """Take in what is left of a setup that was stopped, up to its end.

        Raises:
            SandboxLost: there is no end to be heard, so there may have been one before.
        """
        grace = Deadline(self._client.patience.end)
        try:
            while True:
                log.add(stream.receive(grace)[1])
        except DeadlinePassed:
            raise SandboxLost("nothing is heard of the setup's container, not even its end") from None
        except StreamEnded:
            return


def setup_key(setup: Setup, base: str) -> str:
    """Names the environment of `setup` on the base image with the id `base`: equal keys, equal environments."""
    digest = hashlib.sha256()
    parts = [FORMAT, base, "named" if setup.image else "default", setup.script]
    for name, data in sorted(setup.files.items()):
        parts += [name, hashlib.sha256(data).hexdigest()]
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


class _Log:
    """The end of what a setup prints, without credentials; complete lines are passed on as they come."""

    def __init__(self, settings: HostSettings, say: Say, end: str) -> None:
        self.complete = False
        """Whether the line `end` was heard, which is printed when all is done."""
        self._settings = settings
        self._say = say
        self._end = end
        self._kept = ""
        self._line = b""

    def add(self, piece: bytes) -> None:
        *lines, self._line = (self._line + piece).split(b"\n")
        for line in lines:
            self._keep(line)

    def text(self) -> str:
        if self._line:
            self._keep(self._line)
            self._line = b""
        return self._kept

    def _keep(self, line: bytes) -> None:
        text = self._settings.redacted(line.decode(errors="replace").rstrip())
        if text == self._end:
            self.complete = True
            return
        self._kept = (self._kept + text + "\n")[-LOG_BYTES:]
        if text:
            self._say(text)


def _room(setup: Setup, settings: HostSettings, end: str) -> bytes:
    """A tar of all that the setup's container is given; `end` is what it says at its end."""
    variables = f"end={end}\n"
    variables += "".join(f"export {name}={value}\n" for name, value in QUIET.items()) + settings.exports()
    variables += f"venv_options={'--system-site-packages' if setup.image else ''}\n"
    files = {"main.sh": MAIN.read_bytes(), "setup.sh": setup.script.encode(), "greenward.pth": PTH.encode()}
    if settings.authorities:
        files["authorities.pem"] = settings.authorities
        files["apt.conf"] = f'Acquire::https::CaInfo "{ROOM}/authorities.pem";\n'.encode()
        variables += f"export APT_CONFIG={ROOM}/apt.conf\n"
        variables += "".join(f"export {name}={ROOM}/authorities.pem\n" for name in BUNDLES)
    files["variables.sh"] = variables.encode()
    files |= {f"files/{name}": data for name, data in setup.files.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        made = tarfile.TarInfo("files")
        made.type, made.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(made)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _spec(image: str, key: str, seconds: float, room: bytes) -> ContainerSpec:
    """A container with a network, and with what package managers need; it sees nothing of the host's files.

    It ends by itself after `seconds`, and is found as an orphan, should its owner be gone.
    """
    owner, arguments = Owner.current(), (str(len(room)), checksum(room).hexdigest())
    return ContainerSpec(
        image=image,
        entrypoint=("timeout", "-s", "KILL", f"{seconds:.0f}", "sh", "-c", BOOT, "sh", *arguments),
        environment={},
        removed_environment=(),
        user="0:0",
        working_directory="/",
        hostname="setup",
        labels={LABEL: key, **owner.labels(), LIFETIME_LABEL: f"{seconds:.0f}"},
        tmpfs={ROOM: "size=128m,mode=0700"},
        network="default",
        memory=0,
        memory_and_swap=0,
        nano_cpus=0,
        pids=PIDS,
        ulimits={},
        read_only=False,
        dropped_capabilities=("NET_RAW", "MKNOD"),
        security_options=("no-new-privileges",),
        init=True,
        log_driver="none",
        ipc="private",
        shared_memory=64 * 1024 * 1024,
    )


def _reference(key: str) -> str:
    return f"greenward-env:{key[:32]}"
