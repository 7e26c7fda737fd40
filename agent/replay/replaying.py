"""Replaying a run that is on disk: plainly, or with all that was executed executed again."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from agent.config import Settings
from agent.errors import UsageProblem
from agent.journal import links_of, read_entries
from agent.live import Observer
from agent.replay import Replayed
from agent.replay.following import Follower
from agent.replay.kits import Plain, Recheck
from agent.replay.record import Record
from agent.replay.scratch import scratch_of
from agent.repository import find
from agent.runs import JOURNAL, StoredRun
from agent.scribe import Scribe
from sandbox import Engine

__all__ = ["replay_executing", "replay_plainly"]


def replay_plainly(run: StoredRun, repo: Path, environ: Mapping[str, str]) -> Replayed:
    """Go through `run` of the repository at `repo`, which stays as it is, without key, network or engine.

    Raises:
        DamagedRun: the journal is damaged, or objects are missing.
        GreenwardError: the repository or git is not there.
    """
    record = _record(run)
    with scratch_of(find(repo, environ), run.state.started.task, environ) as workspace:
        sessions = Plain(record=record, workspace=workspace, kept=run.directory / "artifacts")
        return Follower(run=run.id, record=record, sessions=sessions, scribe=Scribe(workspace=workspace)).follow()


def _record(run: StoredRun) -> Record:
    path = run.directory / JOURNAL
    entries = tuple(read_entries(path))
    return Record(entries=entries, links=links_of(path)[: len(entries)])


def replay_executing(
    run: StoredRun, repo: Path, environ: Mapping[str, str], *, engine: Engine, settings: Settings, observe: Observer
) -> Replayed:
    """As `replay_plainly`, but commands, tests and verdicts are executed in `engine`.

    Raises:
        UsageProblem: the run used another sandbox than the one that is set.
        DamagedRun: the journal is damaged, or objects are missing.
        GreenwardError, SandboxError: the repository or git is not there, or nothing can be executed.
    """
    used = run.state.started.sandbox
    if used != settings.sandbox:
        raise UsageProblem(
            f"the run {run.id} used the sandbox `{used}`, but `{settings.sandbox}` is set",
            hint=f"check it with `--sandbox {used}`, if that is what you want",
        )
    record = _record(run)
    with scratch_of(find(repo, environ), run.state.started.task, environ) as workspace:
        sessions = Recheck(
            record=record,
            workspace=workspace,
            kept=run.directory / "artifacts",
            engine=engine,
            timeout=settings.test_timeout,
            observe=observe,
        )
        with closing(sessions):
            follower = Follower(
                run=run.id, record=record, sessions=sessions, scribe=Scribe(workspace=workspace), recheck=True
            )
            return follower.follow()
