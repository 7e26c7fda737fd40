"""Snapshots hold the user's work as git would have taken it, and leave it alone."""

import os
import shutil
import socket
import stat
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.seal import Seal
from agent.snapshot import LeftOut
from agent.trees import Edit, Refused
from agent.workspace import Workspace
from sandbox import Candidate
from tests.gitrepo import AT, contents, found_by, git, put, repository, repository_without, state, unpacked

FREE = Seal(policy="free")


def test_a_clean_checkout_is_its_own_snapshot(root, opened):
    snapshot = opened(root).snapshot(at=AT)
    assert snapshot.commit == snapshot.head == git(root, "rev-parse", "HEAD")


def test_a_snapshot_holds_what_is_uncommitted_and_untracked_but_not_what_is_ignored(root, opened):
    put(root, {".gitignore": "*.log\n", "gone.py": "", "staged.py": "a", "mode.sh": "#!/bin/sh\n"})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "more")
    put(root, {"app.py": "x = 2\n", "new/b.bin": b"\0\xff", "noise.log": "x", "staged.py": "b"})
    git(root, "add", "staged.py")
    (root / "gone.py").unlink()
    (root / "mode.sh").chmod(0o755)
    (root / "link").symlink_to("app.py")
    workspace = opened(root)
    snapshot = workspace.snapshot(at=AT)
    assert contents(workspace, snapshot.tree) == {
        ".gitignore": b"*.log\n",
        "app.py": b"x = 2\n",
        "link": b"app.py",
        "mode.sh": b"#!/bin/sh\n",
        "new/b.bin": b"\0\xff",
        "staged.py": b"b",
        "tests/test_app.py": b"def test(): pass\n",
    }
    assert {entry.path: entry.mode for entry in workspace.files(snapshot.tree)}["mode.sh"] == "100755"
    assert git(root, "rev-parse", f"{snapshot.commit}^") == snapshot.head
    git(root, "add", "-A")
    assert git(root, "write-tree") == snapshot.tree


def test_a_snapshot_is_deterministic_and_dated_by_the_caller(root, opened):
    put(root, {"app.py": "x = 2\n"})
    workspace = opened(root)
    assert workspace.snapshot(at=AT) == workspace.snapshot(at=AT)
    assert workspace.snapshot(at=AT).commit != workspace.snapshot(at=AT + timedelta(seconds=1)).commit
    commit = workspace.snapshot(at=AT).commit
    assert git(root, "log", "-1", "--format=%an <%ae> %cn %at", commit) == (
        f"greenward <greenward@localhost> greenward {int(AT.timestamp())}"
    )


def test_secrets_and_large_files_that_are_not_tracked_are_left_out_and_named(root, opened):
    put(
        root,
        {".env": "K=1", "deploy/id_rsa": "k", "a.pem": "k", ".env.example": "K=", "big.bin": b"0" * (5 * 2**20 + 1)},
    )
    snapshot = (workspace := opened(root)).snapshot(at=AT)
    assert snapshot.left_out == (
        LeftOut(path=".env", reason="looks like a secret and is not tracked"),
        LeftOut(path="a.pem", reason="looks like a secret and is not tracked"),
        LeftOut(path="big.bin", reason="is larger than 5 MB and is not tracked"),
        LeftOut(path="deploy/id_rsa", reason="looks like a secret and is not tracked"),
    )
    assert [entry.path for entry in workspace.files(snapshot.tree)] == [".env.example", "app.py", "tests/test_app.py"]


def test_a_tracked_secret_is_part_of_the_project(root, opened):
    put(root, {".env": "A=1"})
    git(root, "add", "-f", ".env")
    assert ".env" in found_by(opened(root))


