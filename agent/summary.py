"""What a run came to, for people."""

import shlex
from collections import Counter

from agent.aside import aside_lines
from agent.events import Outcome
from agent.origin import origin_of
from agent.progress import some, used_lines
from agent.runs import StoredRun
from agent.state import RunState
from agent.testreport import TestReport
from agent.text import one_line, sanitise
from agent.verdict import VerdictKind

__all__ = ["WORDS", "essentials", "final_report", "headline", "next_step", "proof", "refused", "run_line", "summary"]

WORDS = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "not green",
    Outcome.BLOCKED: "blocked",
    Outcome.UNPROVEN: "unproven",
    Outcome.OUT_OF_BUDGET: "out of budget",
    Outcome.PLANNED: "planned",
}
UNPROVED = "passed, without a proof"
FREE = ", with tests that were free to change"
REASONS_SHOWN = 10
PROOF_SHOWN = 12
REQUEST_SHOWN = 80
"""Characters."""


def summary(state: RunState, where: str = "") -> str:
    """Outcome, tests before and after, cost, branch, and the next command to type.

    `where` is the repository as the user named it; empty for the current directory.
    """
    lines = ["", headline(state)]
    lines += [f"  - {one_line(reason)}" for reason in _reasons(state)]
    if state.plan:
        lines.append(f"done:    {one_line(state.plan.summary)}")
    lines.append(f"tests:   {_counts(state.baseline)} -> {_counts(final_report(state))}")
    lines += [f"aside:   {line}" for line in aside_lines(state)]
    if shown := proof(state):
        lines.append(f"shown:   {shown}")
    if state.finished and state.finished.proof:
        lines.append(
            f"proof:   {state.finished.proof[:PROOF_SHOWN]}; {_verify(state, where)} checks it and runs it again"
        )
    lines += [f"note:    {one_line(note)}" for note in (state.verdict.notes if state.verdict else ())]
    lines += [f"flagged: {one_line(said)}" for said in some(state.verdict.flagged if state.verdict else ())]
    lines += [f"refused: {said}" for said in some(refused(state))]
    lines += used_lines(state)
    if origin := origin_of(state):
        lines.append(f"forked:  from {origin.words}")
    lines.append(f"branch:  {state.started.branch}")
    lines.append(f"next:    {next_step(state, where)}")
    return sanitise("\n".join(lines))


def refused(state: RunState) -> tuple[str, ...]:
    """What the model tried to change and may not, path by path, with the reason and how often."""
    tried = Counter((each.path, each.reason) for each in state.refused)
    return tuple(
        f"a change of {one_line(path)}{f', {times} times' if times > 1 else ''}: {one_line(reason)}"
        for (path, reason), times in tried.items()
    )


def essentials(state: RunState, where: str = "") -> str:
    """Outcome, branch and the next command to type; `where` as for `summary`."""
    lines = [headline(state), f"branch:  {state.started.branch}", f"next:    {next_step(state, where)}"]
    return sanitise("\n".join(lines))


def run_line(run: StoredRun) -> str:
    """One line for a list of runs."""
    task = run.state.started.task
    what = one_line(task.request or "the failing tests", REQUEST_SHOWN)
    when, cost = f"{run.state.at:%Y-%m-%d %H:%M}", f"${run.state.spent.dollars:.4f}"
    free = "  (tests were free to change)" if run.state.tests_are_free else ""
    origin = f"  (forked from {run.state.forked.parent})" if run.state.forked else ""
    return sanitise(f"{run.id}  {when}  {task.mode:6}  {run.status:13}  {cost}  {what}{free}{origin}")


def headline(state: RunState) -> str:
    """The outcome in a word, and the reason for it."""
    word = WORDS[state.outcome] if state.outcome else "unfinished"
    if state.finished and state.outcome is Outcome.PASSED and not state.finished.proof:
        word = UNPROVED
    word += FREE if state.tests_are_free else ""
    reason = state.reason if state.outcome else state.paused.reason if state.paused else ""
    return f"{word}: {one_line(reason)}" if reason else word


def _reasons(state: RunState) -> tuple[str, ...]:
    verdict = state.verdict
    if verdict is None or verdict.kind is VerdictKind.PASSED or state.outcome is Outcome.PASSED:
        return ()
    return verdict.reasons[:REASONS_SHOWN] if len(verdict.reasons) > 1 else ()


def final_report(state: RunState) -> TestReport | None:
    """The report of the tree that the branch was left at; None if no tests were run."""
    for iteration in reversed(state.iterations):
        if iteration.tree == state.result_tree:
            return iteration.report
    return state.baseline


def _counts(report: TestReport | None) -> str:
    return one_line(str(report)) if report is not None else "not run"


def proof(state: RunState) -> str:
    """Whose tests and which criteria showed it; empty unless the verdict is green."""
    verdict = state.verdict
    if verdict is None or verdict.report is None or verdict.kind is not VerdictKind.PASSED:
        return ""
    proved = sum(witness.proves for witness in verdict.witnesses)
    wanted = sum(not witness.guards for witness in verdict.witnesses)
    held = sum(witness.guards and witness.result.holds for witness in verdict.witnesses)
    parts = [f"{_counts(verdict.report)} in a fresh container{FREE if state.tests_are_free else ''}"]
    if verdict.witnesses:
        parts.append(f"{proved} of {wanted} acceptance criteria failed before and hold after")
    if verdict.control:
        parts.append(f"control: {verdict.control}")
    if held:
        parts.append(f"{held} held before and hold still")
    return "; ".join(parts)


def _verify(state: RunState, where: str) -> str:
    commit = state.finished.commit if state.finished else state.tip
    return f"`greenward verify {commit[:PROOF_SHOWN]}{f' --repo {shlex.quote(where)}' if where else ''}`"


def next_step(state: RunState, where: str = "") -> str:
    """The next command to type; `where` as for `summary`."""
    where = shlex.quote(where) if where else ""
    run_id = state.started.run_id
    if state.started.task.mode == "new" and state.outcome is Outcome.PASSED and state.forked is None:
        return f"cd {where or '.'} && git log"
    run_id += f" --repo {where}" if where else ""
    if state.outcome is None and state.result_tree == state.root_tree:
        return f"greenward resume {run_id}"
    more = f"greenward resume {run_id} carries the plan out" if state.outcome is Outcome.PLANNED else ""
    if state.outcome is None:
        more = f"greenward resume {run_id} goes on"
    if state.outcome is Outcome.OUT_OF_BUDGET and "context" not in state.reason:
        more = f"greenward resume {run_id} {_raised(state)} goes on"
    if state.result_tree == state.root_tree:
        return more or "nothing was changed"
    look = f"greenward diff {run_id}, then greenward accept {run_id}"
    return f"{more}; or {look}" if more else look


def _raised(state: RunState) -> str:
    """The option for the limit that was reached, with twice as much."""
    limits, spent = state.started.limits, state.spent
    if spent.iterations >= limits.iterations:
        return f"--max-iterations {2 * limits.iterations}"
    if spent.calls >= limits.calls:
        return f"--max-calls {2 * limits.calls}"
    if "in the sandbox" in state.reason:
        return f"--max-sandbox-minutes {2 * limits.sandbox_seconds / 60:g}"
    if "seconds" in state.reason:
        return f"--max-minutes {2 * limits.seconds / 60:g}"
    return f"--max-tokens {2 * limits.tokens}" if "tokens" in state.reason else f"--max-cost {2 * limits.dollars:g}"
