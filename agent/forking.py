"""Forks: a new run that begins with the first steps of another one, byte for byte, and goes on in its own way.

Every beginning of a journal is a run that was cut off there, and every run that was cut off can go on. So a fork is a
copy with one more entry, which says who it is from there on, and with what it works.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import events as e
from agent.config import Settings
from agent.durable import sync_directory, write_durably
from agent.errors import DamagedRun, UsageProblem
from agent.events import Outcome
from agent.folding import apply, fold
from agent.journal import Entry, Journal, read_entries
from agent.reopening import taking_up
from agent.runs import JOURNAL, StoredRun
from agent.state import RunState
from agent.task import Limits
from agent.workspace import Workspace

__all__ = ["Beginning", "beginning_of", "fork"]

DRAFT = f"{JOURNAL}.new"
"""Until all of it is there: a run whose journal is called so is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The first steps of a run, up to and including the number `step`."""

    run: StoredRun
    step: int
    entries: tuple[Entry, ...]
    state: RunState

    @property
    def lines(self) -> bytes:
        """As they stand in the journal, which only ever grows."""
        lines = (self.run.directory / JOURNAL).read_bytes().splitlines(keepends=True)
        return b"".join(lines[: self.step + 1])


def beginning_of(run: StoredRun, step: int | None) -> Beginning:
    """The steps of `run` up to and including `step`, from 0; None: all of them.

    Raises:
        UsageProblem: it has no such step.
        DamagedRun: its journal is damaged.
    """
    entries = tuple(read_entries(run.directory / JOURNAL))
    last = len(entries) - 1
    step = last if step is None else step
    if not 0 <= step <= last:
        raise UsageProblem(
            f"the run {run.id} has no step {step}: they go from 0 to {last}",
            hint=f"`greenward show {run.id} --steps` lists them",
        )
    entries = entries[: step + 1]
    return Beginning(run=run, step=step, entries=entries, state=fold(entries))


def fork(
    workspace: Workspace,
    beginning: Beginning,
    *,
    run_id: str,
    settings: Settings,
    limits: Limits,
    say: str = "",
    scrub: Callable[[str], str] = lambda text: text,
) -> None:
    """Make the run `run_id` of a beginning: its journal, its artifacts, its branch, and refs that keep its trees.

    `settings` say which model is asked, at which prices; `limits` count from the beginning; `say` is for the model. The
    run that it comes from stays as it is, and may be at work.

    Raises:
        UsageProblem: nothing would be left to do, or there is such a run or branch already.
        DamagedRun: objects of the run are missing.
        StorageProblem: it cannot be written.
    """
    _check_goes_on(beginning, limits, say)
    state = beginning.state
    forked = e.Forked(
        run_id=run_id,
        branch=workspace.branch_name(_slug(state), run_id),
        parent=state.started.run_id,
        step=beginning.step,
        commit=state.finished.commit if state.finished else state.tip,
        model=settings.model,
        prices=settings.prices,
        context=settings.context,
        max_output=settings.max_output,
        limits=limits,
    )
    _check_free(workspace, forked)
    going_on = taking_up(apply(state, Entry(seq=beginning.step + 1, at=state.at, event=forked)), hint=say)
    for oid in dict.fromkeys(_objects(beginning.entries)):
        _keep(workspace, forked, oid)
    directory = workspace.run_directory(run_id)
    _copy_artifacts(beginning.run.directory / "artifacts", directory / "artifacts")
    write_durably(directory / DRAFT, beginning.lines)
    with Journal(directory / DRAFT, scrub=scrub) as journal:
        for event in (forked, *(going_on or ())):
            journal.append(event)
    if forked.commit != state.root_commit:
        workspace.advance(forked.branch, forked.commit, None)
    (directory / DRAFT).rename(directory / JOURNAL)
    sync_directory(directory)


def _check_goes_on(beginning: Beginning, limits: Limits, say: str) -> None:
    """That there is something left to do where the run had ended by then."""
    state, run_id, step = beginning.state, beginning.state.started.run_id, beginning.step
    earlier = f"fork it at an earlier step: `greenward show {run_id} --steps` lists them"
    match state.outcome:
        case Outcome.PASSED:
            what, hint = "was green", f"{earlier}; or ask for more: `greenward change --continue {run_id} REQUEST`"
        case Outcome.OUT_OF_BUDGET if limits == state.started.limits:
            what, hint = "had spent its budget", "give the fork more, as `--max-cost 2`"
        case Outcome.FAILED | Outcome.BLOCKED | Outcome.UNPROVEN if not say:
            what, hint = "had ended", f"say something to the model (`--say TEXT`), or {earlier}"
        case _:
            return
    raise UsageProblem(f"the run {run_id} {what} by step {step}, so nothing would be left to do", hint=hint)


def _check_free(workspace: Workspace, forked: e.Forked) -> None:
    if (workspace.runs_directory / forked.run_id).exists():
        raise UsageProblem(f"there is a run {forked.run_id} already", hint="try again: another id will be chosen")
    if workspace.git.find(f"refs/heads/{forked.branch}"):
        raise UsageProblem(
            f"there is a branch `{forked.branch}` already",
            hint=f"remove it with `git branch -D {forked.branch}`, or try again: another name will be chosen",
        )


def _slug(state: RunState) -> str:
    """What the branch of the other run is called after."""
    return state.started.branch.removeprefix("greenward")[1:].removesuffix(f"-{state.started.run_id}")


def _objects(entries: Sequence[Entry]) -> Iterator[str]:
    """The ids of all commits and trees that `entries` speak of."""
    for entry in entries:
        match entry.event:
            case e.RunStarted(task=task):
                yield task.base_commit
            case e.ToolReturned(tree=tree) | e.TestsFinished(tree=tree):
                yield tree
            case e.Committed(commit=commit, tree=tree) | e.RunFinished(commit=commit, tree=tree):
                yield from (commit, tree)
            case e.RunPaused(commit=commit, tree=tree):
                yield from (commit, tree)
            case _:
                pass


def _keep(workspace: Workspace, forked: e.Forked, oid: str) -> None:
    if workspace.git.find(oid) is None:
        raise DamagedRun(
            f"the run {forked.parent} cannot be forked: its object {oid} is missing",
            hint="it was pruned, perhaps after `refs/greenward` was removed: fork an earlier step",
        )
    workspace.checkpoint(forked.run_id, oid)


def _copy_artifacts(source: Path, target: Path) -> None:
    """Copies, not links: what is written to one of the runs must not reach the other."""
    if not source.is_dir():
        return
    target.mkdir(mode=0o700, exist_ok=True)
    for path in source.iterdir():
        if path.is_file() and not path.is_symlink():
            write_durably(target / path.name, path.read_bytes())