def test_nothing_of_the_users_changes(root, opened):
    put(root, {"app.py": "x = 2\n"})
    git(root, "stash")
    put(root, {"app.py": "x = 3\n", "new.py": "", "staged.py": "s"})
    git(root, "add", "staged.py")
    before = state(root)
    workspace = opened(root)
    snapshot = workspace.snapshot(at=AT)
    tree = workspace.edit(snapshot.tree, [Edit(path="app.py", data=b"x = 4\n")], FREE)
    workspace.checkpoint("r1", tree)
    commit = workspace.commit(tree, snapshot.commit, "message\n", at=AT)
    workspace.advance("greenward/a-r1", commit, None)
    workspace.tree(tree, seal=FREE, ignore_base=tree).select([Candidate(path="z", kind="file")])
    added = {name for name in state(root) if name not in before}
    assert {name: content for name, content in state(root).items() if name in before} == before
    assert all("greenward" in name for name in added)
    assert git(root, "fsck", "--strict") == ""


def test_a_locked_index_does_not_matter(root, opened):
    put(root, {"app.py": "x = 2\n", ".git/index.lock": ""})
    assert found_by(opened(root))["app.py"] == b"x = 2\n"


@pytest.mark.parametrize("bit", ["--assume-unchanged", "--skip-worktree"])
def test_bits_in_the_index_hide_no_change(root, opened, bit):
    git(root, "update-index", bit, "app.py")
    put(root, {"app.py": "x = 22\n"})
    assert found_by(opened(root))["app.py"] == b"x = 22\n"


def test_a_change_of_equal_size_and_time_is_seen(root, opened):
    past = 1_500_000_000
    os.utime(root / "app.py", (past, past))
    git(root, "update-index", "--refresh")
    put(root, {"app.py": "x = 9\n"})
    os.utime(root / "app.py", (past, past))
    assert found_by(opened(root))["app.py"] == b"x = 9\n"


def test_an_intent_to_add_counts_as_its_file(root, opened):
    put(root, {"new.py": "n"})
    git(root, "add", "-N", "new.py")
    assert found_by(opened(root))["new.py"] == b"n"


@pytest.mark.parametrize(
    ("configuration", "attributes"),
    [(["core.autocrlf=true"], ""), (["core.autocrlf=input"], ""), ([], "* text=auto\n"), ([], "*.py text eol=crlf\n")],
)
def test_a_change_in_a_file_with_converted_line_ends_is_one_changed_line(root, opened, configuration, attributes):
    for setting in configuration:
        git(root, "config", *setting.split("="))
    put(root, {".gitattributes": attributes, "app.py": "".join(f"a{n}\n" for n in range(50))})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "lines")
    put(root, {"app.py": "".join(f"a{n}\r\n" for n in range(50)).replace("a7\r", "b7\r")})
    workspace = opened(root)
    snapshot = workspace.snapshot(at=AT)
    changed = [line for line in workspace.diff(snapshot.head, snapshot.commit).splitlines() if line[:1] in "+-"]
    assert changed == ["--- a/app.py", "+++ b/app.py", "-a7", "+b7"]
    git(root, "add", "-A")
    assert git(root, "write-tree") == snapshot.tree


def test_carriage_returns_that_are_in_the_repository_stay(root, opened):
    put(root, {"dos.txt": "a\r\nb\r\n"})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "dos")
    git(root, "config", "core.autocrlf", "true")
    put(root, {"dos.txt": "a\r\nc\r\n"})
    assert found_by(opened(root))["dos.txt"] == b"a\r\nc\r\n"


_BYTES = st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b"\0", b"\x1a", b"\x01", b"xyz" * 50]), max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    parts=_BYTES,
    autocrlf=st.sampled_from(["true", "input", "false"]),
    rule=st.sampled_from(["", "text", "text=auto", "-text", "eol=crlf", "eol=lf", "crlf=input"]),
)
def test_contents_are_converted_as_git_does(tmp_path_factory, parts, autocrlf, rule):
    root = tmp_path_factory.mktemp("convert") / "r"
    repository(root, {"keep": ""})
    git(root, "config", "core.autocrlf", autocrlf)
    git(root, "config", "core.safecrlf", "false")
    put(root, {".gitattributes": f"f {rule}\n" if rule else "", "f": b"".join(parts)})
    with Workspace.open(root) as workspace:
        tree = workspace.snapshot(at=AT).tree
        git(root, "add", "-A")
        assert git(root, "write-tree") == tree
        stored = workspace.read(tree, "f")
        (root / "f").unlink()
        git(root, "checkout", "f")
        attributes = workspace.scanner.attributes(["f"])["f"]
        assert workspace.scanner.conversion.to_work_tree(stored, attributes) == (root / "f").read_bytes()


