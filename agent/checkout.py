"""The user's checkout: files put there and taken away, each whole or not at all, and the index put back as it was."""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from agent.attributes import NotConvertible
from agent.durable import Moment, storing, sync_directory, write_durably
from agent.errors import UsageProblem
from agent.gitfailed import quoted
from agent.trees import Blob
from agent.workspace import Workspace
from agent.worktree import WorkTree

__all__ = ["as_on_disk", "check_index", "contents", "holds_nothing_else", "kept_index", "put", "restore_index"]

_LARGEST = 1 << 30
_PATIENCE, _POLL = 5.0, 0.02
"""Seconds for which a lock on the index is waited for, and after which it is looked at again."""


def contents(workspace: Workspace, paths: Iterable[str], tree: str) -> dict[str, Blob | None]:
    """What a checkout of `tree` has at `paths`; None where it has nothing.

    Raises:
        UsageProblem: one of them passes through a filter.
    """
    entries = workspace.trees.entries(tree)
    found: dict[str, Blob | None] = dict.fromkeys(paths)
    for path, said in workspace.scanner.attributes([path for path in found if path in entries]).items():
        try:
            data = workspace.scanner.conversion.to_work_tree(workspace.trees.blob(entries[path].oid), said)
        except NotConvertible as problem:
            raise UsageProblem(f"`{quoted(path)}` {problem}", hint="merge the run's branch yourself") from problem
        found[path] = Blob(mode=entries[path].mode, data=data)
    return found


def put(workspace: Workspace, wanted: Mapping[str, Blob | None]) -> None:
    """Write and remove files, removals first, so that a directory can give way to a file.

    Raises:
        UsageProblem: one of them cannot be written.
    """
    files = WorkTree(workspace.repository.top, passing=workspace.passing)
    try:
        for path in (path for path, blob in wanted.items() if blob is None):
            files.remove(path)
        for path, blob in wanted.items():
            if blob is not None:
                files.write(path, blob.data, executable=blob.mode == "100755")
    except OSError as error:
        raise UsageProblem(f"a file cannot be written: {error}", hint="check permissions and free space") from error


def as_on_disk(workspace: Workspace, paths: Iterable[str]) -> str:
    """A tree of the files at `paths` as they are, byte for byte."""
    files = WorkTree(workspace.repository.top)
    changes: dict[str, Blob | None] = {}
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            seen = files.read(path, limit=_LARGEST)
            if seen is not None:
                changes[path] = Blob(mode=seen.mode, data=seen.data)
    return workspace.trees.build(workspace.trees.empty(), changes)


def holds_nothing_else(workspace: Workspace, wanted: Mapping[str, Blob | None]) -> bool:
    """Whether every file in the checkout is one of those `wanted`, with its content, or the draft of one."""
    top = workspace.repository.top
    files = WorkTree(top)
    drafts = {WorkTree.draft(path) for path in wanted}
    for directory, names, found in os.walk(top):
        inside = Path(directory).relative_to(top)
        if ".git" in names and inside == Path():
            names.remove(".git")
        for name in found:
            path = str(inside / name)
            blob = wanted.get(path)
            seen = files.read(path, limit=_LARGEST) if blob is not None else None
            if path not in drafts and (blob is None or seen is None or seen.data != blob.data):
                return False
    return True


def kept_index(workspace: Workspace) -> str | None:
    """The index as it is, as a blob; None if there is none."""
    try:
        data = _index(workspace).read_bytes()
    except FileNotFoundError:
        return None
    return workspace.git.write_blobs([data])[0]


def restore_index(workspace: Workspace, kept: str | None) -> None:
    """Put the index back as it was `kept`, under git's own lock.

    Raises:
        UsageProblem: another git command holds the lock.
        StorageProblem: it cannot be written.
    """
    index, draft = _index(workspace), _draft(workspace)
    check_index(workspace)
    if kept is None:
        index.unlink(missing_ok=True)
        return
    write_durably(draft, workspace.trees.blob(kept))
    with storing(index):
        try:
            os.link(draft, _lock(workspace))
        except FileExistsError as error:
            raise _locked(workspace) from error
        workspace.passing(Moment.INDEX_LOCKED)
        _lock(workspace).replace(index)
        sync_directory(index.parent)
        workspace.passing(Moment.INDEX_RESTORED)
        draft.unlink()


def check_index(workspace: Workspace) -> None:
    """Wait for other git commands to let go of the index; a lock of our own that a killed process left is cleared.

    Raises:
        UsageProblem: one does not.
    """
    lock, began = _lock(workspace), time.monotonic()
    with suppress(FileNotFoundError):
        if lock.samefile(_draft(workspace)):
            lock.unlink()
    while lock.exists():
        if time.monotonic() - began > _PATIENCE:
            raise _locked(workspace)
        time.sleep(_POLL)


def _locked(workspace: Workspace) -> UsageProblem:
    hint = f"end the other git command, or remove {_lock(workspace)} if there is none; then try again"
    return UsageProblem("git's index is locked", hint=hint)


def _index(workspace: Workspace) -> Path:
    return workspace.repository.git_dir / "index"


def _lock(workspace: Workspace) -> Path:
    return _index(workspace).with_name("index.lock")


def _draft(workspace: Workspace) -> Path:
    """Beside the index' own file system, in our directory: a lock that is the same file is ours."""
    return workspace.runs_directory.parent / f"index-{workspace.repository.git_dir.name}"
