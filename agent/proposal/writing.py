"""Writes a proposal: the result of a run as files that another job can check and publish."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

from agent.durable import write_durably
from agent.errors import GreenwardError, UsageProblem
from agent.git import SHA256_DIGITS, Git
from agent.proof import PROOF
from agent.proposal.annotations import annotations_of, as_file
from agent.proposal.junit import as_junit
from agent.proposal.layout import (
    ANNOTATIONS,
    BUNDLE,
    JUNIT,
    LARGEST,
    MANIFEST,
    NAMES,
    PATCH,
    SUMMARY,
    Manifest,
    digest_of_failures,
    dump,
    file_of,
)
from agent.proposal.summary import Changed, summary_of
from agent.redact import Redactor
from agent.result import RESULT, result_file
from agent.state import RunState
from agent.summary import final_report
from agent.testreport import TestReport
from agent.workspace import Workspace

__all__ = ["brought", "check_place", "patch_between", "propose"]

AS_THEY_ARE = frozenset({PATCH, BUNDLE, PROOF})
"""Files in which nothing may be changed, not even to take a secret out."""


def check_place(out: Path) -> None:
    """Raise `UsageProblem` unless a proposal can be written to `out`: a new, empty or earlier one's directory."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in out.iterdir() if path.name not in NAMES or not path.is_file())
    except OSError as error:
        raise UsageProblem(f"{out} cannot be used: {error.strerror}", hint="name a directory to write to") from None
    if others:
        raise UsageProblem(f"{out} holds something else: {others[0]}", hint="name a directory that is new, or empty")


def propose(workspace: Workspace, state: RunState, out: Path, *, redact: Redactor, exit_code: int) -> None:
    """Write the proposal of a run to `out`, in place of an earlier one.

    Raises:
        GreenwardError: the result holds a secret, or is too large; then nothing is written.
        UsageProblem: `out` holds other things.
        StorageProblem: it cannot be written.
    """
    check_place(out)
    files = _files(workspace, state, exit_code=exit_code)
    files |= {name: _redacted(data, redact) for name, data in files.items() if name not in AS_THEY_ARE}
    _check(workspace, state, files, redact)
    manifest = Manifest(
        run=state.started.run_id,
        mode=state.started.task.mode,
        outcome=state.outcome,
        base=state.root_commit,
        commit=_commit(state),
        tree=state.result_tree,
        branch=state.started.branch,
        failing=digest_of_failures((state.baseline or TestReport()).failing),
        files={name: file_of(data) for name, data in sorted(files.items())},
    )
    for stale in NAMES - set(files):
        with suppress(FileNotFoundError):
            (out / stale).unlink()
    for name, data in files.items():
        write_durably(out / name, data)
    write_durably(out / MANIFEST, dump(manifest))


def patch_between(git: Git, before: str, after: str) -> bytes:
    """The patch from one tree or commit to another, the same whatever the user's configuration says."""
    return git.run(
        "diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv",
        "--no-color", before, after,
    )  # fmt: skip


def brought(git: Git, base: str, commit: str) -> Iterator[bytes]:
    """What the bundle brings: commits, trees and files of every iteration, also what a later one took back."""
    listed = git.run("rev-list", "--objects", "--no-object-names", commit, f"^{base}").decode().split()
    return (git.object(oid)[1] for oid in listed)


def _files(workspace: Workspace, state: RunState, *, exit_code: int) -> dict[str, bytes]:
    commit = _commit(state)
    files = {
        RESULT: result_file(state, exit_code=exit_code),
        SUMMARY: summary_of(state, _changed(workspace, state), commit=commit).encode("utf-8", "replace"),
        JUNIT: as_junit(final_report(state) or TestReport()),
        ANNOTATIONS: as_file(annotations_of(state)),
    }
    if commit != state.root_commit:
        files[PATCH] = patch_between(workspace.git, state.root_tree, state.result_tree)
        files[BUNDLE] = _bundle(workspace, state)
    proof = workspace.run_directory(state.started.run_id) / PROOF
    if state.finished and state.finished.proof and proof.is_file():
        files[PROOF] = proof.read_bytes()
    return files


def _commit(state: RunState) -> str:
    return state.finished.commit if state.finished else state.tip


def _bundle(workspace: Workspace, state: RunState) -> bytes:
    """The run's commits; the one that they stand on is not among them."""
    path = workspace.git.scratch("bundle")
    ref, version = f"refs/heads/{state.started.branch}", 3 if len(state.root_commit) == SHA256_DIGITS else 2
    workspace.git.run("bundle", "create", "--quiet", f"--version={version}", str(path), ref, f"^{state.root_commit}")
    return path.read_bytes()


def _changed(workspace: Workspace, state: RunState) -> tuple[Changed, ...]:
    before, after = (workspace.trees.entries(tree) for tree in (state.root_tree, state.result_tree))
    return tuple(
        Changed(path=path, how="changed" if path in before and path in after else "new" if path in after else "deleted")
        for path in workspace.changed(state.root_tree, state.result_tree)
    )


def _redacted(data: bytes, redact: Redactor) -> bytes:
    return redact(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _check(workspace: Workspace, state: RunState, files: Mapping[str, bytes], redact: Redactor) -> None:
    """Raise `GreenwardError` for what must not leave: a secret in any commit, and a file that nobody would take."""
    if any(map(redact.finds, chain(files.values(), brought(workspace.git, state.root_commit, _commit(state))))):
        raise GreenwardError(
            "the result holds the key of the model, so nothing was written",
            hint="revoke the key: some code of the repository knows it",
        )
    for name, data in files.items():
        if len(data) > LARGEST[name]:
            raise GreenwardError(
                f"{name} would have {len(data):,} bytes, more than the {LARGEST[name]:,} that are published",
                hint="the run's branch is there: `greenward show` tells where",
            )