def test_unchanged_files_of_a_filter_keep_their_blobs_and_changed_ones_are_named(root, opened):
    put(
        root,
        {".gitattributes": "*.sec filter=crypt\n*.dat filter=lfs\n", "a.sec": "AAA", "b.sec": "BBB", "c.dat": "big"},
    )
    git(root, "-c", "filter.crypt.clean=tr A-Z a-z", "-c", "filter.lfs.clean=cat", "add", "-A")
    git(root, "commit", "-qm", "filtered")
    os.utime(root / "a.sec", (1, 1))
    git(root, "-c", "filter.crypt.clean=tr A-Z a-z", "-c", "filter.lfs.clean=cat", "add", "-A")
    put(root, {"b.sec": "CCC", "c.dat": "other"})
    workspace = opened(root)
    snapshot = workspace.snapshot(at=AT)
    found = contents(workspace, snapshot.tree)
    assert (found["a.sec"], found["b.sec"]) == (b"aaa", b"bbb")
    assert found["c.dat"].startswith(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:d9298a10d1b0735837dc4bd85dac641b"
    )
    assert snapshot.left_out == (LeftOut(path="b.sec", reason="passes through the filter `crypt`, which is not run"),)


def test_encodings_and_keywords_are_taken_out_as_git_does(root, opened):
    put(
        root,
        {".gitattributes": "u.txt working-tree-encoding=UTF-16LE\ni.txt ident\nx.txt working-tree-encoding=BOGUS\n"},
    )
    put(root, {"u.txt": "hé\n".encode("utf-16le"), "i.txt": "a $Id: 1234 $ b\n", "x.txt": "x"})
    workspace = opened(root)
    snapshot = workspace.snapshot(at=AT)
    found = contents(workspace, snapshot.tree)
    assert (found["u.txt"], found["i.txt"]) == ("hé\n".encode(), b"a $Id$ b\n")
    assert snapshot.left_out == (LeftOut(path="x.txt", reason="cannot be converted from BOGUS to utf-8"),)


def test_a_repository_without_commits(tmp_path, opened):
    root = tmp_path / "r"
    repository_without(root)
    put(root, {"a.py": "a"})
    workspace = opened(root)
    snapshot = workspace.snapshot(at=AT)
    assert snapshot.head is None
    assert contents(workspace, snapshot.tree) == {"a.py": b"a"}
    assert git(root, "rev-list", "--count", snapshot.commit) == "1"


def test_a_detached_head(root, opened):
    git(root, "checkout", "-q", "--detach")
    assert opened(root).snapshot(at=AT).commit == git(root, "rev-parse", "HEAD")


def test_a_shallow_clone(root, tmp_path, opened):
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "shallow")
    put(tmp_path / "shallow", {"app.py": "x = 5\n"})
    workspace = opened(tmp_path / "shallow")
    snapshot = workspace.snapshot(at=AT)
    assert workspace.changed(snapshot.head, snapshot.commit) == ("app.py",)


def test_a_linked_worktree_has_its_own_index_and_shares_the_runs(root, tmp_path, opened):
    git(root, "worktree", "add", "-q", str(tmp_path / "linked"))
    put(tmp_path / "linked", {"staged.py": "s"})
    git(tmp_path / "linked", "add", "-A")
    workspace = opened(tmp_path / "linked")
    assert "staged.py" in contents(workspace, workspace.snapshot(at=AT).tree)
    assert workspace.run_directory("r1") == root.resolve() / ".git/greenward/runs/r1"
    assert stat.S_IMODE(workspace.run_directory("r1").stat().st_mode) == 0o700


