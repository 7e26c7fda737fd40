"""The scribe: each iteration becomes a commit on the run's branch, and the end leaves it at the best tree measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.best import best_of
from agent.commitmessage import compose
from agent.events import Committed, Event, Outcome, RunFinished, RunPaused, Why
from agent.state import Iteration, Phase, RunState, ending
from agent.testreport import TestReport
from agent.text import sanitise
from agent.workspace import Workspace

__all__ = ["Scribe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scribe:
    """Writes commits by plumbing: the user's checkout, index and HEAD have no part in it."""

    workspace: Workspace
    prove: Callable[[RunState, str, str], str] = lambda _state, _commit, _tree: ""
    """Writes the proof for the commit and the tree that passed, and returns its id; empty: there is none."""

    def commit(self, state: RunState) -> Iterator[Event]:
        """Commit the tree that was tested last."""
        subject = _subject(state)
        commit = self._commit(state, state.tested_tree, subject, _done(state))
        yield Committed(commit=commit, tree=state.tested_tree, subject=subject)

    def finish(self, state: RunState) -> Iterator[Event]:
        """Leave the branch at the best tree measured, and say how the run ended."""
        outcome, reason = ending(state) or (Outcome.FAILED, "")
        commit, tree = self._leave_at_best(state)
        proof = self.prove(state, commit, tree) if outcome is Outcome.PASSED else ""
        yield RunFinished(outcome=outcome, reason=reason, commit=commit, tree=tree, proof=proof)

    def pause(self, state: RunState, why: Why, reason: str, sandbox_seconds: float = 0.0) -> Iterator[Event]:
        """Leave the branch at the best tree measured until the run goes on, and say why it does not now."""
        commit, tree = self._leave_at_best(state)
        yield RunPaused(why=why, reason=reason, commit=commit, tree=tree, sandbox_seconds=sandbox_seconds)

    def _leave_at_best(self, state: RunState) -> tuple[str, str]:
        """The commit and the tree at which the branch is left."""
        best = best_of(state)
        if best is not None and not best.commit:
            return self._commit(state, best.tree, _subject(state), _done(state)), best.tree
        tree = best.tree if best else state.tip_tree if state.started.task.mode == "new" else state.base
        if tree == state.tip_tree:
            self._known_tip(state)
            return state.tip, tree
        subject = f"Return to iteration {best.number}, the best one" if best else "Return to what was there before"
        return self._commit(state, tree, subject, "", best or _nothing_better(state)), tree

    def _commit(self, state: RunState, tree: str, subject: str, body: str, iteration: Iteration | None = None) -> str:
        """A commit of `tree` on the branch's tip; none if the tree is the tip's, and the tip an iteration's.

        Its date is the journal's: cut off between the branch and the journal, a run makes the same commit again.
        """
        tip = self._known_tip(state)
        if tree == state.tip_tree and iteration is None and state.returned is None:
            return state.tip
        message = compose(subject, body, _trailers(state, iteration))
        commit = self.workspace.commit(tree, state.tip, message, at=state.worked_at)
        self.workspace.advance(state.started.branch, commit, tip)
        return commit

    def _known_tip(self, state: RunState) -> str | None:
        """Where the branch is; None if there is none yet. A killed process may have gone further, and never told."""
        begun = state.tip != state.root_commit
        self.workspace.put_back(state.started.branch, state.tip, begun=begun)
        return state.tip if begun else None


def _nothing_better(state: RunState) -> Iteration:
    """What the request found, as if it were an iteration."""
    report = state.baseline or TestReport()
    return Iteration(number=0, commit=state.started.task.base_commit, tree=state.base, report=report, verdict=None)


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
        *((("Tests", "were free to change"),) if state.tests_are_free else ()),
        ("Assisted-by", f"greenward:{state.started.model}"),
    )


def _counts(report: TestReport | None) -> str:
    return str(report) if report is not None else "none"
