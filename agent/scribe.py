"""The scribe: each iteration becomes a commit on the run's branch, and the end leaves it at the best tree measured."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.best import best_of
from agent.commitmessage import compose
from agent.events import Committed, Event, Outcome, RunFinished
from agent.state import Iteration, Phase, RunState, ending
from agent.testreport import TestReport
from agent.text import sanitise
from agent.workspace import Workspace

__all__ = ["Scribe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scribe:
    """Writes commits by plumbing: the user's checkout, index and HEAD have no part in it."""

    workspace: Workspace

    def commit(self, state: RunState) -> Iterator[Event]:
        """Commit the tree that was tested last."""
        subject = _subject(state)
        commit = self._commit(state, state.tested_tree, subject, _done(state))
        yield Committed(commit=commit, tree=state.tested_tree, subject=subject)

    def finish(self, state: RunState) -> Iterator[Event]:
        """Leave the branch at the best tree measured, and say how the run ended."""
        outcome, reason = ending(state) or (Outcome.FAILED, "")
        best = best_of(state)
        commit, tree = state.tip, state.iterations[-1].tree if state.iterations else state.base
        if best is not None and best.tree != tree:
            number = state.iterations.index(best) + 1
            subject = f"Return to iteration {number}, the best one"
            commit, tree = self._commit(state, best.tree, subject, "", best), best.tree
        yield RunFinished(outcome=outcome, reason=reason, commit=commit, tree=tree)

    def _commit(self, state: RunState, tree: str, subject: str, body: str, iteration: Iteration | None = None) -> str:
        """A commit of `tree` on the branch's tip; none if the tree is the tip's.

        Its date is the journal's: cut off between the branch and the journal, a run makes the same commit again.
        """
        tip_tree = state.iterations[-1].tree if state.iterations else state.base
        if tree == tip_tree and iteration is None:
            return state.tip
        message = compose(subject, body, _trailers(state, iteration))
        commit = self.workspace.commit(tree, state.tip, message, at=state.worked_at)
        at_base = state.tip == state.root_commit
        self.workspace.advance(state.started.branch, commit, None if at_base else state.tip)
        return commit


def _subject(state: RunState) -> str:
    summary = state.plan.summary if state.plan else "Mend the failing tests"
    if state.phase is Phase.TESTS:
        return f"Add failing tests: {summary}"
    if state.verdict is not None and state.verdict.tree == state.tested_tree:
        return summary
    return f"Iteration {state.spent.iterations}: {state.report}"


def _done(state: RunState) -> str:
    """What the model said of its work last."""
    said = [message.content for message in state.messages if message.role == "assistant" and message.content.strip()]
    return sanitise(said[-1]) if said else ""


def _trailers(state: RunState, iteration: Iteration | None) -> tuple[tuple[str, str], ...]:
    report = iteration.report if iteration else state.report
    verdict = iteration.verdict if iteration else state.verdict
    judged = verdict is not None and (iteration is not None or verdict.tree == state.tested_tree)
    return (
        ("Greenward-Run", state.started.run_id),
        ("Greenward-Iteration", str(state.spent.iterations)),
        ("Tests-Before", _counts(state.baseline)),
        ("Tests-After", _counts(report)),
        ("Cost-USD", f"{state.spent.dollars:.4f}"),
        ("Verdict", verdict.kind.value if judged and verdict else "not judged"),
        ("Assisted-by", f"greenward:{state.started.model}"),
    )


def _counts(report: TestReport | None) -> str:
    return str(report) if report is not None else "none"
