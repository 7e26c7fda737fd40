"""Versions that a project's lock file has settled on, as constraints for pip."""

import json
import tomllib
from collections.abc import Iterable
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

__all__ = ["LOCKS", "constraints"]

LOCKS = ("pylock.toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock")
"""Lock files that are understood; the first that there is counts."""

NOT_FROM_AN_INDEX = ("git", "url", "path", "directory", "editable", "virtual", "file", "vcs", "archive")


def constraints(name: str, data: bytes) -> tuple[str, ...]:
    """Constraints as `name==version` from the lock file called `name`; empty if it cannot be read.

    A package that is locked in several versions (for several platforms or Pythons), or that does not come from an
    index, is left unconstrained.
    """
    try:
        text = data.decode()
        pairs = _pipfile(json.loads(text)) if name == "Pipfile.lock" else _packages(tomllib.loads(text))
        found = [(canonicalize_name(package), str(Version(version))) for package, version in pairs]
    except (UnicodeDecodeError, ValueError, InvalidVersion):
        return ()
    versions: dict[str, set[str]] = {}
    for package, version in found:
        versions.setdefault(package, set()).add(version)
    return tuple(f"{package}=={min(seen)}" for package, seen in sorted(versions.items()) if len(seen) == 1)


def _packages(lock: dict[str, Any]) -> Iterable[tuple[str, str]]:
    listed = lock.get("package", lock.get("packages", []))
    for item in listed if isinstance(listed, list) else []:
        if not isinstance(item, dict) or any(key in item for key in NOT_FROM_AN_INDEX):
            continue
        source = item.get("source")
        elsewhere = isinstance(source, dict) and (
            source.get("type") in NOT_FROM_AN_INDEX or any(key in source for key in NOT_FROM_AN_INDEX)
        )
        if not elsewhere and isinstance(item.get("name"), str) and isinstance(item.get("version"), str):
            yield item["name"], item["version"]


def _pipfile(lock: Any) -> Iterable[tuple[str, str]]:
    for section in ("default", "develop"):
        entries = lock.get(section) if isinstance(lock, dict) else None
        for package, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and str(entry.get("version", "")).startswith("=="):
                yield package, entry["version"].removeprefix("==")
