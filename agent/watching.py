"""Whoever watches a run: it is told each entry of the journal, and what passes in between."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol, Self

from agent.journal import Entry
from agent.live import Notice
from agent.state import RunState

__all__ = ["Silent", "Together", "Watcher"]


class Watcher(Protocol):
    """Is told what happens in a session; it is entered before, and left when all is over."""

    def catch_up(self, entries: tuple[Entry, ...], state: RunState) -> None:
        """Take in what happened in earlier sessions, and the state that it folds to."""
        ...

    def __call__(self, entry: Entry) -> None:
        """Take in what happened. Watches from the journal's first entry on, or after `catch_up`."""
        ...

    def notice(self, notice: Notice) -> None:
        """Take in what passes; from any thread."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """A block in which nothing is drawn, so that somebody can be asked."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_error: object) -> None: ...


class Silent:
    """Tells nobody."""

    def catch_up(self, entries: tuple[Entry, ...], state: RunState) -> None:
        pass

    def __call__(self, entry: Entry) -> None:
        pass

    def notice(self, notice: Notice) -> None:
        pass

    @contextmanager
    def paused(self) -> Iterator[None]:
        yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


class Together(Silent):
    """Two watchers that are told the same, one after the other."""

    def __init__(self, first: Watcher, second: Watcher) -> None:
        self._both = (first, second)

    def catch_up(self, entries: tuple[Entry, ...], state: RunState) -> None:
        for each in self._both:
            each.catch_up(entries, state)

    def __call__(self, entry: Entry) -> None:
        for each in self._both:
            each(entry)

    def notice(self, notice: Notice) -> None:
        for each in self._both:
            each.notice(notice)

    @contextmanager
    def paused(self) -> Iterator[None]:
        with ExitStack() as stack:
            for each in self._both:
                stack.enter_context(each.paused())
            yield

    def __enter__(self) -> Self:
        for each in self._both:
            each.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for each in reversed(self._both):
            each.__exit__(*error)
