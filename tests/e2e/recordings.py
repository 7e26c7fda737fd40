"""Where the recorded runs are made, once for all tests of all workers, and what is done to their journals."""

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.config import load_settings
from agent.journal import Entry, read_entries
from agent.replay.replaying import replay_executing, replay_plainly
from agent.runs import JOURNAL, StoredRun, find_run, stored_runs
from tests.lab import HereEngine, IsolatedEngine
from tests.recorded import KINDS, Uninstallable

ENGINES = {"unproven_without_isolation": HereEngine, "with_dependencies_that_are_nowhere": Uninstallable}
"""In which kinds were recorded that took no isolated engine."""


@dataclass(frozen=True)
class Recording:
    """A repository with what one of `KINDS` left in it."""

    kind: str
    repo: Path

    @property
    def directory(self) -> Path:
        """Of the runs."""
        return self.repo / ".git" / "greenward" / "runs"

    @property
    def runs(self) -> list[StoredRun]:
        return list(stored_runs(self.directory))

    @property
    def run(self) -> StoredRun:
        """The one that was worked on last."""
        return self.runs[0]

    @property
    def entries(self) -> list[Entry]:
        return list(read_entries(self.run.directory / JOURNAL))

    def replay(self, run: StoredRun | None = None):
        return replay_plainly(run or self.run, self.repo, os.environ)

    def recheck(self, run: StoredRun | None = None, sandbox: str = ""):
        run = run or self.run
        return replay_executing(
            run,
            self.repo,
            os.environ,
            engine=ENGINES.get(self.kind, IsolatedEngine)(),
            settings=load_settings({}, {"sandbox": sandbox or run.state.started.sandbox}, key=None),
            observe=lambda _notice: None,
        )

    def copy(self, root: Path) -> "Recording":
        """The same in a repository of its own."""
        shutil.copytree(self.repo, root / "repo", symlinks=True)
        return Recording(kind=self.kind, repo=root / "repo")

    def changed(self, place: Path, *changes) -> StoredRun:
        """A copy of the run below `place` whose journal was changed and linked anew, so that it is valid in itself.

        Each of `changes` is called with the number and the object of every line, and may change the latter.
        """
        shutil.copytree(self.run.directory, place / self.run.id, dirs_exist_ok=True)
        relink(place / self.run.id / JOURNAL, *changes)
        return find_run(place, self.run.id)


def relink(journal: Path, *changes) -> None:
    """Apply `changes` to the lines of a journal, and link them anew."""
    from agent.journal import _LINK, _link

    lines, chain = [], ""
    for number, line in enumerate(journal.read_bytes().splitlines()):
        entry = json.loads(line)
        del entry["chain"]
        for change in changes:
            change(number, entry)
        body = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()
        chain = _link(chain, body)
        lines.append(body[:-1] + _LINK + chain.encode() + b'"}\n')
    journal.write_bytes(b"".join(lines))


def at(step: int, change):
    """A change of the event at one step."""

    def changed(number, entry):
        if number == step:
            change(entry["event"])

    return changed


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """Gives the recording of a kind; all of them are made when the first one is asked for."""
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "recordings"
    root.mkdir(exist_ok=True)
    with (root / "lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setenv("HOME", str(root))
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        for kind, record in KINDS.items():
            if not (root / kind / "done").exists():
                (root / kind).mkdir()
                record(root / kind)
                (root / kind / "done").touch()
    return lambda kind: Recording(kind=kind, repo=root / kind / "repo")