def test_submodules_stay_as_they_are_and_are_not_sent(root, tmp_path, opened):
    inner = repository(tmp_path / "inner")
    git(root, "submodule", "--quiet", "add", str(inner), "vendored")
    git(root, "commit", "-qm", "sub")
    put(root, {"vendored/app.py": "changed\n", "app.py": "x = 2\n"})
    workspace = opened(root)
    snapshot = workspace.snapshot(at=AT)
    assert git(root, "ls-tree", snapshot.tree, "vendored").startswith("160000 commit")
    assert workspace.changed(snapshot.head, snapshot.commit) == ("app.py",)
    assert "vendored" not in workspace.tree(snapshot.tree, seal=FREE, ignore_base=snapshot.tree).paths()
    with pytest.raises(Refused, match="lies in the submodule"):
        workspace.edit(snapshot.tree, [Edit(path="vendored/x", data=b"")], FREE)
    assert opened(root / "vendored").repository.top == (root / "vendored").resolve()


def test_a_repository_inside_is_reported_and_not_taken(root, opened):
    repository(root / "inner")
    assert opened(root).snapshot(at=AT).left_out == (LeftOut(path="inner/", reason="is a repository of its own"),)


def test_a_sha256_repository(tmp_path, opened):
    root = repository(tmp_path / "r", None, "--object-format=sha256")
    put(root, {"app.py": "x = 2\n"})
    workspace = opened(root)
    snapshot = workspace.snapshot(at=AT)
    tree = workspace.edit(snapshot.tree, [Edit(path="b", data=b"b"), Edit(path="app.py", data=None)], FREE)
    assert len(tree) == 64
    assert contents(workspace, tree) == {"b": b"b", "tests/test_app.py": b"def test(): pass\n"}


def test_a_sparse_checkout_keeps_what_is_not_checked_out(tmp_path, opened):
    root = repository(tmp_path / "r", {"a/x": "1", "b/y": "2"})
    git(root, "sparse-checkout", "set", "--cone", "--sparse-index", "a")
    assert not (root / "b").exists()
    put(root, {"a/x": "3"})
    assert found_by(opened(root)) == {"a/x": b"3", "b/y": b"2"}


def test_names_that_are_not_utf_8_survive(root, opened):
    name = os.fsdecode(b"caf\xe9 \n.txt")
    (root / name).write_bytes(b"\xff")
    workspace = opened(root)
    tree = workspace.snapshot(at=AT).tree
    assert workspace.read(tree, name) == b"\xff"
    tree = workspace.edit(tree, [Edit(path="app.py", data=b"")], FREE)
    assert (name, 0o644, b"\xff") in unpacked(workspace.tree(tree, seal=FREE, ignore_base=tree).since(None))


def test_special_files_are_never_opened(root, opened):
    os.mkfifo(root / "pipe")
    (root / "app.py").unlink()
    os.mkfifo(root / "app.py")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s"))
        assert "app.py" not in found_by(opened(root))


def test_a_directory_that_became_a_link_takes_its_files_along_but_not_what_it_leads_to(root, tmp_path, opened):
    put(tmp_path / "elsewhere", {"test_app.py": "secret"})
    shutil.rmtree(root / "tests")
    (root / "tests").symlink_to(tmp_path / "elsewhere")
    found = found_by(opened(root))
    assert found == {"app.py": b"x = 1\n", "tests": os.fsencode(tmp_path / "elsewhere")}


def test_only_takes_the_rest_as_committed_and_keeps_it_out_of_sight(root, opened):
    put(root, {"app.py": "x = 2\n", "tests/test_app.py": "def test(): 1\n"})
    workspace = opened(root, only=["tests"])
    tree = workspace.snapshot(at=AT).tree
    assert git(root, "show", f"{tree}:app.py") == "x = 1"
    assert contents(workspace, tree) == {"tests/test_app.py": b"def test(): 1\n"}
    assert workspace.search(tree, "x").hits == ()
    with pytest.raises(FileNotFoundError):
        workspace.read(tree, "app.py")
    with pytest.raises(Refused, match="--only"):
        workspace.edit(tree, [Edit(path="app.py", data=b"")], FREE)
