"""The files of a proposal, and the manifest that names them. Pure.

One job writes a proposal beside the code of strangers, another one publishes it with a token that may write: so what
is read here is taken as hostile until it was checked against git objects. The manifest protects against accidents, not
against an attacker; nothing is believed because it stands there.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from agent import __version__
from agent.events import Outcome
from agent.task import Mode

__all__ = [
    "ANNOTATIONS",
    "BUNDLE",
    "JUNIT",
    "LARGEST",
    "MANIFEST",
    "NAMES",
    "PATCH",
    "SUMMARY",
    "File",
    "Manifest",
    "NoManifest",
    "digest_of_failures",
    "dump",
    "file_of",
    "load",
    "schema",
]

MANIFEST = "manifest.json"
PATCH = "fix.patch"
"""`git diff --binary --full-index` from the base to the result."""
BUNDLE = "fix.bundle"
"""The commits from the base to the result, as `git bundle` writes them."""
SUMMARY = "summary.md"
JUNIT = "junit.xml"
ANNOTATIONS = "annotations.json"
LARGEST = {
    MANIFEST: 64 * 1024,
    PATCH: 16 * 1024 * 1024,
    BUNDLE: 64 * 1024 * 1024,
    "proof.json": 16 * 1024 * 1024,
    "result.json": 4 * 1024 * 1024,
    SUMMARY: 512 * 1024,
    JUNIT: 16 * 1024 * 1024,
    ANNOTATIONS: 1024 * 1024,
}
"""Bytes that a file of that name may have; a file of another name is none of a proposal."""
NAMES = frozenset(LARGEST)
SCHEMA: Literal[1] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a proposal."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a proposal is of, and its other files."""

    schema: Literal[1] = SCHEMA
    greenward: str = __version__
    run: str
    mode: Mode
    outcome: Outcome | None
    """None for a run that did not end."""
    base: str
    """The commit that the result stands on."""
    commit: str
    """The result; the base if nothing was changed."""
    tree: str
    branch: str
    failing: str
    """A digest of what failed on the base: see `digest_of_failures`."""
    files: dict[str, File]


class NoManifest(ValueError):
    """What is said to be a manifest is none."""


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def file_of(data: bytes) -> File:
    """A file with that content."""
    return File(size=len(data), sha256=hashlib.sha256(data).hexdigest())


def digest_of_failures(ids: tuple[str, ...]) -> str:
    """The same for the same failing tests, whatever their order; a word of 16 hexadecimal digits."""
    return hashlib.sha256("\0".join(sorted(set(ids))).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def dump(manifest: Manifest) -> bytes:
    """The manifest's file."""
    return json.dumps(_MANIFEST.dump_python(manifest, mode="json"), indent=2).encode() + b"\n"


def load(data: bytes) -> Manifest:
    """The manifest in a file.

    Raises:
        NoManifest: it is none.
    """
    try:
        return _MANIFEST.validate_json(data)
    except (ValidationError, ValueError, RecursionError) as error:
        raise NoManifest(str(error).splitlines()[0] if str(error) else "it is no JSON") from None


def schema() -> dict[str, Any]:
    """The JSON schema of the manifest."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_MANIFEST.json_schema(mode="serialization")}
