"""Lines on their way to a terminal or a log: none of them shows a secret."""

from collections.abc import Callable, Iterable

from agent.redact import Redactor, Secret

__all__ = ["Console"]


class Console:
    """Hands lines on, without the secrets that it was told of."""

    def __init__(self, *, say: Callable[[str], None], tell: Callable[[str], None]) -> None:
        """`say` takes what was asked for, `tell` what happens meanwhile."""
        self._say = say
        self._tell = tell
        self._redacted = Redactor()

    def keep(self, secrets: Iterable[Secret]) -> None:
        """Never show any of `secrets`."""
        self._redacted = Redactor(secrets)

    def say(self, text: str) -> None:
        """What was asked for."""
        self._say(self._redacted(text))

    def tell(self, text: str) -> None:
        """What happens meanwhile, and what goes wrong."""
        self._tell(self._redacted(text))
