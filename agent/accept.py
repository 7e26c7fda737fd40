"""`accept` brings a run's result into the user's checkout, and `undo` takes it out again.

The record is written before anything changes, and the files as they were are kept as objects: whatever moment this is
cut off at, accepting again, or undoing, ends well.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from agent.checkout import as_on_disk, check_index, contents, kept_index, put, restore_index
from agent.durable import write_durably
from agent.errors import DamagedRun, UsageProblem
from agent.gitfailed import GitFailed, quoted
from agent.paths import GITLINK, LINK
from agent.trees import Blob, Entry
from agent.workspace import Workspace
from agent.worktree import WorkTree

__all__ = ["Accepted", "Result", "accept", "accepted_tree", "undo"]

_RECORD = "accept.json"
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
    index: str | None = None
    """The index as it was, as a blob; only a commit changes it."""
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
    uncommitted. `note` is attached to the commit if that holds just what the run came to.

    Raises:
        UsageProblem: files that the run changed have changed since, the run was accepted before, or a hook refused;
            then all is as it was before.
    """
    workspace.repository.check_idle()
    check_index(workspace)
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
    outcome = workspace.head_tree() if commit is not None else workspace.scanner.scan(workspace.head_tree())[0]
    if commit is not None and note and outcome == record.result_tree:
        workspace.annotate(commit, note)
    return Accepted(kind=record.kind, commit=commit, paths=record.paths, proven=outcome == record.result_tree)


def undo(workspace: Workspace, run_id: str, *, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Take an accepted run out of the checkout, and return the paths that changed.

    Raises:
        UsageProblem: it was not accepted, or something changed since.
    """
    workspace.repository.check_idle()
    record = _load(workspace, run_id)
    if record is None or record.state == "undone":
        raise UsageProblem("this run is not accepted", hint=f"accept it with `greenward accept {run_id}`")
    check_index(workspace)
    if record.state == "started":
        cut_off, record = record, _recover(workspace, run_id, record)
        if record in (cut_off.earlier, replace(cut_off, state="undone")):
            return cut_off.paths
    if record.commit is None:
        _roll_back(workspace, run_id, record)
        return record.paths
    if workspace.head() not in (record.commit, record.head):
        raise UsageProblem(
            "there are commits after the accepted one", hint=f"revert it instead: `git revert {record.commit[:12]}`"
        )
    if record.kind == "merge":
        _unmerge(workspace, record, environment)
    else:
        _uncommit(workspace, record, environment)
    _take_back(workspace, run_id, record)
    return record.paths


def _uncommit(workspace: Workspace, record: _Record, environment: Mapping[str, str]) -> None:
    """Take the accepted commit away, from wherever this was cut off before: files, then HEAD and the index."""
    _put_back(workspace, record)
    if record.head is not None:
        _by_user(workspace, environment, "reset", "--quiet", record.head)
        return
    if workspace.head() is not None:
        workspace.git.run("update-ref", "-d", "HEAD", record.commit or "")
    restore_index(workspace, record.index)


def _unmerge(workspace: Workspace, record: _Record, environment: Mapping[str, str]) -> None:
    if workspace.head() == record.head or record.head is None:
        return
    if changed := _conflicts(workspace, record, (record.result_tree,)):
        raise _changed(changed, "it was accepted", "commit or stash them first")
    _by_user(workspace, environment, "reset", "--quiet", "--keep", record.head)


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
    index = kept_index(workspace) if record.kind == "commit" else None
    return replace(record, paths=differing, before_tree=as_on_disk(workspace, differing), index=index)


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
    put(workspace, contents(workspace, record.paths, record.result_tree))
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


def _roll_back(workspace: Workspace, run_id: str, record: _Record) -> None:
    """Put the files and, for a commit, the index back as they were."""
    if record.kind != "merge":
        _put_back(workspace, record)
    if record.kind == "commit":
        restore_index(workspace, record.index)
    _take_back(workspace, run_id, record)


def _put_back(workspace: Workspace, record: _Record) -> None:
    """Put the files back as they were, from wherever this was cut off before."""
    if changed := _conflicts(workspace, record, (record.base_tree, record.result_tree)):
        raise _changed(changed, "it was accepted", "put them back, commit or stash them first")
    before = workspace.trees.entries(record.before_tree)
    files: dict[str, Blob | None] = dict.fromkeys(record.paths)
    files |= {path: Blob(mode=entry.mode, data=workspace.trees.blob(entry.oid)) for path, entry in before.items()}
    put(workspace, files)


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
    if record.kind == "merge":
        _check_untouched(workspace)
    _roll_back(workspace, run_id, record)
    return record.earlier or replace(record, state="undone")


def _check_untouched(workspace: Workspace) -> None:
    """Refuse where a merge was cut off while git was writing: only git knows what it had in mind."""
    head_tree = workspace.head_tree()
    if workspace.scanner.scan(head_tree)[0] != head_tree or workspace.scanner.staged(head_tree):
        raise UsageProblem(
            "an earlier merge was cut off half-way",
            hint="all was committed when it began, so what `git status` shows came with it, or from you since:"
            " `git reset --hard` takes it away; then try again",
        )


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


def _keep(workspace: Workspace, run_id: str, record: _Record) -> None:
    for oid in (record.base_tree, record.result_tree, record.before_tree, record.index):
        if oid is not None:
            workspace.checkpoint(run_id, oid)
    _save(workspace, run_id, record)


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
    path = workspace.run_directory(run_id) / _RECORD
    write_durably(path, json.dumps(asdict(record)).encode(), workspace.passing)


def _same(one: Entry | None, other: Entry | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.mode, one.oid) == (other.mode, other.oid)


def _changed(paths: list[str], since: str, hint: str) -> UsageProblem:
    return UsageProblem(f"{_listed(paths)} changed since {since}", hint=hint)


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(f"`{quoted(path)}`" for path in paths[:_SHOWN]) + more
