"""Forks: from every step of a run another one can go on, which is a run like any other."""

import json

import pytest

from agent import events as e
from agent.errors import DamagedRun, UsageProblem
from agent.events import Outcome
from agent.folding import fold
from agent.forking import DRAFT, beginning_of, fork
from agent.journal import read_entries
from agent.replay.replaying import replay_plainly
from agent.runs import JOURNAL, find_run, stored_runs
from agent.task import Limits
from agent.workspace import Workspace
from tests.e2e.harness import (
    LOCAL,
    LOCALLY,
    WORSE,
    ScriptedServer,
    greenward,
    mending,
    plan,
    subjects,
    variables,
    writes,
)
from tests.e2e.recordings import Recording
from tests.gitrepo import git, state
from tests.recorded import MENDS, desk

pytestmark = pytest.mark.untraced

TWICE = (plan(), writes("A first try.", WORSE), MENDS)
"""What the model says in `out_of_calls_and_given_more`."""


@pytest.fixture
def at(recorded, tmp_path):
    """A desk over a copy of a recording, whose model says `replies`."""
    open_desks = []

    def made(kind, *replies):
        copy = recorded(kind).copy(tmp_path)
        opened = desk(tmp_path, *(replies or (plan(),)))
        open_desks.append(opened)
        ready = opened.__enter__()
        ready.repo = copy.repo
        ready.original = copy.run
        return ready

    yield made
    for opened in open_desks:
        opened.__exit__(None, None, None)


def forked(at, step, run_id="f0f0f0f0", *, say="", limits=None, **flags):
    """Make the fork, and let it be."""
    settings = at.around(**flags).settings
    beginning = beginning_of(at.original, step)
    with Workspace.open(at.repo) as workspace:
        fork(
            workspace, beginning, run_id=run_id, settings=settings, limits=limits or beginning.state.started.limits,
            say=say,
        )  # fmt: skip
    return find_run(at.original.directory.parent, run_id)


