"""The workspace: a user's repository, worked on through objects alone; nothing of the user's changes."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.durable import Moment, Passing, storing, sync_directory, unnoticed
from agent.edits import Edit
from agent.errors import DamagedRun, UsageProblem
from agent.git import Git
from agent.gitfailed import GitFailed
from agent.refs import Refs
from agent.repository import Repository, find, is_half_made
from agent.seal import Seal
from agent.snapshot import LeftOut, Scanner
from agent.transfer import GitTree, IgnoreRules
from agent.trees import Entry, Found, Trees
from sandbox import MIB

__all__ = ["Snapshot", "Workspace"]

LARGEST = 256 * MIB
MOST_FILES = 50_000
IDENTITY = ("greenward", "greenward@localhost")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The user's work as it stands: the commit that a run begins from."""

    commit: str
    tree: str
    head: str | None
    """The commit that HEAD names; None if there is none yet."""
    left_out: tuple[LeftOut, ...] = ()


class Workspace:
    """One repository; see `Workspace.open`. Close it, or use it as a context manager."""

    def __init__(self, repository: Repository, git: Git, *, cwd: str, only: tuple[str, ...]) -> None:
        self.repository = repository
        self.git = git
        self.cwd = cwd
        self.refs = Refs(git, repository.common_dir)
        self.trees = Trees(git, only=only)
        self._rules: dict[str, IgnoreRules] = {}
        settings = git.user_settings()
        self.scanner = Scanner(git, self.trees, repository, settings)
        self._partial = any(
            key == "extensions.partialclone" or (key.endswith(".promisor") and value == "true")
            for key, value in settings.items()
        )

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        cwd: str = "",
        only: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        passing: Passing = unnoticed,
    ) -> "Workspace":
        """The workspace of the repository that holds `path`.

        `cwd` is the project's directory in it, `only` the directories that a run sees at all; both relative to the
        root. `environment` is the user's: it gives the search path for git and where the user's settings are. `passing`
        is told of what leaves something in the repository.

        Raises:
            UsageProblem: there is no repository, or it cannot be worked on as it is; the hint says what to do.
        """
        environment = environment or {}
        repository = find(path, environment)
        git = Git(repository.git_dir, environment=environment, passing=passing)
        try:
            roots = tuple(_inside(one) for one in only)
            workspace = cls(repository, git, cwd=_inside(cwd) if cwd else "", only=roots)
            workspace.check()
        except BaseException:
            git.close()
            raise
        return workspace

    @classmethod
    def create(
        cls, path: Path, *, environment: Mapping[str, str] | None = None, passing: Passing = unnoticed
    ) -> "Workspace":
        """The workspace of a new repository in `path`, which is made if it is missing; the rest as for `open`.

        Raises:
            UsageProblem: it cannot be made, or there is something in it already.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageProblem(
                f"{path} cannot be made: {error.strerror}",
                hint="name a directory that is empty or does not exist, where you may write",
            ) from error
        if any(entry.name != ".git" for entry in path.iterdir()):
            raise UsageProblem(f"{path} is not empty", hint="name a directory that is empty or does not exist")
        if not (path / ".git").exists() or is_half_made(path / ".git"):
            with Git(path.resolve() / ".git", environment=environment or {}) as git:
                git.run("init", "--quiet", "--template=", "--initial-branch=main", work_tree=path.resolve())
        workspace = cls.open(path, environment=environment, passing=passing)
        if workspace.head() is not None:
            workspace.close()
            raise UsageProblem(f"{path} has commits already", hint="use `greenward change` to work on what is there")
        return workspace

    def close(self) -> None:
        """End what was kept running and remove scratch files."""
        self.git.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def check(self) -> None:
        """Raise `UsageProblem` if the repository cannot be worked on as it is."""
        self.repository.check_idle()
        tree = self.head_tree()
        if self._partial:
            self._check_complete(tree)
        self._check_size(tree)
        known = self.trees.entries(tree)
        for directory in (*self.trees.only, *([self.cwd] if self.cwd else [])):
            if not (self.repository.top / directory).exists() and not any(
                path == directory or path.startswith(f"{directory}/") for path in known
            ):
                raise UsageProblem(f"there is no `{directory}` in the repository", hint="give a path from its root")

    def head(self) -> str | None:
        """The commit that HEAD names; None if there is none yet."""
        return self.git.find("HEAD") or self.git.text("rev-parse", "--verify", "--quiet", "HEAD", ok=(0, 1)) or None

    def head_tree(self) -> str:
        """The tree of that commit; the empty one if there is none."""
        head = self.head()
        return self.trees.empty() if head is None else self.tree_of(head)

    def tree_of(self, commit: str) -> str:
        """The tree of a commit, by id or by the name of a ref.

        Raises:
            UsageProblem: there is no such commit.
        """
        name = f"{commit}^{{tree}}"
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        tree = self.git.find(name) or self.git.text(*asked, ok=(0, 1))
        if not tree:
            raise UsageProblem(f"there is no commit `{commit}`", hint="see `git log`")
        return tree

    def snapshot(self, *, at: datetime) -> Snapshot:
        """HEAD with all that is uncommitted, and untracked files that are not ignored; `at` dates the commit.

        Raises:
            UsageProblem: there are conflicts, or it is too large.
        """
        self.repository.check_idle()
        head = self.head()
        before = self.head_tree()
        tree, left_out = self.scanner.scan(before)
        if tree == before and head is not None:
            return Snapshot(commit=head, tree=tree, head=head, left_out=left_out)
        self._check_size(tree)
        commit = self.commit(tree, head, "greenward: the work as it was found\n", at=at)
        return Snapshot(commit=commit, tree=tree, head=head, left_out=left_out)

    def committed(self) -> Snapshot:
        """HEAD alone, whatever else the checkout holds.

        Raises:
            UsageProblem: there is no commit.
        """
        head = self.head()
        if head is None:
            raise UsageProblem("there is no commit to work on", hint="commit first")
        return Snapshot(commit=head, tree=self.tree_of(head), head=head, left_out=())

    def files(self, tree: str) -> tuple[Entry, ...]:
        """See `Trees.files`."""
        return self.trees.files(tree)

    def read(self, tree: str, path: str) -> bytes:
        """See `Trees.read`."""
        return self.trees.read(tree, path)

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
        """See `Trees.search`."""
        return self.trees.search(tree, pattern, paths=paths, glob=glob, ignore_case=ignore_case, limit=limit)

    def edit(self, tree: str, edits: Sequence[Edit], seal: Seal) -> str:
        """See `Trees.edit`."""
        return self.trees.edit(tree, edits, seal)

    def diff(self, before: str, after: str, paths: Sequence[str] | None = None) -> str:
        """See `Trees.diff`."""
        return self.trees.diff(before, after, paths)

    def changed(self, before: str, after: str) -> tuple[str, ...]:
        """See `Trees.changed`."""
        return self.trees.changed(before, after)

    def violations(self, base: str, tree: str, seal: Seal) -> tuple[str, ...]:
        """Where `tree` breaks the `seal` of `base`, as sentences; none, if every change went through the seal."""
        old, new = self.trees.entries(base), self.trees.entries(tree)
        return seal.violations(
            (path, self._content(old.get(path)), self._content(new.get(path))) for path in self.changed(base, tree)
        )

    def tree(self, tree_id: str, *, seal: Seal, ignore_base: str) -> GitTree:
        """The tree as a sandbox takes it; the `.gitignore` files of the tree `ignore_base` say what is ignored."""
        if ignore_base not in self._rules:
            self._rules[ignore_base] = IgnoreRules(self.git, self.trees, ignore_base)
        return GitTree(id=tree_id, trees=self.trees, seal=seal, rules=self._rules[ignore_base])

    def commit(self, tree: str, parent: str | None, message: str, *, at: datetime) -> str:
        """The id of a commit by greenward itself; equal arguments give the same one.

        `at` must know its time zone.
        """
        date = f"{int(at.timestamp())} {at:%z}"
        variables = _identity() | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        parents = [] if parent is None else ["-p", parent]
        self.git.passing(Moment.COMMIT_BEGUN)
        made = self.git.text("commit-tree", tree, *parents, "-F", "-", stdin=message.encode(), variables=variables)
        self.git.passing(Moment.COMMIT_MADE)
        return made

    def checkpoint(self, run_id: str, oid: str) -> None:
        """Keep a tree, a commit or a blob from being pruned; all objects written so far are durable then."""
        self.refs.set(f"{self._private(run_id)}/{oid}", oid)

    @property
    def passing(self) -> Passing:
        """Is told of what leaves something in the repository, or in the directory of a run."""
        return self.git.passing

    @property
    def runs_directory(self) -> Path:
        """Where the directories of all runs are, if there are any."""
        return self.repository.common_dir / "greenward" / "runs"

    def run_directory(self, run_id: str) -> Path:
        """The directory of a run's journal and artifacts, readable by its owner alone."""
        self._private(run_id)
        directory = self.runs_directory / run_id
        with storing(directory):
            made = not directory.exists()
            directory.mkdir(parents=True, exist_ok=True)
            for path in (directory, directory.parent, directory.parent.parent):
                path.chmod(0o700)
                if made:
                    sync_directory(path.parent)
        return directory

    def branch_name(self, slug: str, run_id: str) -> str:
        """A name for the branch of a run, whatever `slug` says: of letters, digits, `-`, `_` and one `/`."""
        plain = unicodedata.normalize("NFKD", slug).encode("ascii", "ignore").decode().lower()
        words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "run"
        taken = self.git.find("refs/heads/greenward") or self._branch("refs/heads/greenward")
        return f"greenward{'-' if taken else '/'}{words}-{self._private(run_id).rpartition('/')[2]}"

    def advance(self, branch: str, new: str, old: str | None) -> None:
        """Move `branch` from the commit `old` (None: it does not exist) to `new`, or not at all.

        Raises:
            DamagedRun: it is somewhere else; the message names both.
            UsageProblem: a lock of the user's is in the way.
        """
        ref = f"refs/heads/{branch}"
        expected = old or "0" * len(new)
        try:
            self.refs.set(ref, new, old=expected, message="greenward", variables=_identity())
        except GitFailed as failure:
            if self._branch(ref) != new:
                raise self._lost(branch, ref, expected, failure) from failure

    def put_back(self, branch: str, tip: str, *, begun: bool) -> None:
        """Take a commit off `branch` that a killed process put on `tip`, and of which it never told.

        A branch that was not `begun` before is gone then. Only who holds the run's journal may ask for this.

        Raises:
            UsageProblem: a lock of the user's is in the way.
        """
        ref = f"refs/heads/{branch}"
        found = self.git.find(ref) or self._branch(ref)
        if not self._never_told(found, tip):
            return
        if begun:
            self.refs.set(ref, tip, old=found, message="greenward", variables=_identity())
        else:
            self.git.run("update-ref", "-d", "--end-of-options", ref, found)

    def annotate(self, commit: str, text: str) -> None:
        """Attach `text` to a commit as a note under `refs/notes/greenward`, in place of an earlier one."""
        self.refs.annotate(commit, text, _identity())

    def _branch(self, ref: str) -> str:
        return self.git.text("rev-parse", "--verify", "--quiet", "--end-of-options", ref, ok=(0, 1))

    def _never_told(self, commit: str, tip: str) -> bool:
        """Whether `commit` is greenward's own, on `tip`: the journal would know of it, had its maker lived."""
        if not commit or commit == tip:
            return False
        headers = self.git.object(commit)[1].partition(b"\n\n")[0].split(b"\n")
        parents = [line for line in headers if line.startswith(b"parent ")]
        ours = any(line.startswith(b"committer %b <%b> " % tuple(map(str.encode, IDENTITY))) for line in headers)
        return ours and parents == [b"parent " + tip.encode()]

    def _lost(self, branch: str, ref: str, expected: str, failure: GitFailed) -> DamagedRun:
        found = self._branch(ref) or "0" * len(expected)
        if found == expected:
            return failure
        return DamagedRun(
            f"the branch `{branch}` is at {found}, not at {expected} where the run left it",
            hint=f"put it back with `git branch -f {branch} {expected}`, or begin a new run",
        )

    def _private(self, run_id: str) -> str:
        if not _RUN_ID.fullmatch(run_id):
            raise UsageProblem(f"{run_id!r} is not the id of a run", hint="see `greenward runs`")
        return f"refs/greenward/{run_id}"

    def _content(self, entry: Entry | None) -> bytes | None:
        if entry is None:
            return None
        return entry.oid.encode() if entry.mode == "160000" else self.trees.blob(entry.oid)

    def _check_complete(self, tree: str) -> None:
        listing = self.git.text("rev-list", "--objects", "--missing=print", "--no-object-names", tree)
        missing = sum(line.startswith("?") for line in listing.splitlines())
        if missing:
            raise UsageProblem(
                f"the repository is a partial clone that lacks {missing} objects of HEAD",
                hint="fetch them first: `git fetch --refetch --no-filter`, or clone it whole",
            )

    def _check_size(self, tree: str) -> None:
        files = self.trees.files(tree)
        size = sum(entry.size for entry in files)
        if size > LARGEST or len(files) > MOST_FILES:
            raise UsageProblem(
                f"there are {len(files)} files of {size // MIB} MB;"
                f" at most {MOST_FILES} of {LARGEST // MIB} MB can be worked on",
                hint="name the part that matters: `--only DIR`",
            )


def _inside(directory: str) -> str:
    plain = directory.rstrip("/").removeprefix("./")
    if not plain or plain.startswith("/") or ".." in plain.split("/"):
        raise UsageProblem(
            f"`{directory}` is not a directory below the repository's root", hint="give a path from there"
        )
    return plain


def _identity() -> dict[str, str]:
    name, email = IDENTITY
    return {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", name), ("EMAIL", email))
    }
