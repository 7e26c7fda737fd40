"""The sandbox that isolates: one container kept warm for a run's commands, and a fresh one for each verdict."""

import contextlib
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sandbox import (
    Command,
    Delta,
    ExecResult,
    Execution,
    Limits,
    Refusal,
    SandboxError,
    SandboxLost,
    SandboxUnavailable,
    Tree,
)
from sandbox.channel import Ran
from sandbox.container import Container
from sandbox.engine import Client, Image
from sandbox.hardening import ROOT, harden
from sandbox.harvest import collect, fetch, script_of, too_much
from sandbox.listing import TICK_SECONDS, Listing, changes, parse
from sandbox.output import TIMED_OUT, HeadTail
from sandbox.owner import Owner
from sandbox.pool import LIFETIME, Pool
from sandbox.stream import Deadline, StreamEnded

__all__ = ["DockerSandbox"]

KILLED = 137
MARGIN_SECONDS = 600.0


@dataclass(slots=True, kw_only=True)
class _Warm:
    """The container that is kept, and what it holds."""

    container: Container
    tree: str | None = None
    listing: Listing | None = None
    listed_at: float = 0.0


class DockerSandbox:
    """Executes in containers of one image; leaving it as a context manager removes them."""

    isolated = True

    def __init__(self, client: Client, image: str, *, limits: Limits, run_id: str, owner: Owner) -> None:
        self._client = client
        self._image_id = image
        self._image: Image | None = None
        self._limits = limits
        self._run_id = run_id
        self._owner = owner
        self._warm: _Warm | None = None
        self._pool = Pool(self._start)

    def serves(self, image: str, limits: Limits, run_id: str) -> bool:
        """Whether it is a sandbox in this image, with these limits, for this run."""
        return (self._image_id, self._limits, self._run_id) == (image, limits, run_id)

    def expect(self, count: int) -> None:
        """Start containers ahead of their need, in the background: the next `count` of them cost no wait."""
        self._pool.expect(count)

    def execute(self, tree: Tree, command: Command) -> Execution:
        """Run `command` on `tree` in the container that is kept.

        Raises:
            SandboxError: nothing came of it.
        """
        warm = self._ready(tree)
        try:
            execution, trusted = self._execute(warm, tree, command)
        except BaseException:
            self._discard()
            raise
        if not trusted:
            self._discard()
        return execution

    def execute_fresh(self, tree: Tree, command: Command) -> ExecResult:
        """Run `command` on `tree` in a container of its own.

        Raises:
            SandboxError: nothing came of it.
        """
        container = self._pool.take(command.timeout + MARGIN_SECONDS)
        try:
            return self._execute_fresh(container, tree, command)
        finally:
            self._pool.remove(container)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()
        self._pool.close()

    def _execute_fresh(self, container: Container, tree: Tree, command: Command) -> ExecResult:
        _unpack(container, tree.since(None))
        kept = HeadTail(self._limits.output_bytes, command.hear)
        ran = _run(container, command, kept)
        if ran.code is None or ran.died:
            return _result(ran, kept)
        files = collect(container.channel, command.collect, self._limits.collected_bytes, container.transfer())
        container.channel.leave(Deadline(container.patience.end))
        state = container.end()
        if state.exit_code != ran.code:
            raise SandboxLost(f"the command ended with {ran.code}, but its container with {state.exit_code}")
        return _result(ran, kept, files)

    def _execute(self, warm: _Warm, tree: Tree, command: Command) -> tuple[Execution, bool]:
        """What came of it, and whether the container now holds just what the tree does and what is ignored."""
        container = warm.container
        time.sleep(max(0.0, warm.listed_at + TICK_SECONDS - time.monotonic()))
        kept = HeadTail(self._limits.output_bytes, command.hear)
        ran = _run(container, command, kept)
        if ran.code is None or ran.died:
            return Execution(result=_result(ran, kept), tree=tree), False
        files = collect(container.channel, command.collect, self._limits.collected_bytes, container.transfer())
        result = _result(ran, kept, files)
        before, after = warm.listing or {}, _list(warm)
        if after is None:
            refusal = Refusal(path=".", reason="not all files could be listed, so no change was taken")
            return Execution(result=result, tree=tree, refused=(refusal,)), False
        selection = tree.select(changes(before, after))
        refused = too_much(selection.wanted, self._limits)
        if refused:
            return Execution(result=result, tree=tree, refused=(*selection.refused, *refused)), False
        changed, unread = fetch(container.channel, selection.wanted, container.transfer())
        absorbed = tree.absorb(changed)
        refused = (*selection.refused, *unread, *absorbed.refused)
        warm.tree, warm.listing = absorbed.tree.id, after
        return Execution(result=result, tree=absorbed.tree, refused=refused), not refused and not ran.outlived

    def _ready(self, tree: Tree) -> _Warm:
        """The container that is kept, holding `tree`; made anew if the old one is gone or does not take it."""
        if self._warm is not None:
            try:
                _bring(self._warm, tree)
            except SandboxError:
                self._discard()
        if self._warm is None:
            self._warm = _Warm(container=self._pool.take(MARGIN_SECONDS))
            try:
                _bring(self._warm, tree)
            except BaseException:
                self._discard()
                raise
        return self._warm

    def _start(self) -> Container:
        client, known = self._client.twin(), self._image is not None
        image = self._image or client.image(self._image_id)
        if image is None:
            raise SandboxUnavailable(f"the image {self._image_id} is gone", hint="start again: it is made anew")
        spec = harden(image, self._limits, run_id=self._run_id, owner=self._owner, seconds=LIFETIME)
        try:
            container = Container.start(client, spec)
        except SandboxUnavailable:  # what is not kept is not kept twice, and what was damaged on its way is well then
            container = Container.start(client, spec)
        try:
            if not known:
                container.require_programs()
        except BaseException:
            with contextlib.suppress(SandboxError):
                container.remove()
            raise
        self._image = image
        return container

    def _discard(self) -> None:
        warm, self._warm = self._warm, None
        if warm is not None:
            self._pool.remove(warm.container)


