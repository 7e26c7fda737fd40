"""A run that was proven, on disk as a real one is: for tests of proofs, and in numbers for `make bench`."""

import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from agent.journal import Journal
from agent.notary import Notary
from agent.proof import PROOF
from agent.runs import JOURNAL
from agent.scribe import Scribe
from agent.verifying import Verified, check, proof_on
from agent.workspace import Workspace
from tests.kits import EPOCH
from tests.lab import IsolatedEngine, Lab

FILES = {
    "pytest.ini": "[pytest]\npythonpath = .\n",
    "app.py": "def add(a, b):\n    return a - b\n",
    "pkg/data.txt": "data\n",
    "tests/test_app.py": "from app import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
}
MENDED = {"app.py": "def add(a, b):\n    return a + b\n"}
KINDS = ("journal", "proof", "note", "object")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """Where it is, and the commit that has the proof."""

    root: Path
    directory: Path
    commit: str

    def checked(self) -> Verified:
        """What a check finds, without running anything."""
        with Workspace.open(self.root) as workspace:
            name, note = proof_on(workspace, self.commit)
            return check(workspace, name, note, workspace.runs_directory)[1]


def prove(root: Path, further: Mapping[str, str] = MappingProxyType({})) -> Proven:
    """Mend a red suite in `root`, which has `further` files, and prove it."""
    lab = Lab(root, {**FILES, **further}, mode="fix", engine=IsolatedEngine())
    lab.events[0] = replace(lab.events[0], sandbox="docker")
    lab.measured()
    lab.planned()
    lab.tested(lab.put(MENDED))
    lab.verdict()
    lab.committed()
    directory = lab.workspace.run_directory("r1")
    clock = iter(EPOCH + timedelta(seconds=n) for n in range(100))
    with Journal(directory / JOURNAL, clock=lambda: next(clock)) as journal:
        for event in lab.events:
            journal.append(event)
        notary = Notary(workspace=lab.workspace, directory=directory, chain=lambda: journal.chain)
        for event in Scribe(workspace=lab.workspace, prove=notary.prove).finish(lab.state):
            journal.append(event)
    proven = Proven(root=lab.root, directory=directory, commit=lab.state.tip)
    lab.close()
    return proven


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A byte that was changed, and what was said of it."""

    what: str
    found: tuple[str, ...]


def flips(proven: Proven, count: int, seed: int = 0) -> Iterator[Flip]:
    """Change `count` bytes one at a time, of everything that a proof speaks of, and check each time.

    Of an object its content is changed, not its compressed form, in which some bits mean nothing.
    """
    chance = random.Random(seed)
    objects = loose_objects(proven)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        if kind == "note":
            yield Flip(what=kind, found=_flipped_note(proven, chance))
            continue
        path = {"journal": proven.directory / JOURNAL, "proof": proven.directory / PROOF}.get(kind)
        if path is not None:
            yield Flip(what=kind, found=_changed(proven, path, _flipped(path.read_bytes(), chance)))
            continue
        path = chance.choice(objects)
        content = _flipped(zlib.decompress(path.read_bytes()), chance)
        yield Flip(what=f"{kind} {path.name}", found=_changed(proven, path, zlib.compress(content)))


def loose_objects(proven: Proven) -> list[Path]:
    """The files of the objects that the proven commit, its tree, the base and the note are made of."""
    with Workspace.open(proven.root) as workspace:
        names = workspace.git.text("rev-list", "--objects", "--no-object-names", proven.commit).split()
        names.append(workspace.git.text("notes", "--ref=greenward", "list", proven.commit))
    top = proven.root / ".git" / "objects"
    return [path for name in names if (path := top / name[:2] / name[2:]).exists()]


def _changed(proven: Proven, path: Path, data: bytes) -> tuple[str, ...]:
    """What is found while `data` stands in the place of a file."""
    whole, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(0o600)
    try:
        path.write_bytes(data)
        return _found(proven)
    finally:
        path.write_bytes(whole)
        path.chmod(mode)


def _flipped_note(proven: Proven, chance: random.Random) -> tuple[str, ...]:
    """A note that git holds for whole, and that is not the one that was made."""
    with Workspace.open(proven.root) as workspace:
        _, note = proof_on(workspace, proven.commit)
        try:
            put(workspace, proven.commit, _flipped(note, chance))
            return _found(proven)
        finally:
            put(workspace, proven.commit, note)


def put(workspace: Workspace, commit: str, note: bytes) -> None:
    """Make `note` the note on `commit`, byte for byte."""
    blob = workspace.git.text("hash-object", "-w", "--stdin", stdin=note)
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    workspace.git.run("notes", "--ref=greenward", "add", "-f", "-C", blob, commit, variables=identity)


def _found(proven: Proven) -> tuple[str, ...]:
    from agent.errors import GreenwardError

    try:
        return proven.checked().differs
    except GreenwardError as error:
        return (error.message,)


def _flipped(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]


def told(made: Callable[[], Iterator[Flip]]) -> str:
    """The table of flips by what was changed."""
    every = list(made())
    named = Counter(flip.what.split()[0] for flip in every if flip.found)
    rows = [f"| {kind} | {sum(f.what.split()[0] == kind for f in every)} | {named[kind]} |" for kind in KINDS]
    return "\n".join(["| changed | flips | named |", "|---|---|---|", *rows])
