"""Accepting a run and taking it back, on real checkouts."""

import os
import stat

import pytest

from agent import accept as accepting
from agent.accept import Accepted, Result, accept, undo
from agent.errors import DamagedRun, UsageProblem
from agent.seal import Seal
from agent.trees import Edit
from agent.workspace import Workspace
from tests.gitrepo import AT, git, put, repository, state

FREE = Seal(policy="free")
EDITS = [
    Edit(path="app.py", data=b"x = 2\n"),
    Edit(path="new/run.sh", data=b"#!/bin/sh\n", executable=True),
    Edit(path="old/gone.py", data=None),
]


@pytest.fixture
def root(tmp_path):
    return repository(tmp_path / "project", {"app.py": "x = 1\n", "other.py": "o\n", "old/gone.py": "g\n"})


@pytest.fixture
def workspace(root):
    with Workspace.open(root, environment=dict(os.environ)) as opened:
        yield opened


def a_run(workspace, edits=EDITS, run_id="r1"):
    snapshot = workspace.snapshot(at=AT)
    commit = snapshot.commit
    for number, edit in enumerate(edits):
        tree = workspace.edit(workspace.tree_of(commit), [edit], FREE)
        commit = workspace.commit(tree, commit, f"step {number}\n", at=AT)
    workspace.advance(f"greenward/x-{run_id}", commit, None)
    return Result(run_id=run_id, base=snapshot.commit, result=commit, message="Do it\n\nRun: r1\n")


def accepted(workspace, result, **options):
    return accept(workspace, result, environment=dict(os.environ), **options)


def undone(workspace, run_id="r1"):
    return undo(workspace, run_id, environment=dict(os.environ))


def files(root):
    return {name: content for name, content in state(root).items() if not name.startswith(".git/")}


def test_on_a_clean_checkout_it_is_one_commit_by_the_user(root, workspace):
    result = a_run(workspace)
    done = accepted(workspace, result, note="proof")
    assert done == Accepted(
        kind="commit",
        commit=git(root, "rev-parse", "main"),
        paths=("app.py", "new/run.sh", "old/gone.py"),
        proven=True,
    )
    assert git(root, "log", "--format=%an %s", "main") == "Ada Do it\nAda first"
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "rev-parse", "main^{tree}") == workspace.tree_of(result.result)
    assert files(root) == {"app.py": b"x = 2\n", "other.py": b"o\n", "new/run.sh": b"#!/bin/sh\n"}
    assert stat.S_IMODE((root / "new/run.sh").stat().st_mode) & 0o111
    assert not (root / "old").exists()
    assert git(root, "notes", "--ref=greenward", "show", "main") == "proof"


def test_undoing_a_commit_brings_the_checkout_back(root, workspace):
    before, head = files(root), git(root, "rev-parse", "main")
    result = a_run(workspace)
    accepted(workspace, result)
    assert undone(workspace) == ("app.py", "new/run.sh", "old/gone.py")
    assert (files(root), git(root, "rev-parse", "main"), git(root, "status", "--porcelain")) == (before, head, "")
    assert accepted(workspace, result).proven


def test_on_a_dirty_checkout_the_files_are_written_and_nothing_is_committed(root, workspace):
    put(root, {"other.py": "mine\n", "staged.py": "s\n"})
    git(root, "add", "staged.py")
    head, index = git(root, "rev-parse", "main"), (root / ".git/index").read_bytes()
    before = files(root)
    result = a_run(workspace)
    done = accepted(workspace, result)
    assert (done.kind, done.commit, done.proven) == ("files", None, True)
    assert (git(root, "rev-parse", "main"), (root / ".git/index").read_bytes()) == (head, index)
    assert files(root)["app.py"] == b"x = 2\n"
    assert files(root)["other.py"] == b"mine\n"
    undone(workspace)
    assert (files(root), (root / ".git/index").read_bytes()) == (before, index)


def test_changes_to_files_that_the_run_did_not_touch_do_not_matter_but_cost_the_proof(root, workspace):
    result = a_run(workspace)
    put(root, {"other.py": "later\n"})
    done = accepted(workspace, result)
    assert (done.kind, done.proven) == ("files", False)
    assert files(root)["other.py"] == b"later\n"


def test_commits_made_since_do_not_matter_either(root, workspace):
    result = a_run(workspace)
    put(root, {"other.py": "later\n"})
    git(root, "commit", "-qam", "later")
    done = accepted(workspace, result)
    assert (done.kind, done.proven) == ("commit", False)
    assert git(root, "show", "main:other.py") == "later"


@pytest.mark.parametrize("change", [{"app.py": "x = 3\n"}, {"new/run.sh": "mine"}, {"old/gone.py": "kept"}])
def test_files_that_changed_since_are_named_and_nothing_happens(root, workspace, change):
    result = a_run(workspace)
    put(root, change)
    before = state(root)
    with pytest.raises(UsageProblem, match=f"`{next(iter(change))}` changed since the run began") as refused:
        accepted(workspace, result)
    assert refused.value.hint
    assert state(root) == before


