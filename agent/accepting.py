"""Taking a run's result over: what the run was, in the words that `accept` and `undo` need."""

from collections.abc import Mapping

from agent.accept import Result, accept, accepted_tree, undo
from agent.checkout import check_index, contents, holds_nothing_else, put
from agent.commitmessage import compose
from agent.errors import UsageProblem
from agent.events import Outcome
from agent.proof import PROOF
from agent.runs import StoredRun
from agent.state import RunState
from agent.trees import Blob
from agent.workspace import Workspace

__all__ = ["accept_run", "check_out", "undo_run", "unwritten"]

SHOWN = 12


def accept_run(workspace: Workspace, run: StoredRun, *, merge: bool, environ: Mapping[str, str]) -> str:
    """Bring the result into the checkout, and say what was done.

    Raises:
        UsageProblem: there is nothing to accept, or files changed since the run began.
    """
    state = run.state
    commit = state.finished.commit if state.finished else state.tip
    if commit == state.root_commit:
        raise UsageProblem(f"the run {run.id} changed nothing", hint="`greenward runs` lists the others")
    result = Result(
        run_id=run.id, base=_taken_so_far(workspace, state, commit, merge=merge), result=commit, message=_message(state)
    )
    accepted = accept(workspace, result, environment=environ, merge=merge, note=_note(run))
    what = {"commit": "committed", "merge": "merged", "files": "written to the files, uncommitted"}[accepted.kind]
    lines = [f"{what}: {len(accepted.paths)} files", *(f"  {path}" for path in accepted.paths[:SHOWN])]
    if len(accepted.paths) > SHOWN:
        lines.append(f"  and {len(accepted.paths) - SHOWN} more")
    if state.outcome is not Outcome.PASSED:
        lines.append(f"note: the run ended {run.status}; the result is not proven")
    elif not accepted.proven:
        lines.append("note: unproven after merge: your checkout differs from the tree that was judged")
    lines.append(f"`greenward undo {run.id}` takes it back")
    return "\n".join(lines)


def _taken_so_far(workspace: Workspace, state: RunState, result: str, *, merge: bool) -> str:
    """What the checkout has of the run already: what was accepted or delivered before the user asked for more."""
    if not merge and (tree := accepted_tree(workspace, state.started.run_id)):
        return tree
    head = workspace.head()
    shared = workspace.git.text("merge-base", "--end-of-options", head, result, ok=(0, 1)) if head else ""
    ours = workspace.git.text("rev-list", f"{state.root_commit}..{result}").split()
    return shared if shared in ours else state.root_commit


def undo_run(workspace: Workspace, run: StoredRun, *, environ: Mapping[str, str]) -> str:
    """Take an accept back, and say what was done.

    Raises:
        UsageProblem: the run was not accepted, or files changed since.
    """
    paths = undo(workspace, run.id, environment=environ)
    return f"taken back: {len(paths)} files are as they were before run {run.id} was accepted"


def check_out(workspace: Workspace, state: RunState, environ: Mapping[str, str]) -> None:
    """Leave the finished project of a `new` run in its directory: `main` at the result, its files written.

    Cut off anywhere, it is done from there when it is called again.

    Raises:
        UsageProblem: something was put into the directory meanwhile; the result is on the run's branch.
    """
    top, commit = workspace.repository.top, state.tip
    head, ready = workspace.head(), unwritten(workspace, state)
    if head == commit and not ready:
        return
    if head not in (None, commit) or not ready:
        raise UsageProblem(
            f"{top} is not empty any more, so the project was not written there",
            hint=f"it is on the branch {state.started.branch}: move your files away, then"
            f" `git checkout {state.started.branch}`",
        )
    check_index(workspace)
    if head is None:
        workspace.advance("main", commit, None)
    put(workspace, _project(workspace, state))
    workspace.git.by_user(top, environ, "reset", "--quiet", "main")


def unwritten(workspace: Workspace, state: RunState) -> bool:
    """Whether the project is still to be written: there is no index yet, and no file but some of the project's."""
    if (workspace.repository.git_dir / "index").exists():
        return False
    return holds_nothing_else(workspace, _project(workspace, state))


def _project(workspace: Workspace, state: RunState) -> dict[str, Blob | None]:
    """The files of the finished project, by path, as a checkout has them."""
    tree = workspace.tree_of(state.tip)
    return contents(workspace, workspace.trees.entries(tree), tree)


def _note(run: StoredRun) -> str:
    """The proof of the run; empty if there is none."""
    path = run.directory / PROOF
    return path.read_text("utf-8") if run.state.finished and run.state.finished.proof and path.exists() else ""


def _message(state: RunState) -> str:
    summary = state.plan.summary if state.plan else "Mend the failing tests"
    return compose(
        summary,
        state.started.task.request,
        (("Greenward-Run", state.started.run_id), ("Assisted-by", f"greenward:{state.started.model}")),
    )
