"""Remembers between runs what endpoints turned out to accept, so that the next run does not ask in vain."""

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError, with_config

from agent.models.capabilities import Capabilities

__all__ = ["ENDPOINTS", "KEPT", "Memory"]

ENDPOINTS = "endpoints.json"
"""The file's name in the user's cache."""
KEPT = timedelta(days=7)
"""An endpoint may come to accept what it refused."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    at: AwareDatetime
    known: Capabilities


class Memory:
    """A file of what is known of endpoints and their models.

    It is a cache: a file that cannot be read or understood counts as empty, and one that cannot be written is left.
    """

    def __init__(self, path: Path | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`path` need not exist; None remembers nothing."""
        self._path = path
        self._now = now

    def recall(self, base_url: str, model: str) -> Capabilities | None:
        """What is known of a model at an endpoint, unless it was learned too long ago."""
        entry = self._entries().get(_name(base_url, model))
        return entry.known if entry else None

    def remember(self, base_url: str, model: str, known: Capabilities) -> None:
        """Write down what is known as of now; another process that does so at the same moment may come first."""
        if self._path is None:
            return
        entries = self._entries() | {_name(base_url, model): _Entry(at=self._now(), known=known)}
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self._path, _ADAPTER.dump_json(entries, indent=1))

    def _entries(self) -> dict[str, _Entry]:
        if self._path is None:
            return {}
        try:
            entries = _ADAPTER.validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return {}
        now = self._now()
        return {name: entry for name, entry in entries.items() if timedelta() <= now - entry.at < KEPT}


_ADAPTER = TypeAdapter(dict[str, _Entry])


def _name(base_url: str, model: str) -> str:
    return f"{base_url} {model}"


def _replace(path: Path, data: bytes) -> None:
    """Write a file in one step: whoever reads it meanwhile finds the old content or the new."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        written = Path(file.name)
        try:
            file.write(data)
            file.flush()
            written.replace(path)
        except OSError:
            written.unlink(missing_ok=True)
            raise