def test_an_ignored_file_in_the_way_is_not_overwritten(root, workspace):
    (root / ".git/info/exclude").write_text("new/\n")
    result = a_run(workspace)
    put(root, {"new/run.sh": "mine"})
    with pytest.raises(UsageProblem, match=r"`new/run\.sh` changed since"):
        accepted(workspace, result)
    assert (root / "new/run.sh").read_text() == "mine"


def test_a_link_in_the_way_is_not_followed(root, workspace, tmp_path):
    (root / ".git/info/exclude").write_text("new\n")
    result = a_run(workspace)
    (tmp_path / "elsewhere").mkdir()
    (root / "new").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageProblem, match=r"`new/run\.sh` changed since"):
        accepted(workspace, result)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert files(root)["app.py"] == b"x = 1\n"


def test_a_hook_that_refuses_leaves_all_as_it_was(root, workspace):
    result = a_run(workspace)
    put(root, {".git/hooks/pre-commit": "#!/bin/sh\necho not today >&2\nexit 1\n"})
    (root / ".git/hooks/pre-commit").chmod(0o755)
    before = state(root)
    with pytest.raises(UsageProblem, match="not today"):
        accepted(workspace, result)
    assert state(root) == before
    (root / ".git/hooks/pre-commit").unlink()
    assert accepted(workspace, result).proven


def test_a_hook_that_changes_the_commit_costs_the_proof(root, workspace):
    result = a_run(workspace)
    put(root, {".git/hooks/pre-commit": "#!/bin/sh\necho '# formatted' >> app.py\ngit add app.py\n"})
    (root / ".git/hooks/pre-commit").chmod(0o755)
    done = accepted(workspace, result)
    assert (done.kind, done.proven) == ("commit", False)


def test_merging_keeps_the_history(root, workspace):
    result = a_run(workspace)
    done = accepted(workspace, result, merge=True)
    assert (done.kind, done.proven) == ("merge", True)
    assert git(root, "log", "--topo-order", "--format=%s", "main") == "Do it\nstep 2\nstep 1\nstep 0\nfirst"
    undone(workspace)
    assert git(root, "log", "--format=%s", "main") == "first"
    assert files(root)["app.py"] == b"x = 1\n"


def test_a_merge_that_conflicts_is_taken_back(root, workspace):
    result = a_run(workspace)
    put(root, {"app.py": "x = 7\n"})
    git(root, "commit", "-qam", "seven")
    with pytest.raises(UsageProblem, match="git did not do it"):
        accepted(workspace, result, merge=True)
    assert git(root, "status", "--porcelain") == ""
    assert not (root / ".git/MERGE_HEAD").exists()


def test_a_merge_is_refused_where_it_would_commit_uncommitted_work(root, workspace):
    put(root, {"other.py": "mine\n"})
    result = a_run(workspace)
    with pytest.raises(UsageProblem, match="clean checkout"):
        accepted(workspace, result, merge=True)
    git(root, "checkout", "-q", "other.py")
    with pytest.raises(UsageProblem, match="never committed"):
        accepted(workspace, result, merge=True)


def test_a_repository_without_commits_gets_its_first(tmp_path):
    with Workspace.create(tmp_path / "fresh", environment=dict(os.environ)) as workspace:
        result = a_run(workspace, EDITS[:2])
        assert accepted(workspace, result).proven
        assert git(tmp_path / "fresh", "log", "--format=%an %s", "main") == "Ada Do it"
        undone(workspace)
        assert workspace.head() is None
        assert files(tmp_path / "fresh") == {}
        assert git(tmp_path / "fresh", "status", "--porcelain") == ""


def test_a_detached_head_moves_and_no_branch_does(root, workspace):
    git(root, "checkout", "-q", "--detach")
    main = git(root, "rev-parse", "main")
    done = accepted(workspace, a_run(workspace))
    assert (git(root, "rev-parse", "HEAD"), git(root, "rev-parse", "main")) == (done.commit, main)


def test_line_ends_are_written_as_a_checkout_would(root, workspace):
    git(root, "config", "core.autocrlf", "true")
    with Workspace.open(root, environment=dict(os.environ)) as again:
        assert accepted(again, a_run(again)).proven
        assert files(root)["app.py"] == b"x = 2\r\n"
        assert git(root, "status", "--porcelain") == ""


def test_a_file_behind_a_filter_is_refused_by_name(root):
    put(root, {".gitattributes": "*.sec filter=crypt\n", "a.sec": "A"})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "filtered")
    with Workspace.open(root) as workspace:
        result = a_run(workspace, [Edit(path="a.sec", data=b"B")])
        with pytest.raises(UsageProblem, match="passes through the filter `crypt`"):
            accepted(workspace, result)
    assert files(root)["a.sec"] == b"A"


