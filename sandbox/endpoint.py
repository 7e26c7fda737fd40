"""Which Docker engine is meant: what the environment and the CLI's configuration say, or a refusal.

The Docker SDK falls back to the local engine when a context is unknown or its configuration is missing; commands would
then run somewhere else than the user said.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import SandboxUnavailable

__all__ = ["Endpoint", "resolve"]

LOCAL = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where an engine listens, and the files that prove each side to the other."""

    url: str = LOCAL
    tls: bool = False
    verify: bool = True
    """Whether the engine's certificate is checked."""
    directory: Path | None = None
    """Where the files are looked for; those that are not there are None."""
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def resolve(environment: Mapping[str, str]) -> Endpoint:
    """The engine meant by `DOCKER_HOST`, else by `DOCKER_CONTEXT`, else by the CLI's current context.

    Raises:
        SandboxUnavailable: a context is named that does not exist, or the configuration cannot be read.
    """
    configuration = _configuration(environment)
    host = environment.get("DOCKER_HOST")
    if host:
        return _checked(_from_host(host, environment, configuration))
    name = environment.get("DOCKER_CONTEXT") or _current_context(configuration)
    if name in ("", "default"):
        return Endpoint()
    return _checked(_from_context(name, configuration))


def _configuration(environment: Mapping[str, str]) -> Path:
    named = environment.get("DOCKER_CONFIG")
    return Path(named) if named else Path(environment.get("HOME") or "/") / ".docker"


def _from_host(host: str, environment: Mapping[str, str], configuration: Path) -> Endpoint:
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    certificates = environment.get("DOCKER_CERT_PATH")
    if not verify and not certificates:
        return Endpoint(url=host)
    return _with_certificates(host, Path(certificates) if certificates else configuration, verify=verify)


def _with_certificates(url: str, directory: Path, *, verify: bool) -> Endpoint:
    def present(name: str) -> Path | None:
        path = directory / name
        return path if path.is_file() else None

    return Endpoint(
        url=url, tls=True, verify=verify, directory=directory, ca=present("ca.pem"), certificate=present("cert.pem"),
        key=present("key.pem"),
    )  # fmt: skip


def _current_context(configuration: Path) -> str:
    path = configuration / "config.json"
    if not path.exists():
        return ""
    name = _read_object(path).get("currentContext") or ""
    return name if isinstance(name, str) else ""


def _from_context(name: str, configuration: Path) -> Endpoint:
    directory = hashlib.sha256(name.encode()).hexdigest()
    path = configuration / "contexts" / "meta" / directory / "meta.json"
    if not path.is_file():
        raise SandboxUnavailable(
            f"the Docker context `{name}` does not exist in {configuration}",
            hint="see `docker context ls`; unset DOCKER_CONTEXT to use the local engine",
        )
    endpoints = _read_object(path).get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    url = docker.get("Host") if isinstance(docker, dict) else None
    if not isinstance(docker, dict) or not isinstance(url, str) or not url:
        raise SandboxUnavailable(f"the Docker context `{name}` names no engine", hint=f"see `{path}`")
    certificates = configuration / "contexts" / "tls" / directory / "docker"
    if not certificates.is_dir():
        return Endpoint(url=url)
    return _with_certificates(url, certificates, verify=not docker.get("SkipTLSVerify"))


def _read_object(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SandboxUnavailable(f"cannot read Docker's configuration {path}: {error}", hint="repair it") from error
    if not isinstance(found, dict):
        raise SandboxUnavailable(f"Docker's configuration {path} is no JSON object", hint="repair it")
    return found


def _checked(endpoint: Endpoint) -> Endpoint:
    if endpoint.url.startswith("ssh://"):
        raise SandboxUnavailable(
            f"engines behind `{endpoint.url}` are not supported",
            hint="forward the socket: `ssh -N -L /tmp/engine.sock:/var/run/docker.sock HOST`, "
            "then set DOCKER_HOST=unix:///tmp/engine.sock",
        )
    return endpoint
