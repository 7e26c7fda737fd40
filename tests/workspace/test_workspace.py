"""The workspace on real repositories: what it opens, makes, commits and says."""

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.commitmessage import compose, one_line
from agent.errors import DamagedRun, UsageProblem
from agent.gitfailed import GitFailed
from agent.seal import Seal
from agent.trees import Edit
from agent.workspace import Workspace
from tests.gitrepo import AT, found_by, git, put, repository, repository_without

FREE = Seal(policy="free")


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


def test_a_head_whose_commit_is_lost_is_not_taken_for_an_empty_repository(root, opened):
    commit = git(root, "rev-parse", "HEAD")
    (root / ".git" / "objects" / commit[:2] / commit[2:]).unlink()
    with pytest.raises(UsageProblem, match=f"there is no commit `{commit}`"):
        opened(root)


def test_the_head_is_the_one_of_the_moment(root, opened):
    workspace = opened(root)
    first = workspace.head()
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    second = workspace.head()
    git(root, "pack-refs", "--all")

    assert (first, second) == tuple(git(root, "rev-parse", name) for name in ("HEAD^", "HEAD"))
    assert workspace.head() == second


def test_a_blob_that_cannot_be_written_is_told_and_the_next_one_is_written(root, opened):
    workspace = opened(root)
    objects, aside = root / ".git" / "objects", root / ".git" / "aside"
    objects.rename(aside)
    objects.write_bytes(b"")
    with pytest.raises(GitFailed, match="hash-object"):
        workspace.git.write_blobs([b"one", b"two"])
    objects.unlink()
    aside.rename(objects)

    (oid,) = workspace.git.write_blobs([b"two"])
    assert git(root, "cat-file", "blob", oid) == "two"


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


def test_checkpoints_survive_pruning(root, opened):
    workspace = opened(root)
    lost = workspace.edit(workspace.head_tree(), [Edit(path="a", data=b"lost")], FREE)
    tree = workspace.edit(workspace.head_tree(), [Edit(path="a", data=b"kept")], FREE)
    workspace.checkpoint("r1", tree)
    workspace.checkpoint("r1", tree)
    git(root, "prune", "--expire=now")
    assert git(root, "show", f"{tree}:a") == "kept"
    assert git(root, "cat-file", "-t", lost, check=False) == ""


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
