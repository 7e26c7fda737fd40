"""The Docker engine behind a few typed calls: the one file in which the Docker SDK is imported.

Each call has a deadline of its own, and whatever goes wrong in the SDK, in HTTP or on the socket comes out as a
`SandboxError`: what the engine refuses as a `SandboxUnavailable`, unless it is about a container, and an engine that
does not answer as `EngineGone`. A client belongs to one thread.
"""

import hashlib
import math
import re
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from sandbox import EngineGone, SandboxError, SandboxLost, SandboxUnavailable, SetupFailed
from sandbox.answers import legible, read_image, read_info, read_labelled, read_state
from sandbox.endpoint import Endpoint, resolve
from sandbox.patience import Patience
from sandbox.records import ContainerSpec, ContainerState, EngineInfo, Image, Labelled
from sandbox.stream import Stream
from sandbox.unreachable import advice, cause_of

__all__ = ["Client", "ContainerSpec", "ContainerState", "EngineInfo", "Image", "Labelled", "connect"]

TRANSFER = 900.0
"""Seconds without a byte while an image comes in."""
LOG_BYTES = 64 * 1024
READINGS = 4
"""How often an image is looked at, at most, for two answers in a row to be the same."""


def connect(environment: Mapping[str, str], patience: Patience | None = None) -> "Client":
    """Talk to the engine that `environment` (as of a process) and the CLI's configuration mean.

    Raises:
        SandboxUnavailable: no such engine, or it does not answer.
    """
    endpoint, patience = resolve(environment), patience or Patience()
    with _told("reach the Docker engine", SandboxUnavailable, SandboxUnavailable, endpoint):
        _knock(endpoint, patience)
        return Client(_open(endpoint, patience), endpoint, patience)


