"""What a replay works with: the run's own parts over a scratch repository, put together anew for each session."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from agent import __version__
from agent.bench import Bench
from agent.compaction import Compactor
from agent.hands import Hands, keep
from agent.judge import Judge
from agent.ledger import estimate
from agent.live import Observer
from agent.loop import Kit
from agent.measuring import Measuring
from agent.models import Request
from agent.notary import Notary
from agent.place import Place
from agent.recipes import Recipes
from agent.replay.asking import AskedAgain
from agent.replay.record import Record
from agent.replay.steps import NoEngine, plain_kit
from agent.scribe import Scribe
from agent.speaking import Speaker
from agent.state import RunState
from agent.tools.toolbox import SPECS
from agent.witnesses import Witnesses
from agent.workspace import Workspace
from sandbox import Engine, Limits

__all__ = ["Plain", "Recheck"]


def artifacts_of(workspace: Workspace, state: RunState, source: Path) -> Path:
    """A copy of what the run kept, for `read_output`, where more can be put."""
    target = workspace.run_directory(state.started.run_id) / "artifacts"
    if source.is_dir() and not target.exists():
        shutil.copytree(source, target, symlinks=True)
    return target


def scribe_of(workspace: Workspace, state: RunState, record: Record) -> Scribe:
    """Makes commits, and proofs that are bound to the chain of the record."""
    directory = workspace.run_directory(state.started.run_id)
    return Scribe(
        workspace=workspace, prove=Notary(workspace=workspace, directory=directory, chain=lambda: record.chain).prove
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Makes kits that need no engine."""

    record: Record
    workspace: Workspace
    kept: Path
    """Where the run keeps what was too long to show."""

    def kit(self, state: RunState, _version: str) -> Kit:
        """For one session of the run."""
        place = Place(
            engine=NoEngine(),
            workspace=self.workspace,
            recipe=Recipes(workspace=self.workspace, task=state.started.task).for_tree,
            limits=Limits(),
            run_id=state.started.run_id,
            observe=lambda _notice: None,
        )
        bench = Bench(place=place, timeout=1.0)
        hands = Hands(
            workspace=self.workspace,
            place=place,
            bench=bench,
            witnesses=Witnesses(bench=bench),
            artifacts=artifacts_of(self.workspace, state, self.kept),
        )
        return plain_kit(self.record, hands, scribe_of(self.workspace, state, self.record))


@dataclass(slots=True, kw_only=True)
class Recheck:
    """Makes kits that execute: commands, tests and verdicts, in `engine`."""

    record: Record
    workspace: Workspace
    kept: Path
    engine: Engine
    timeout: float
    """Seconds for one run of the suite, its build included."""
    observe: Observer
    _session: ExitStack = field(default_factory=ExitStack, init=False)

    def close(self) -> None:
        """Remove whatever runs."""
        self._session.close()

    def kit(self, state: RunState, version: str) -> Kit:
        """For one session of the run: in a sandbox of its own, as it was then.

        What another version said and reserved is taken from the record, for ours would say it differently.
        """
        self.close()
        workspace = self.workspace
        recipes = Recipes(workspace=workspace, task=state.started.task)
        place = Place(
            engine=self.engine,
            workspace=workspace,
            recipe=recipes.for_tree,
            limits=Limits(),
            run_id=state.started.run_id,
            observe=self.observe,
        )
        recipes.execute = place.execute_in
        self._session.callback(place.close)
        bench = Bench(place=place, timeout=self.timeout)
        witnesses = Witnesses(bench=bench)
        artifacts = artifacts_of(workspace, state, self.kept)
        hands = Hands(workspace=workspace, place=place, bench=bench, witnesses=witnesses, artifacts=artifacts)
        kit = replace(
            plain_kit(self.record, hands, scribe_of(workspace, state, self.record)),
            prepare=bench.prepare,
            measure=Measuring(bench=bench).measure,
            prompt=Speaker(
                files=lambda tree: tuple(entry.path for entry in workspace.files(tree)), changed=workspace.changed
            ).prompt,
            call_tool=hands.call_tool,
            test=bench.test,
            judge=Judge(bench=bench, witnesses=witnesses).judge,
        )
        if version != __version__:
            return kit
        compactor = Compactor(
            keep=partial(keep, artifacts), measure=lambda said: estimate(Request(messages=said, tools=SPECS))
        )
        return replace(kit, ask=AskedAgain(record=self.record, compactor=compactor))
