"""Which engine runs commands: the one that was asked for, never another one in its place."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from sandbox import Engine, Limits, SandboxError, Setup
from sandbox.arrival import await_engine
from sandbox.owner import Owner
from sandbox.scratch import sweep

if TYPE_CHECKING:
    from sandbox.setup import DockerEngine

__all__ = ["Opening", "cache_directory", "open_engine", "prepare_ahead", "scratch_places"]


@contextmanager
def open_engine(kind: str, host: Mapping[str, str]) -> Iterator[Engine]:
    """The engine `docker` or `local`, with `host` as the variables of the host's process.

    What processes that are gone left behind is removed first: containers and temporary directories. An engine that is
    still coming up is waited for.

    Raises:
        SandboxUnavailable: it does not answer.
    """
    if kind == "local":
        _tidy(host)
        from sandbox.localengine import LocalEngine  # noqa: PLC0415  (imported when it is asked for)

        yield LocalEngine(host=host, cache=cache_directory(host) / "environments")
        return
    await_engine(host)
    with _docker_engine(host) as engine:
        yield engine


@contextmanager
def _docker_engine(host: Mapping[str, str]) -> "Iterator[DockerEngine]":
    from sandbox.engine import connect  # noqa: PLC0415
    from sandbox.reaping import reap  # noqa: PLC0415
    from sandbox.setup import DockerEngine  # noqa: PLC0415

    with closing(connect(host)) as client:
        reap(client, Owner.current())
        _tidy(host)
        with closing(DockerEngine(client, host=host, cache=cache_directory(host))) as engine:
            yield engine


def _tidy(host: Mapping[str, str]) -> None:
    for place in scratch_places(host):
        sweep(place)


class Opening:
    """The engine `docker`, reached before the rest of the program is loaded; to be closed.

    A container of the environment that was last opened for `purpose` starts in the background meanwhile, for the run
    `run_id`. That nothing answers is told when the engine is asked for.
    """

    def __init__(self, host: Mapping[str, str], *, purpose: str = "", run_id: str = "") -> None:
        self.run_id = run_id
        self._host = host
        self._purpose = purpose
        self._opened = ExitStack()
        self._engine: Engine | None = None
        self._open()

    def engine(self) -> AbstractContextManager[Engine]:
        """The engine that was reached.

        Raises:
            SandboxUnavailable: it does not answer.
        """
        return open_engine("docker", self._host) if self._engine is None else nullcontext(self._engine)

    def close(self) -> None:
        """Give back what was opened, used or not."""
        self._opened.close()

    def _open(self) -> None:
        with suppress(SandboxError):
            engine = self._opened.enter_context(_docker_engine(self._host))
            if self._purpose:
                engine.anticipate(self._purpose, limits=Limits(), run_id=self.run_id)
            self._engine = engine


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


def scratch_places(host: Mapping[str, str]) -> tuple[Path, ...]:
    """Where temporary directories are made."""
    return Path(tempfile.gettempdir()), cache_directory(host)


def cache_directory(host: Mapping[str, str]) -> Path:
    """Where locks and local environments are kept: `$XDG_CACHE_HOME/greenward`, or below the home."""
    base = host.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path(host.get("HOME", "/tmp")) / ".cache"  # noqa: S108
    return root / "greenward"
