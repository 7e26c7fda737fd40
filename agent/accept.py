"""`accept` brings a run's result into the user's checkout, and `undo` takes it out again.

The record is written before anything changes, and the files as they were are kept as objects: whatever moment this is
cut off at, accepting again, or undoing, ends well.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from agent.attributes import NotConvertible
from agent.errors import DamagedRun, UsageProblem
from agent.gitfailed import GitFailed, quoted
from agent.paths import GITLINK, LINK
from agent.trees import Blob, Entry
from agent.workspace import Workspace
from agent.worktree import WorkTree

__all__ = ["Accepted", "Result", "accept", "accepted_tree", "undo"]

_RECORD = "accept.json"
_INDEX = "accept.index"
_LARGEST = 1 << 30
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run came to, and since when: two commits, or trees, and the message for one commit of it all."""

    run_id: str
    base: str
    """What the checkout had of it before."""
    result: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What was done: a `commit`, a `merge`, or `files` were written and left uncommitted."""

    kind: Literal["commit", "merge", "files"]
    commit: str | None
    paths: tuple[str, ...]
    proven: bool
    """The outcome is the tree that was proven, byte for byte; otherwise it has to be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    state: Literal["started", "done", "undone"]
    kind: Literal["commit", "merge", "files"]
    head: str | None
    base_tree: str
    result_tree: str
    before_tree: str
    """The changed files as they were on disk, byte for byte."""
    paths: tuple[str, ...]
    commit: str | None = None
    earlier: "_Record | None" = None
    """What was accepted of the same run before."""


def accepted_tree(workspace: Workspace, run_id: str) -> str | None:
    """The tree of a run that the checkout was given last; None if it was given none, or not any more.

    Raises:
        DamagedRun: the record of it cannot be read.
    """
    record = _load(workspace, run_id)
    while record is not None and record.state != "done":
        record = record.earlier
    return record.result_tree if record else None


def accept(
    workspace: Workspace, result: Result, *, environment: Mapping[str, str], merge: bool = False, note: str = ""
) -> Accepted:
    """Bring what a run changed into the checkout.

    On a clean checkout it becomes one commit, made by the user's own git under `environment` with their identity, hooks
    and signing; with `merge` a merge commit that keeps the run's history. On a dirty one the files are written and stay
    uncommitted. `note` is attached to the commit.

    Raises:
        UsageProblem: files that the run changed have changed since, the run was accepted before, or a hook refused;
            then all is as it was before.
    """
    workspace.repository.check_idle()
    earlier = _load(workspace, result.run_id)
    if earlier is not None and earlier.state == "started":
        earlier = _recover(workspace, result.run_id, earlier)
    if earlier is not None and earlier.state == "undone":
        earlier = None
    if earlier is not None and earlier.result_tree == workspace.tree_of(result.result):
        raise UsageProblem("this run was accepted already", hint=f"take it back with `greenward undo {result.run_id}`")
    head = workspace.head()
    record = replace(_plan(workspace, result, head, merge=merge), earlier=earlier)
    _keep(workspace, result.run_id, record)
    try:
        commit = _carry_out(workspace, result, record, environment)
    except BaseException:
        if workspace.head() == head:
            with suppress(UsageProblem):
                _roll_back(workspace, result.run_id, record)
        raise
    _save(workspace, result.run_id, replace(record, state="done", commit=commit))
    if commit is not None and note:
        workspace.annotate(commit, note)
    outcome = workspace.head_tree() if commit is not None else workspace.scanner.scan(workspace.head_tree())[0]
    return Accepted(kind=record.kind, commit=commit, paths=record.paths, proven=outcome == record.result_tree)


