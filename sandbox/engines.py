"""Which engine runs commands: the one that was asked for, never another one in its place."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from sandbox import Engine, SandboxError, Setup

__all__ = ["cache_directory", "open_engine", "prepare_ahead"]


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


def prepare_ahead(kind: str, host: Mapping[str, str], setup: Setup, say: Callable[[str], None]) -> Thread:
    """Begin to make the environment for `setup` in the background, by a connection of its own.

    Whoever asks for it later finds it in the cache, or waits for it; what goes wrong here goes wrong there again, and
    is told then. It ends with the process.
    """

    def prepare() -> None:
        with suppress(SandboxError), open_engine(kind, host) as engine:
            engine.prepare(setup, say)

    thread = Thread(target=prepare, name="prepare-ahead", daemon=True)
    thread.start()
    return thread


def cache_directory(host: Mapping[str, str]) -> Path:
    """Where locks and local environments are kept: `$XDG_CACHE_HOME/greenward`, or below the home."""
    base = host.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path(host.get("HOME", "/tmp")) / ".cache"  # noqa: S108
    return root / "greenward"
