"""One hardened container with its launcher: started and checked, or not there at all."""

import contextlib
import time
from types import TracebackType
from typing import Self

from sandbox import SandboxError, SandboxLost, SandboxUnavailable
from sandbox.answers import legible
from sandbox.channel import Channel
from sandbox.engine import Client, ContainerSpec, ContainerState
from sandbox.hardening import check_facts, check_inspected
from sandbox.stream import Deadline

__all__ = ["Container"]


class Container:
    """A running container. Removing it kills all that runs in it."""

    def __init__(self, client: Client, container: str, channel: Channel) -> None:
        self._client = client
        self._id = container
        self.channel = channel
        self.patience = client.patience

    @classmethod
    def start(cls, client: Client, spec: ContainerSpec) -> Self:
        """Create a container, check that all it was asked for is in force, and start its launcher.

        Raises:
            SandboxUnavailable: it could not be made as asked; it is removed again.
        """
        container = client.create(spec)
        try:
            with legible("a container"):
                check_inspected(spec, client.inspect(container))
            channel = Channel(client.attach(container), client.patience)
            try:
                client.start(container)
                started = cls(client, container, channel)
                started._check(spec)
            except BaseException:
                channel.close()
                raise
        except BaseException:
            with contextlib.suppress(SandboxError):
                client.remove(container)
            raise
        return started

    def _check(self, spec: ContainerSpec) -> None:
        try:
            facts = self.channel.facts(Deadline(self.patience.first_answer))
        except SandboxLost as error:
            state = self.end()
            if state.exit_code is None:
                raise
            raise SandboxUnavailable(
                f"the launcher did not start in the image {spec.image} (exit code {state.exit_code})",
                hint="the image needs `sh` and `timeout`, and /work, /tmp, /build and /run/greenward as directories",
            ) from error
        check_facts(spec, facts)

    def require_programs(self) -> None:
        """Refuse an image that lacks what the launcher needs.

        Raises:
            SandboxUnavailable: naming what is missing.
        """
        missing = self.channel.missing(Deadline(self.patience.first_answer))
        if missing:
            raise SandboxUnavailable(
                f"the image lacks {', '.join(f'`{name}`' for name in missing)}",
                hint="it needs GNU tar, findutils and coreutils",
            )

    def transfer(self) -> Deadline:
        """By when files that are handed over from now on have to be there."""
        return Deadline(self.patience.transfer)

    def answers(self) -> bool:
        """Whether it is there and has nothing else to do."""
        try:
            self.channel.ping(Deadline(self.patience.end))
        except SandboxError:
            return False
        return True

    def kill(self) -> None:
        """Kill all that runs in it."""
        self._client.kill(self._id)

    def end(self) -> ContainerState:
        """How it ended, or how it is if it does not end within seconds."""
        deadline = Deadline(self.patience.end)
        state = self._client.state(self._id)
        while state.exit_code is None and deadline.left() > 0:
            time.sleep(0.01)
            state = self._client.state(self._id)
        return state

    def remove(self) -> None:
        """Kill and remove it, and give back its client's connections."""
        self.channel.close()
        try:
            self._client.remove(self._id)
        finally:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.remove()
            return
        with contextlib.suppress(SandboxError):  # what went wrong first is what is told
            self.remove()
