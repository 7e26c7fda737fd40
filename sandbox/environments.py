"""Environments that nobody has used for long. Each is an image, and takes room for as long as it is on the engine.

An engine does not say when an image was last used. So whoever uses one leaves a mark, in the user's cache; one without
a mark was used by somebody else, if at all, and counts from when it was made.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import SandboxError
from sandbox.engine import Client

__all__ = ["LABEL", "LONG", "Unused", "Uses", "remove", "unused"]

LABEL = "greenward.setup"
"""Of an environment's image: its key."""
LONG = 30 * 24 * 3600.0
"""Seconds without a use after which an environment is made anew rather than kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """When environments were last used from here: a file each, in one directory."""

    directory: Path
    clock: Callable[[], float] = time.time

    def mark(self, key: str) -> None:
        """Note that the environment of that key is used now, if that can be noted."""
        with suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / key).touch()

    def forget(self, key: str) -> None:
        """Take the mark away."""
        with suppress(OSError):
            (self.directory / key).unlink()

    def idle(self, key: str) -> float | None:
        """Seconds since the last use; None if there was none from here."""
        if re.fullmatch("[0-9a-f]{64}", key) is None:
            return None
        try:
            return self.clock() - (self.directory / key).stat().st_mtime
        except OSError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """An environment that was not used for long."""

    id: str
    key: str
    idle: float
    """Seconds since its last use, or since it was made."""


def unused(client: Client, uses: Uses) -> tuple[Unused, ...]:
    """The environments on the engine that were not used for longer than `LONG`, the longest first."""
    images = [image for image in client.images(LABEL) if image.labels[LABEL]]
    now = client.info().now if images else 0.0
    found = []
    for image in images:
        idle = uses.idle(image.labels[LABEL])
        found.append(Unused(id=image.id, key=image.labels[LABEL], idle=now - image.created if idle is None else idle))
    return tuple(sorted((each for each in found if each.idle > LONG), key=lambda each: -each.idle))


def remove(client: Client, uses: Uses) -> tuple[Unused, ...]:
    """Remove the `unused` ones, and return them; those that a container stands on stay."""
    removed = []
    for each in unused(client, uses):
        with suppress(SandboxError):
            client.remove_image(each.id)
            uses.forget(each.key)
            removed.append(each)
    return tuple(removed)
