"""What the engine answers, read into our own types; an answer that cannot be read is a `SandboxLost`."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sandbox import SandboxLost
from sandbox.records import ContainerState, EngineInfo, Image, Labelled

__all__ = ["legible", "read_image", "read_info", "read_labelled", "read_state"]


@contextmanager
def legible(what: str) -> Generator[None]:
    """Say in our own error that an answer of the engine's is not of the form that it has.

    Raises:
        SandboxLost: it is not.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SandboxLost(f"the engine's answer about {what} cannot be read: {error!r}"[:500]) from error


def read_info(info: Mapping[str, Any], version: Mapping[str, Any]) -> EngineInfo:
    """What an engine says of itself."""
    with legible("itself"):
        parts = {str(each.get("Name", "")): str(each.get("Version", "")) for each in version.get("Components") or ()}
        return EngineInfo(
            name=next(iter(parts), ""),
            version=str(version.get("Version", "")),
            api=str(version.get("ApiVersion", "")),
            product=str((version.get("Platform") or {}).get("Name", "")),
            system=str(info.get("OperatingSystem", "")),
            storage_driver=str(info.get("Driver", "")),
            cgroup_version=str(info.get("CgroupVersion", "")),
            runc=parts.get("runc", ""),
            rootless=any("name=rootless" in str(each) for each in info.get("SecurityOptions") or ()),
            root=str(info.get("DockerRootDir", "")),
            now=_moment(info.get("SystemTime") or ""),
        )


def read_image(found: Mapping[str, Any]) -> Image:
    """What is known of an image."""
    with legible("an image"):
        config = found.get("Config") or {}
        pairs = (variable.partition("=") for variable in config.get("Env") or ())
        return Image(
            id=found["Id"],
            architecture=found.get("Architecture", ""),
            environment={name: value for name, _, value in pairs},
            labels=config.get("Labels") or {},
            volumes=tuple(sorted(config.get("Volumes") or ())),
            layers=tuple((found.get("RootFS") or {}).get("Layers") or ()),
        )


def read_state(found: Mapping[str, Any]) -> ContainerState:
    """How a container is."""
    with legible("a container"):
        state = found["State"]
        ended = state["Status"] in ("exited", "dead")
        return ContainerState(
            status=str(state["Status"]),
            exit_code=int(state["ExitCode"]) if ended else None,
            out_of_memory=bool(state.get("OOMKilled")),
            ended=_moment(state.get("FinishedAt") or "") if ended else 0.0,
        )


def read_labelled(found: Mapping[str, Any]) -> Labelled:
    """A container in a list, or an image."""
    with legible("what it lists"):
        return Labelled(
            id=str(found["Id"]),
            status=str(found.get("State", "")),
            created=float(found["Created"]),
            labels=dict(found["Labels"] or {}),
        )


def _moment(text: str) -> float:
    """Seconds since the epoch; 0 for none, which is the year 1 to engines."""
    return datetime.fromisoformat(text).timestamp() if text and not text.startswith("0001-") else 0.0