def test_undo_refuses_what_changed_since(root, workspace):
    accepted(workspace, a_run(workspace))
    put(root, {"app.py": "x = 3\n"})
    with pytest.raises(UsageProblem, match=r"`app\.py` changed since it was accepted"):
        undone(workspace)
    git(root, "commit", "-qam", "on top")
    with pytest.raises(UsageProblem, match="commits after") as refused:
        undone(workspace)
    assert "git revert" in refused.value.hint


def test_undo_of_files_refuses_what_changed_since(root, workspace):
    put(root, {"other.py": "mine\n"})
    accepted(workspace, a_run(workspace))
    put(root, {"app.py": "x = 3\n"})
    before = state(root)
    with pytest.raises(UsageProblem, match=r"`app\.py` changed since"):
        undone(workspace)
    assert state(root) == before


def test_twice_is_refused_either_way(workspace):
    result = a_run(workspace)
    with pytest.raises(UsageProblem, match="not accepted"):
        undone(workspace)
    accepted(workspace, result)
    with pytest.raises(UsageProblem, match="accepted already"):
        accepted(workspace, result)
    undone(workspace)
    with pytest.raises(UsageProblem, match="not accepted"):
        undone(workspace)


def test_nothing_to_accept_is_said(root, workspace):
    result = a_run(workspace, EDITS[:1])
    put(root, {"app.py": "x = 2\n"})
    with pytest.raises(UsageProblem, match="already has all"):
        accepted(workspace, result)


def test_a_damaged_record_is_an_error_with_a_hint(workspace):
    result = a_run(workspace)
    (workspace.run_directory("r1") / "accept.json").write_text("{")
    with pytest.raises(DamagedRun, match=r"accept\.json"):
        accepted(workspace, result)


class Killed(BaseException):
    """Stands for the moment at which the process dies."""


def cut(monkeypatch, name, *, after):
    """Make the process die right before or after the step `name`; nothing is cleaned up, as nothing would be."""
    real = getattr(accepting, name)

    def step(*arguments, **options):
        if after:
            real(*arguments, **options)
        monkeypatch.setattr(accepting, "_roll_back", lambda *_: None)
        raise Killed

    monkeypatch.setattr(accepting, name, step)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["_keep", "put", "_by_user", "_carry_out"])
@pytest.mark.parametrize("dirty", [False, True])
@pytest.mark.parametrize("then", ["accept", "undo"])
def test_an_acceptance_cut_off_anywhere_can_be_repeated_or_taken_back(root, workspace, step, after, dirty, then):
    if dirty:
        put(root, {"other.py": "mine\n"})
    before, result = files(root), a_run(workspace)
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, step, after=after)
        if step == "_by_user" and dirty:
            accepted(workspace, result)
        else:
            with pytest.raises(Killed):
                accepted(workspace, result)
    committed = git(root, "rev-list", "--count", "main") == "2"
    if then == "undo":
        if step == "_keep" and not after:
            return
        undone(workspace)
        assert files(root) == before
        assert git(root, "status", "--porcelain") == (" M other.py" if dirty else "")
    elif committed or (step == "_by_user" and dirty):
        with pytest.raises(UsageProblem, match="accepted already"):
            accepted(workspace, result)
    else:
        assert accepted(workspace, result).proven
        assert git(root, "rev-list", "--count", "main") == ("1" if dirty else "2")


def test_a_merge_that_was_cut_off_half_way_is_not_taken_for_the_users_work(root, workspace):
    result = a_run(workspace)
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, "_by_user", after=False)
        with pytest.raises(Killed):
            accepted(workspace, result, merge=True)
    put(root, {"app.py": "x = 2\n"})
    for again in (lambda: accepted(workspace, result, merge=True), lambda: undone(workspace)):
        with pytest.raises(UsageProblem, match="an earlier merge was cut off half-way") as raised:
            again()
        assert "`git reset --hard`" in raised.value.hint
    git(root, "reset", "-q", "--hard")
    assert accepted(workspace, result, merge=True).proven


def test_undoing_a_commit_that_was_taken_back_already_is_no_matter(root, workspace):
    """As a process leaves it that is killed after git has moved HEAD."""
    before, head = files(root), git(root, "rev-parse", "main")
    accepted(workspace, a_run(workspace))
    git(root, "reset", "-q", "--hard", head)
    undone(workspace)
    assert (files(root), git(root, "rev-parse", "main"), git(root, "status", "--porcelain")) == (before, head, "")
    with pytest.raises(UsageProblem, match="not accepted"):
        undone(workspace)


def test_a_lock_on_the_index_is_named_before_anything_is_touched(root, workspace, monkeypatch):
    monkeypatch.setattr("agent.checkout._PATIENCE", 0.05)
    result = a_run(workspace)
    put(root, {".git/index.lock": ""})
    before = state(root)
    with pytest.raises(UsageProblem, match="git's index is locked") as raised:
        accepted(workspace, result)
    assert "index.lock" in raised.value.hint
    assert state(root) == before
