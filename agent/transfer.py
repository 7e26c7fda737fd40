"""A tree on its way into a sandbox, and what comes back from there, as `sandbox.Tree` has it."""

import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.edits import Edit
from agent.git import Git
from agent.paths import LINK, always_ignored, reason, shape
from agent.seal import Seal
from agent.trees import Entry, Trees
from sandbox import Absorbed, Candidate, Change, Delta, Limits, Refusal, Selection

__all__ = ["GitTree", "IgnoreRules"]

_MODIFIED = 1_000_000_000
"""Time stamps begin here and follow from the content: equal trees give equal archives, and no cache keyed by time and
size takes one content for another. For builds that go by time, whoever unpacks must not keep them (`tar -m`)."""
_BLOCK = 512


class IgnoreRules:
    """What the `.gitignore` files of one tree ignore, decided by git itself in a directory that holds nothing else."""

    def __init__(self, git: Git, trees: Trees, tree: str) -> None:
        self._git = git
        self._directory = git.scratch("ignore")
        repository = self._directory / "repository"
        for name in ("objects", "refs"):
            (repository / name).mkdir(parents=True)
        (repository / "HEAD").write_text("ref: refs/heads/main\n")
        (self._directory / "work").mkdir()
        for path, entry in trees.entries(tree).items():
            if path.rpartition("/")[2] == ".gitignore" and entry.mode != LINK:
                target = self._directory / "work" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(trees.blob(entry.oid))

    def ignored(self, paths: Collection[str]) -> frozenset[str]:
        """Which of the well-formed `paths` are ignored."""
        if not paths:
            return frozenset()
        output = self._git.run(
            "check-ignore", "--no-index", "-z", "--stdin",
            stdin="".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape"),
            work_tree=self._directory / "work",
            variables={"GIT_DIR": str(self._directory / "repository")},
            ok=(0, 1),
        )  # fmt: skip
        return frozenset(output.decode("utf-8", "surrogateescape").split("\0")) - {""}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitTree:
    """A tree of a repository, whose `seal` and `rules` (the base's) say what may come back from a sandbox."""

    id: str
    trees: Trees
    seal: Seal
    rules: IgnoreRules
    sent: Callable[[int, int], None] = field(default=lambda _done, _total: None, compare=False)
    """Is told how many bytes of how many a sandbox has taken, after each file."""

    def paths(self) -> Collection[str]:
        """All files and links that a sandbox is given."""
        return self._sent(self.id).keys()

    def left_out(self) -> tuple[Refusal, ...]:
        """Links that a sandbox is not given, as they lead out of the tree."""
        kept = self._sent(self.id)
        return tuple(
            Refusal(path=entry.path, reason="is a link that leads out of the repository")
            for entry in self.trees.files(self.id)
            if entry.path not in kept
        )

    def since(self, held: str | None) -> Delta:
        """What a sandbox lacks that holds the tree `held`, or nothing at all: the same bytes for the same two trees."""
        old = {} if held is None else self._sent(held)
        sent = self._sent(self.id)
        deleted = tuple(sorted(old.keys() - sent.keys()))
        lacking = [
            entry
            for path, entry in sorted(sent.items())
            if path not in old or (old[path].mode, old[path].oid) != (entry.mode, entry.oid)
        ]
        return Delta(deleted=deleted, archive=self._archive(lacking))

    def select(self, candidates: Sequence[Candidate]) -> Selection:
        """Which changed paths to bring back: not what the base ignores, and nothing against the path policy."""
        known = self._sent(self.id)
        formed = [one.path for one in candidates if one.path not in known and shape(one.path) is None]
        ignored = self.rules.ignored(formed)
        wanted, refused = [], []
        for one in candidates:
            if one.path not in known and (one.path in ignored or always_ignored(one.path)):
                continue
            if clause := self._clause(one, known):
                refused.append(Refusal(path=one.path, reason=clause))
            elif one.path in known or one.kind != "deleted":
                wanted.append(one)
        return Selection(wanted=tuple(wanted), refused=tuple(refused))

    def absorb(self, changes: Sequence[Change]) -> Absorbed:
        """This tree with `changes` taken in; what the path policy, the seal or the caps refuse stays as it was."""
        entries = self.trees.entries(self.id)
        edits: list[Edit] = []
        refused: list[Refusal] = []
        size, limits = 0, Limits()
        for change in changes:
            if self._is_no_change(change, entries.get(change.path)):
                continue
            size += len(change.data or b"")
            if change.link:
                refused.append(Refusal(path=change.path, reason="is a symbolic link"))
            elif len(edits) >= limits.changed_files or size > limits.changed_bytes:
                refused.append(Refusal(path=change.path, reason="is one change too many for one command"))
            else:
                edits.append(Edit(path=change.path, data=change.data, executable=change.executable))
        while problems := self.trees.problems(self.id, edits, self.seal):
            refused.extend(problems)
            paths = {problem.path for problem in problems}
            edits = [edit for edit in edits if edit.path not in paths]
        made = self.trees.make(self.id, edits)
        tree = GitTree(id=made, trees=self.trees, seal=self.seal, rules=self.rules)
        return Absorbed(tree=tree, refused=tuple(refused))

    def _clause(self, one: Candidate, known: Mapping[str, Entry]) -> str | None:
        if clause := shape(one.path) if one.path in known else reason(one.path):
            return clause
        if one.kind == "other":
            return "is neither a file nor a link"
        if one.kind == "link" and (one.path not in known or known[one.path].mode != LINK):
            return "is a symbolic link"
        if not self.trees.covers(one.path):
            return "lies outside of `--only`"
        return None

    def _is_no_change(self, change: Change, entry: Entry | None) -> bool:
        if entry is None or change.data is None:
            return entry is None and change.data is None
        if change.link != (entry.mode == LINK) or change.executable != (entry.mode == "100755"):
            return False
        return len(change.data) == entry.size and self.trees.blob(entry.oid) == change.data

    def _sent(self, tree: str) -> dict[str, Entry]:
        links = {entry.path for entry in self.trees.files(tree) if entry.mode == LINK}
        inside = {path for path in links if _stays_inside(path, self.trees.read(tree, path))}
        return {entry.path: entry for entry in self.trees.files(tree) if entry.path not in links - inside}

    def _archive(self, entries: Sequence[Entry]) -> Iterator[bytes]:
        done, total = 0, sum(entry.size for entry in entries)
        for entry in entries:
            data = self.trees.blob(entry.oid)
            info = tarfile.TarInfo(entry.path)
            info.mtime = _MODIFIED + int(entry.oid[:6], 16)
            info.mode = 0o755 if entry.mode == "100755" else 0o644
            if entry.mode == LINK:
                info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, data.decode("utf-8", "surrogateescape")
                data = b""
            info.size = len(data)
            yield info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
            yield data + b"\0" * (-len(data) % _BLOCK)
            done += entry.size
            self.sent(done, total)
        yield b"\0" * (2 * _BLOCK)


def _stays_inside(path: str, target: bytes) -> bool:
    """Whether a link at `path` stays in the tree, as far as its own text tells; no other link is looked through."""
    text = target.decode("utf-8", "surrogateescape")
    if not text or text.startswith("/") or "\0" in text:
        return False
    parts = [part for part in text.split("/") if part not in {"", "."}]
    climbs = next((count for count, part in enumerate(parts) if part != ".."), len(parts))
    return climbs <= path.count("/") and ".." not in parts[climbs:]
