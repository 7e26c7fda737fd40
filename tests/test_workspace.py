"""The workspace on real repositories: what it opens, what it sees, and that it leaves the user's work alone."""

import io
import os
import shutil
import socket
import stat
import subprocess
import tarfile
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.commitmessage import compose, one_line
from agent.errors import DamagedRun, UsageProblem
from agent.seal import Seal
from agent.snapshot import LeftOut
from agent.trees import BadPattern, Blob, Edit, Refused
from agent.workspace import Workspace
from sandbox import Candidate, Change, Refusal
from tests.gitrepo import AT, git, put, repository, state

FREE = Seal(policy="free")


@pytest.fixture
def root(tmp_path):
    return repository(tmp_path / "project")


@pytest.fixture
def opened():
    """Opens workspaces under the test's environment, and closes them."""
    kept = []

    def open_(path, **options):
        kept.append(Workspace.open(path, environment=dict(os.environ), **options))
        return kept[-1]

    yield open_
    for workspace in kept:
        workspace.close()


def contents(workspace, tree):
    return {entry.path: workspace.read(tree, entry.path) for entry in workspace.files(tree)}


def found_by(workspace):
    return contents(workspace, workspace.snapshot(at=AT).tree)


def unpacked(delta):
    with tarfile.open(fileobj=io.BytesIO(b"".join(delta.archive))) as archive:
        return [
            (one.name, one.mode, one.linkname if one.issym() else archive.extractfile(one).read()) for one in archive
        ]


# ---- opening


def test_it_opens_from_any_directory_of_the_checkout(root, opened):
    assert opened(root / "tests").repository.top == root.resolve()


def broken_git_file(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/.git").write_text("gitdir: /nowhere\n")
    return tmp_path / "x"


def bare(tmp_path):
    git(tmp_path, "init", "-q", "--bare", "bare")
    return tmp_path / "bare"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda tmp: tmp, "not inside a git repository"),
        (lambda tmp: tmp / "missing", "not a directory"),
        (bare, "is a bare repository"),
        (lambda tmp: repository(tmp / "r") / ".git", "inside of a git directory"),
        (lambda tmp: repository(tmp / "r") / ".git/refs/heads", "inside of a git directory"),
        (broken_git_file, "does not lead to a git directory"),
    ],
)
def test_what_is_no_checkout_is_refused_with_a_hint(tmp_path, make, words):
    with pytest.raises(UsageProblem, match=words) as refused:
        Workspace.open(make(tmp_path))
    assert refused.value.hint


def test_a_home_directory_is_refused(private_home, opened):
    with pytest.raises(UsageProblem, match="far more than a project"):
        opened(repository(private_home))


@pytest.mark.parametrize(
    "commands",
    [
        [("merge", "other")],
        [("cherry-pick", "other")],
        [("rebase", "other")],
        [("bisect", "start")],
    ],
)
def test_an_operation_in_progress_is_refused(root, opened, commands):
    git(root, "checkout", "-q", "-b", "other")
    put(root, {"app.py": "x = 2\n"})
    git(root, "commit", "-qam", "two")
    git(root, "checkout", "-q", "main")
    put(root, {"app.py": "x = 3\n"})
    git(root, "commit", "-qam", "three")
    for command in commands:
        git(root, *command, check=False)
    with pytest.raises(UsageProblem, match="is in progress") as refused:
        opened(root)
    assert "`git " in refused.value.hint


def test_conflicts_in_the_index_are_refused(root, opened):
    test_entries = "".join(f"100644 {git(root, 'rev-parse', 'HEAD:app.py')} {n}\tapp.py\n" for n in (1, 2, 3))
    git(root, "update-index", "--index-info", stdin=test_entries.encode())
    with pytest.raises(UsageProblem, match="has conflicts"):
        opened(root).snapshot(at=AT)


def test_too_many_files_are_refused_with_the_way_out(root, opened, monkeypatch):
    monkeypatch.setattr("agent.workspace.MOST_FILES", 1)
    with pytest.raises(UsageProblem, match="2 files") as refused:
        opened(root)
    assert "--only" in refused.value.hint
    workspace = opened(root, only=["tests"])
    assert [entry.path for entry in workspace.files(workspace.head_tree())] == ["tests/test_app.py"]


