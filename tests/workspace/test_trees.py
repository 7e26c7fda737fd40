"""Trees are read, searched and edited, and go to a sandbox and come back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import DamagedRun
from agent.seal import Seal
from agent.trees import BadPattern, Blob, Edit, Refused
from agent.workspace import Workspace
from sandbox import Candidate, Change, Refusal
from tests.gitrepo import AT, contents, git, put, repository, unpacked

FREE = Seal(policy="free")


def test_each_of_many_trees_can_be_edited_again(root, opened):
    workspace = opened(root)
    trees = [workspace.head_tree()]
    for number in range(8):
        trees.append(workspace.edit(trees[-1], [Edit(path=f"n{number}", data=b"%d" % number)], FREE))
    again = [workspace.edit(tree, [Edit(path="n0", data=b"0")], FREE) for tree in trees]

    assert again == [trees[1], *trees[1:]]


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
    assert refused.value.refusals == (
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