class Client:
    """One engine; closing it gives back its connections."""

    def __init__(self, api: Any, endpoint: Endpoint, patience: Patience) -> None:
        self._api = api  # the SDK's types are partial
        self.endpoint = endpoint
        self.patience = patience

    def close(self) -> None:
        self._api.close()

    def twin(self) -> "Client":
        """Another client of the same engine, for another thread; it connects with its first call."""
        api = _open(self.endpoint, self.patience, version=self._api.api_version)
        return Client(api, self.endpoint, self.patience)

    def version(self) -> str:
        """The engine's version, such as `20.10.24`."""
        with self._call("ask for the engine's version", self.patience.prompt):
            found = self._api.version(api_version=False)
        with legible("its version"):
            return str(found["Version"])

    def info(self) -> EngineInfo:
        """What the engine says of itself."""
        with self._call("ask the engine about itself", self.patience.prompt):
            return read_info(self._api.info(), self._api.version(api_version=False))

    # Images

    def image(self, reference: str) -> Image | None:
        """What is known of an image by name or id; None if the engine does not have it.

        It is asked for until two answers in a row are the same: all else that is read can be held against what was
        asked for, but nothing vouches for this, and commands run in what it says.
        """
        found = self._look_at(reference)
        for _ in range(READINGS - 1):
            before, found = found, self._look_at(reference)
            if found == before:
                return found
        raise SandboxLost(f"the engine answers differently each time it is asked for the image `{reference}`")

    def _look_at(self, reference: str) -> Image | None:
        from docker.errors import ImageNotFound  # noqa: PLC0415  (the SDK takes 0.1 s to import)

        with self._call(f"look at the image `{reference}`", self.patience.prompt, SandboxLost):
            try:
                return read_image(self._api.inspect_image(reference))
            except ImageNotFound:
                return None

    def images(self, label: str) -> tuple[Labelled, ...]:
        """All images that carry `label` (`name` or `name=value`)."""
        with self._call("list images", self.patience.prompt):
            found = self._api.images(filters={"label": label})
        with legible("its images"):
            return tuple(read_labelled(each) for each in found)

    def tag(self, image: str, reference: str) -> None:
        """Give an image a name."""
        name, _, tag = _split(reference)
        with self._call(f"tag the image `{reference}`", self.patience.prompt):
            self._api.tag(image, name, tag=tag)

    def remove_image(self, reference: str) -> None:
        """Take a name from an image, and the image with its last name."""
        with self._call(f"remove the image `{reference}`", self.patience.creation):
            self._api.remove_image(reference)

    def import_image(self, filesystem: IO[bytes], *, reference: str, changes: Sequence[str] = ()) -> str:
        """Make an image of a root file system's tar, like `docker import`, and return the id of what has its name then.

        That is another one if somebody else on the engine made one of the same name meanwhile.

        Raises:
            SandboxLost: the engine got other bytes than the tar, which is not compressed, has.
        """
        name, _, tag = _split(reference)
        digest = hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            while piece := filesystem.read(1024 * 1024):
                digest.update(piece)
                yield piece

        with self._call(f"import the image `{reference}`", TRANSFER):
            said = self._api.import_image(pieces(), repository=name, tag=tag, changes=list(changes))
        made = re.search(r"sha256:[0-9a-f]{64}", str(said))
        image = (self.image(made[0]) if made else None) or self._present(reference)
        if image.layers not in ((), (f"sha256:{digest.hexdigest()}",)):
            self.remove_image(image.id)
            raise SandboxLost(f"the image `{reference}` was damaged on its way to the engine")
        return self._present(reference).id

    def load(self, archive: IO[bytes]) -> tuple[str, ...]:
        """Take in the images of a `docker save` (compressed or not) and return their names or ids."""
        loaded: list[str] = []
        with self._call("load images", TRANSFER):
            for line in self._api.load_image(archive) or ():
                _refuse_error(line)
                text = str(line.get("stream", "")).strip()
                if text.startswith("Loaded image"):
                    loaded.append(text.partition(": ")[2])
        return tuple(loaded)

    def commit(self, container: str, *, reference: str, changes: Sequence[str]) -> str:
        """Make an image of a container that has ended, with `changes` to its configuration, and return its id."""
        name, _, tag = _split(reference)
        with self._call(f"commit the image `{reference}`", TRANSFER):
            self._api.commit(container, repository=name, tag=tag, changes=list(changes))
        return self._present(reference).id

    def pull(self, reference: str, say: Callable[[str], None]) -> str:
        """Fetch an image and return its id; `say` hears of its layers."""
        name, separator, tag = _split(reference)
        named = f"{name}@{tag}" if separator == "@" else name
        with self._call(f"pull the image `{reference}`", TRANSFER):
            lines = self._api.pull(named, tag=None if separator == "@" else tag, stream=True, decode=True)
            for line in lines:
                _refuse_error(line)
                if line.get("status") in ("Pull complete", "Already exists"):
                    say(f"{line.get('id')}: {line['status']}")
        return self._present(reference).id

    def build(
        self,
        context: IO[bytes],
        *,
        buildargs: Mapping[str, str],
        labels: Mapping[str, str],
        tag: str,
        say: Callable[[str], None],
        timeout: float,
    ) -> str:
        """Build an image from a context (a tar with a Dockerfile), with a network, and return its id.

        Raises:
            SetupFailed: a step failed or `timeout` seconds passed; the end of the log is in it.
        """
        log = bytearray()
        deadline = time.monotonic() + timeout
        with self._call(f"build the image `{tag}`", timeout):
            lines: Iterable[dict[str, Any]] = self._api.build(
                fileobj=context, custom_context=True, buildargs=dict(buildargs), labels=dict(labels),
                tag=tag, decode=True, rm=True, forcerm=True,
            )  # fmt: skip
            for line in lines:
                text = str(line.get("stream") or line.get("error") or "")
                log += text.encode(errors="replace")
                del log[:-LOG_BYTES]
                if "error" in line:
                    raise SetupFailed("the setup failed", log=log.decode(errors="replace"), hint="see its log")
                if time.monotonic() > deadline:
                    raise SetupFailed(f"the setup took more than {timeout:.0f} s", log=log.decode(errors="replace"))
                if text.strip():
                    say(text.rstrip())
        return self._present(tag).id

    def _present(self, reference: str) -> Image:
        image = self.image(reference)
        if image is None:
            raise SandboxUnavailable(f"the image `{reference}` is not there after it was made")
        return image

    # Containers

    def create(self, spec: ContainerSpec) -> str:
        """Create a container, not started, and return its id."""
        from docker.types import LogConfig, Ulimit  # noqa: PLC0415

        with self._call("create a container", self.patience.creation, SandboxLost):
            host = self._api.create_host_config(
                binds=list(spec.binds), network_mode=spec.network, read_only=spec.read_only,
                cap_drop=list(spec.dropped_capabilities), security_opt=list(spec.security_options),
                init=spec.init, pids_limit=spec.pids, mem_limit=spec.memory, memswap_limit=spec.memory_and_swap,
                nano_cpus=spec.nano_cpus, tmpfs=dict(spec.tmpfs), ipc_mode=spec.ipc, shm_size=spec.shared_memory,
                ulimits=[Ulimit(name=name, soft=limit, hard=limit) for name, limit in spec.ulimits.items()],
                log_config=LogConfig(type=spec.log_driver), runtime=spec.runtime,
            )  # fmt: skip
            created = self._api.create_container(
                image=spec.image, command=[], entrypoint=list(spec.entrypoint), user=spec.user,
                environment=[f"{name}={value}" for name, value in spec.environment.items()]
                + list(spec.removed_environment),
                working_dir=spec.working_directory, hostname=spec.hostname, labels=dict(spec.labels),
                stdin_open=True, tty=False, healthcheck={"test": ["NONE"]}, host_config=host,
            )  # fmt: skip
        with legible("the container that it made"):
            return str(created["Id"])

    def inspect(self, container: str) -> Mapping[str, Any]:
        """All that the engine knows of a container, in the engine's own words."""
        with self._call("look at a container", self.patience.prompt, SandboxLost):
            found: Mapping[str, Any] = self._api.inspect_container(container)
            return found

    def state(self, container: str) -> ContainerState:
        """How a container is."""
        return read_state(self.inspect(container))

    def attach(self, container: str) -> Stream:
        """The main process's standard input, output and error; to be called before `start`, so that nothing is lost."""
        with self._call("attach to a container", self.patience.creation, SandboxLost):
            return Stream(self._api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}))

    def start(self, container: str) -> None:
        """Start a created container."""
        with self._call("start a container", self.patience.creation, SandboxLost):
            self._api.start(container)

    def kill(self, container: str) -> None:
        """Kill all of a container; one that is gone or stopped already is left as it is."""
        from docker.errors import APIError, NotFound  # noqa: PLC0415

        with self._call("kill a container", self.patience.prompt, SandboxLost):
            try:
                self._api.kill(container)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:
                    raise

    def remove(self, container: str) -> None:
        """Kill and remove a container with its anonymous volumes; one that is gone already is no error."""
        from docker.errors import APIError, NotFound  # noqa: PLC0415

        self._api.close()  # what cut a container's connection may have cut the idle ones, too
        with self._call("remove a container", self.patience.creation, SandboxLost):
            try:
                self._api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:
                    raise

    def containers(self, label: str) -> tuple[Labelled, ...]:
        """All containers, running or not, that carry `label` (`name` or `name=value`)."""
        with self._call("list containers", self.patience.prompt):
            found = self._api.containers(all=True, filters={"label": label})
        with legible("its containers"):
            return tuple(read_labelled(each) for each in found)

    @contextmanager
    def _call(self, what: str, seconds: float, kind: type[SandboxError] = SandboxUnavailable) -> Iterator[None]:
        """One call within `seconds`; after one that failed no connection of it is left, or used again."""
        self._api.timeout = math.ceil(seconds)
        try:
            with _told(what, kind, EngineGone, self.endpoint):
                yield
        except BaseException:
            for response in self._api.streamed:
                response.close()
            self._api.close()
            raise
        finally:
            self._api.streamed.clear()


