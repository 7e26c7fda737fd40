"""Iterations become commits that follow from the journal alone, and the branch is left at the best of them."""

from dataclasses import replace

import pytest

from agent import events as e
from agent.best import best_of
from agent.errors import DamagedRun
from agent.events import Outcome
from agent.folding import fold
from agent.journal import Entry
from agent.messages import Message
from agent.verdict import Verdict, VerdictKind
from tests.gitrepo import git
from tests.kits import EPOCH
from tests.lab import showing

FILES = {"app.py": "x = 1\n"}
BRANCH = "greenward/work-r1"


@pytest.fixture
def at(lab):
    made = lab(FILES)
    made.known(a="failed", b="failed", c="passed")
    made.planned(summary="Set x to 2")
    return made


def iteration(at, content: str, **cases: str) -> str:
    """One more committed iteration; its tree."""
    tree = at.put({"app.py": content})
    at.wrote(tree, **cases)
    at.committed()
    return tree


def ended(at) -> e.RunFinished:
    (event,) = at.scribe.finish(at.state)
    at.events.append(event)
    return event


# Commits


def test_an_iteration_is_a_commit_on_the_runs_branch_and_the_checkout_knows_nothing_of_it(at):
    before = git(at.root, "for-each-ref", "refs/heads/main", "HEAD")
    tree = iteration(at, "x = 2\n", a="passed", b="failed", c="passed")

    assert git(at.root, "rev-parse", f"{BRANCH}^{{tree}}") == tree
    assert git(at.root, "rev-parse", f"{BRANCH}^") == at.task.base_commit
    assert git(at.root, "for-each-ref", "refs/heads/main", "HEAD") == before
    assert git(at.root, "status", "--porcelain") == ""


def test_a_commit_tells_what_was_done_and_what_it_came_to(at):
    said = Message(role="assistant", content="x was 1.\nCloses #3\x1b[2J")
    at.events.append(e.ModelReplied(message=said, usage=None, stop_reason="stop"))
    tree = at.put({"app.py": "x = 2\n"})
    at.wrote(tree, a="passed", b="failed", c="passed")
    at.committed()

    assert (
        git(at.root, "log", "-1", "--format=%B", BRANCH)
        == """\
Iteration 1: 1 failed, 2 passed

x was 1.
Closes no. 3\\u{1b}[2J

Greenward-Run: r1
Greenward-Iteration: 1
Tests-Before: 2 failed, 1 passed
Tests-After: 1 failed, 2 passed
Cost-USD: 0.0000
Verdict: not judged
Assisted-by: greenward:m
"""
    )


def test_a_judged_commit_is_named_for_the_plan_and_carries_its_verdict(at):
    tree = at.put({"app.py": "x = 2\n"})
    at.wrote(tree, a="passed", b="passed", c="passed")
    at.events.append(e.VerdictReached(verdict=Verdict(kind=VerdictKind.PASSED, tree=tree)))
    at.committed()

    message = git(at.root, "log", "-1", "--format=%B", BRANCH)
    assert message.startswith("Set x to 2\n")
    assert "Verdict: passed\n" in message


def test_the_verdict_on_another_tree_is_not_that_of_this_commit(at):
    at.events.append(e.VerdictReached(verdict=Verdict(kind=VerdictKind.FAILED, tree="another")))
    iteration(at, "x = 3\n", a="failed", b="failed", c="passed")

    assert "Verdict: not judged\n" in git(at.root, "log", "-1", "--format=%B", BRANCH)


def test_tests_of_a_scaffold_are_a_commit_of_their_own(lab):
    at = lab({}, mode="new")
    at.planned(summary="Scaffold it")
    tree = at.put({"tests/test_app.py": "def test_a(): assert 0\n"})
    at.wrote(tree, a="failed")
    at.committed()

    assert git(at.root, "log", "-1", "--format=%s", BRANCH) == "Add failing tests: Scaffold it"


def test_an_iteration_that_changed_nothing_makes_no_commit(at):
    iteration(at, "x = 2\n", a="failed", b="failed", c="passed")
    tip = at.state.tip
    iteration(at, "x = 2\n", a="failed", b="failed", c="passed")

    assert [each.commit for each in at.state.iterations] == [tip, tip]
    assert git(at.root, "rev-list", "--count", f"{at.task.base_commit}..{BRANCH}") == "1"


