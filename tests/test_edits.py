"""A replacement is made at its one place, or not at all; everything else stays as it is, byte for byte."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.edits import Edit, Misfit, Refused, Replacement, replace
from sandbox import Refusal


def swap(data: bytes, *pairs: tuple[str, str]) -> bytes | Misfit:
    return replace(data, [Replacement(search=search, replace=new) for search, new in pairs])


def why_not(data: bytes, *pairs: tuple[str, str]) -> str:
    result = swap(data, *pairs)
    assert isinstance(result, Misfit)
    return result.message


CODE = b"def a():\n    return 1\n\n\ndef b():\n    return 2\n"


@pytest.mark.parametrize(
    ("data", "search", "new", "result"),
    [
        pytest.param(CODE, "return 1", "return 3", CODE.replace(b"1", b"3"), id="exact"),
        pytest.param(b"a  \nb\t\nc\n", "a\nb\n", "x\ny\n", b"x\ny\nc\n", id="spaces at ends of lines in the file"),
        pytest.param(b"a\nb\nc\n", "a \nb ", "x", b"x\nc\n", id="spaces at ends of lines in the search"),
        pytest.param(b"a\nb", "b", "c", b"a\nc", id="no newline at the end"),
        pytest.param(b"a\nb", "b\n", "c\n", b"a\nc", id="a newline searched that the end lacks"),
        pytest.param(b"a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", b"x\r\ny\r\nz\r\nc\r\n", id="CRLF kept for LF"),
        pytest.param(b"one a\r\nb two\r\n", "a\nb", "x\ny", b"one x\r\ny two\r\n", id="CRLF within lines"),
        pytest.param(b"a\r\nb", "b", "x\ny", b"a\r\nx\r\ny", id="CRLF kept at the end"),
        pytest.param(b"a\nb\r\nc\r\n", "b\r\nc\r\n", "x\n", b"a\nx\r\n", id="mixed ends follow the place"),
        pytest.param(b"a\nb\n", "a\n", "", b"b\n", id="deletion"),
        pytest.param(b"\xff\xfea = 1\n\x80b\n", "a = 1", "a = 2", b"\xff\xfea = 2\n\x80b\n", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbfa = 1\n", "a = 1", "a = 2", b"\xef\xbb\xbfa = 2\n", id="byte order mark"),
        pytest.param("é = 1\n".encode(), "é", "ü", "ü = 1\n".encode(), id="letters"),
        pytest.param(
            b"class A:\n    def f(self):\n        return 1\n",
            "def f(self):\n    return 1",
            "def f(self):\n    if x:\n        return 2\n\n    return 1",
            b"class A:\n    def f(self):\n        if x:\n            return 2\n\n        return 1\n",
            id="indented",
        ),
        pytest.param(
            b"if x:\n    y()\n",
            "    if x:\n        y()\n",
            "    if x:\n        z()\n",
            b"if x:\n    z()\n",
            id="outdented",
        ),
        pytest.param(
            b"if x:\n\ty()\n", "if x:\n    y()\n", "if x:\n    z()\n    y()\n", b"if x:\n\tz()\n\ty()\n", id="tabs"
        ),
        pytest.param(b"  a\n", "    a", "    a:\n        b", b"  a:\n      b\n", id="outdented deeper"),
        pytest.param(b"\n\na\n", "\n\na", "b", b"b\n", id="blank lines"),
        pytest.param(
            "a\u200db = 1\n".encode(), "a\\u{200d}b = 1", "a\\u{200d}b = 2", "a\u200db = 2\n".encode(), id="escapes"
        ),
        pytest.param(b"a\xffb = 1\n", "a\\u{dcff}b = 1", "a\\u{dcff}b = 2", b"a\xffb = 2\n", id="escaped bytes"),
        pytest.param(b"a = '\\u{200d}'\n", "'\\u{200d}'", "'\\u{200e}'", b"a = '\\u{200e}'\n", id="escapes in source"),
    ],
)
def test_a_place_is_found(data, search, new, result):
    assert swap(data, (search, new)) == result


@pytest.mark.parametrize(
    ("data", "search", "message"),
    [
        (
            b"a\nb\na\n",
            "a",
            "the text occurs more than once, at lines 1, 3: add lines around it so that it occurs once",
        ),
        (b"x\n" * 9, "x", "the text occurs more than once, at lines 1, 2, 3, 4, 5 and elsewhere: add lines around it "),
        (b"  a\n    a\n", "\ta", "the text occurs more than once, at lines 1, 2: add"),
        (b"aaa", "aa", "the text occurs more than once, at lines 1, 1: add"),
        (b"a\n", "", "the text to search for is empty; to write a whole file use `write_file`"),
        (b"a\n", "new", "the replacement equals the text to search for"),
        (b"a\n", "\ud800", "the text holds half of a surrogate pair"),
        (b"a\n", "1\ta\n2\tb", "the text is not in the file: line numbers are shown by `read_file`, but are no part"),
        (b"a\n", "1\n", "the text is not in the file: line numbers"),
        (b"alpha\nbeta\n", "something else", "the text is not in the file, nor anything like it (3 lines)"),
        (b"a\n\nb\n", "  \n \n\t", "the text is not in the file: quote more than blanks"),
        (b"", "a", "the text is not in the file, nor anything like it (1 line)"),
        (b"a \nb \n", " \n", "the text occurs more than once, at lines 1, 2: add"),
    ],
)
def test_what_has_no_one_place_is_told(data, search, message):
    assert why_not(data, (search, "new")).startswith(message)


def test_the_lines_that_come_nearest_are_shown():
    assert why_not(CODE, ("def b():\n    return 3\n", "x")) == (
        "the text is not in the file; the nearest lines are\n5\tdef b():\n6\t    return 2"
    )


def test_a_line_with_a_typing_error_is_shown_as_it_is():
    assert why_not(CODE + b"    total = first_price + second\x1b\n", ("total = first_prise + second", "x")) == (
        "the text is not in the file; the nearest lines are\n7\t    total = first_price + second\\u{1b}"
    )


def test_an_indentation_without_a_counterpart_is_not_guessed():
    assert "nearest lines" in why_not(b"if x:\n\ty()\n", ("if x:\n    y()\n", "if x:\n  z()\n"))
    assert "nearest lines" in why_not(b"a\n  b\n    c\n", ("a\nb\nc\n", "a\nd\n"))


def test_several_are_made_at_once_against_the_original():
    assert swap(CODE, ("return 2", "return 1"), ("return 1", "return 2")) == (
        b"def a():\n    return 2\n\n\ndef b():\n    return 1\n"
    )


def test_neighbours_do_not_overlap():
    assert swap(b"ab", ("a", "x"), ("b", "y")) == b"xy"


def test_overlapping_replacements_are_refused():
    assert why_not(CODE, ("return 1", "return 3"), ("def a():\n    return", "x")) == (
        "two replacements overlap at line 2: make them one"
    )


def test_one_misfit_undoes_them_all_and_each_is_told():
    assert why_not(CODE, ("return 1", "return 3"), ("nothing alike", "x"), ("return", "x")) == (
        "replacement 2: the text is not in the file, nor anything like it (7 lines)\n"
        "replacement 3: the text occurs more than once, at lines 2, 6: add lines around it so that it occurs once"
    )


def test_no_replacement_is_no_change():
    assert swap(CODE) == CODE


@settings(deadline=None)
@given(st.binary(), st.text(min_size=1, max_size=20), st.text(max_size=20), st.binary())
def test_bytes_elsewhere_stay_as_they_are(head, search, new, tail):
    assume(search != new)
    data = head + search.encode() + tail
    result = swap(data, (search, new))

    if data.count(search.encode()) == 1 and b"\r" not in data and isinstance(result, bytes):
        assert result == head + new.encode() + tail


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"a", b" b", b"c ", b"\xff", b"", b"\td"])), st.data())
def test_a_line_taken_from_a_file_replaces_that_line_alone(lines, data):
    number = data.draw(st.integers(0, max(0, len(lines) - 1)))
    assume(lines and lines[number].strip() and b"\xff" not in lines[number] and lines.count(lines[number]) == 1)
    result = swap(b"\n".join(lines), (lines[number].decode(), "new"))

    assert result == b"\n".join([*lines[:number], b"new", *lines[number + 1 :]])


def test_a_needle_is_looked_for_in_a_large_file_without_delay():
    data = b"".join(b"    value_%d = compute(%d)\n" % (n, n) for n in range(50_000))

    assert "nearest lines" in why_not(data, ("    value_7 = compte(7)\n    other()\n", "x"))


def test_refused_edits_say_why():
    refused = Refused([Refusal(path="../x", reason="leads out of the tree"), Refusal(path=".git", reason="is git's")])

    assert str(refused) == "../x: leads out of the tree; .git: is git's"
    assert [refusal.path for refusal in refused.refusals] == ["../x", ".git"]
    assert Edit(path="a", data=None).executable is None
