"""What tools show of a tree: bounded, numbered, and nothing invisible in it."""

import pytest

FILES = {"README.md": "# Shop\n", "src/shop.py": "price = 1\n\nname = 'x'\n", "src/deep/er/a.py": "", "b.bin": b"\0\1"}


def test_all_files_are_listed_with_their_sizes(desk):
    assert desk(FILES | {"big.txt": "x" * 1_500}).ask("list_files") == (
        "5 files:\nREADME.md  7 B\nb.bin  2 B\nbig.txt  1.5 kB\nsrc/deep/er/a.py  0 B\nsrc/shop.py  22 B"
    )


@pytest.mark.parametrize("path", ["src", "./src/", "src/"])
def test_one_directory_is_listed(desk, path):
    assert desk(FILES).ask("list_files", path=path) == "2 files in src:\nsrc/deep/er/a.py  0 B\nsrc/shop.py  22 B"


@pytest.mark.parametrize("path", ["", ".", "./", "/"])
def test_the_root_is_listed(desk, path):
    assert desk(FILES).ask("list_files", path=path).startswith("4 files:\n")


def test_a_hidden_directory_is_not_taken_for_another(desk):
    assert desk({".ci/a": "", "ci/b": ""}).ask("list_files", path=".ci") == "1 file in .ci:\n.ci/a  0 B"


def test_deep_directories_are_counted_where_files_are_too_many(desk):
    files = {f"src/package_{n % 3}/module_{n}.py": "" for n in range(600)} | {"README.md": ""}

    assert desk(files).ask("list_files") == (
        "601 files:\nREADME.md  0 B\nsrc/package_0/  200 files, not listed\n"
        "src/package_1/  200 files, not listed\nsrc/package_2/  200 files, not listed"
    )


def test_a_directory_with_more_than_fits_is_cut(desk):
    listing = desk({f"file_{n:04}.txt": "" for n in range(2_000)}).ask("list_files")

    assert len(listing) < 8_200
    assert listing.endswith("more: ask for less")


@pytest.mark.parametrize("path", ["../..", "/etc", "nowhere", "README.md"])
def test_a_directory_that_is_not_there_is_told(desk, path):
    assert desk(FILES).fail("list_files", path=path).startswith(f"there is no directory `{path}`")


def test_a_project_without_files_is_told(desk):
    assert desk({}).ask("list_files") == "There are no files."


def test_a_file_is_shown_with_line_numbers(desk):
    assert desk(FILES).ask("read_file", path="./src/shop.py") == (
        "src/shop.py, lines 1 to 3 of 3:\n1\tprice = 1\n2\t\n3\tname = 'x'"
    )


def test_a_range_is_shown_and_what_follows_is_told(desk):
    assert desk(FILES).ask("read_file", path="src/shop.py", start=2, lines=1) == (
        "src/shop.py, lines 2 to 2 of 3:\n2\t\nLines 3 to 3 follow: read_file with start=3."
    )


def test_a_large_file_is_shown_in_parts_that_make_the_whole(desk):
    lines = [f"line {n}" for n in range(1, 10_001)]
    at = desk({"a.txt": "\n".join(lines)})
    seen, start = [], 1
    while start <= len(lines):
        shown = at.ask("read_file", path="a.txt", start=start)
        assert len(shown) < 16_500
        part = [line.partition("\t")[2] for line in shown.splitlines() if "\t" in line]
        seen += part
        start += len(part)

    assert seen == lines


def test_a_long_line_is_cut_and_told(desk):
    shown = desk({"a.js": "x" * 100_000 + "\nend"}).ask("read_file", path="a.js")

    assert shown.endswith("[… 98000 more characters]\n2\tend")
    assert len(shown) < 2_200