def _bring(warm: _Warm, tree: Tree) -> None:
    if warm.tree == tree.id:
        warm.container.channel.ping(warm.container.transfer())
        return
    held, warm.tree = warm.tree, None
    _unpack(warm.container, tree.since(held))
    warm.listing = _list(warm)
    if warm.listing is None:
        raise SandboxLost("the container's files cannot be listed")
    warm.tree = tree.id


def _unpack(container: Container, delta: Delta) -> None:
    problem = container.channel.unpack(delta.deleted, delta.archive, container.transfer())
    if problem:
        raise SandboxUnavailable(
            f"the tree cannot be unpacked: {problem[:500]}", hint="if it is too large, raise the sandbox's limits"
        )


def _list(warm: _Warm) -> Listing | None:
    container = warm.container
    listing = container.channel.listing(container.transfer())
    if listing is None:
        container.channel.mend(container.transfer())
        listing = container.channel.listing(container.transfer())
    warm.listed_at = time.monotonic()
    return None if listing is None else parse(listing)


def _run(container: Container, command: Command, kept: HeadTail) -> Ran:
    began = time.monotonic()
    try:
        return container.channel.run(script_of(command, ROOT), kept, command.timeout, container.kill)
    except StreamEnded as lost:
        state = container.end()
        if state.out_of_memory and state.exit_code == KILLED:
            return Ran(code=KILLED, seconds=time.monotonic() - began, kills=1, died=True)
        ended = "" if state.exit_code is None else f" (its exit code: {state.exit_code})"
        raise SandboxLost(f"the container died under the command{ended}: {lost.message}") from lost


def _result(ran: Ran, kept: HeadTail, files: dict[str, bytes] | None = None) -> ExecResult:
    return ExecResult(
        exit_code=TIMED_OUT if ran.code is None else ran.code,
        output=kept.kept(),
        seconds=ran.seconds,
        timed_out=ran.code is None,
        truncated=kept.truncated,
        out_of_memory=ran.kills > 0,
        outlived=ran.outlived,
        files=files or {},
    )
