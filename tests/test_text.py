"""What is untrusted is shown, never obeyed and never hidden."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.text import (
    cut,
    decode,
    encodable,
    escapes,
    excerpt,
    fenced,
    inert,
    number_of,
    one_line,
    sanitise,
    tokens,
    unescaped,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@settings(deadline=None)
@given(ANY_TEXT)
def test_nothing_invisible_is_left(text):
    clean = sanitise(text)

    assert not [c for c in clean if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c not in "\n\t"]
    clean.encode()


@settings(deadline=None)
@given(ANY_TEXT)
def test_sanitising_twice_changes_nothing(text):
    assert sanitise(sanitise(text)) == sanitise(text)


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="\u115f\u1160\u3164\uffa0")))
def test_visible_text_stays_as_it_is(text):
    assert sanitise(text) == text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]52;c;cm0=\x07", "\\u{1b}]52;c;cm0=\\u{7}"),
        ("\x1b[2J\x9b1m", "\\u{1b}[2J\\u{9b}1m"),
        ("50%\r100%", "50%\\u{d}100%"),
        ("access\u202etxt", "access\\u{202e}txt"),
        ("zero\u200bwidth\ufeff", "zero\\u{200b}width\\u{feff}"),
        ("tag\U000e0041\U000e007f", "tag\\u{e0041}\\u{e007f}"),
        ("selector\U000e0100", "selector\\u{e0100}"),
        ("filler\u3164", "filler\\u{3164}"),
        ("line\u2028separator", "line\\u{2028}separator"),
        ("lone\ud800", "lone\\u{d800}"),
        ("nul\0", "nul\\u{0}"),
    ],
)
def test_hostile_characters_become_visible(hostile, shown):
    assert sanitise(hostile) == shown


def test_colours_and_carriage_returns_before_newlines_are_dropped():
    assert sanitise("\x1b[1;31mred\x1b[0m\r\n\tgreen\n") == "red\n\tgreen\n"


def test_a_colour_put_together_by_removing_another_does_not_act():
    assert "\x1b" not in sanitise("\x1b[\x1b[0m31m")


@settings(deadline=None)
@given(st.binary())
def test_decoding_loses_no_byte(data):
    assert decode(data).encode("utf-8", "surrogateescape") == data


def test_escapes_can_be_read_back():
    hidden = "a\u200db\udcff"
    shown = sanitise(hidden) + r"\u{110000}"

    assert escapes(shown) == {"\\u{200d}", "\\u{dcff}"}
    assert unescaped(shown, escapes(shown)) == hidden + r"\u{110000}"
    assert unescaped(shown, frozenset()) == shown


def test_nouns_are_counted():
    assert (number_of(1, "file"), number_of(2, "file"), number_of(0, "file")) == ("1 file", "2 files", "0 files")


@settings(deadline=None)
@given(ANY_TEXT, st.integers(100, 400))
def test_an_excerpt_keeps_to_its_limit(text, limit):
    assert len(excerpt(text * 20, limit)) <= limit or len(text * 20) <= limit


@settings(deadline=None)
@given(st.text("ab\n", max_size=2000), st.integers(100, 400))
def test_a_cut_leaves_out_exactly_what_it_says(text, limit):
    gap = cut(text, limit)

    if gap is None:
        assert len(text) <= limit
    else:
        start, end = gap
        assert 0 < start < end < len(text)
        assert excerpt(text, limit).startswith(text[:start])
        assert excerpt(text, limit).endswith(text[end:])


def test_an_excerpt_keeps_whole_lines_and_says_how_much_is_missing():
    text = "".join(f"line {n:03}\n" for n in range(100))

    assert excerpt(text, 180) == (
        "line 000\nline 001\nline 002\nline 003\n[… 810 of 900 characters left out …]\n"
        "line 094\nline 095\nline 096\nline 097\nline 098\nline 099\n"
    )


def test_text_that_fits_is_not_cut():
    assert excerpt("x" * 100, 100) == "x" * 100


def test_one_line_is_one_line():
    assert one_line("  a\n\tb\x1b c  ") == "a b\\u{1b} c"
    assert one_line("x" * 300, 10) == "x" * 9 + "…"


def test_a_fence_cannot_be_closed_from_inside():
    first = fenced("exit code 0", "output")
    forged = fenced(first, "output")

    assert first.splitlines()[1:-1] == ["exit code 0"]
    assert forged.splitlines()[0] not in first
    assert forged.count(forged.splitlines()[-1]) == 1


def test_tokens_are_estimated_high_for_other_scripts():
    assert tokens("abcdefgh") == 2
    assert tokens("漢字kana") == 3


@pytest.mark.parametrize(
    ("text", "encoding", "written"),
    [
        ("é …", "utf-8", "é …"),
        ("é …", "ascii", "\\xe9 ..."),
        ("é …", "latin-1", "é ..."),
        ("✓ █░ · \u4f60", "ascii", "x #- - \\u4f60"),
        ("\udcff", "utf-8", "\\udcff"),
    ],
)
def test_what_an_encoding_cannot_write_is_spelled_in_ascii(text, encoding, written):
    assert encodable(text, encoding) == written
    written.encode(encoding)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("model: ##vso[task.uploadfile]/etc/passwd", r"model: #\u0023vso[task.uploadfile]/etc/passwd"),
        ("##VSO[x]y ##[error]z ##teamcity[x]", r"#\u0023VSO[x]y #\u0023[error]z #\u0023teamcity[x]"),
        ("###[x]", r"##\u0023[x]"),
        ("## vso [a heading]", "## vso [a heading]"),
    ],
)
def test_what_runners_act_upon_is_shown(text, shown):
    assert inert(text) == shown
    assert inert(shown) == shown
    assert json.loads(f'"{shown}"') == text