def test_a_partial_clone_that_lacks_objects_is_refused_without_fetching(root, tmp_path, opened):
    git(root, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{root}", "part")
    with pytest.raises(UsageProblem, match="partial clone that lacks 2 objects"):
        opened(tmp_path / "part")
    git(tmp_path / "part", "checkout", "-q", "main")
    assert opened(tmp_path / "part").snapshot(at=AT).left_out == ()


@pytest.mark.parametrize("options", [{"cwd": "nope"}, {"only": ["nope"]}, {"cwd": "../x"}, {"only": ["/etc"]}])
def test_a_directory_that_is_not_there_is_refused(root, opened, options):
    with pytest.raises(UsageProblem):
        opened(root, **options)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_owner_works(root, opened):
    for path in (root, *root.rglob("*")):
        os.lchown(path, 12345, 12345)
    assert found_by(opened(root))["app.py"] == b"x = 1\n"


def test_without_git_it_says_so(root):
    with pytest.raises(UsageProblem, match="git is not installed"):
        Workspace.open(root, environment={"PATH": "/nowhere"})


# ---- creating


def repository_without(path):
    path.mkdir()
    git(path, "init", "-q", "-b", "main")


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), repository_without])
def test_an_empty_place_becomes_a_repository_on_main(tmp_path, make):
    make(tmp_path / "fresh")
    with Workspace.create(tmp_path / "fresh") as workspace:
        assert workspace.head() is None
        assert (tmp_path / "fresh/.git/HEAD").read_text() == "ref: refs/heads/main\n"
        assert workspace.files(workspace.snapshot(at=AT).tree) == ()


def test_a_place_with_something_in_it_does_not(root):
    with pytest.raises(UsageProblem, match="not empty"):
        Workspace.create(root)


# ---- snapshots


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


# ---- kinds of repositories


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


# ---- reading, searching, editing


def test_a_search_finds_lines_and_says_when_there_are_more(root, opened):
    put(root, {"b.py": "one\ntwo 22\nthree\n", "c.txt": "two 33\n", "d.bin": b"two\0 44\n"})
    workspace = opened(root)
    tree = workspace.snapshot(at=AT).tree
    hits = workspace.search(tree, r"TWO \d+", ignore_case=True).hits
    assert [(hit.path, hit.line, hit.text) for hit in hits] == [("b.py", 2, "two 22"), ("c.txt", 1, "two 33")]
    assert [hit.path for hit in workspace.search(tree, "two", glob="*.py").hits] == ["b.py"]
    assert [hit.path for hit in workspace.search(tree, "def", paths=["tests"], glob="*.py").hits] == [
        "tests/test_app.py"
    ]
    assert workspace.search(tree, "t", limit=1).cut
    assert workspace.search(tree, "-e", paths=["--output=x"]).hits == ()


@pytest.mark.parametrize("pattern", ["(", "", "a\nb", "[z-a]"])
def test_a_bad_pattern_is_a_value_error(root, opened, pattern):
    workspace = opened(root)
    with pytest.raises(BadPattern):
        workspace.search(workspace.head_tree(), pattern)


def test_a_batch_of_edits_is_made_whole_or_not_at_all(root, opened):
    workspace = opened(root)
    tree = workspace.head_tree()
    edits = [Edit(path="ok.py", data=b"1"), Edit(path="../x", data=b""), Edit(path=".git/config", data=b"")]
    with pytest.raises(Refused) as refused:
        workspace.edit(tree, edits, FREE)
    assert refused.value.refused == (
        Refusal(path="../x", reason="leads out by `..`"),
        Refusal(path=".git/config", reason="names git's own directory"),
    )
    assert contents(workspace, workspace.edit(tree, [*edits[:1], Edit(path="app.py", data=None)], FREE)) == {
        "ok.py": b"1",
        "tests/test_app.py": b"def test(): pass\n",
    }


