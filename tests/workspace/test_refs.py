"""Our refs move past what killed processes left, wait for the living, and leave the user's locks alone."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.durable import Moment
from agent.errors import UsageProblem
from agent.git import Git
from agent.refs import Refs
from agent.workspace import Workspace
from tests.gitrepo import git, put

AT_ONCE, FOR_LONG = 0.05, 60.0


@pytest.fixture
def refs(root):
    """Makes the refs of the repository, which have so much patience with locks."""
    with Git(root / ".git", environment=dict(os.environ)) as plumbing:
        yield lambda **patience: Refs(plumbing, root / ".git", **patience)


def locked(root, name):
    put(root, {f".git/{name}.lock": ""})
    return root / f".git/{name}.lock"


@pytest.mark.parametrize("ref", ["refs/heads/greenward/x-r1", "refs/heads/greenward-x-r1", "refs/greenward/r1/abc"])
def test_a_lock_that_a_killed_process_left_on_one_of_our_refs_is_cleared(root, refs, ref):
    head, lock = git(root, "rev-parse", "HEAD"), locked(root, ref)
    refs(ours=AT_ONCE).set(ref, head)
    assert git(root, "rev-parse", ref) == head
    assert not lock.exists()


def test_a_lock_on_our_notes_is_cleared_as_well(root):
    with Workspace.open(root) as workspace:
        workspace.refs = Refs(workspace.git, root / ".git", ours=AT_ONCE)
        lock = locked(root, "refs/notes/greenward")
        workspace.annotate(workspace.head(), "one")
    assert git(root, "notes", "--ref=greenward", "show") == "one"
    assert not lock.exists()


def test_runs_that_annotate_at_the_same_time_keep_each_others_notes(root):
    """Git alone writes all notes anew from those that it read, and the last one wins."""
    for number in range(8):
        git(root, "commit", "-q", "--allow-empty", "-m", str(number))
    commits = git(root, "rev-list", "HEAD").splitlines()

    def annotate(commit):
        with Workspace.open(root) as workspace:
            workspace.annotate(commit, f"of {commit}")

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(annotate, commits))
    assert len(git(root, "notes", "--ref=greenward", "list").splitlines()) == len(commits)


def test_a_lock_of_a_command_that_still_works_is_waited_for(root, refs):
    ref, head = "refs/greenward/r1/abc", git(root, "rev-parse", "HEAD")
    lock = locked(root, ref)
    threading.Timer(0.2, lock.unlink).start()
    refs(ours=FOR_LONG).set(ref, head)
    assert git(root, "rev-parse", ref) == head


@pytest.mark.parametrize("name", ["refs/heads/mine", "HEAD"])
def test_a_lock_of_the_users_stays_and_is_named(root, refs, name):
    ref = "refs/heads/mine" if "/" in name else "refs/heads/greenward/x"
    head = git(root, "rev-parse", "HEAD")
    if name == "HEAD":
        git(root, "symbolic-ref", "HEAD", ref)  # whoever has our branch checked out
    lock = locked(root, name)
    with pytest.raises(UsageProblem, match=rf"{name}\.lock is in the way") as raised:
        refs(ours=AT_ONCE, others=AT_ONCE).set(ref, head)
    assert "remove the file if there is none" in raised.value.hint
    assert lock.exists()


def test_objects_are_on_disk_under_their_names_before_a_ref_leads_to_them_and_so_is_the_ref(root, monkeypatch):
    happened: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        happened.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(root / ".git")))
        real(descriptor)

    with Workspace.open(root, passing=happened.append) as workspace:
        oids = workspace.git.write_blobs([os.urandom(8)])
        monkeypatch.setattr(os, "fsync", fsync)
        del happened[:]
        workspace.checkpoint("r1", oids[0])
    moved = happened.index(Moment.REF_MOVED)
    assert {"objects", f"objects/{oids[0][:2]}"} <= set(happened[:moved])
    assert happened[moved + 1 :] == ["refs/greenward/r1", "refs/greenward", "refs", Moment.REF_SYNCED]
