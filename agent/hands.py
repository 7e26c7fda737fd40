"""The hands of a run: what the model's tools act on, over the git objects and the sandbox."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import events as e
from agent.bench import Bench, after_build
from agent.edits import Edit
from agent.place import Place
from agent.state import Phase, RunState
from agent.task import Plan
from agent.testreport import TestReport
from agent.tools import PLANNING, WRITING, Effect, FileEntry, Finish, Match, Situation, TestRun
from agent.tools.toolbox import Toolbox
from agent.workspace import Workspace
from sandbox import Command, Execution

__all__ = ["Hands", "RunHands"]

ID_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHands:
    """Hands at one point of a run: what is sealed then is sealed for them."""

    state: RunState
    workspace: Workspace
    place: Place
    bench: Bench
    artifacts: Path

    def files(self, tree: str) -> Sequence[FileEntry]:
        return [FileEntry(path=entry.path, size=entry.size) for entry in self.workspace.files(tree)]

    def read(self, tree: str, path: str) -> bytes:
        try:
            return self.workspace.read(tree, path)
        except FileNotFoundError:
            raise KeyError(path) from None

    def search(self, tree: str, pattern: str, glob: str) -> Sequence[Match]:
        found = self.workspace.search(tree, pattern, glob=glob)
        return [Match(path=hit.path, line=hit.line, text=hit.text) for hit in found.hits]

    def edit(self, tree: str, edits: Sequence[Edit]) -> str:
        return self.workspace.edit(tree, edits, self.place.seal(self.state))

    def execute(self, tree: str, script: str, timeout: float) -> Execution:
        recipe = self.place.recipe(tree, self.state)
        command = Command(script=after_build(recipe, script), timeout=timeout, cwd=self.state.started.task.cwd)
        return self.place.execute(self.state, tree, command)

    def run_tests(self, tree: str, selection: Sequence[str]) -> tuple[TestReport, str]:
        return self.bench.run(self.state, tree, tuple(selection)), tree

    def keep(self, content: bytes) -> str:
        artifact = hashlib.sha256(content).hexdigest()[:ID_LENGTH]
        self.artifacts.mkdir(mode=0o700, exist_ok=True)
        (self.artifacts / artifact).write_bytes(content)
        return artifact

    def kept(self, artifact: str) -> bytes:
        if not artifact.isalnum() or not (self.artifacts / artifact).is_file():
            raise KeyError(artifact)
        return (self.artifacts / artifact).read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Carries out the calls of the model's last reply, one at a time."""

    workspace: Workspace
    place: Place
    bench: Bench
    artifacts: Path

    def call_tool(self, state: RunState) -> Iterator[e.Event]:
        """Carry out the first pending call; a tree that it changed is kept under a private ref."""
        call = state.pending[0]
        hands = RunHands(
            state=state, workspace=self.workspace, place=self.place, bench=self.bench, artifacts=self.artifacts
        )
        situation = Situation(
            tree=state.tree,
            mode=state.started.task.mode,
            allowed=PLANNING if state.phase is Phase.PLAN else WRITING,
            previous=state.report or state.baseline,
        )
        outcome = Toolbox(hands).call(call, situation)
        if outcome.tree != state.tree:
            self.workspace.checkpoint(state.started.run_id, outcome.tree)
        yield e.ToolReturned(
            call_id=call.id,
            name=call.name,
            content=outcome.result.content,
            is_error=outcome.result.is_error,
            tree=outcome.tree,
            effect=_effect(outcome.effect),
        )


def _effect(effect: Effect) -> e.Effect | None:
    match effect:
        case None:
            return None
        case Plan():
            return e.Planned(plan=effect)
        case Finish(status=status, reason=reason):
            return e.Finish(status=status, reason=reason)
        case TestRun(report=report, full=full):
            return e.TestRun(report=report, full=full)
