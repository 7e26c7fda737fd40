"""The refs that are ours in a user's repository: moved durably, past the locks that killed processes leave behind.

Whoever works on a run holds its journal, so a lock on one of our refs is of nobody, or of the last git command of a
process that was killed. It is waited for a little, and then cleared. A lock of anything that is the user's is waited
for and never touched.
"""

import fcntl
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent.durable import Directories, Moment, storing, sync_directory
from agent.errors import UsageProblem
from agent.git import Git
from agent.gitfailed import GitFailed, quoted

__all__ = ["Refs"]

ANNOTATING = "annotating"
OURS = ("refs/heads/greenward/", "refs/heads/greenward-", "refs/greenward/", "refs/notes/greenward")
_LOCK = re.compile(r"Unable to create '(?P<path>.+\.lock)': File exists")
_POLL = 0.02


class Refs:
    """Refs of one repository, whose objects are made durable before a ref leads to them."""

    def __init__(self, git: Git, common_dir: Path, *, ours: float = 2.0, others: float = 5.0) -> None:
        """`ours` and `others` are the seconds for which a lock of one of our refs, and any other, is waited for."""
        self._git = git
        self._common = common_dir
        self._patience = {True: ours, False: others}
        self._objects = Directories(common_dir / "objects")

    def set(
        self,
        ref: str,
        oid: str,
        *,
        old: str | None = None,
        message: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Have `ref` lead to `oid`, if it leads to `old` now (all zeros: is not there; None: whatever is there).

        `variables` say who does so, for a ref that has a log, where `message` is written.

        Raises:
            GitFailed: it leads to something else.
            UsageProblem: a lock of the user's is in the way.
            StorageProblem: it cannot be written.
        """
        told = ("-m", message) if message else ()
        command = ("update-ref", *told, "--end-of-options", ref, oid, *([old] if old is not None else ()))
        self._durably(ref, command, b"", variables)

    def annotate(self, commit: str, text: str, variables: Mapping[str, str]) -> None:
        """Attach `text` to a commit as a note under `refs/notes/greenward`, in place of an earlier one."""
        command = ("notes", "--ref=greenward", "add", "-f", "-F", "-", commit)
        with self._annotating():
            self._durably("refs/notes/greenward", command, text.encode(), variables)

    @contextmanager
    def _annotating(self) -> Iterator[None]:
        """A block in which no other run annotates: git writes all notes anew, and would lose those of the others."""
        path = self._common / "greenward" / ANNOTATING
        with storing(path):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            file = path.open("ab")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _durably(self, ref: str, command: tuple[str, ...], stdin: bytes, variables: Mapping[str, str] | None) -> None:
        self._objects.sync()
        self._git.passing(Moment.OBJECTS_SYNCED)
        self._git.passing(Moment.REF_BEGUN)
        self._past_locks(command, stdin, variables)
        self._git.passing(Moment.REF_MOVED)
        self._sync(ref)
        self._git.passing(Moment.REF_SYNCED)

    def _past_locks(self, command: tuple[str, ...], stdin: bytes, variables: Mapping[str, str] | None) -> None:
        while True:
            try:
                self._git.run(*command, stdin=stdin, variables=variables)
            except GitFailed as failure:
                found = _LOCK.search(failure.stderr)
                if found is None:
                    raise
                self._clear(Path(found["path"]))
            else:
                return

    def _clear(self, lock: Path) -> None:
        """Wait until `lock` is gone, or for so long that one of ours must be of a dead process.

        Raises:
            UsageProblem: it is the user's, and stays.
        """
        ours = self._is_ours(lock)
        if _goes(lock, self._patience[ours]):
            return
        if not ours:
            raise UsageProblem(
                f"{quoted(str(lock))} is in the way: git locks with it what is yours",
                hint="end the git command that works there, or remove the file if there is none; then try again",
            )
        with storing(lock):
            lock.unlink(missing_ok=True)

    def _is_ours(self, lock: Path) -> bool:
        try:
            return str(lock.relative_to(self._common)).startswith(OURS)
        except ValueError:
            return False

    def _sync(self, ref: str) -> None:
        """Make the names of the directories that lead to `ref` durable, as far as refs are files."""
        path = self._common / ref
        with storing(path):
            for directory in path.parents:
                if directory.is_dir():
                    sync_directory(directory)
                if directory in (self._common, self._common / "refs"):
                    return


def _goes(lock: Path, seconds: float) -> bool:
    """Whether `lock` goes away, or becomes another one, within `seconds`."""
    began, first = time.monotonic(), _identity(lock)
    while first is not None and time.monotonic() - began < seconds:
        time.sleep(_POLL)
        if _identity(lock) != first:
            return True
    return first is None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
