"""What of a proposal has left this machine, for whoever stops a job in the middle."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Sending"]


class Sending:
    """Printed, a clause on what others have by now."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._under_way = ""

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Remember that `what` is on its way while the block goes on, and that it was sent once it has ended well."""
        self._under_way = what
        yield
        self._under_way = ""
        self._done.append(what)

    def __str__(self) -> str:
        sent = f"sent by now: {', '.join(self._done)}" if self._done else "nothing was sent"
        return f"{sent}; on its way, and perhaps there: {self._under_way}" if self._under_way else sent