def test_one_journal_gives_one_commit_id(lab, monkeypatch):
    """Whoever makes it, and whenever: also a process that takes the run up after the commit was made."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_DATE", "2026-01-02T03:04:05Z")  # of the user's own commit, the runs' base

    def made(*before: e.Event) -> str:
        at = lab(FILES)
        at.known(a="failed")
        at.planned()
        at.wrote(at.put({"app.py": "x = 2\n"}), a="passed")
        at.events += before
        return at.committed().tip

    assert made() == made() == made(e.SessionStarted(pid=9, version="1"))


def test_a_run_that_was_cut_off_between_branch_and_journal_makes_the_same_commit_again(at):
    at.wrote(at.put({"app.py": "x = 2\n"}), a="passed", b="passed", c="passed")
    (first,) = at.scribe.commit(at.state)
    at.events.append(e.SessionStarted(pid=9, version="1"))
    (second,) = at.scribe.commit(at.state)

    assert first == second


@pytest.mark.parametrize("best", ["passed", "failed"])
def test_a_commit_that_nobody_was_told_of_gives_way_to_the_next(at, best):
    """A pause put the branch back, or committed what it had; its process died before that was written down."""
    if best == "passed":
        iteration(at, "x = 2\n", a="passed", b="failed", c="passed")
        iteration(at, "x = 3\n", a="failed", b="failed", c="passed")
    else:
        at.wrote(at.put({"app.py": "x = 2\n"}), a="passed", b="failed", c="passed")
    tip = at.state.tip
    (untold,) = at.scribe.pause(at.state, "interrupted", "interrupted")
    assert untold.commit != tip
    iteration(at, "x = 4\n", a="passed", b="passed", c="passed")

    assert git(at.root, "rev-parse", f"{BRANCH}^") == tip
    assert git(at.root, "rev-parse", BRANCH) == at.state.tip


def test_a_commit_that_nobody_was_told_of_is_taken_back_by_a_pause_that_makes_none(at):
    iteration(at, "x = 2\n", a="passed", b="failed", c="passed")
    tip, known = at.state.tip, list(at.events)
    iteration(at, "x = 3\n", a="failed", b="failed", c="passed")
    at.events[:] = known
    list(at.scribe.pause(at.state, "interrupted", "interrupted"))

    assert git(at.root, "rev-parse", BRANCH) == tip


def test_a_branch_of_a_commit_that_nobody_was_told_of_is_gone_after_a_pause_at_the_base(at):
    known = list(at.events)
    iteration(at, "x = 3\n", a="failed", b="failed", c="failed")
    at.events[:] = known
    list(at.scribe.pause(at.state, "interrupted", "interrupted"))

    assert git(at.root, "for-each-ref", f"refs/heads/{BRANCH}") == ""


def test_a_branch_that_someone_moved_is_left_alone(at):
    iteration(at, "x = 2\n", a="failed", b="failed", c="passed")
    git(at.root, "branch", "-f", BRANCH, "main")

    with pytest.raises(DamagedRun, match="where the run left it"):
        iteration(at, "x = 3\n", a="passed", b="failed", c="passed")
    assert git(at.root, "rev-parse", BRANCH) == git(at.root, "rev-parse", "main")


# The end


def test_the_branch_returns_to_the_iteration_with_most_tests_passing(at):
    iteration(at, "x = 2\n", a="passed", b="failed", c="passed")
    best = at.state.iterations[0]
    iteration(at, "x = 3\n", a="failed", b="failed", c="passed")
    end = ended(at)

    assert end.tree == best.tree
    assert git(at.root, "rev-parse", BRANCH) == end.commit
    assert git(at.root, "log", "--format=%s", f"{at.task.base_commit}..{BRANCH}").splitlines() == [
        "Return to iteration 1, the best one",
        "Iteration 2: 2 failed, 1 passed",
        "Iteration 1: 1 failed, 2 passed",
    ]
    assert "Tests-After: 1 failed, 2 passed\n" in git(at.root, "log", "-1", "--format=%B", BRANCH)


def test_a_run_that_goes_on_after_its_end_commits_on_top_of_the_return(at):
    iteration(at, "x = 2\n", a="passed", b="failed", c="passed")
    iteration(at, "x = 3\n", a="failed", b="failed", c="passed")
    at.events.append(replace(ended(at), outcome=Outcome.OUT_OF_BUDGET))
    at.events.pop(-2)
    at.events.append(e.LimitsChanged(limits=at.state.started.limits))
    iteration(at, "x = 4\n", a="passed", b="passed", c="passed")

    assert git(at.root, "log", "--format=%s", f"{at.task.base_commit}..{BRANCH}").splitlines() == [
        "Iteration 3: 3 passed",
        "Return to iteration 1, the best one",
        "Iteration 2: 2 failed, 1 passed",
        "Iteration 1: 1 failed, 2 passed",
    ]


def test_without_an_iteration_the_end_is_the_base_and_there_is_no_branch(at):
    end = ended(at)

    assert (end.commit, end.tree) == (at.task.base_commit, at.task.base_tree)
    assert git(at.root, "branch", "--list", BRANCH) == ""


def partly(**cases):
    """As `showing`, but the last of the tests was not run again."""
    return replace(showing(**cases), reused=1)


def state_of(*reports, passed: int | None = None, baseline=True):
    """A run with an iteration for each of `reports`, the one numbered `passed` with a passed verdict."""
    from tests.kits import started

    events = [started()]
    events += [e.BaselineMeasured(report=showing(a="failed", b="passed"))] if baseline else []
    for number, report in enumerate(reports):
        tree = f"t{number}"
        events.append(e.TestsFinished(report=report, tree=tree))
        if number == passed:
            events.append(e.VerdictReached(verdict=Verdict(kind=VerdictKind.PASSED, tree=tree)))
        events.append(e.Committed(commit=f"c{number}", tree=tree, subject=""))
    return fold(Entry(seq=n, at=EPOCH, event=event) for n, event in enumerate(events))


@pytest.mark.parametrize(
    ("reports", "passed", "best"),
    [
        ([showing(a="failed", b="passed"), showing(a="passed", b="passed")], None, "t1"),
        ([showing(a="passed", b="passed"), showing(a="failed", b="passed")], None, "t0"),
        ([showing(a="failed", b="passed"), showing(a="failed", b="passed", new="passed")], None, "t1"),
        ([showing(a="failed", b="passed", new="failed"), showing(a="failed", b="passed")], None, "t1"),
        ([showing(a="failed", b="passed"), showing(a="failed", b="passed", new="failed")], None, "t1"),
        ([showing(a="passed", b="failed"), showing(a="failed", b="passed")], None, "t1"),
        ([showing(a="failed"), showing(a="passed", b="passed")], 0, "t0"),
        ([showing(b="passed"), showing()], None, "t0"),
        ([showing(a="passed", b="passed"), partly(a="passed", b="passed")], None, "t0"),
        ([showing(a="failed", b="passed"), partly(a="passed", b="passed")], None, "t1"),
    ],
    ids=[
        "more",
        "earlier",
        "newest of equals",
        "fewer failures",
        "a new test is no regression",
        "fewer regressions",
        "judged",
        "no result is none",
        "as good, but not all of it run",
        "better, though not all of it run",
    ],
)
def test_the_best_iteration(reports, passed, best):
    found = best_of(state_of(*reports, passed=passed))
    assert found is not None
    assert found.tree == best


@pytest.mark.parametrize(
    "worse",
    [
        showing(a="failed", b="failed"),
        showing(a="passed", b="failed"),
        showing(),
        partly(a="failed", b="passed", new="failed"),
    ],
)
def test_what_the_request_found_is_better_than_an_iteration_that_broke_it(worse):
    assert best_of(state_of(worse)) is None


def test_the_branch_returns_to_what_the_request_found_if_nothing_was_better(at):
    iteration(at, "x = 2\n", a="failed", b="failed", c="failed")
    end = ended(at)

    assert end.tree == at.task.base_tree
    assert git(at.root, "log", "--format=%s", f"{at.task.base_commit}..{BRANCH}").splitlines() == [
        "Return to what was there before",
        "Iteration 1: 3 failed",
    ]


# A pause


def paused(at):
    at.events += at.scribe.pause(at.state, "interrupted", "")
    return at.state


def test_a_pause_leaves_the_branch_at_the_best_tree_and_the_work_where_it_is(at):
    iteration(at, "x = 2\n", a="passed", b="failed", c="passed")
    iteration(at, "x = 3\n", a="failed", b="failed", c="passed")
    state = paused(at)

    assert (state.tip_tree, state.result_tree) == (state.iterations[0].tree,) * 2
    assert state.tree == state.iterations[1].tree
    assert git(at.root, "rev-parse", BRANCH) == state.tip != state.iterations[1].commit


def test_after_a_pause_the_run_commits_on_top_of_the_return(at):
    iteration(at, "x = 2\n", a="passed", b="failed", c="passed")
    iteration(at, "x = 3\n", a="failed", b="failed", c="passed")
    paused(at)
    at.events.append(e.SessionStarted(pid=9, version="1"))
    assert at.state.paused is None
    iteration(at, "x = 4\n", a="passed", b="passed", c="passed")

    assert git(at.root, "log", "--format=%s", f"{at.task.base_commit}..{BRANCH}").splitlines() == [
        "Iteration 3: 3 passed",
        "Return to iteration 1, the best one",
        "Iteration 2: 2 failed, 1 passed",
        "Iteration 1: 1 failed, 2 passed",
    ]


def test_a_pause_before_the_verdict_leaves_the_branch_at_what_was_measured(at):
    at.wrote(at.put({"app.py": "x = 2\n"}), a="passed", b="passed", c="passed")
    state = paused(at)

    assert state.tip_tree == state.tested_tree
    assert git(at.root, "log", "-1", "--format=%s", BRANCH) == "Iteration 1: 3 passed"
    at.events.append(e.VerdictReached(verdict=Verdict(kind=VerdictKind.PASSED, tree=state.tested_tree)))
    at.committed()
    assert "Verdict: passed\n" in git(at.root, "log", "-1", "--format=%B", BRANCH) + "\n"
    assert at.state.tip_tree == state.tested_tree


def test_two_pauses_in_a_row_return_once(at):
    iteration(at, "x = 2\n", a="passed", b="failed", c="passed")
    iteration(at, "x = 3\n", a="failed", b="failed", c="passed")
    assert paused(at).tip == paused(at).tip


def test_without_a_baseline_the_last_iteration_is_the_best():
    assert best_of(state_of(baseline=False)) is None
    found = best_of(state_of(showing(a="passed"), showing(a="failed"), baseline=False))
    assert found is not None
    assert found.tree == "t1"