def bytes_below(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def entries(run):
    return list(read_entries(run.directory / JOURNAL))


def test_from_every_step_of_a_run_another_one_goes_on_to_its_end(at):
    at = at("out_of_calls_and_given_more", *TWICE)
    original = bytes_below(at.original.directory)
    refs = git(at.repo, "for-each-ref", f"refs/heads/{at.original.state.started.branch}")
    before, steps = state(at.repo), entries(at.original)
    kinds = set()
    for step, entry in enumerate(steps[:-1]):
        kinds.add(entry.event.kind)
        run_id = f"f{step:07}"
        forked(at, step, run_id, limits=Limits(calls=9))
        ended = at.resume(run_id=run_id)
        assert (ended.outcome, ended.result_tree) == (Outcome.PASSED, at.original.state.result_tree), step
        run = find_run(at.original.directory.parent, run_id)
        assert (
            (run.directory / JOURNAL)
            .read_bytes()
            .startswith(b"".join((at.original.directory / JOURNAL).read_bytes().splitlines(keepends=True)[: step + 1]))
        )
        assert git(at.repo, "rev-parse", ended.started.branch) == ended.finished.commit
        assert replay_plainly(run, at.repo, {}).divergence is None, step
        assert ended.spent.calls <= 9
        assert ended.inherited.calls == sum(isinstance(each.event, e.CallReserved) for each in steps[: step + 1])
    assert kinds >= {
        "run_started",
        "call_reserved",
        "model_replied",
        "limits_changed",
        "run_finished",
        "verdict_reached",
    }
    with pytest.raises(UsageProblem, match=f"was green by step {len(steps) - 1}, so nothing would be left") as caught:
        forked(at, len(steps) - 1)
    assert "--steps" in caught.value.hint

    assert bytes_below(at.original.directory) == original
    assert git(at.repo, "for-each-ref", f"refs/heads/{at.original.state.started.branch}") == refs
    assert git(at.repo, "fsck", "--strict", "--no-dangling") == ""
    after = state(at.repo)
    assert {path: content for path, content in after.items() if "refs/" not in path} == {
        path: content for path, content in before.items() if "refs/" not in path
    }


@pytest.mark.parametrize("kind", ["interrupted_and_resumed", "asked_for_more", "scaffolded"])
def test_every_beginning_of_a_run_folds_and_says_what_was_spent_by_then(at, kind):
    at = at(kind, plan())
    steps = entries(at.original)
    for step in range(0, len(steps) - 1, 3):
        by_then = fold(steps[: step + 1])
        if by_then.outcome is Outcome.PASSED:
            continue
        run = forked(at, step, f"e{step:07}", say="Go on.", limits=Limits(calls=500))
        assert run.state.inherited == by_then.spent
        assert run.state.spent == by_then.spent
        assert run.state.messages[: len(by_then.messages)] == by_then.messages
        assert run.state.started.task == by_then.started.task
        assert run.state.outcome is None
        begins = by_then.finished.commit if by_then.finished else by_then.tip
        named = git(at.repo, "rev-parse", "--verify", "--quiet", run.state.started.branch, check=False)
        assert named == ("" if begins == by_then.root_commit else begins)


def test_another_model_at_other_prices_goes_on_within_limits_that_count_from_the_beginning(at):
    at = at("mended_after_a_failure")
    first_commit = next(entry for entry in entries(at.original) if isinstance(entry.event, e.Committed))
    by_then = fold(entries(at.original)[: first_commit.seq + 1])
    run = forked(at, first_commit.seq, model="another", context=100_000, **{"prices.output": 20.0})

    started = run.state.started
    assert (started.model, started.prices.output, started.context) == ("another", 20.0, 100_000)
    assert run.state.spent.dollars == by_then.spent.dollars
    assert (run.state.prefix, run.state.density) == ((0, 0), 1.0), "another model counts in its own way"
    assert by_then.prefix != (0, 0)
    same = forked(at, first_commit.seq, "f1f1f1f1", model=at.original.state.started.model)
    assert same.state.prefix == by_then.prefix


def test_what_a_fork_had_spent_before_is_told_apart(at):
    at = at("out_of_calls_and_given_more", *TWICE)
    step = next(entry.seq for entry in entries(at.original) if isinstance(entry.event, e.Committed))
    forked(at, step, limits=Limits(calls=9))
    at.resume(run_id="f0f0f0f0")
    nothing = variables(key=None)
    before = find_run(at.original.directory.parent, "f0f0").state.inherited
    words = f"from run {at.original.id} after step {step}, where it had spent ${before.dollars:.4f} in 2 calls"

    shown = greenward("show", "f0f0", "--repo", at.repo, environment=nothing)
    assert f"forked:  {words}" in shown.out
    assert "forked: from run" in shown.out.partition("timeline")[2]
    said = json.loads(greenward("show", "f0f0", "--json", "--repo", at.repo, environment=nothing).out)
    assert said["forked"] == {
        "run": at.original.id, "step": step, "dollars": before.dollars, "calls": 2, "tokens": before.tokens,
    }  # fmt: skip
    assert said["spent"] > before.dollars
    written = json.loads((at.original.directory.parent / "f0f0f0f0" / "result.json").read_text())["result"]
    assert written["forked"] == said["forked"]
    page = greenward("show", "f0f0", "--html", "-", "--repo", at.repo, environment=nothing)
    assert words in page.out


def test_a_fork_keeps_its_own_copy_of_what_was_put_aside(at):
    at = at("shortened", MENDS)
    kept = bytes_below(at.original.directory / "artifacts")
    step = next(entry.seq for entry in entries(at.original) if isinstance(entry.event, e.Compacted))
    run = forked(at, step)
    copies = list((run.directory / "artifacts").iterdir())
    assert sorted(path.name for path in copies) == sorted(path.name for path in kept)
    for path in copies:
        path.write_bytes(b"")
    assert bytes_below(at.original.directory / "artifacts") == kept


def test_what_a_fork_rests_on_is_kept_when_the_other_run_is_gone(at):
    at = at("with_files_of_every_kind")
    last = [entry.seq for entry in entries(at.original) if isinstance(entry.event, e.ToolReturned)][-1]
    run = forked(at, last)
    for ref in git(at.repo, "for-each-ref", "--format=%(refname)").splitlines():
        if at.original.id in ref:
            git(at.repo, "update-ref", "-d", ref)
    git(at.repo, "reflog", "expire", "--expire=now", "--all")
    git(at.repo, "gc", "-q", "--prune=now")
    trees = {entry.event.tree for entry in entries(at.original)[: last + 1] if isinstance(entry.event, e.ToolReturned)}
    assert len(trees) > 3
    for tree in trees:
        assert git(at.repo, "cat-file", "-t", tree) == "tree"
    assert replay_plainly(run, at.repo, {}).divergence is None


def test_a_fork_of_what_ended_needs_something_that_lets_it_go_on(at):
    at = at("blocked", plan(), writes("A first try.", WORSE), MENDS)
    with pytest.raises(UsageProblem, match="had ended by step 12") as caught:
        forked(at, None)
    assert "--say" in caught.value.hint
    assert forked(at, None, say="No, they do not.").state.hint == "No, they do not."


def test_a_fork_of_a_run_that_had_spent_its_budget_needs_a_larger_one(at):
    at = at("out_of_iterations", *TWICE)
    with pytest.raises(UsageProblem, match="had spent its budget") as caught:
        forked(at, None)
    assert "--max-cost" in caught.value.hint
    run = forked(at, None, limits=Limits(iterations=5))
    assert run.state.outcome is None
    assert run.state.tip == at.original.state.finished.commit, "it goes on from where the branch was left"


def test_a_plan_that_waited_for_approval_is_carried_out_by_a_fork(at):
    at = at("planned_and_edited", plan(), MENDS)
    step = next(entry.seq for entry in entries(at.original) if isinstance(entry.event, e.RunFinished))
    run = forked(at, step)
    assert [entry.event.kind for entry in entries(run)[step + 1 :]] == ["forked", "plan_approved"]


@pytest.mark.parametrize("beyond", [1, 4_000, None])
def test_a_step_that_there_is_none_of_is_told(at, beyond):
    at = at("mended_after_a_failure")
    last = len(entries(at.original)) - 1
    step = last + beyond if beyond else -1
    with pytest.raises(UsageProblem, match=f"no step {step}: they go from 0 to {last}") as caught:
        forked(at, step)
    assert "--steps" in caught.value.hint


def test_a_branch_or_a_run_of_the_same_name_is_left_alone(at):
    at = at("mended_after_a_failure")
    name = at.original.state.started.branch.replace(at.original.id, "f0f0f0f0")
    git(at.repo, "branch", name)
    with pytest.raises(UsageProblem, match=f"there is a branch `{name}` already"):
        forked(at, 5)
    git(at.repo, "branch", "-D", name)
    assert list(at.repo.glob(".git/greenward/runs/f0f0f0f0")) == []
    forked(at, 5)
    with pytest.raises(UsageProblem, match="there is a run f0f0f0f0 already"):
        forked(at, 5)


def test_a_fork_of_pruned_objects_is_refused_and_leaves_nothing(at):
    at = at("with_files_of_every_kind")
    entry = next(x for x in entries(at.original) if getattr(x.event, "name", "") == "run_command")
    tree = entry.event.tree
    (at.repo / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(DamagedRun, match=f"its object {tree} is missing"):
        forked(at, entry.seq)
    assert [run.id for run in stored_runs(at.original.directory.parent)] == [at.original.id]
    forked(at, entry.seq - 1)


def test_a_fork_that_was_cut_off_while_it_was_made_is_no_run(at):
    at = at("mended_after_a_failure")
    run = forked(at, 9)
    (run.directory / JOURNAL).rename(run.directory / DRAFT)
    assert [each.id for each in stored_runs(at.original.directory.parent)] == [at.original.id]


def test_a_fork_of_a_scaffold_leaves_alone_what_was_delivered(at):
    at = at("scaffolded")
    head, files = git(at.repo, "rev-parse", "HEAD"), (at.repo / "sums.py").read_text()
    step = next(entry.seq for entry in entries(at.original) if isinstance(entry.event, e.VerdictReached))
    forked(at, step)
    ended = at.resume(run_id="f0f0f0f0")
    assert ended.outcome is Outcome.PASSED
    assert (git(at.repo, "rev-parse", "HEAD"), (at.repo / "sums.py").read_text()) == (head, files)
    assert git(at.repo, "status", "--porcelain") == ""


# As its users meet it


def test_a_run_is_forked_from_the_command_line(red):
    with ScriptedServer(mending()) as server:
        greenward("fix", red, *LOCAL, "--max-iterations", "1", environment=variables(server))
        (original,) = stored_runs(red / ".git" / "greenward" / "runs")
        said = variables(server, DOCKER_HOST="unix:///nowhere")
        ran = greenward("fork", original.id, "--repo", red, "--at", "99", *LOCALLY, environment=said)
        assert ran.code == 2, ran.said
        assert "has no step 99" in ran.err
        ran = greenward("fork", "nowhere", "--repo", red, *LOCALLY, environment=said)
        assert (ran.code, "no run has an id" in ran.err) == (2, True)
        ran = greenward("fork", original.id, "--repo", red, "--at", "8", environment=said)
        assert ran.code == 4, "the engine that is set is docker, and there is none"
        ran = greenward("fork", original.id, "--repo", red, *LOCALLY, environment=said)
        assert (ran.code, "had spent its budget" in ran.err) == (2, True), ran.said
        assert [run.id for run in stored_runs(original.directory.parent)] == [original.id]

        asked = len(server.requests)
        ran = greenward(
            "fork", original.id, "--repo", red, "--at", "13", *LOCALLY, "--max-iterations", "4", "--json",
            "--say", "Mind the sign.", "--allow-unproven", environment=said,
        )  # fmt: skip
        assert ran.code == 0, ran.said
        assert len(server.requests) == asked + 2
        assert "Mind the sign." in str(server.requests[asked].body["messages"][-1])

    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["event"]["kind"] for line in lines[:3]] == ["forked", "hint_given", "session_started"]
    assert [line["seq"] for line in lines[:-1]] == list(range(14, 14 + len(lines) - 1))
    new = lines[0]["event"]["run_id"]
    assert f"run {new}: forked from run {original.id} after step 13, $0.00" in ran.err
    assert " spent by then; with kimi-k2.6, at most $1.00" in ran.err
    assert lines[-1]["result"]["forked"]["run"] == original.id
    branch = lines[-1]["result"]["branch"]
    assert subjects(red, f"main..{branch}") == ["Iteration 1: 1 failed, 2 passed", "Add instead of subtracting"]
    assert greenward("replay", new, "--repo", red, environment=variables(key=None)).code == 0


def test_a_model_without_a_price_is_not_asked_at_the_price_of_the_one_before(recorded, tmp_path):
    copy: Recording = recorded("mended_after_a_failure").copy(tmp_path)
    bare = {name: value for name, value in variables().items() if not name.startswith("GREENWARD_PRICES")}
    ran = greenward("fork", copy.run.id, "--repo", copy.repo, "--at", "9", "--model", "another", environment=bare)
    assert ran.code == 2, ran.said
    assert "no price is known for `another`" in ran.err
    assert len(copy.runs) == 1