def undo(workspace: Workspace, run_id: str, *, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Take an accepted run out of the checkout, and return the paths that changed.

    Raises:
        UsageProblem: it was not accepted, or something changed since.
    """
    record = _load(workspace, run_id)
    if record is None or record.state == "undone":
        raise UsageProblem("this run is not accepted", hint=f"accept it with `greenward accept {run_id}`")
    if record.state == "started":
        cut_off, record = record, _recover(workspace, run_id, record)
        if record in (cut_off.earlier, replace(cut_off, state="undone")):
            return cut_off.paths
    if record.commit is None:
        _roll_back(workspace, run_id, record)
        return record.paths
    if workspace.head() != record.commit:
        raise UsageProblem(
            "there are commits after the accepted one", hint=f"revert it instead: `git revert {record.commit[:12]}`"
        )
    if changed := _conflicts(workspace, record, (record.result_tree,)):
        raise _changed(changed, "it was accepted", "commit or stash them first")
    if record.head is None:
        workspace.git.run("update-ref", "-d", "HEAD", record.commit)
        _roll_back(workspace, run_id, record)
        return record.paths
    _by_user(workspace, environment, "reset", "--quiet", "--keep", record.head)
    _take_back(workspace, run_id, record)
    return record.paths


def _plan(workspace: Workspace, result: Result, head: str | None, *, merge: bool) -> _Record:
    base_tree, result_tree = workspace.tree_of(result.base), workspace.tree_of(result.result)
    head_tree = workspace.head_tree()
    current, _ = workspace.scanner.scan(head_tree)
    clean = current == head_tree and not workspace.scanner.staged(head_tree)
    if merge:
        _check_merge(workspace, result, head, clean=clean)
    paths = workspace.changed(base_tree, result_tree)
    record = _Record(
        state="started",
        kind="merge" if merge else "commit" if clean else "files",
        head=head,
        base_tree=base_tree,
        result_tree=result_tree,
        before_tree="",
        paths=paths,
    )
    if merge:
        return replace(record, before_tree=workspace.trees.empty())
    if changed := _conflicts(workspace, record, (base_tree, result_tree)):
        raise _changed(changed, "the run began", "put them back, or merge the run's branch yourself")
    entries = workspace.trees.entries(result_tree)
    if odd := [path for path in paths if path in entries and entries[path].mode in {LINK, GITLINK}]:
        raise UsageProblem(f"{_listed(odd)} would become a link or a submodule", hint="merge the run's branch yourself")
    now = workspace.trees.entries(current)
    differing = tuple(path for path in paths if not _same(now.get(path), entries.get(path)))
    if not differing:
        raise UsageProblem("the checkout already has all that the run changed", hint="there is nothing to accept")
    return replace(record, paths=differing, before_tree=_as_on_disk(workspace, differing))


def _check_merge(workspace: Workspace, result: Result, head: str | None, *, clean: bool) -> None:
    if head is None or not clean:
        raise UsageProblem(
            "a merge needs a clean checkout with a commit", hint="commit or stash first, or accept without `--merge`"
        )
    contained = workspace.git.text("merge-base", "--end-of-options", head, result.base, ok=(0, 1))
    if contained != result.base:
        raise UsageProblem(
            "the run began from work that was never committed, or that was left since", hint="accept without `--merge`"
        )


def _carry_out(workspace: Workspace, result: Result, record: _Record, environment: Mapping[str, str]) -> str | None:
    if record.kind == "merge":
        return _merge(workspace, result, environment)
    _write(workspace, record.paths, record.result_tree)
    if record.kind == "files":
        return None
    listing = "".join(f"{path}\0" for path in record.paths).encode("utf-8", "surrogateescape")
    add = ("--literal-pathspecs", "add", "-A", "-f", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul")
    _by_user(workspace, environment, *add, stdin=listing)
    _by_user(workspace, environment, "commit", "--quiet", "--file=-", stdin=result.message.encode())
    return workspace.head()


def _merge(workspace: Workspace, result: Result, environment: Mapping[str, str]) -> str | None:
    message = workspace.git.scratch("message")
    message.write_text(result.message)
    try:
        _by_user(workspace, environment, "merge", "--quiet", "--no-ff", "--file", str(message), result.result)
    except UsageProblem:
        with suppress(UsageProblem):
            _by_user(workspace, environment, "merge", "--abort")
        raise
    return workspace.head()


def _by_user(workspace: Workspace, environment: Mapping[str, str], *arguments: str, stdin: bytes = b"") -> None:
    try:
        workspace.git.by_user(workspace.repository.top, environment, *arguments, stdin=stdin)
    except GitFailed as failure:
        raise UsageProblem(
            f"git did not do it, so all is as it was: {failure.stderr or failure.message}",
            hint="see what git says above: a hook, a signature, or a missing `user.name` may be the reason",
        ) from failure


def _write(workspace: Workspace, paths: Iterable[str], tree: str) -> None:
    """Write `paths` as a checkout of `tree` would."""
    entries = workspace.trees.entries(tree)
    attributes = workspace.scanner.attributes([path for path in paths if path in entries])
    contents: dict[str, Blob | None] = dict.fromkeys(paths)
    for path, said in attributes.items():
        try:
            data = workspace.scanner.conversion.to_work_tree(workspace.trees.blob(entries[path].oid), said)
        except NotConvertible as problem:
            raise UsageProblem(f"`{quoted(path)}` {problem}", hint="merge the run's branch yourself") from problem
        contents[path] = Blob(mode=entries[path].mode, data=data)
    _put(workspace, contents)


def _put(workspace: Workspace, contents: Mapping[str, Blob | None]) -> None:
    """Write and remove files, removals first, so that a directory can give way to a file."""
    files = WorkTree(workspace.repository.top)
    try:
        for path in (path for path, blob in contents.items() if blob is None):
            files.remove(path)
        for path, blob in contents.items():
            if blob is not None:
                files.write(path, blob.data, executable=blob.mode == "100755")
    except OSError as error:
        raise UsageProblem(f"a file cannot be written: {error}", hint="check permissions and free space") from error


def _roll_back(workspace: Workspace, run_id: str, record: _Record) -> None:
    """Put the files and, for a commit, the index back as they were."""
    if record.kind != "merge":
        if changed := _conflicts(workspace, record, (record.base_tree, record.result_tree)):
            raise _changed(changed, "it was accepted", "put them back, or undo by hand")
        before = workspace.trees.entries(record.before_tree)
        contents: dict[str, Blob | None] = dict.fromkeys(record.paths)
        for path, entry in before.items():
            contents[path] = Blob(mode=entry.mode, data=workspace.trees.blob(entry.oid))
        _put(workspace, contents)
    if record.kind == "commit":
        _restore_index(workspace, run_id)
    _take_back(workspace, run_id, record)


def _take_back(workspace: Workspace, run_id: str, record: _Record) -> _Record:
    """Note that `record` holds no more, but the one before it."""
    left = record.earlier or replace(record, state="undone")
    _save(workspace, run_id, left)
    return left


def _recover(workspace: Workspace, run_id: str, record: _Record) -> _Record:
    """What became of an acceptance that was cut off: taken back, unless the commit was made."""
    head = workspace.head()
    if head != record.head and head is not None and record.kind != "files":
        parents = workspace.git.text("rev-list", "--parents", "--max-count=1", head).split()[1:]
        if parents[:1] == ([record.head] if record.head else []) and not _conflicts(
            workspace, record, (record.result_tree,)
        ):
            record = replace(record, state="done", commit=head)
            _save(workspace, run_id, record)
            return record
        raise UsageProblem("HEAD moved since accepting was cut off", hint="see `git log` and `git status`")
    _roll_back(workspace, run_id, record)
    return record.earlier or replace(record, state="undone")


def _conflicts(workspace: Workspace, record: _Record, trees: tuple[str, ...]) -> list[str]:
    """Changed paths that on disk are as in none of `trees`."""
    current = workspace.trees.entries(workspace.scanner.scan(workspace.head_tree())[0])
    allowed = [workspace.trees.entries(tree) for tree in trees]
    files = WorkTree(workspace.repository.top)
    found = []
    for path in record.paths:
        now = current.get(path)
        hidden = now is None and files.stat(path) is not None
        blocked = files.obstacle(path) not in {None, *record.paths}
        if hidden or blocked or not any(_same(now, entries.get(path)) for entries in allowed):
            found.append(path)
    return found


def _as_on_disk(workspace: Workspace, paths: Iterable[str]) -> str:
    files = WorkTree(workspace.repository.top)
    changes: dict[str, Blob | None] = {}
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            seen = files.read(path, limit=_LARGEST)
            if seen is not None:
                changes[path] = Blob(mode=seen.mode, data=seen.data)
    return workspace.trees.build(workspace.trees.empty(), changes)


def _keep(workspace: Workspace, run_id: str, record: _Record) -> None:
    for tree in (record.base_tree, record.result_tree, record.before_tree):
        workspace.checkpoint(run_id, tree)
    index = workspace.repository.git_dir / "index"
    copy = workspace.run_directory(run_id) / _INDEX
    copy.unlink(missing_ok=True)
    if record.kind == "commit" and index.exists():
        shutil.copy2(index, copy)
    _save(workspace, run_id, record)


def _restore_index(workspace: Workspace, run_id: str) -> None:
    index = workspace.repository.git_dir / "index"
    copy = workspace.run_directory(run_id) / _INDEX
    if not copy.exists():
        index.unlink(missing_ok=True)
        return
    lock = index.with_name("index.lock")
    try:
        with lock.open("xb") as file:
            file.write(copy.read_bytes())
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise UsageProblem("git's index is locked", hint=f"end the other git command, or remove {lock}") from error
    lock.rename(index)


def _load(workspace: Workspace, run_id: str) -> _Record | None:
    path = workspace.run_directory(run_id) / _RECORD
    try:
        return _record(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedRun(f"{path} cannot be read", hint="remove it, if the checkout is as you want it") from error


def _record(values: dict[str, Any]) -> _Record:
    earlier = values.get("earlier")
    return _Record(
        **(values | {"paths": tuple(values["paths"]), "earlier": _record(earlier) if earlier is not None else None})
    )


def _save(workspace: Workspace, run_id: str, record: _Record) -> None:
    directory = workspace.run_directory(run_id)
    draft = Path(f"{directory / _RECORD}.new")
    with draft.open("w") as file:
        json.dump(asdict(record), file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(directory / _RECORD)


def _same(one: Entry | None, other: Entry | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.mode, one.oid) == (other.mode, other.oid)


def _changed(paths: list[str], since: str, hint: str) -> UsageProblem:
    return UsageProblem(f"{_listed(paths)} changed since {since}", hint=hint)


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(f"`{quoted(path)}`" for path in paths[:_SHOWN]) + more
