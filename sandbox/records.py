"""What passes between the engine and its users: what a container is made of, and what is known of things made."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ContainerSpec", "ContainerState", "EngineInfo", "Image", "Labelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine says of itself; empty where it does not say."""

    name: str
    """`Engine` for Docker's own, `Podman Engine` for the other one."""
    version: str
    api: str
    """The newest version of the API that it speaks."""
    product: str
    """What it is part of, such as `Docker Desktop 4.44.3 (202357)`; empty for a plain engine."""
    system: str
    """The operating system that it runs on."""
    storage_driver: str
    cgroup_version: str
    runc: str
    rootless: bool
    root: str
    """Where it keeps images, as a path on its own machine."""
    now: float = 0.0
    """Seconds since the epoch, by its clock; 0 where it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What is known of an image on the engine."""

    id: str
    architecture: str
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    volumes: tuple[str, ...]
    layers: tuple[str, ...] = ()
    """The checksums of their tars; empty where the engine does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """All that a container is created with. Sizes are bytes."""

    image: str
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    removed_environment: tuple[str, ...]
    """Variables of the image that the container is not to have."""
    user: str
    working_directory: str
    hostname: str
    labels: Mapping[str, str]
    tmpfs: Mapping[str, str]
    network: str
    memory: int
    memory_and_swap: int
    nano_cpus: int
    pids: int
    ulimits: Mapping[str, int]
    read_only: bool
    dropped_capabilities: tuple[str, ...]
    security_options: tuple[str, ...]
    init: bool
    log_driver: str
    ipc: str
    shared_memory: int
    binds: tuple[str, ...] = ()
    runtime: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """How a container is; `exit_code` is None while it runs."""

    status: str
    exit_code: int | None
    out_of_memory: bool
    ended: float = 0.0
    """Seconds since the epoch, by the engine's clock; 0 if it never ran, and where the engine does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A container that carries a label."""

    id: str
    status: str
    created: float
    """Seconds since the epoch, by the engine's clock."""
    labels: Mapping[str, str] = field(default_factory=dict)