def test_an_edit_keeps_or_sets_the_executable_bit(root, opened):
    (root / "app.py").chmod(0o755)
    workspace = opened(root)
    tree = workspace.snapshot(at=AT).tree
    edits = [Edit(path="app.py", data=b"2"), Edit(path="run.sh", data=b"", executable=True)]
    tree = workspace.edit(tree, edits, FREE)
    modes = {entry.path: entry.mode for entry in workspace.files(tree)}
    assert (modes["app.py"], modes["run.sh"]) == ("100755", "100755")
    tree = workspace.edit(tree, [Edit(path="run.sh", data=b"", executable=False)], FREE)
    assert {entry.path: entry.mode for entry in workspace.files(tree)}["run.sh"] == "100644"


@pytest.mark.parametrize(
    "edits",
    [
        [Edit(path="a", data=b"0" * (10 * 2**20 + 1))],
        [Edit(path=f"{n}", data=b"") for n in range(1001)],
        [Edit(path=f"{n}", data=b"0" * (10 * 2**20)) for n in range(7)],
    ],
)
def test_an_edit_beyond_the_caps_is_refused_before_the_disk(root, opened, edits):
    workspace = opened(root)
    with pytest.raises(Refused):
        workspace.edit(workspace.head_tree(), edits, FREE)


_EDITS = st.dictionaries(
    st.sampled_from(["a", "b/c", "b/d/e", "f"]), st.one_of(st.none(), st.binary(max_size=20)), min_size=1
)


@settings(max_examples=15, deadline=None)
@given(batches=st.lists(_EDITS, min_size=1, max_size=4))
def test_trees_follow_edits_exactly_and_know_themselves(tmp_path_factory, batches):
    root = repository(tmp_path_factory.mktemp("edits") / "r", {"a": "0"})
    with Workspace.open(root) as workspace:
        tree, model = workspace.head_tree(), {"a": b"0"}
        for batch in batches:
            edits = [Edit(path=path, data=data) for path, data in batch.items() if data is not None or path in model]
            tree = workspace.edit(tree, edits, FREE)
            model = {path: data for path, data in (model | batch).items() if data is not None}
            assert contents(workspace, tree) == model
            remembered = dict(workspace.trees.entries(tree))
            workspace.trees._cache.clear()
            assert workspace.trees.entries(tree) == remembered


def test_a_hostile_tree_is_not_read(root, opened):
    blob = git(root, "rev-parse", "HEAD:app.py")
    tree = git(root, "mktree", stdin=f"100644 blob {blob}\t.git\n".encode())
    with pytest.raises(DamagedRun, match="leads out of it or into git's own directory"):
        opened(root).files(tree)


def test_missing_and_corrupt_objects_are_errors_with_a_hint(root, opened):
    workspace = opened(root)
    with pytest.raises(DamagedRun, match="no object") as missing:
        workspace.trees.blob("0" * 40)
    assert missing.value.hint
    oid = git(root, "rev-parse", "HEAD:app.py")
    path = root / ".git/objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(b"garbage")
    with pytest.raises(DamagedRun):
        workspace.read(workspace.head_tree(), "app.py")
    assert workspace.read(workspace.head_tree(), "tests/test_app.py") == b"def test(): pass\n"


# ---- to and from the sandbox


def test_a_delta_is_what_is_lacking_and_the_same_every_time(root, opened):
    workspace = opened(root)
    base = workspace.head_tree()
    tree = workspace.edit(base, [Edit(path="app.py", data=None), Edit(path="n" * 200 + "/é.py", data=b"1")], FREE)
    sent = workspace.tree(tree, seal=FREE, ignore_base=base)
    assert unpacked(sent.since(None)) == [
        ("n" * 200 + "/é.py", 0o644, b"1"),
        ("tests/test_app.py", 0o644, b"def test(): pass\n"),
    ]
    assert sent.since(base).deleted == ("app.py",)
    assert unpacked(sent.since(base)) == [("n" * 200 + "/é.py", 0o644, b"1")]
    assert b"".join(sent.since(base).archive) == b"".join(sent.since(base).archive)
    assert unpacked(sent.since(tree)) == []


