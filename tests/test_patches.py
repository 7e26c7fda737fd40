"""Patches are taken apart as git wrote them, and cut where they are too long to be read."""

import pytest

from agent.changes import changes_of
from agent.errors import DamagedRun
from agent.events import TestsFinished
from agent.patches import FILE_LINES, FILES, LINE, Line, LineKind, Patch, parse_patch
from agent.workspace import Workspace
from tests.gitrepo import git, put, repository
from tests.kits import PREPARED, committed, report
from tests.test_report import report_on

ROOM = 100_000


@pytest.fixture
def patch(tmp_path):
    """The patch between two versions of a repository, as the product asks git for it."""

    def between(before, after, *, change=lambda root: None):
        root = repository(tmp_path / "repo", before)
        put(root, {path: data for path, data in after.items() if data is not None})
        for path in (path for path, data in after.items() if data is None):
            (root / path).unlink()
        change(root)
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "second", "--allow-empty")
        with Workspace.open(root) as workspace:
            return workspace.diff("HEAD~1", "HEAD")

    return between


def test_a_changed_file_has_its_lines_with_their_signs(patch):
    (file,) = parse_patch(patch({"a.py": "x = 1\ny = 1\n"}, {"a.py": "x = 2\ny = 1\n"}), ROOM).files

    assert (file.path, file.how, file.added, file.removed, file.left_out) == ("a.py", "changed", 1, 1, 0)
    assert file.lines == (
        Line(kind=LineKind.HUNK, text="@@ -1,2 +1,2 @@"),
        Line(kind=LineKind.REMOVED, text="-x = 1"),
        Line(kind=LineKind.ADDED, text="+x = 2"),
        Line(kind=LineKind.SAME, text=" y = 1"),
    )


def test_new_deleted_binary_and_made_executable_are_told_apart(patch):
    text = patch(
        {"old.py": "x\n", "run.sh": "true\n", "same": "x\n"},
        {"old.py": None, "new.py": "y\n", "empty": "", "data.bin": b"\0\1"},
        change=lambda root: (root / "run.sh").chmod(0o755),
    )
    parsed = parse_patch(text, ROOM)

    assert [(file.path, file.how) for file in parsed.files] == [
        ("data.bin", "binary"), ("empty", "new"), ("new.py", "new"), ("old.py", "deleted"), ("run.sh", "mode"),
    ]  # fmt: skip
    assert (parsed.added, parsed.removed) == (1, 1)


def test_odd_names_are_shown_as_git_quotes_them(patch):
    text = patch({"x": ""}, {"with space.py": "1\n", "b/a/b/c": "1\n", "tab\there": "1\n", "b b/b": b"\0"})
    assert {file.path for file in parse_patch(text, ROOM).files} == {
        "with space.py", "b/a/b/c", '"tab\\there"', "b b/b",
    }  # fmt: skip


def test_lines_that_look_like_headers_are_lines(patch):
    before = "-- a\n++ b\ndiff --git a/x b/x\n"
    (file,) = parse_patch(patch({"a.sql": before}, {"a.sql": "++ c\n@@ -1 +1 @@\n"}), ROOM).files

    assert file.path == "a.sql"
    assert (file.added, file.removed) == (2, 3)
    assert [line.text for line in file.lines if line.kind is LineKind.REMOVED] == [
        "--- a", "-++ b", "-diff --git a/x b/x",
    ]  # fmt: skip


def test_a_missing_line_break_at_the_end_is_no_change(patch):
    (file,) = parse_patch(patch({"a": "x"}, {"a": "y"}), ROOM).files
    assert (file.added, file.removed) == (1, 1)
    assert file.lines[-1] == Line(kind=LineKind.HUNK, text="\\ No newline at end of file")


def test_long_files_and_lines_are_cut_and_counted_whole(patch):
    text = patch({"a": ""}, {"a": "x\n" * (FILE_LINES + 10), "b": "y" * 5_000 + "\n"})
    long, wide = parse_patch(text, ROOM).files

    assert (long.added, len(long.lines), long.left_out) == (FILE_LINES + 10, FILE_LINES, 11)
    assert len(wide.lines[1].text) == LINE + 1


def test_files_beyond_the_room_are_counted_and_not_shown(patch):
    text = patch({"a": ""}, {"a": "x" * 90 + "\n", "b": "x" * 90 + "\n", "c": "x\n"})
    parsed = parse_patch(text, 130)

    assert [file.path for file in parsed.files] == ["a", "c"]
    assert parsed.added == 3
    assert parsed.note == "1 more file changed and not shown here, for their size"


def test_very_many_files_are_counted_and_not_shown():
    text = "".join(f"diff --git a/{n} b/{n}\nnew file mode 100644\n" for n in range(FILES + 5))
    parsed = parse_patch(text, ROOM)

    assert len(parsed.files) == FILES
    assert parsed.files[7].path == "7"
    assert parsed.note.startswith("5 more files ")


def test_no_change_is_an_empty_patch():
    assert parse_patch("", ROOM) == Patch()
    assert parse_patch("", ROOM).size == 0


def test_trees_that_are_gone_are_a_problem_that_is_told():
    def gone(_before, _after):
        raise DamagedRun("no such tree", hint="")

    assert changes_of(report_on(), gone).problem == "no such tree"


def test_the_patches_of_a_run_share_one_room():
    events = [PREPARED]
    for number in range(120):
        events += [TestsFinished(report=report(a="failed"), tree=f"t{number}"), committed(f"t{number}")]
    line = "+" + "x" * 900 + "\n"
    text = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1 @@\n" + line * 100
    changes = changes_of(report_on(*events), lambda _before, _after: text)

    assert changes.left_out == 20
    assert len(changes.iterations) == 100
    shown = [bool(each.patch.files) for each in changes.iterations]
    assert shown == [True] * 11 + [False] * 89
    assert all(each.patch.added == 100 for each in changes.iterations)
