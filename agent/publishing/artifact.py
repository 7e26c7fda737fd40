"""A proposal's directory, read as if an attacker had filled it: plain files of known names and sizes, nothing else."""

import os
import stat
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ProposalRefused, UsageProblem
from agent.proposal.layout import BUNDLE, LARGEST, MANIFEST, NAMES, PATCH, Manifest, NoManifest, file_of, load

__all__ = ["Artifact", "read_artifact"]

HINT = "make the proposal anew; if it was changed on its way, find out by whom before anything else"
PROOF = "proof.json"
_OPENING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """The files of a proposal as they were read, once."""

    manifest: Manifest
    files: Mapping[str, bytes]

    def file(self, name: str) -> bytes:
        """The content of `name`.

        Raises:
            ProposalRefused: there is no such file.
        """
        if name not in self.files:
            raise ProposalRefused(f"the proposal has no {name}", hint=HINT)
        return self.files[name]

    @property
    def patch(self) -> bytes:
        return self.file(PATCH)

    @property
    def bundle(self) -> bytes:
        return self.file(BUNDLE)

    @property
    def proof(self) -> bytes:
        return self.file(PROOF)


def read_artifact(directory: Path) -> Artifact:
    """The proposal in `directory`, with every file as its manifest says.

    Raises:
        UsageProblem: there is no such directory.
        ProposalRefused: it holds something that is none of a proposal, or that the manifest does not name as it is.
    """
    try:
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UsageProblem(
            f"{directory} is no directory that can be read: {error.strerror}",
            hint="name the directory that `greenward fix --ci --out DIR` wrote",
        ) from None
    try:
        files = {name: _read(place, name) for name in _names(place)}
    finally:
        os.close(place)
    if MANIFEST not in files:
        raise ProposalRefused(f"there is no {MANIFEST} in {directory}", hint=HINT)
    try:
        manifest = load(files[MANIFEST])
    except NoManifest as problem:
        raise ProposalRefused(f"{MANIFEST} cannot be read: {problem}", hint=HINT) from None
    _compare(manifest, files)
    return Artifact(manifest=manifest, files=files)


def _names(place: int) -> list[str]:
    found = []
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name not in NAMES:
                raise ProposalRefused(f"the proposal holds {entry.name!r}, which is none of its files", hint=HINT)
            found.append(entry.name)
    return sorted(found)


def _read(place: int, name: str) -> bytes:
    """The content of a plain file of at most the size that its name allows; no link is followed, no pipe waited for."""
    try:
        opened = os.fdopen(os.open(name, _OPENING, dir_fd=place), "rb")
    except OSError as error:
        raise ProposalRefused(f"{name} is no plain file: {error.strerror}", hint=HINT) from None
    with closing(opened):
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ProposalRefused(f"{name} is no plain file", hint=HINT)
        data = opened.read(LARGEST[name] + 1)
    if len(data) > LARGEST[name]:
        raise ProposalRefused(f"{name} has more than the {LARGEST[name]:,} bytes that it may have", hint=HINT)
    return data


def _compare(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    there = files.keys() - {MANIFEST}
    if odd := sorted(there ^ manifest.files.keys()):
        where = "is not there" if odd[0] in manifest.files else "is not in the manifest"
        raise ProposalRefused(f"{odd[0]!r} {where}", hint=HINT)
    for name in sorted(there):
        if file_of(files[name]) != manifest.files[name]:
            raise ProposalRefused(f"{name} is not the file that the manifest names", hint=HINT)
