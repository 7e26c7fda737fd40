"""The runs of a repository, as their journals tell."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.errors import DamagedRun, UsageProblem
from agent.journal import read_entries
from agent.state import RunState, fold

__all__ = ["JOURNAL", "StoredRun", "find_run", "stored_runs"]

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


def stored_runs(directory: Path) -> Iterator[StoredRun]:
    """The runs below `directory`, newest first. A damaged one is passed over; `find_run` says what is wrong with it."""
    found = []
    for path in directory.glob(f"*/{JOURNAL}"):
        try:
            found.append(_load(path))
        except DamagedRun:
            continue
    yield from sorted(found, key=lambda run: run.state.at, reverse=True)


def find_run(directory: Path, name: str | None) -> StoredRun:
    """The run whose id begins with `name`, or the newest.

    Raises:
        UsageProblem: there is none, or more than one.
        DamagedRun: its journal is damaged.
    """
    if name is None:
        newest = next(stored_runs(directory), None)
        if newest is None:
            raise UsageProblem("there are no runs in this repository", hint="start one with `greenward change REQUEST`")
        return newest
    matches = [path for path in directory.glob(f"*/{JOURNAL}") if path.parent.name.startswith(name)]
    if len(matches) != 1:
        problem = "no run" if not matches else "more than one run"
        raise UsageProblem(f"{problem} has an id that begins with {name!r}", hint="`greenward runs` lists them")
    return _load(matches[0])


def _load(path: Path) -> StoredRun:
    entries = list(read_entries(path))
    if not entries:
        raise DamagedRun(f"{path} is empty", hint="the run ended before it began: remove its directory")
    return StoredRun(directory=path.parent, state=fold(entries))
