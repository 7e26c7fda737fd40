"""Baselines that were measured before, on disk: whoever asks for the same tree in the same environment need not wait.

What is read is taken whole or not at all. Nothing that runs in a sandbox reaches this directory, which is the user's;
and `verify` runs the base anew, whatever stands here.
"""

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG

from pydantic import TypeAdapter, ValidationError

from agent import __version__
from agent.durable import write_durably
from agent.errors import StorageProblem
from agent.events import BaselineMeasured

__all__ = ["BASELINES", "BaselineCache", "Key"]

BASELINES = "baselines"
"""The directory's name in the cache."""
MAX_BYTES = 8 * 1024 * 1024
LIFETIME = 24 * 3600.0
"""Seconds after which the suite is run again: what tests show may depend on the date."""
KEPT = 30
"""Baselines, the newest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """All that a baseline depends on."""

    tree: str
    environment: str
    build: str
    test: str
    cwd: str

    @property
    def name(self) -> str:
        parts = (__version__, self.tree, self.environment, self.build, self.test, self.cwd)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a file holds."""

    key: Key
    digest: str
    """Of the event, as it is written: a file that was damaged is not taken."""
    event: BaselineMeasured


_KEPT: TypeAdapter[Kept] = TypeAdapter(Kept)
_EVENT: TypeAdapter[BaselineMeasured] = TypeAdapter(BaselineMeasured)


@dataclass(frozen=True, slots=True)
class BaselineCache:
    """The files of one directory."""

    directory: Path
    clock: Callable[[], float] = time.time

    def recall(self, key: Key) -> BaselineMeasured | None:
        """What was measured; None if nothing was, lately, or if what is there cannot be relied on."""
        path = self._path(key)
        try:
            about = path.lstat()
            if not S_ISREG(about.st_mode) or about.st_size > MAX_BYTES:
                return None
            if not 0 <= self.clock() - about.st_mtime < LIFETIME:
                return None
            kept = _KEPT.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        whole = kept.key == key and kept.digest == _digest(kept.event) and not kept.event.report.problem
        return replace(kept.event, cached=True, sandbox_seconds=0.0) if whole else None

    def keep(self, key: Key, event: BaselineMeasured) -> None:
        """Write down what was measured, if that can be done."""
        data = _KEPT.dump_json(Kept(key=key, digest=_digest(event), event=event))
        if len(data) > MAX_BYTES:
            return
        with suppress(OSError, StorageProblem):  # without it the next run measures again
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self._path(key), data)
            self._prune()

    def _path(self, key: Key) -> Path:
        return self.directory / f"{key.name}.json"

    def _prune(self) -> None:
        found = sorted(self.directory.glob("*.json"), key=lambda path: path.lstat().st_mtime, reverse=True)
        for path in found[KEPT:]:
            path.unlink(missing_ok=True)


def _digest(event: BaselineMeasured) -> str:
    return hashlib.sha256(_EVENT.dump_json(event)).hexdigest()
