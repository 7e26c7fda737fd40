"""Which engine runs commands: the one that was asked for, never another one in its place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sandbox import Engine

__all__ = ["cache_directory", "open_engine"]


@contextmanager
def open_engine(kind: str, host: Mapping[str, str]) -> Iterator[Engine]:
    """The engine `docker` or `local`, with `host` as the variables of the host's process.

    Containers whose owner on this machine is gone are removed first.

    Raises:
        SandboxUnavailable: it does not answer.
    """
    cache = cache_directory(host)
    if kind == "local":
        from sandbox.localengine import LocalEngine  # noqa: PLC0415  (imported when it is asked for)

        yield LocalEngine(host=host, cache=cache / "environments")
        return
    from sandbox.container import reap  # noqa: PLC0415
    from sandbox.engine import connect  # noqa: PLC0415
    from sandbox.hardening import Owner  # noqa: PLC0415
    from sandbox.setup import DockerEngine  # noqa: PLC0415

    client = connect(host)
    try:
        reap(client, Owner.current())
        yield DockerEngine(client, host=host, cache=cache)
    finally:
        client.close()


def cache_directory(host: Mapping[str, str]) -> Path:
    """Where locks and local environments are kept: `$XDG_CACHE_HOME/greenward`, or below the home."""
    base = host.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path(host.get("HOME", "/tmp")) / ".cache"  # noqa: S108
    return root / "greenward"
