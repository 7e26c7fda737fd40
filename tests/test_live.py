"""Of a command's output the last line is told, however the output is cut."""

import pytest

from agent.live import LONGEST, LastLine, Line


def heard(*pieces):
    told = []
    tell = LastLine(told.append)
    for piece in pieces:
        tell(piece)
    return told


@pytest.mark.parametrize(
    ("pieces", "last"),
    [
        ((b"one\n",), "one"),
        ((b"one\ntwo",), "two"),
        ((b"on", b"e"), "one"),
        ((b"one\n", b"two\n"), "two"),
        ((b"one\n\n \n",), "one"),
        ((b"one\r\n",), "one\r"),
        ((b"caf\xc3", b"\xa9"), "café"),
        ((b"\xff",), "\ufffd"),
    ],
)
def test_the_last_line_is_told(pieces, last):
    assert heard(*pieces)[-1] == Line(last)


def test_blank_output_is_nothing_to_tell():
    assert heard(b"\n", b"  \n") == []


def test_of_a_line_without_an_end_only_the_end_is_told():
    (told,) = heard(b"x" * 10_000_000 + b"y")
    assert told.text == "x" * (LONGEST - 1) + "y"


def test_a_line_that_goes_on_and_on_is_not_kept_whole():
    told = []
    tell = LastLine(told.append)
    for _ in range(100):
        tell(b"x" * 100_000)
    assert {len(line.text) for line in told} == {LONGEST}
    assert len(tell._open) <= 4 * LONGEST
