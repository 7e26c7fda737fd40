"""The runs of a repository, as their journals tell."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import DamagedRun, UsageProblem
from agent.folding import fold
from agent.journal import read_entries, read_last
from agent.repository import find
from agent.state import RunState

__all__ = ["JOURNAL", "StoredRun", "damaged_runs", "find_run", "find_unfinished", "runs_directory", "stored_runs"]

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run on disk, and the state that its journal folds to."""

    directory: Path
    state: RunState

    @property
    def id(self) -> str:
        return self.directory.name

    @property
    def status(self) -> str:
        """How it ended, or `unfinished`."""
        return self.state.outcome.value if self.state.outcome else "unfinished"


def runs_directory(repo: Path, environ: Mapping[str, str]) -> Path:
    """Where the runs of the repository that holds `repo` are, if there are any.

    Raises:
        UsageProblem: there is no repository.
    """
    return find(repo, environ).common_dir / "greenward" / "runs"


def stored_runs(directory: Path) -> Iterator[StoredRun]:
    """The runs below `directory`, the one last worked on first, each read when it is asked for.

    `damaged_runs` has those that cannot be read.
    """
    for path in sorted(directory.glob(f"*/{JOURNAL}"), key=_worked_on, reverse=True):
        with suppress(DamagedRun):
            yield _load(path)


def damaged_runs(directory: Path) -> Iterator[DamagedRun]:
    """What is wrong with each run below `directory` that cannot be read."""
    for path in sorted(directory.glob(f"*/{JOURNAL}")):
        try:
            _load(path)
        except DamagedRun as error:
            yield error


def find_run(directory: Path, name: str | None) -> StoredRun:
    """The run whose id is or begins with `name`; without one, the run that was worked on last.

    Raises:
        UsageProblem: there is none, or more than one.
        DamagedRun: its journal is damaged.
    """
    if name is None:
        return _first(stored_runs(directory))
    paths = [path for path in directory.glob(f"*/{JOURNAL}") if path.parent.name.startswith(name)]
    matches = [path for path in paths if path.parent.name == name] or paths
    if len(matches) != 1:
        problem = "no run" if not matches else "more than one run"
        raise UsageProblem(f"{problem} has an id that begins with {name!r}", hint="`greenward runs` lists them")
    return _load(matches[0])


def find_unfinished(directory: Path, name: str | None) -> StoredRun:
    """As `find_run`, but without a name the last one that has not ended, if there is one.

    Raises:
        UsageProblem: there is none, or more than one.
        DamagedRun: its journal is damaged.
    """
    runs = stored_runs(directory) if name is None else iter(())
    unfinished = next((run for run in runs if run.state.outcome is None), None)
    return unfinished or find_run(directory, name)


def _first(runs: Iterator[StoredRun]) -> StoredRun:
    newest = next(runs, None)
    if newest is None:
        raise UsageProblem("there are no runs in this repository", hint="start one with `greenward change REQUEST`")
    return newest


def _worked_on(path: Path) -> tuple[datetime, str]:
    """When the run of a journal was last worked on, as its last line alone tells; and its id."""
    last = None
    with suppress(OSError, DamagedRun):
        last = read_last(path)
    return last.at if last else datetime.min.replace(tzinfo=UTC), path.parent.name


def _load(path: Path) -> StoredRun:
    try:
        entries = list(read_entries(path))
    except OSError as error:
        raise DamagedRun(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error
    if not entries:
        raise DamagedRun(f"{path} is empty", hint="the run ended before it began: remove its directory")
    return StoredRun(directory=path.parent, state=fold(entries))
