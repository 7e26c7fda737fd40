"""The sandbox that does not isolate: a temporary directory and subprocesses, for machines without a container engine.

A command has all that the user has. What it leaves is read as carefully as from a container, because the directory may
hold links to anywhere by then.
"""

import os
import stat
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox import (
    Candidate,
    Change,
    Command,
    ExecResult,
    Execution,
    Limits,
    Refusal,
    SandboxUnavailable,
    Tree,
)
from sandbox.harvest import script_of, too_much
from sandbox.listing import TICK_SECONDS, Listing, changes
from sandbox.process import run_script
from sandbox.scratch import make_directory, remove_directory

__all__ = ["KNOWN_GAPS", "LocalSandbox"]

KNOWN_GAPS = {
    "a_command_that_kills_all_it_may_loses_the_sandbox": "it would kill all that the user runs",
    "processes_that_leave_their_session_do_not_survive": "a process that starts a session of its own is not found",
    "a_command_beyond_its_memory_is_told_as_such": "memory is not limited",
    "a_fork_bomb_is_contained": "processes are not limited",
    "a_full_disk_does_not_lose_the_result": "the disk is not limited",
    "there_is_no_network": "commands have the user's network",
    "two_sandboxes_do_not_see_each_other": "they are processes and files of one user",
}
"""Behaviours of `sandbox.contract` that only isolation can give, and why."""


