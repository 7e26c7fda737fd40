"""The hands of a run: what the model's tools act on, over the git objects and the sandbox."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from agent import events as e
from agent.bench import Bench, after_build
from agent.durable import Passing, storing, sync_directory, unnoticed, write_durably
from agent.edits import Edit
from agent.messages import ToolCall, ToolResult
from agent.place import Place, kept_closed
from agent.settling import glanced, settled_in_passing
from agent.state import Phase, RunState, seconds_left
from agent.task import Plan
from agent.testreport import TestReport
from agent.text import excerpt, one_line, sanitise
from agent.tools import (
    PLANNING,
    WRITING,
    Effect,
    FileEntry,
    Finish,
    Match,
    Mistake,
    Situation,
    TestRun,
    ToolOutcome,
    Unseal,
)
from agent.tools.toolbox import Toolbox
from agent.witnesses import Witnesses
from agent.workspace import Workspace
from sandbox import Command, Execution, Refusal, SetupFailed

__all__ = ["Hands", "RunHands", "keep"]

ID_LENGTH = 16
REFUSALS_KEPT = 20
"""Of one call."""
SHORTEST = 1.0
"""Seconds that a command has at least, also where the budget leaves less."""
LOG_LIMIT = 3_000
"""Characters that the model is shown of a setup that failed."""


def keep(artifacts: Path, content: bytes, passing: Passing = unnoticed) -> str:
    """Store `content` in the directory `artifacts`, and return the id by which `read_output` finds it.

    Raises:
        StorageProblem: it cannot be written.
    """
    artifact = _id_of(content)
    if _whole(artifacts, artifact) is None:
        with storing(artifacts):
            made = not artifacts.exists()
            artifacts.mkdir(mode=0o700, exist_ok=True)
            if made:
                sync_directory(artifacts.parent)
        write_durably(artifacts / artifact, content, passing)
    return artifact


def _clean(refusal: Refusal) -> e.Refusal:
    return e.Refusal(path=one_line(sanitise(refusal.path)), reason=one_line(sanitise(refusal.reason)))


def _id_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:ID_LENGTH]


def _whole(artifacts: Path, artifact: str) -> bytes | None:
    """What is kept by the id `artifact`; None if there is nothing, or something else: a machine may have crashed."""
    with suppress(FileNotFoundError):
        content = (artifacts / artifact).read_bytes()
        if _id_of(content) == artifact:
            return content
    return None


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

    def kept_closed(self, path: str) -> str:
        return kept_closed(self.state, self.place.seal(self.state), path)

    def execute(self, tree: str, script: str, timeout: float) -> Execution:
        recipe = self.place.recipe(tree, self.state)
        seconds = max(SHORTEST, min(timeout, seconds_left(self.state)))
        command = Command(script=after_build(recipe, script), timeout=seconds, cwd=self.state.started.task.cwd)
        try:
            return self.place.execute(self.state, tree, command)
        except SetupFailed as error:
            if tree == self.state.base:
                raise
            raise Mistake(_not_installed("what the manifests ask for", error)) from error

    def run_tests(self, tree: str, selection: Sequence[str]) -> tuple[TestReport, str]:
        report = self.bench.run(self.state, tree, tuple(selection))
        if selection:
            return glanced(self.state, tree, report), tree
        return settled_in_passing(self.bench, self.state, tree, report), tree

    def keep(self, content: bytes) -> str:
        return keep(self.artifacts, content, self.workspace.passing)

    def kept(self, artifact: str) -> bytes:
        content = _whole(self.artifacts, artifact) if artifact.isalnum() else None
        if content is None:
            raise KeyError(artifact)
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Carries out the calls of the model's last reply, one at a time."""

    workspace: Workspace
    place: Place
    bench: Bench
    witnesses: Witnesses
    artifacts: Path

    def call_tool(self, state: RunState) -> Iterator[e.Event]:
        """Carry out the first pending call; a tree that it changed is kept under a private ref."""
        call = state.pending[0]
        if earlier := state.habits.answered_by(call, state.tree):
            yield _answered(state, call, earlier)
            return
        hands = RunHands(
            state=state, workspace=self.workspace, place=self.place, bench=self.bench, artifacts=self.artifacts
        )
        situation = Situation(
            tree=state.tree,
            mode=state.started.task.mode,
            allowed=PLANNING if state.phase is Phase.PLAN else WRITING,
            previous=state.report or state.baseline,
            hidden=state.hidden,
            wanting=state.standings.environmental,
        )
        outcome = self._checked(state, Toolbox(hands).call(call, situation))
        if outcome.tree != state.tree:
            self.workspace.checkpoint(state.started.run_id, outcome.tree)
        yield e.ToolReturned(
            call_id=call.id,
            name=call.name,
            content=outcome.result.content,
            is_error=outcome.result.is_error,
            tree=outcome.tree,
            effect=_effect(outcome.effect),
            refused=tuple(map(_clean, outcome.refused[:REFUSALS_KEPT])),
        )

    def _checked(self, state: RunState, outcome: ToolOutcome) -> ToolOutcome:
        """`outcome`, but for a plan that cannot be carried out here: that is told, and the plan not taken.

        Raises:
            SetupFailed: without its dependencies it fails as well, so it is not the plan's fault.
        """
        plan = outcome.effect
        if not isinstance(plan, Plan):
            return outcome
        told = (plan.dependencies and self._uninstallable(state, plan)) or self._held_already(state, plan)
        return replace(outcome, result=ToolResult(content=told, is_error=True), effect=None) if told else outcome

    def _uninstallable(self, state: RunState, plan: Plan) -> str:
        """That the dependencies of a plan cannot be installed; empty if they can."""
        try:
            self.place.prepare(replace(state, plan=plan), state.tree)
        except SetupFailed as error:
            self.place.prepare(replace(state, plan=replace(plan, dependencies=())), state.tree)
            return _not_installed("The plan is not taken. Its dependencies", error)
        return ""

    def _held_already(self, state: RunState, plan: Plan) -> str:
        """Which criteria of a plan prove nothing, for they hold before the work is done; empty if none does."""
        cases = tuple(each for each in plan.criteria if each.command)
        if state.started.task.mode != "change" or not cases:
            return ""
        planned = replace(state, plan=plan)
        shown = zip(cases, self.witnesses.before(planned, cases), strict=True)
        held = [case.command for case, result in shown if result.holds and case.before == "fails"]
        if not held:
            return ""
        lines = "\n".join(f"- `{one_line(command)}`" for command in held)
        return (
            "The plan is not taken. These criteria hold already, so they do not show that the request is fulfilled:\n"
            f"{lines}\nLet them check what is not there yet, or say `before: holds` where they guard what is to stay."
        )


def _answered(state: RunState, call: ToolCall, earlier: str) -> e.ToolReturned:
    """The answer to a call that was made before, where nothing has changed since."""
    said = (
        f"Not carried out again: the answer to your call {earlier} above still holds, for nothing has changed since."
        " Make use of that one, or do something else."
    )
    return e.ToolReturned(
        call_id=call.id, name=call.name, content=said, is_error=False, tree=state.tree, repeats=earlier
    )


def _not_installed(what: str, error: SetupFailed) -> str:
    return excerpt(f"{what} cannot be installed: {error.message}\n{sanitise(error.log)}".rstrip(), LOG_LIMIT)


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
        case Unseal(path=path, reason=reason):
            return e.Unsealed(path=path, reason=reason)
