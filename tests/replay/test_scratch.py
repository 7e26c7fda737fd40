"""The scratch repository sees the objects of the user's, wherever these are, and nothing that is done in it stays."""

import os

import pytest

from agent.replay.scratch import scratch_of
from agent.repository import find
from agent.task import Task
from tests.gitrepo import AT, git, put, repository, state


def task_of(root):
    tree = git(root, "rev-parse", "HEAD^{tree}")
    return Task(mode="fix", request="", base_commit=git(root, "rev-parse", "HEAD"), base_tree=tree)


@pytest.mark.parametrize("name", ["plain", 'quo"ted', '"quoted', "#hash", "two\nlines", "back\\slash", "ünï", "a b"])
def test_objects_are_found_whatever_the_directory_is_called(tmp_path, monkeypatch, name):
    root = repository(tmp_path / name / "repo")
    monkeypatch.chdir(tmp_path / name)
    task = task_of(root)
    with scratch_of(find(root, {}), task, os.environ) as scratch:
        assert scratch.read(task.base_tree, "app.py") == b"x = 1\n"


def test_what_is_done_in_it_leaves_no_trace(tmp_path):
    root = repository(tmp_path / "repo")
    git(root, "tag", "v1.2")
    task, before = task_of(root), state(root)
    objects = sorted(path for path in (root / ".git").rglob("*"))
    with scratch_of(find(root, {}), task, os.environ) as scratch:
        place = scratch.repository.top
        tree = scratch.trees.graft(task.base_tree, {"app.py": None})
        commit = scratch.commit(tree, task.base_commit, "x\n", at=AT)
        scratch.advance("greenward/x", commit, None)
        assert scratch.git.text("describe", "--tags", commit).startswith("v1.2-1-")
        assert scratch.tree_of("refs/heads/greenward/x") == tree
    assert not place.exists()
    assert state(root) == before
    assert sorted(path for path in (root / ".git").rglob("*")) == objects


def test_a_repository_of_any_make_is_seen(tmp_path):
    origin = repository(tmp_path / "origin")
    put(origin, {"more.txt": "x\n"})
    git(origin, "add", "-A")
    git(origin, "commit", "-q", "-m", "second")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{origin}", "shallow")
    git(tmp_path, "clone", "-q", "--shared", str(origin), "borrowing")
    git(origin, "worktree", "add", "-q", str(tmp_path / "linked"))
    for name in ("shallow", "borrowing", "linked"):
        root = tmp_path / name
        task = task_of(root)
        with scratch_of(find(root, {}), task, os.environ) as scratch:
            assert scratch.read(task.base_tree, "more.txt") == b"x\n", name
            assert scratch.git.run("log", "--format=%s", task.base_commit).splitlines()[0] == b"second", name


def test_a_tag_that_leads_nowhere_is_in_nobodys_way(tmp_path):
    root = repository(tmp_path / "repo")
    (root / ".git" / "refs" / "tags" / "lost").write_text("1" * 40 + "\n")
    with scratch_of(find(root, {}), task_of(root), os.environ) as scratch:
        assert scratch.git.text("tag") == ""
