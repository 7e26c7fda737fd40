"""A command that runs in the background, in a sandbox of its own and by a connection of its own."""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from threading import Event, Thread

from sandbox import (
    Absorbed,
    Candidate,
    Change,
    Command,
    Delta,
    Environment,
    ExecResult,
    Limits,
    SandboxError,
    Selection,
    Tree,
)
from sandbox.engines import open_engine

__all__ = ["Aside", "carried"]

CORES = 1.0
"""Of the machine, whose user waits for something else."""
AGAIN_SECONDS, CLOSING_SECONDS = 0.2, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A tree by itself, apart from where it is from: for a thread that may not go there. Nothing comes back to it."""

    id: str
    names: Collection[str]
    archive: bytes

    def paths(self) -> Collection[str]:
        return self.names

    def since(self, held: str | None) -> Delta:
        return Delta(deleted=(), archive=() if held == self.id else (self.archive,))

    def select(self, candidates: Sequence[Candidate]) -> Selection:  # noqa: ARG002  (none is taken)
        return Selection(wanted=())

    def absorb(self, changes: Sequence[Change]) -> Absorbed:  # noqa: ARG002  (none is taken)
        return Absorbed(tree=self)


def carried(tree: Tree, limit: int) -> Tree | None:
    """A copy of `tree` in memory; None if it takes more than `limit` bytes."""
    pieces, size = [], 0
    for piece in tree.since(None).archive:
        size += len(piece)
        if size > limit:
            return None
        pieces.append(piece)
    return Carried(id=tree.id, names=frozenset(tree.paths()), archive=b"".join(pieces))


class Aside:
    """One command on one tree; to be closed. It never fails: nothing may come of it."""

    def __init__(
        self, kind: str, host: Mapping[str, str], environment: Environment, tree: Tree, command: Command, *, run_id: str
    ) -> None:
        """`run_id` names no other run; `tree` has to be `carried`. Engines that do not isolate run nothing."""
        self._kind, self._host, self._run_id = kind, host, f"{run_id}-aside"
        self._environment, self._tree, self._command = environment, tree, command
        self._closed = Event()
        self.result: ExecResult | None = None
        """What came of it, once it has ended well."""
        self._thread = Thread(target=self._execute, name="aside", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether there is nothing to wait for."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stop the command, if it runs, and return once nothing of it is left."""
        self._closed.set()
        until = time.monotonic() + CLOSING_SECONDS
        while not self.ended and time.monotonic() < until:
            with suppress(SandboxError):
                self._remove_containers()
            self._thread.join(AGAIN_SECONDS)

    def _execute(self) -> None:
        with suppress(SandboxError, OSError), open_engine(self._kind, self._host) as engine:
            sandbox = engine.open(self._environment, limits=Limits(cpus=CORES), run_id=self._run_id)
            with sandbox:
                if sandbox.isolated and not self._closed.is_set():
                    self.result = sandbox.execute_fresh(self._tree, self._command)

    def _remove_containers(self) -> None:
        """Take the sandbox away from under the command; its thread belongs to another connection."""
        if self._kind == "local":
            return
        from sandbox.engine import connect  # noqa: PLC0415  (most commands have ended by then)

        with closing(connect(self._host)) as client:
            for each in client.containers(f"greenward.run={self._run_id}"):
                client.remove(each.id)
