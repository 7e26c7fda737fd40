"""The user's uncommitted work as a tree, taken without git ever opening one of the user's files."""

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from agent.attributes import ATTRIBUTES, Attributes, Conversion, NotConvertible
from agent.errors import UsageProblem
from agent.git import Git
from agent.gitfailed import quoted
from agent.paths import GITLINK, LINK
from agent.repository import Repository
from agent.trees import Entry, Trees
from agent.worktree import Seen, WorkTree
from sandbox import MIB

__all__ = ["LeftOut", "Scanner"]

UNTRACKED_BYTES = 5 * MIB
TRACKED_BYTES = 256 * MIB
_FLUSH = 32 * MIB
_SECRETS = (
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.keystore",
    "*.jks",
    "*.kdbx",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    "credentials",
    "credentials.json",
    "secrets.*",
    "*.tfstate",
)
_HARMLESS = frozenset({".env.example", ".env.sample", ".env.template", ".env.dist"})
_SKIP_WORKTREE = 0x40000000
_INTENT_TO_ADD = 0x20000000
_RECORD = re.compile(
    rb"(\d{6}) ([0-9a-f]+) (\d)\t([^\0]+)\0"
    rb"  ctime: (\d+):(\d+)\n  mtime: (\d+):(\d+)\n  dev: \d+\tino: (\d+)\n"
    rb"  uid: (\d+)\tgid: (\d+)\n  size: (\d+)\tflags: ([0-9a-f]+)\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A path of the user's that is not in the snapshot as it is on disk, and why, in a clause."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staged:
    """An entry of the user's index, with what git remembers of the file."""

    entry: Entry
    times: tuple[int, ...]
    owner: tuple[int, ...]
    size: int
    flags: int


class Scanner:
    """Looks at the work tree of one repository under the user's settings."""

    def __init__(self, git: Git, trees: Trees, repository: Repository, settings: Mapping[str, str]) -> None:
        self._git = git
        self._trees = trees
        self._repository = repository
        self._files = WorkTree(repository.top)
        self._links = settings.get("core.symlinks", "true") != "false"
        self._modes = settings.get("core.filemode", "true") != "false"
        self._algorithm = settings.get("extensions.objectformat", "sha1")
        self._own = {
            "core.excludesFile": str(git.user_file(settings.get("core.excludesfile"), "ignore")),
            "core.attributesFile": str(git.user_file(settings.get("core.attributesfile"), "attributes")),
        }
        autocrlf = settings.get("core.autocrlf", "false").lower()
        self.conversion = Conversion(
            autocrlf={"yes": "true", "1": "true", "on": "true"}.get(autocrlf, autocrlf),
            eol=settings.get("core.eol", "native").lower(),
        )

    def scan(self, head_tree: str) -> tuple[str, tuple[LeftOut, ...]]:
        """The tree of the work tree as it is, and what was left out of it.

        Raises:
            UsageProblem: the index holds conflicts.
        """
        self._files = WorkTree(self._repository.top)
        staged, written = self._staged()
        head = self._trees.entries(head_tree)
        final: dict[str, Entry | None] = {path: None for path in head if self._trees.covers(path)}
        suspects: list[str] = []
        for path, one in staged.items():
            if not self._trees.covers(path):
                continue
            state = self._state(one, written)
            if state != "gone":
                final[path] = one.entry
            if state == "suspect":
                suspects.append(path)
                if one.flags & _INTENT_TO_ADD:
                    final[path] = None
        found, left_out = self._untracked()
        contents = self._contents(suspects, found, staged, left_out)
        final |= self._store(contents, final)
        changes = {path: self._sized(entry) for path, entry in final.items() if _differs(head.get(path), entry)}
        return self._trees.graft(head_tree, changes), tuple(sorted(left_out, key=lambda one: one.path))

    def staged(self, head_tree: str) -> tuple[str, ...]:
        """Paths at which the user's index differs from HEAD, sorted."""
        staged, _ = self._staged()
        head = self._trees.entries(head_tree)
        entries = {path: one.entry for path, one in staged.items()}
        return tuple(sorted(path for path in {*head, *entries} if _differs(head.get(path), entries.get(path))))

    def _sized(self, entry: Entry | None) -> Entry | None:
        if entry is None or entry.size >= 0:
            return entry
        return replace(entry, size=0 if entry.mode == GITLINK else len(self._trees.blob(entry.oid)))

    def attributes(self, paths: Sequence[str]) -> dict[str, Attributes]:
        """Git's attributes for `paths`, from the files that say so in the work tree."""
        if not paths:
            return {}
        listing = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        output = self._ask("check-attr", "-z", "--stdin", *ATTRIBUTES, stdin=listing)
        fields = output.decode("utf-8", "surrogateescape").split("\0")
        values: dict[str, dict[str, str]] = {path: {} for path in paths}
        for path, name, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
            values[path][name] = value
        return {path: Attributes.of(said) for path, said in values.items()}

    def _ask(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run git with a copy of the user's index and the user's own lists of ignored files and attributes."""
        copy = self._git.scratch("index")
        index = self._repository.git_dir / "index"
        if index.exists():
            shutil.copyfile(index, copy)
        try:
            return self._git.run(
                *arguments, index=copy, work_tree=self._repository.top, stdin=stdin, settings=self._own
            )
        finally:
            copy.unlink(missing_ok=True)

    def _staged(self) -> tuple[dict[str, _Staged], int]:
        index = self._repository.git_dir / "index"
        written = index.stat().st_mtime_ns if index.exists() else 0
        output = self._ask("ls-files", "--stage", "--debug", "-z")
        staged: dict[str, _Staged] = {}
        end = 0
        for match in _RECORD.finditer(output):
            mode, oid, stage, name = (os.fsdecode(field) for field in match.groups()[:4])
            if stage != "0":
                raise UsageProblem(
                    f"`{quoted(name)}` has conflicts", hint="resolve them, then `git add` the files and try again"
                )
            numbers = [int(field) for field in match.groups()[4:12]]
            staged[name] = _Staged(
                entry=Entry(path=name, mode=mode, oid=oid, size=-1),
                times=tuple(numbers[:4]),
                owner=tuple(numbers[4:7]),
                size=numbers[7],
                flags=int(match[13], 16),
            )
            end = match.end()
        if end != len(output):
            raise UsageProblem("the list of tracked files is not understood", hint="use git 2.38 or newer")
        return staged, written

    def _state(self, one: _Staged, written: int) -> str:
        """`same` as in the index, `gone`, or `suspect`."""
        found = self._files.stat(one.entry.path)
        if one.entry.mode == GITLINK or (found is None and one.flags & _SKIP_WORKTREE):
            return "same"
        if found is None or not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            return "gone"
        times = (*divmod(found.st_ctime_ns, 10**9), *divmod(found.st_mtime_ns, 10**9))
        owner = (found.st_ino, found.st_uid, found.st_gid)
        alike = (
            [number & 0xFFFFFFFF for number in (*times, *owner, found.st_size)] == [*one.times, *one.owner, one.size]
            and found.st_mtime_ns < written
            and self._kind(found.st_mode, one.entry.mode) == one.entry.mode
            and not one.flags & _INTENT_TO_ADD
        )
        return "same" if alike else "suspect"

    def _kind(self, bits: int, staged: str | None) -> str:
        if stat.S_ISLNK(bits):
            return LINK
        if staged == LINK and not self._links:
            return LINK
        if not self._modes:
            return staged if staged in {"100644", "100755"} else "100644"
        return "100755" if bits & stat.S_IXUSR else "100644"

    def _untracked(self) -> tuple[list[str], list[LeftOut]]:
        scope = [f":(top,literal){path}" for path in self._trees.only]
        output = self._ask("ls-files", "--others", "--exclude-standard", "-z", "--", *scope)
        found, left_out = [], []
        for name in filter(None, output.split(b"\0")):
            path = os.fsdecode(name)
            if clause := self._unwanted(path):
                left_out.append(LeftOut(path=path, reason=clause))
            else:
                found.append(path)
        return found, left_out

    def _unwanted(self, path: str) -> str | None:
        if path.endswith("/"):
            return "is a repository of its own"
        name = path.rpartition("/")[2].lower()
        if name not in _HARMLESS and any(fnmatchcase(name, pattern) for pattern in _SECRETS):
            return "looks like a secret and is not tracked"
        found = self._files.stat(path)
        if found is None or not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            return "is neither a file nor a link"
        if found.st_size > UNTRACKED_BYTES:
            return f"is larger than {UNTRACKED_BYTES // MIB} MB and is not tracked"
        return None

    def _contents(
        self, suspects: list[str], untracked: list[str], staged: Mapping[str, _Staged], left_out: list[LeftOut]
    ) -> Iterator[tuple[str, str, bytes]]:
        """Path, mode and what git would store, of every file that may differ from the index."""
        attributes = self.attributes([*suspects, *untracked])
        for path in [*suspects, *untracked]:
            one = staged.get(path)
            try:
                seen = self._files.read(path, limit=TRACKED_BYTES)
                if seen is None:
                    raise NotConvertible(f"is larger than {TRACKED_BYTES // MIB} MB")
                mode = self._kind(_BITS[seen.mode], one.entry.mode if one else None)
                yield path, mode, self._stored(seen, mode, attributes[path], one)
            except FileNotFoundError:
                continue
            except (NotConvertible, OSError) as problem:
                clause = f"cannot be read: {problem.strerror}" if isinstance(problem, OSError) else str(problem)
                left_out.append(LeftOut(path=path, reason=clause))

    def _stored(self, seen: Seen, mode: str, attributes: Attributes, one: _Staged | None) -> bytes:
        if mode == LINK:
            return seen.data
        if one is not None and self._git.blob_id(seen.data, algorithm=self._algorithm) == one.entry.oid:
            return seen.data
        indexed = one.entry.oid if one is not None else None
        return self.conversion.to_git(
            seen.data, attributes, lambda: self._trees.blob(indexed) if indexed is not None else None
        )

    def _store(
        self, contents: Iterator[tuple[str, str, bytes]], final: Mapping[str, Entry | None]
    ) -> dict[str, Entry | None]:
        stored: dict[str, Entry | None] = {}
        waiting: list[tuple[str, str, bytes]] = []
        for path, mode, data in contents:
            known = final.get(path)
            oid = self._git.blob_id(data, algorithm=self._algorithm)
            if known is not None and known.oid == oid:
                stored[path] = Entry(path=path, mode=mode, oid=oid, size=len(data))
                continue
            waiting.append((path, mode, data))
            if sum(len(one[2]) for one in waiting) > _FLUSH:
                stored |= self._flush(waiting)
                waiting = []
        return stored | self._flush(waiting)

    def _flush(self, waiting: Sequence[tuple[str, str, bytes]]) -> dict[str, Entry]:
        oids = self._git.write_blobs(data for _, _, data in waiting)
        return {
            path: Entry(path=path, mode=mode, oid=oid, size=len(data))
            for (path, mode, data), oid in zip(waiting, oids, strict=True)
        }


_BITS = {"100644": stat.S_IFREG | 0o644, "100755": stat.S_IFREG | 0o755, LINK: stat.S_IFLNK}


def _differs(old: Entry | None, new: Entry | None) -> bool:
    if old is None or new is None:
        return old is not new
    return (old.mode, old.oid) != (new.mode, new.oid)