@contextmanager
def _told(what: str, refused: type[SandboxError], gone: type[SandboxError], endpoint: Endpoint) -> Generator[None]:
    """Say in our own error what the SDK, HTTP or the socket said, with advice for an engine that does not answer."""
    try:
        import docker.errors  # noqa: PLC0415
        import requests.exceptions  # noqa: PLC0415
        import urllib3.exceptions  # noqa: PLC0415
    except ImportError as error:
        raise SandboxUnavailable("the Docker SDK is not installed", hint="`pip install docker`") from error
    try:
        yield
    except docker.errors.APIError as error:
        raise refused(f"cannot {what}: {str(error.explanation or error).strip()[:500]}") from error
    except (ValueError, AttributeError, docker.errors.StreamParseError) as error:
        raise SandboxLost(f"cannot {what}: the engine's answer cannot be read: {str(error).strip()[:500]}") from error
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise gone(f"cannot {what}: {cause_of(error)[:500]}", hint=advice(endpoint, error)) from error


def _knock(endpoint: Endpoint, patience: Patience) -> None:
    """Find out whether anybody listens on a local socket: the SDK leaves one open that it could not connect."""
    scheme, _, path = endpoint.url.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(patience.prompt)
            probe.connect(path)


def _open(endpoint: Endpoint, patience: Patience, *, version: str = "auto") -> object:
    from docker import APIClient  # noqa: PLC0415
    from docker.tls import TLSConfig  # noqa: PLC0415

    class Punctual(APIClient):
        """The SDK leaves out the deadline in some calls (attach, pull, import), and what it streams open on errors.

        And HTTP takes proxies and certificate authorities of the environment over those of the engine.
        """

        def __init__(self, **options: Any) -> None:
            self.streamed: list[Any] = []
            try:
                super().__init__(**options)
            except BaseException:
                self.close()
                raise

        def request(self, *arguments: Any, **options: Any) -> Any:
            self.trust_env = False  # the SDK's constructor calls already, and would set it anew
            return super().request(*arguments, **options)

        def send(self, request: Any, **kwargs: Any) -> Any:
            kwargs["timeout"] = kwargs.get("timeout") or self.timeout
            response = super().send(request, **kwargs)
            if kwargs.get("stream"):
                self.streamed.append(response)
            return response

    tls: TLSConfig | bool = False
    if endpoint.tls:
        pair = (str(endpoint.certificate), str(endpoint.key)) if endpoint.certificate and endpoint.key else None
        tls = TLSConfig(client_cert=pair, ca_cert=str(endpoint.ca) if endpoint.ca else None, verify=endpoint.verify)
    return Punctual(base_url=endpoint.url, version=version, timeout=math.ceil(patience.prompt), tls=tls)


def _split(reference: str) -> tuple[str, str, str]:
    """Name, separator and tag or digest; the tag is `latest` where none is given."""
    name, separator, digest = reference.partition("@")
    if separator:
        return name, separator, digest
    head, slash, tail = reference.rpartition("/")
    name, _, tag = tail.partition(":")
    return f"{head}{slash}{name}", ":", tag or "latest"


def _refuse_error(line: Mapping[str, Any]) -> None:
    if "error" in line:
        raise SandboxUnavailable(f"the engine says: {str(line['error']).strip()[:500]}")