def test_only_links_that_stay_inside_are_sent(root, opened):
    for name, target in {
        "ok": "tests/test_app.py",
        "abs": "/etc/passwd",
        "tests/up": "../app.py",
        "tests/out": "../../x",
        "via": "tests/../../x",
    }.items():
        (root / name).symlink_to(target)
    workspace = opened(root)
    tree = workspace.snapshot(at=AT).tree
    sent = workspace.tree(tree, seal=FREE, ignore_base=tree)
    assert {path for path in sent.paths() if (root / path).is_symlink()} == {"ok", "tests/up"}
    assert [one.path for one in sent.left_out()] == ["abs", "tests/out", "via"]
    assert ("tests/up", 0o777, "../app.py") in unpacked(sent.since(None))


def test_what_a_command_left_is_selected_by_the_bases_own_rules(root, opened):
    put(root, {".gitignore": "*.log\n!keep.log\n/build/\n", "tests/.gitignore": "out/\n", "tracked.log": "t"})
    git(root, "add", "-Af")
    (root / ".git/info/exclude").write_text("*.local\n")
    workspace = opened(root)
    base = workspace.snapshot(at=AT).tree
    tree = workspace.edit(base, [Edit(path=".gitignore", data=b"*\n")], FREE)
    names = [
        "a.log",
        "keep.log",
        "build/x",
        "src/build/x",
        "tests/out/x",
        "tracked.log",
        "a.local",
        "p/__pycache__/x.pyc",
    ]
    odd = ["../up", "/abs", "x/.git/config", "a\nb", "con", "build/con"]
    candidates = [Candidate(path=path, kind="file") for path in [*names, *odd]]
    candidates += [
        Candidate(path="pipe", kind="other"),
        Candidate(path="ln", kind="link"),
        Candidate(path="never", kind="deleted"),
    ]
    candidates += [Candidate(path="app.py", kind="deleted")]
    selection = workspace.tree(tree, seal=FREE, ignore_base=base).select(candidates)
    assert [one.path for one in selection.wanted] == ["keep.log", "src/build/x", "tracked.log", "a.local", "app.py"]
    assert [one.path for one in selection.refused] == ["../up", "/abs", "x/.git/config", "a\nb", "con", "pipe", "ln"]


def test_changes_are_absorbed_but_for_those_that_are_refused(root, opened):
    (root / "ln").symlink_to("app.py")
    workspace = opened(root)
    base = workspace.snapshot(at=AT).tree
    seal = Seal.of([entry.path for entry in workspace.files(base)], test_files=["tests/test_app.py"], policy="additive")
    absorbed = workspace.tree(base, seal=seal, ignore_base=base).absorb(
        [
            Change(path="app.py", data=b"x = 2\n", executable=True),
            Change(path="gen/a.py", data=b"g"),
            Change(path="tests/test_app.py", data=b"def test(): 0\n"),
            Change(path="ln", data=b"app.py", link=True),
            Change(path="ln2", data=b"app.py", link=True),
            Change(path="never", data=None),
            Change(path="App.py", data=b""),
        ]
    )
    assert [one.path for one in absorbed.refused] == ["ln2", "App.py", "tests/test_app.py"]
    assert workspace.changed(base, absorbed.tree.id) == ("app.py", "gen/a.py")
    assert workspace.violations(base, absorbed.tree.id, seal) == ()


def test_absorbing_stops_at_the_caps_and_says_so(root, opened):
    workspace = opened(root)
    base = workspace.head_tree()
    changes = [Change(path=f"f{n:04}", data=b"x") for n in range(2001)]
    absorbed = workspace.tree(base, seal=FREE, ignore_base=base).absorb(changes)
    assert absorbed.refused == (Refusal(path="f2000", reason="is one change too many for one command"),)
    assert len(workspace.files(absorbed.tree.id)) == 2002


def test_a_tree_made_around_the_seal_is_found_out(root, opened):
    workspace = opened(root)
    base = workspace.head_tree()
    seal = Seal.of(["app.py", "tests/test_app.py"], test_files=["tests/test_app.py"], policy="additive")
    tree = workspace.trees.build(base, {"tests/test_app.py": Blob(mode="100644", data=b""), "app.py": None})
    assert workspace.violations(base, tree, seal) == (
        "`tests/test_app.py` is sealed: it is part of the tests that judge the run",
    )


# ---- commits, refs, messages


