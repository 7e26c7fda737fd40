"""What has to be true of runs and of their repository, whatever happens."""

import json
import os
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from agent import events as e
from agent.errors import GreenwardError
from agent.folding import fold
from agent.journal import read_entries
from agent.result import RESULT
from agent.runs import find_run
from agent.state import RunState
from agent.testreport import Status, TestReport
from tests.gitrepo import git
from tests.kits import PRICES
from tests.stateful.process import Process
from tests.stateful.runs import MOVES, Run
from tests.stateful.world import APP, SUITE, green_in

NEAR = 1e-9
IN_DIRECTORY = {"journal.jsonl", "result.json", "proof.json", "artifacts"}


@dataclass
class Truths:
    """Looks from outside, by files and the git command, and remembers what it has seen."""

    root: Path
    _green: dict[str, frozenset[str]] = field(default_factory=dict)
    _journals: dict[str, bytes] = field(default_factory=dict)
    _ended: dict[str, Process] = field(default_factory=dict)
    _branches: dict[str, tuple[object, ...]] = field(default_factory=dict)

    def hold(self, run: Run) -> None:
        """Raise `AssertionError` unless all is well with `run`."""
        if not run.entries or run.state is None:
            return
        self.the_journal_is_what_was_acknowledged(run)
        money_is_kept_to(run, run.state)
        self.commits_are_there_once_and_in_order(run, run.state)
        if isinstance(run.last, e.RunPaused | e.RunFinished):
            self.the_branch_is_at_the_best(run)
        if run.ended is not None and run.ended is not self._ended.get(run.id):
            nothing_is_left_behind(run)
            the_result_is_told(run, run.state)
            self._ended[run.id] = run.ended

    def the_journal_is_what_was_acknowledged(self, run: Run) -> None:
        """Nothing that was durable is lost, nothing is added, and the file folds to what the processes held."""
        data = run.journal.read_bytes()
        if self._journals.get(run.id) == data:
            return
        entries = list(read_entries(run.journal))
        assert entries == run.entries
        assert fold(entries) == run.state
        self.reports_are_of_their_trees(run)
        self._journals[run.id] = data

    def commits_are_there_once_and_in_order(self, run: Run, state: RunState) -> None:
        chain, left = [(state.root_commit, state.root_tree)], False
        for event in (entry.event for entry in run.entries if isinstance(entry.event, MOVES)):
            if event.commit != chain[-1][0]:
                assert left or event.tree != chain[-1][1], "what changed nothing is no commit"
                chain.append((event.commit, event.tree))
            left = not isinstance(event, e.Committed)
        assert (state.finished.commit if state.finished else state.tip) == chain[-1][0]
        key = (tuple(chain), run.unknown, ref_of(self.root, run.branch))
        if self._branches.get(run.id) == key:
            return
        lines = self._log(state.root_commit, run.branch)
        told = [f"{commit} {parent} {tree}" for (parent, _), (commit, tree) in pairwise(chain)]
        if run.unknown and len(lines) == len(told) + 1:
            assert lines[-1].split()[1] == chain[-1][0], "what was not written down follows on what was"
            lines.pop()
        assert lines == told
        self._branches[run.id] = key

    def reports_are_of_their_trees(self, run: Run) -> None:
        """Whatever became of a sandbox, no test failed that passes, and none passed that fails."""
        for tree, report in (found for entry in run.entries for found in _tested(entry.event)):
            green = {f"{SUITE}::test_{name}" for name in self.green(tree)}
            assert report.ids(Status.PASSED) == green, "a report says what the suite shows"

    def the_branch_is_at_the_best(self, run: Run) -> None:
        """Of all that was measured since the last request, by the number of tests that pass; else at its base."""
        since = max((n for n, entry in enumerate(run.entries) if isinstance(entry.event, e.Continued)), default=0)
        before = fold(run.entries[: since + 1])
        measured = [tree for entry in run.entries[since:] for tree, _ in _tested(entry.event)]
        best = max(len(self.green(tree)) for tree in (before.base, *measured))
        assert isinstance(run.last, e.RunPaused | e.RunFinished)
        assert len(self.green(run.last.tree)) == best, "a session leaves the branch at the best tree"

    def green(self, tree: str) -> frozenset[str]:
        """The tests that pass on `tree`."""
        if tree not in self._green:
            self._green[tree] = green_in(git(self.root, "show", f"{tree}:{APP}"))
        return self._green[tree]

    def _log(self, root: str, branch: str) -> list[str]:
        if ref_of(self.root, branch) is None:
            return []
        return git(
            self.root, "log", "--first-parent", "--reverse", "--format=%H %P %T", f"{root}..refs/heads/{branch}"
        ).splitlines()


def money_is_kept_to(run: Run, state: RunState) -> None:
    spent, limits, billed = state.spent, state.started.limits, run.provider.billed
    assert spent.dollars >= PRICES.cost(billed) - NEAR, "what was billed is booked"
    assert spent.tokens >= billed.prompt + billed.completion
    assert spent.calls >= run.provider.requests
    assert spent.dollars <= limits.dollars + NEAR
    assert spent.tokens <= limits.tokens
    assert spent.calls <= limits.calls
    assert spent.iterations <= limits.iterations + 1, "one more, where work is left that was not tested"


def nothing_is_left_behind(run: Run) -> None:
    assert run.engine.opened == [], "no sandbox is open"
    assert {path.name for path in run.directory.iterdir()} <= IN_DIRECTORY
    git_dir = run.root / ".git"
    locks = [
        Path(directory) / name
        for below in ("refs", "greenward")
        for directory, _, names in os.walk(git_dir / below)
        for name in names
        if name.endswith((".lock", ".new")) or name.startswith(".")
    ]
    assert locks == []


def the_result_is_told(run: Run, state: RunState) -> None:
    """`result.json` is as the journal is, where the session came so far as to write there."""
    ended = run.ended
    assert ended is not None
    if run.began_at == len(run.entries):
        return
    result = json.loads((run.directory / RESULT).read_bytes())["result"]
    outcome = state.outcome.value if state.outcome else None
    assert (result["entries"], result["outcome"]) == (len(run.entries), outcome)
    assert result["exit_code"] == code_of(ended.error, state)
    assert result["commit"] == ref_of(run.root, run.branch) or result["commit"] == state.root_commit
    assert (result["stopped"] is not None) == (state.outcome is None)
    assert result["cost"]["dollars"] == state.spent.dollars
    assert find_run(run.directory.parent, run.id).status == (outcome or "unfinished")


def code_of(error: BaseException | None, state: RunState) -> int:
    """The exit code of the process, as the README's table has it."""
    if error is None:
        assert state.outcome is not None
        return state.outcome.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    return error.exit_code if isinstance(error, GreenwardError) else 4


def ref_of(root: Path, branch: str) -> str | None:
    """Where a branch is; None if there is none."""
    loose, packed = root / ".git" / "refs" / "heads" / branch, root / ".git" / "packed-refs"
    if loose.is_file():
        return loose.read_text().strip()
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" refs/heads/{branch}")), None)


def _tested(event: e.Event) -> list[tuple[str, TestReport]]:
    """The tree that all tests were run on, and the report, if they were and there is one."""
    match event:
        case e.TestsFinished(report=report, tree=tree):
            return [(tree, report)] if report.cases else []
        case e.ToolReturned(effect=e.TestRun(report=report, full=True), tree=tree):
            return [(tree, report)] if report.cases else []
        case e.VerdictReached(verdict=verdict) if verdict.report is not None:
            return [(verdict.tree, verdict.report)] if verdict.report.cases else []
        case _:
            return []