def test_what_cannot_be_seen_is_shown_and_can_be_edited_so(desk):
    at = desk({"a.py": b"x = '\xe2\x80\x8b\xff'\r\ny = '\x1b'\r\n"})

    assert at.ask("read_file", path="a.py") == (
        "a.py, lines 1 to 2 of 2 (CRLF, not UTF-8):\n1\tx = '\\u{200b}\\u{dcff}'\n2\ty = '\\u{1b}'"
    )
    at.ask(
        "edit_file", path="a.py", replacements=[{"search": "x = '\\u{200b}\\u{dcff}'", "replace": "x = '\\u{dcff}'"}]
    )
    assert at.now["a.py"] == b"x = '\xff'\r\ny = '\x1b'\r\n"


def test_an_empty_file_is_told(desk):
    assert desk(FILES).ask("read_file", path="src/deep/er/a.py") == "src/deep/er/a.py is empty."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "shop.py"}, "there is no file `shop.py`; did you mean `src/shop.py`?"),
        ({"path": "src/shp.py"}, "there is no file `src/shp.py`; did you mean `src/shop.py`?"),
        ({"path": "src"}, "there is no file `src`: it is a directory"),
        ({"path": "/etc/passwd"}, "there is no file `/etc/passwd`"),
        ({"path": "src/../README.md"}, "there is no file `src/../README.md`; did you mean `README.md`?"),
        ({"path": "a\x1b\n"}, "there is no file `a\\u{1b}`"),
        ({"path": "b.bin"}, "`b.bin` is binary (2 bytes), so it is not shown"),
        ({"path": "README.md", "start": 2}, "`README.md` has 1 line, none from 2 on"),
        ({"path": "README.md", "start": 0}, "bad arguments for `read_file`: `start`: Input should be greater than"),
        ({}, "bad arguments for `read_file`: `path`: Field required"),
    ],
)
def test_a_file_that_cannot_be_shown_is_told(desk, arguments, message):
    assert desk(FILES).fail("read_file", **arguments).startswith(message)


def test_lines_are_found(desk):
    assert desk(FILES).ask("search", pattern=r"^\w+ =") == (
        "2 lines in 1 file:\nsrc/shop.py:1: price = 1\nsrc/shop.py:3: name = 'x'"
    )
    assert desk(FILES).ask("search", pattern="=", glob="*.md") == "No line matches in files like `*.md`."
    assert desk(FILES).ask("search", pattern="nothing") == "No line matches."


def test_a_bad_pattern_is_told(desk):
    assert desk(FILES).fail("search", pattern="(").startswith("the search cannot be made: missing )")
    assert desk(FILES).fail("search", pattern="").startswith("bad arguments for `search`: `pattern`")


def test_what_is_found_is_bounded_and_harmless(desk):
    found = desk({"a.txt": "x\x1b" + "y" * 9_000 + "\n" + "x\n" * 5_000}).ask("search", pattern="x")

    assert len(found) < 8_200
    assert found.startswith("5001 lines in 1 file:\na.txt:1: x\\u{1b}yyy")
    assert found.endswith("more: ask for less")


def test_a_kept_output_is_read_in_parts_that_make_the_whole(desk):
    at = desk()
    text = "".join(f"line {n}\n" for n in range(5_000))
    id_ = at.hands.keep(text.encode())
    seen = ""
    while len(seen) < len(text):
        shown = at.ask("read_output", id=id_, offset=len(seen))
        assert len(shown) < 8_200
        seen += shown.partition("\n")[2].partition("\nMore follows")[0]

    assert seen == text


@pytest.mark.parametrize("id_", ["nothing", "../../etc/passwd", "a/b", "", "\x1b"])
def test_an_output_that_is_not_there_is_told(desk, id_):
    at = desk()
    at.hands.artifacts |= {"../../etc/passwd": b"secret", "a/b": b"secret"}

    assert at.fail("read_output", id=id_).startswith("there is no output with the id")


def test_an_offset_past_the_end_is_told(desk):
    at = desk()

    assert at.fail("read_output", id=at.hands.keep(b"abc"), offset=3) == "the output has 3 characters, none from 3 on"
