"""Lines on their way to a terminal, a log or a program: none of them shows a secret."""

from collections.abc import Callable, Iterable

from agent.redact import Redactor, Secret
from agent.text import inert

__all__ = ["Console"]


class Console:
    """Hands lines on, without the secrets that it was told of."""

    def __init__(self, *, say: Callable[[str], None], tell: Callable[[str], None]) -> None:
        """`say` takes what was asked for, `tell` what happens meanwhile."""
        self._say = say
        self._tell = tell
        self._redacted = Redactor()
        self._scrubbed = Redactor(urls=False)
        self.structured = False
        """Whether what was asked for are lines of JSON."""
        self.overheard = False
        """Whether a runner of CI reads along that takes what stands anywhere in a line for a command."""
        self.restore = ""
        """What puts the terminal right, should what is drawn on it not end in good order."""

    def keep(self, secrets: Iterable[Secret]) -> None:
        """Never show any of `secrets`."""
        known = tuple(secrets)
        self._redacted, self._scrubbed = Redactor(known), Redactor(known, urls=False)

    def redacted(self, text: str) -> str:
        """`text` as it may be shown."""
        return self._redacted(text)

    def say(self, text: str) -> None:
        """What was asked for."""
        self._say(self._harmless(self._redacted(text)))

    def data(self, line: str) -> None:
        """What was asked for by a program: as it stands, but for secrets."""
        self._say(self._harmless(self._scrubbed(line)))

    def tell(self, text: str) -> None:
        """What happens meanwhile, and what goes wrong."""
        self._tell(self._harmless(self._redacted(text)))

    def _harmless(self, text: str) -> str:
        return inert(text) if self.overheard else text