def test_checkpoints_survive_pruning_until_the_run_is_dropped(root, opened):
    workspace = opened(root)
    tree = workspace.edit(workspace.head_tree(), [Edit(path="a", data=b"kept")], FREE)
    workspace.checkpoint("r1", tree)
    workspace.checkpoint("r1", tree)
    git(root, "prune", "--expire=now")
    assert git(root, "show", f"{tree}:a") == "kept"
    workspace.drop("r1")
    workspace.drop("r1")
    git(root, "prune", "--expire=now")
    assert git(root, "cat-file", "-t", tree, check=False) == ""


def test_of_two_that_advance_a_branch_one_loses_and_hears_both_ids(root, opened):
    workspace = opened(root)
    head = workspace.head()
    one, two = (workspace.commit(workspace.head_tree(), head, f"{n}\n", at=AT) for n in (1, 2))
    workspace.advance("greenward/x", one, None)
    workspace.advance("greenward/x", one, None)
    with pytest.raises(DamagedRun) as lost:
        workspace.advance("greenward/x", two, head)
    assert one in lost.value.message
    assert head in lost.value.message
    assert git(root, "rev-parse", "greenward/x") == one


def test_a_lock_that_a_killed_process_left_on_our_branch_is_removed(root, opened):
    workspace = opened(root)
    put(root, {".git/refs/heads/greenward/x.lock": "", ".git/refs/heads/mine.lock": ""})
    for name in ("greenward/x", "mine"):
        os.utime(root / f".git/refs/heads/{name}.lock", (1, 1))
    workspace.advance("greenward/x", workspace.head(), None)
    assert git(root, "rev-parse", "greenward/x") == workspace.head()
    with pytest.raises(DamagedRun, match="lock"):
        workspace.advance("mine", workspace.head(), None)


@pytest.mark.parametrize(
    "slug", ["--upload-pack=x", "a..b", "x.lock", "HEAD", "@", "", "é ü", "a" * 300, "\x1b[0m", "../.."]
)
def test_any_slug_becomes_a_branch(root, opened, slug):
    workspace = opened(root)
    workspace.advance(workspace.branch_name(slug, "r1"), workspace.head(), None)
    (name,) = git(root, "for-each-ref", "--format=%(refname)", "refs/heads/greenward").splitlines()
    assert name.isascii()
    assert len(name) < 80


def test_a_branch_called_greenward_is_in_nobodys_way(root, opened):
    git(root, "branch", "greenward")
    workspace = opened(root)
    workspace.advance(workspace.branch_name("a", "r1"), workspace.head(), None)


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", "-x", "a b", "x" * 65])
def test_what_is_no_run_id_is_refused(root, opened, run_id):
    with pytest.raises(UsageProblem):
        opened(root).run_directory(run_id)


def test_a_note_can_be_attached_and_replaced(root, opened):
    workspace = opened(root)
    workspace.annotate(workspace.head(), "one")
    workspace.annotate(workspace.head(), "two")
    assert git(root, "notes", "--ref=greenward", "show") == "two"


TRAILERS = [("Greenward-Run", "r1"), ("Greenward-Verdict", "passed")]
_TEXT = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(["Iter: 99", "Greenward-Run: evil", "---", "--- a", "", "# ------------------------ >8", "text",
                         "Signed-off-by: x", " continued", "Conflicts:", "\tx", "(cherry picked from commit 1)"]),
        max_size=8,
    ).map("\n".join),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(subject=_TEXT, body=_TEXT)
def test_no_text_gets_into_the_trailers(subject, body):
    message = compose(subject, body, TRAILERS)
    seen = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message.encode(), capture_output=True, check=True
    ).stdout.decode()
    assert seen == "Greenward-Run: r1\nGreenward-Verdict: passed\n"
    assert "\0" not in message


def test_a_message_is_one_subject_the_body_and_the_trailers():
    text = compose("Fix\x1b[31m it\nand more", "why\r\nCloses #3 [skip ci]\n--- x", [("Run", "a\nIter: 9")])
    assert text == "Fix[31m it and more\n\nwhy\nCloses no. 3 (skip ci)\n --- x\n\nRun: a Iter: 9\n"
    assert len(compose("s" * 500, "b" * 10**6, TRAILERS)) < 8_300
    assert one_line("a\u202e\tb\n c") == "a b c"
    with pytest.raises(ValueError, match="proper names"):
        compose("s", "b", [])
