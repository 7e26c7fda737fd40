"""Edits are made as told, or refused with a reason; there is nothing between."""

import pytest

FILES = {"a.py": "one = 1\ntwo = 2\n", "b.py": "one = 1\n", "test_a.py": "assert True\n"}
OUTSIDE = ["../x", "a/../../x", "/etc/passwd", "//x", "~/x", "", ".", "a/", ".git/config", "a/.GIT/x", "GIT~1/x", "x\0"]


def test_a_file_is_written_whole(desk):
    at = desk(FILES)

    assert at.ask("write_file", path="./src/new.py", content="é\nx") == "Wrote src/new.py (2 lines)."
    assert at.now == {path: data.encode() for path, data in FILES.items()} | {"src/new.py": "é\nx".encode()}
    assert at.hands.executables == set()


def test_a_file_can_be_made_executable(desk):
    at = desk()
    at.ask("write_file", path="run.sh", content="", executable=True)

    assert at.hands.executables == {"run.sh"}


def test_writing_what_is_there_is_told(desk):
    assert desk(FILES).ask("write_file", path="b.py", content="one = 1\n") == (
        "Nothing changed: the files were like that already."
    )


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leads_out_of_the_project(desk, path):
    at = desk(FILES)

    assert at.fail("write_file", path=path, content="x").startswith("Nothing was changed:")
    assert at.fail("edit_file", path=path, replacements=[{"search": "a", "replace": "b"}])
    assert at.fail("delete_file", path=path).startswith("there is no file")
    assert set(at.hands.trees) == {at.hands.start}


def test_a_sealed_file_is_refused_with_the_reason(desk):
    at = desk(FILES)
    at.hands.sealed.add("test_a.py")

    assert at.fail("delete_file", path="test_a.py") == "Nothing was changed:\ntest_a.py: is sealed"
    assert (
        at.fail(
            "edit_files",
            files=[
                {"path": "a.py", "replacements": [{"search": "one", "replace": "eins"}]},
                {"path": "test_a.py", "replacements": [{"search": "True", "replace": "1"}]},
            ],
        )
        == "Nothing was changed:\ntest_a.py: is sealed"
    )


def test_content_beyond_the_cap_is_refused(desk):
    assert desk().fail("write_file", path="a", content="x" * 1_000_001) == (
        "the content has 1,000,001 bytes, more than 1,000,000"
    )


def test_text_is_replaced(desk):
    at = desk(FILES)
    changes = [{"search": "one = 1", "replace": "one = 2"}, {"search": "two = 2", "replace": "two = 1"}]

    assert at.ask("edit_file", path="a.py", replacements=changes) == "Edited a.py."
    assert at.now["a.py"] == b"one = 2\ntwo = 1\n"


def test_several_files_are_edited_together(desk):
    at = desk(FILES)
    change = [{"search": "one", "replace": "eins"}]

    assert at.ask("edit_files", files=[{"path": p, "replacements": change} for p in ("a.py", "b.py")]) == (
        "Edited a.py, b.py."
    )
    assert (at.now["a.py"], at.now["b.py"]) == (b"eins = 1\ntwo = 2\n", b"eins = 1\n")


def test_a_batch_is_made_whole_or_not_at_all_and_each_fault_is_told(desk):
    at = desk(FILES)
    good = {"search": "one", "replace": "eins"}
    files = [
        {"path": "a.py", "replacements": [good]},
        {"path": "b.py", "replacements": [good, {"search": "three", "replace": "drei"}]},
        {"path": "c.py", "replacements": [good]},
    ]

    assert at.fail("edit_files", files=files) == (
        "Nothing was changed.\n"
        "b.py: replacement 2: the text is not in the file, nor anything like it (2 lines)\n"
        "c.py: there is no file `c.py`; did you mean `b.py`, `a.py`?"
    )


def test_an_ambiguous_place_is_told(desk):
    assert desk(FILES).fail("edit_file", path="a.py", replacements=[{"search": " = ", "replace": "="}]) == (
        "Nothing was changed.\n"
        "a.py: the text occurs more than once, at lines 1, 2: add lines around it so that it occurs once"
    )


def test_a_file_named_twice_is_refused(desk):
    files = [{"path": p, "replacements": [{"search": "one", "replace": "x"}]} for p in ("a.py", "./a.py")]

    assert desk(FILES).fail("edit_files", files=files) == "`a.py` is named twice: put all its replacements together"


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("edit_file", {"path": "a.py", "replacements": []}, "bad arguments for `edit_file`: `replacements`"),
        (
            "edit_file",
            {"path": "a.py", "replacements": [{"search": "a"}]},
            "bad arguments for `edit_file`: `replacemen",
        ),
        ("edit_file", {"path": "a.py"}, "bad arguments for `edit_file`: `replacements`: Field required"),
        ("edit_files", {"files": []}, "bad arguments for `edit_files`: `files`"),
        ("write_file", {"path": "a.py"}, "bad arguments for `write_file`: `content`: Field required"),
        ("delete_file", {"path": 3}, "bad arguments for `delete_file`: `path`"),
        (
            "edit_file",
            {"path": "a.py", "replacements": [{"search": "a", "replace": "b"}] * 10_000},
            "these are more than 200 replacements in one call",
        ),
    ],
)
def test_bad_arguments_are_told(desk, tool, arguments, message):
    assert desk(FILES).fail(tool, **arguments).startswith(message)


def test_many_misfits_stay_within_bounds(desk):
    changes = [{"search": f"missing {n} " + "x" * 300, "replace": ""} for n in range(200)]

    assert len(desk({"a.py": "missing " + "x" * 300}).fail("edit_file", path="a.py", replacements=changes)) <= 2_500


def test_a_file_that_is_not_utf8_keeps_its_bytes(desk):
    at = desk({"a.txt": b"caf\xe9 = 1\nb = 2\n"})
    at.ask("edit_file", path="a.txt", replacements=[{"search": "b = 2", "replace": "b = 3"}])

    assert at.now["a.txt"] == b"caf\xe9 = 1\nb = 3\n"


def test_a_file_is_deleted(desk):
    at = desk(FILES)

    assert at.ask("delete_file", path="b.py") == "Deleted b.py."
    assert set(at.now) == {"a.py", "test_a.py"}
