"""Containers that are started before they are needed, so that a fresh one costs no wait.

Nothing has run in them but the launcher, and each is handed out once.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread

from sandbox import SandboxError
from sandbox.container import Container

__all__ = ["LIFETIME", "Pool"]

LIFETIME = 6 * 3600.0
"""Seconds after which a container ends by itself, should its owner be gone."""


class Pool:
    """Starts containers in the background, one after the other, and removes them there. Belongs to one thread."""

    def __init__(self, start: Callable[[], Container]) -> None:
        """`start` makes a container that lives for `LIFETIME`; it is called in other threads, too, one at a time."""
        self._start = start
        self._changed = Condition()
        self._ready: deque[tuple[float, Container]] = deque()
        self._wanted = 0
        self._filling = False
        self._threads: list[Thread] = []

    def expect(self, count: int) -> None:
        """Have `count` containers ready or on their way. What goes wrong is told when one is taken."""
        with self._changed:
            self._wanted = max(self._wanted, count - len(self._ready))
            if self._filling or not self._wanted:
                return
            self._filling = True
        self._in_background(self._fill)

    def take(self, seconds: float) -> Container:
        """A container that nobody had before and that lives for `seconds` at least.

        Raises:
            SandboxError: it cannot be started.
        """
        while (found := self._next()) is not None:
            began, container = found
            if time.monotonic() - began + seconds < LIFETIME and container.answers():
                return container
            self.remove(container)
        return self._start()

    def remove(self, container: Container) -> None:
        """Remove a container in the background; one that cannot be removed ends by itself, as its input does."""

        def remove() -> None:
            with suppress(SandboxError):
                container.remove()

        self._in_background(remove)

    def close(self) -> None:
        """Remove the containers that nobody took, and return once all are gone; the pool can be used again."""
        with self._changed:
            self._wanted = 0
        while (found := self._next()) is not None:
            self.remove(found[1])
        while self._threads:
            self._threads.pop().join()

    def _next(self) -> tuple[float, Container] | None:
        """The oldest container, waited for if it is on its way; None if there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or not self._filling)
            return self._ready.popleft() if self._ready else None

    def _fill(self) -> None:
        with suppress(SandboxError):
            while self._missing():
                began, container = time.monotonic(), self._started()
                with self._changed:
                    self._wanted -= 1
                    self._ready.append((began, container))
                    self._changed.notify_all()

    def _missing(self) -> bool:
        """Whether another one is to be started; if not, the filling has ended."""
        with self._changed:
            self._filling = self._wanted > 0
            self._changed.notify_all()
            return self._filling

    def _started(self) -> Container:
        try:
            return self._start()
        except BaseException:
            with self._changed:
                self._wanted, self._filling = 0, False
                self._changed.notify_all()
            raise

    def _in_background(self, work: Callable[[], None]) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = Thread(target=work, name="containers", daemon=True)
        self._threads.append(thread)
        thread.start()
