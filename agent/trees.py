"""Trees of git objects: listed, read, searched, compared and edited without a checkout."""

import os
import re
import shutil
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.durable import Moment
from agent.edits import Edit, Refused
from agent.errors import DamagedRun
from agent.git import Git
from agent.gitfailed import GitFailed
from agent.paths import GITLINK, Move, dot_git, refusals
from agent.seal import Seal
from sandbox import MIB, Refusal

__all__ = ["BadPattern", "Blob", "Entry", "Found", "Hit", "Trees"]

EDITS = 1_000
FILE_BYTES = 10 * MIB
BATCH_BYTES = 64 * MIB
_CACHED_TREES = 24
_CACHED_INDEXES = 4
_SEARCH_SECONDS = 20.0
_LINE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file (mode 100644 or 100755), link (120000) or submodule (160000) of a tree; `size` is in bytes."""

    path: str
    mode: str
    oid: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Content that a tree is to have at some path."""

    mode: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A line that matches, without its line break."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found; `cut` says that there is more."""

    hits: tuple[Hit, ...] = ()
    cut: bool = False


class BadPattern(ValueError):
    """A regular expression that git does not understand, or that takes too long."""


class Trees:
    """The trees of one repository, as far as they lie under one of the directories `only` (all, if there is none)."""

    def __init__(self, git: Git, *, only: tuple[str, ...] = ()) -> None:
        self._git = git
        self.only = only
        self._cache: OrderedDict[str, dict[str, Entry]] = OrderedDict()
        self._indexes: OrderedDict[str, Path] = OrderedDict()

    def entries(self, tree: str) -> Mapping[str, Entry]:
        """Everything in `tree` by path, submodules included.

        Raises:
            DamagedRun: there is no such tree, or it holds a path that git itself would never write.
        """
        if tree not in self._cache:
            self._remember(tree, self._list(tree))
        self._cache.move_to_end(tree)
        return self._cache[tree]

    def covers(self, path: str) -> bool:
        """Whether `path` lies in the part of the repository that is worked on."""
        return not self.only or any(path == root or path.startswith(f"{root}/") for root in self.only)

    def files(self, tree: str) -> tuple[Entry, ...]:
        """The files and links of `tree`, by path; not its submodules."""
        entries = self.entries(tree)
        return tuple(entry for _, entry in sorted(entries.items()) if entry.mode != GITLINK and self.covers(entry.path))

    def read(self, tree: str, path: str) -> bytes:
        """The bytes of a file, or the target of a link.

        Raises:
            FileNotFoundError: `tree` has no such file.
        """
        entry = self.entries(tree).get(path)
        if entry is None or entry.mode == GITLINK or not self.covers(path):
            raise FileNotFoundError(path)
        return self.blob(entry.oid)

    def blob(self, oid: str) -> bytes:
        """The content of the blob `oid`."""
        kind, data = self._git.object(oid)
        if kind != "blob":
            raise DamagedRun(f"{oid} is a {kind} where a file is expected", hint="run `git fsck`")
        return data

    def damage(self, name: str) -> tuple[str, ...]:
        """What is wrong with the objects that a tree or commit is made of: each is read and hashed."""
        asked = ("rev-list", "--objects", "--no-walk", "--no-object-names")
        try:
            # Of files git hashes what it reads, and only says so; of trees and commits it does not look.
            self._git.run(*asked, "--verify-objects", "--quiet", "--end-of-options", name, alarm="error:")
            others = self._git.text(*asked, "--filter=blob:none", "--end-of-options", name).split()
            return tuple(f"{oid} is not what it was" for oid in (name, *others) if not self._git.is_whole(oid))
        except DamagedRun as error:
            return (error.message,)

    def search(
        self,
        tree: str,
        pattern: str,
        *,
        paths: Sequence[str] = (),
        glob: str = "",
        ignore_case: bool = False,
        limit: int = 200,
    ) -> Found:
        """Lines of the text files of `tree` that match the Perl-like regular expression `pattern`.

        `paths` are files or directories to look in, `glob` is what paths must match (`*.py` at any depth).

        Raises:
            BadPattern: `pattern` cannot be searched for.
        """
        if not pattern or "\n" in pattern or "\0" in pattern:
            raise BadPattern("the pattern must be one line of text")
        source = self._git.scratch("pattern")
        source.write_bytes(pattern.encode("utf-8", "surrogateescape") + b"\n")
        options = ["--perl-regexp", "-I", "-n", "--null", "--no-textconv", "--no-recurse-submodules"]
        options += ["-i"] if ignore_case else []
        scope = _pathspecs(paths or self.only, glob)
        try:
            output = self._git.run(
                "grep", *options, "--max-count=100", "-f", str(source), tree, "--", *scope,
                ok=(0, 1), timeout=_SEARCH_SECONDS,
            )  # fmt: skip
        except GitFailed as failure:
            raise BadPattern(_pattern_problem(failure)) from failure
        finally:
            source.unlink()
        hits = [hit for hit in _hits(output, tree, limit + 1) if self.covers(hit.path)]
        return Found(hits=tuple(hits[:limit]), cut=len(hits) > limit)

    def edit(self, tree: str, edits: Sequence[Edit], seal: Seal) -> str:
        """The id of `tree` with all of `edits` made.

        Raises:
            Refused: one of them is against the path policy, the seal or the caps; nothing was done.
        """
        problem = _caps(edits)
        if problems := (problem,) if problem else self.problems(tree, edits, seal):
            raise Refused(problems)
        return self.make(tree, edits)

    def make(self, tree: str, edits: Sequence[Edit]) -> str:
        """The id of `tree` with all of `edits` made, in which `problems` finds none."""
        entries = self.entries(tree)
        changes: dict[str, Blob | None] = {}
        for edit in edits:
            known = entries.get(edit.path)
            executable = (
                edit.executable if edit.executable is not None else (known is not None and known.mode == "100755")
            )
            blob = None if edit.data is None else Blob(mode="100755" if executable else "100644", data=edit.data)
            changes[edit.path] = blob
        return self.build(tree, changes)

    def problems(self, tree: str, edits: Sequence[Edit], seal: Seal) -> tuple[Refusal, ...]:
        """Why `edits` cannot be made on `tree`; empty if they can."""
        entries = self.entries(tree)
        modes = {path: entry.mode for path, entry in entries.items()}
        found = list(refusals([Move(path=edit.path, gone=edit.data is None) for edit in edits], modes))
        named = {one.path for one in found}
        for edit in edits:
            if edit.path in named:
                continue
            known = entries.get(edit.path)
            old = None if known is None else self.blob(known.oid)
            clause = seal.refusal(edit.path, old, edit.data) if self.covers(edit.path) else "lies outside of `--only`"
            if clause:
                found.append(Refusal(path=edit.path, reason=clause))
        return tuple(found)

    def build(self, tree: str, changes: Mapping[str, Blob | None]) -> str:
        """The id of `tree` with `changes` made, unchecked but for what git itself refuses."""
        written = [(path, blob) for path, blob in changes.items() if blob is not None]
        oids = self._git.write_blobs(blob.data for _, blob in written)
        final: dict[str, Entry | None] = {path: None for path, blob in changes.items() if blob is None}
        for (path, blob), oid in zip(written, oids, strict=True):
            final[path] = Entry(path=path, mode=blob.mode, oid=oid, size=len(blob.data))
        return self.graft(tree, final)

    def graft(self, tree: str, changes: Mapping[str, Entry | None]) -> str:
        """The id of `tree` with entries replaced; None removes one."""
        if not changes:
            return tree
        entries = self.entries(tree)
        zero = "0" * len(tree)
        gone = [f"0 {zero}\t{path}\0" for path, entry in changes.items() if entry is None]
        there = [f"{entry.mode} {entry.oid}\t{path}\0" for path, entry in changes.items() if entry is not None]
        listing = "".join(gone + there).encode("utf-8", "surrogateescape")
        index = self._index_of(tree)
        try:
            self._git.run("update-index", "-z", "--index-info", index=index, stdin=listing, alarm="Ignoring path")
            self._git.passing(Moment.TREE_BEGUN)
            result = self._git.text("write-tree", index=index)
            self._git.passing(Moment.TREE_WRITTEN)
        except BaseException:
            index.unlink(missing_ok=True)
            raise
        self._keep_index(result, index)
        kept = {path: entry for path, entry in entries.items() if path not in changes}
        self._remember(result, kept | {path: entry for path, entry in changes.items() if entry is not None})
        return result

    def empty(self) -> str:
        """The id of the tree that holds nothing."""
        return self._git.text("hash-object", "-w", "-t", "tree", "--stdin")

    def changed(self, before: str, after: str) -> tuple[str, ...]:
        """Paths at which the two trees differ, sorted."""
        old, new = self.entries(before), self.entries(after)
        return tuple(
            sorted(
                path
                for path in {*old, *new}
                if (one := old.get(path)) != (other := new.get(path))
                and (one is None or other is None or (one.mode, one.oid) != (other.mode, other.oid))
            )
        )

    def diff(self, before: str, after: str, paths: Sequence[str] | None = None) -> str:
        """The changes from one tree or commit to another as a patch, of `paths` alone if they are given.

        What is not UTF-8 is shown as replacement characters.
        """
        options = ["-r", "-p", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"]
        scope = [] if paths is None else ["--", *(f":(top,literal){path}" for path in paths)]
        if paths is not None and not paths:
            return ""
        return self._git.run("diff-tree", *options, "--end-of-options", before, after, *scope).decode(errors="replace")

    def _index_of(self, tree: str) -> Path:
        """An index that holds `tree`, to be changed."""
        index = self._git.scratch("index")
        if tree in self._indexes:
            shutil.copyfile(self._indexes[tree], index)
        else:
            self._git.run("read-tree", tree, index=index)
        return index

    def _keep_index(self, tree: str, index: Path) -> None:
        """Keep an index for the next change of its tree, which is often the very next thing."""
        if tree in self._indexes:
            self._indexes.pop(tree).unlink(missing_ok=True)
        self._indexes[tree] = index
        while len(self._indexes) > _CACHED_INDEXES:
            self._indexes.popitem(last=False)[1].unlink(missing_ok=True)

    def _remember(self, tree: str, entries: dict[str, Entry]) -> None:
        self._cache[tree] = entries
        while len(self._cache) > _CACHED_TREES:
            self._cache.popitem(last=False)

    def _list(self, tree: str) -> dict[str, Entry]:
        output = self._git.run("ls-tree", "-r", "-l", "-z", "--full-tree", "--end-of-options", tree)
        entries = {}
        for record in output.split(b"\0")[:-1]:
            meta, _, name = record.partition(b"\t")
            mode, _, oid, size = meta.decode().split()
            path = os.fsdecode(name)
            if any(part in {"", ".", ".."} or dot_git(part) for part in path.split("/")):
                raise DamagedRun(
                    f"the tree {tree} holds the path {path!r}, which leads out of it or into git's own directory",
                    hint="run `git fsck`: such a tree is not made by git",
                )
            if size == "BAD":
                raise DamagedRun(
                    f"git cannot read {path!r} in the tree {tree} ({oid})",
                    hint="run `git fsck`: the repository is damaged, or objects were pruned",
                )
            entries[path] = Entry(path=path, mode=mode, oid=oid, size=int(size) if size != "-" else 0)
        return entries


def _caps(edits: Sequence[Edit]) -> Refusal | None:
    if len(edits) > EDITS:
        return Refusal(path=edits[0].path, reason=f"is one of {len(edits)} edits; at most {EDITS} can be made at once")
    for edit in edits:
        if edit.data is not None and len(edit.data) > FILE_BYTES:
            return Refusal(path=edit.path, reason=f"is larger than {FILE_BYTES // MIB} MB")
    if sum(len(edit.data or b"") for edit in edits) > BATCH_BYTES:
        return Refusal(path=edits[0].path, reason=f"is part of a batch of more than {BATCH_BYTES // MIB} MB")
    return None


def _pathspecs(paths: Sequence[str], glob: str) -> list[str]:
    pattern = glob if "/" in glob else f"**/{glob}"
    if not glob:
        return [f":(top,literal){path}" for path in paths]
    if not paths:
        return [f":(top,glob){pattern}"]
    return [f":(top,glob){_escaped(path)}/{pattern}" for path in paths]


def _escaped(path: str) -> str:
    return re.sub(r"([*?\[\]\\])", r"\\\1", path)


def _hits(output: bytes, tree: str, limit: int) -> list[Hit]:
    hits = []
    for line in output.split(b"\n"):
        fields = line.split(b"\0", 2)
        if len(fields) == 3:
            path = os.fsdecode(fields[0]).removeprefix(f"{tree}:")
            text = fields[2].decode(errors="replace").removesuffix("\r")
            hits.append(Hit(path=path, line=int(fields[1]), text=text[:_LINE]))
        if len(hits) == limit:
            break
    return hits


def _pattern_problem(failure: GitFailed) -> str:
    said = failure.stderr.removeprefix("fatal: ")
    return said or f"the search took longer than {_SEARCH_SECONDS:.0f} s"