class LocalSandbox:
    """Executes in directories of its own, with `path` as the commands' PATH; leaving it removes them."""

    isolated = False

    def __init__(self, *, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._place: _Place | None = None

    def expect(self, count: int) -> None:
        """Do nothing: a directory is made in no time."""

    def execute(self, tree: Tree, command: Command) -> Execution:
        """Run `command` on `tree` in the directory that is kept.

        Raises:
            SandboxError: nothing came of it.
        """
        place = self._ready(tree)
        try:
            execution, trusted = self._execute(place, tree, command)
        except BaseException:
            self._discard()
            raise
        if not trusted:
            self._discard()
        return execution

    def execute_fresh(self, tree: Tree, command: Command) -> ExecResult:
        """Run `command` on `tree` in a directory of its own.

        Raises:
            SandboxError: nothing came of it.
        """
        place = _Place()
        try:
            place.bring(tree)
            return self._run(place, command)
        finally:
            place.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def _execute(self, place: "_Place", tree: Tree, command: Command) -> tuple[Execution, bool]:
        time.sleep(max(0.0, place.listed_at + TICK_SECONDS - time.monotonic()))
        result = self._run(place, command)
        if result.timed_out:
            return Execution(result=result, tree=tree), False
        before, after = place.listing or {}, place.list_files()
        if after is None:
            refusal = Refusal(path=".", reason="not all files could be listed, so no change was taken")
            return Execution(result=result, tree=tree, refused=(refusal,)), False
        selection = tree.select(changes(before, after))
        refused = too_much(selection.wanted, self._limits)
        if refused:
            return Execution(result=result, tree=tree, refused=(*selection.refused, *refused)), False
        changed, unread = place.fetch(selection.wanted)
        absorbed = tree.absorb(changed)
        refused = (*selection.refused, *unread, *absorbed.refused)
        place.tree, place.listing = absorbed.tree.id, after
        return Execution(result=result, tree=absorbed.tree, refused=refused), not refused and not result.outlived

    def _run(self, place: "_Place", command: Command) -> ExecResult:
        place.empty_out()
        environment = {
            "HOME": str(place.top / "home"),
            "TMPDIR": str(place.top / "tmp"),
            "GREENWARD_OUT": str(place.out),
            "GREENWARD_BUILD": str(place.top / "build"),
            "PATH": f"{place.top / 'build' / 'bin'}:{self._path}",
            "USER": "greenward",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PIP_NO_INDEX": "1",
        }
        script = place.top / "command"
        limits = f"ulimit -c 0; ulimit -n {self._limits.open_files} 2>/dev/null; "
        text = limits + script_of(command, str(place.root))
        script.write_bytes(text.encode("utf-8", "surrogateescape"))
        result = run_script(
            script, environment, timeout=command.timeout, output_bytes=self._limits.output_bytes, hear=command.hear
        )
        return place.with_files(result, command.collect, self._limits.collected_bytes)

    def _ready(self, tree: Tree) -> "_Place":
        if self._place is None:
            self._place = _Place()
        try:
            self._place.bring(tree)
        except SandboxUnavailable:
            self._discard()
            self._place = _Place()
            try:
                self._place.bring(tree)
            except BaseException:
                self._discard()
                raise
        return self._place

    def _discard(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            place.remove()


class _Place:
    """A temporary directory that holds a tree, and what belongs to it."""

    def __init__(self) -> None:
        self.top = make_directory()
        self.root = self.top / "work"
        self.out = self.top / "out"
        for name in ("work", "out", "tmp", "home", "build/bin"):
            (self.top / name).mkdir(parents=True)
        self.tree: str | None = None
        self.listing: Listing | None = None
        self.listed_at = 0.0

    def bring(self, tree: Tree) -> None:
        """Make the directory hold `tree`, and what is ignored."""
        if self.tree == tree.id:
            return
        held, self.tree = self.tree, None
        delta = tree.since(held)
        for path in delta.deleted:
            self._delete(path)
        unpacked = subprocess.run(
            ["tar", "-x", "-m", "-f", "-", "-C", str(self.root)],
            input=b"".join((*delta.archive, bytes(1024))),
            capture_output=True,
            check=False,
        )
        if unpacked.returncode != 0:
            problem = unpacked.stderr.decode(errors="replace").strip()[:500]
            raise SandboxUnavailable(f"the tree cannot be unpacked: {problem}")
        self.listing = self.list_files()
        self.tree = tree.id

    def list_files(self) -> Listing | None:
        """All files, never following a link; None if not all can be seen."""
        found: dict[bytes, bytes] = {}
        top = os.fsencode(self.root)
        waiting = [top]
        try:
            while waiting:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(status.st_mode):
                            waiting.append(entry.path)
                        else:
                            found[entry.path[len(top) + 1 :]] = _status_line(status)
        except OSError:
            return None
        self.listed_at = time.monotonic()
        return found

    def fetch(self, wanted: Sequence[Candidate]) -> tuple[tuple[Change, ...], tuple[Refusal, ...]]:
        """The changes that were asked for, and refusals of those that cannot be read."""
        taken: list[Change] = []
        unread: list[Refusal] = []
        for each in wanted:
            if each.kind == "deleted":
                taken.append(Change(path=each.path, data=None))
                continue
            try:
                if each.kind == "link":
                    data = os.fsencode((self.root / each.path).readlink())
                else:
                    data = _read_inside(self.root, each.path, each.size)
            except OSError:
                unread.append(Refusal(path=each.path, reason="it cannot be read"))
                continue
            taken.append(Change(path=each.path, data=data, executable=each.executable, link=each.kind == "link"))
        return tuple(taken), tuple(unread)

    def with_files(self, result: ExecResult, names: Sequence[str], limit: int) -> ExecResult:
        """The result with the collected files that exist and fit into `limit` bytes."""
        files: dict[str, bytes] = {}
        for name in names if not result.timed_out else ():
            try:
                data = _read_inside(self.out, name, limit + 1)
            except OSError:
                continue
            if sum(map(len, files.values())) + len(data) <= limit:
                files[name] = data
        return ExecResult(
            exit_code=result.exit_code,
            output=result.output,
            seconds=result.seconds,
            timed_out=result.timed_out,
            truncated=result.truncated,
            outlived=result.outlived,
            files=files,
        )

    def empty_out(self) -> None:
        remove_directory(self.out)
        self.out.mkdir()

    def remove(self) -> None:
        remove_directory(self.top)

    def _delete(self, path: str) -> None:
        """Delete a file and the directories that this leaves empty, in no directory but the tree's own."""
        parent, _, name = path.rpartition("/")
        try:
            directory = _open_directory(self.root, parent)
        except OSError:
            return
        try:
            os.unlink(name, dir_fd=directory)
        except OSError:
            return
        finally:
            os.close(directory)
        while parent:
            parent, _, name = parent.rpartition("/")
            directory = _open_directory(self.root, parent)
            try:
                os.rmdir(name, dir_fd=directory)
            except OSError:
                return
            finally:
                os.close(directory)


def _status_line(status: os.stat_result) -> bytes:
    kinds = {stat.S_IFREG: b"f", stat.S_IFLNK: b"l"}
    kind = kinds.get(stat.S_IFMT(status.st_mode), b"o")
    mode = stat.S_IMODE(status.st_mode)
    return b"%b %o %d %d %d" % (kind, mode, status.st_size, status.st_ctime_ns, status.st_ino)


def _open_directory(root: Path, path: str) -> int:
    """A descriptor of a directory below `root`, reached through no link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    directory = os.open(root, flags)
    for part in filter(None, path.split("/")):
        try:
            inner = os.open(part, flags, dir_fd=directory)
        finally:
            os.close(directory)
        directory = inner
    return directory


def _read_inside(root: Path, path: str, size: int) -> bytes:
    """At most `size` bytes of a regular file below `root`, reached through no link and never waited for."""
    parent, _, name = path.rpartition("/")
    directory = _open_directory(root, parent)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    finally:
        os.close(directory)
    with open(descriptor, "rb") as file:  # noqa: PTH123  (a descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        return file.read(size)
