"""No text of the model, a repository or a command acts on the terminal, by whichever way it gets there."""

import re
import unicodedata

import pytest

from agent.live import Line, Said, Streamed, Working
from agent.text import sanitise
from tests.display.screens import CODES, Terminal
from tests.test_progress import HOSTILE, hostile_run

TEXTS = {
    "title": "\x1b]0;owned\x07",
    "clipboard": "\x1b]52;c;b3duZWQ=\x07",
    "link": "\x1b]8;;https://example.org\x1b\\click",
    "clear": "\x1b[2J\x1b[H",
    "c1": "\x9b2J\x9d0;owned\x9c",
    "carriage return": "good\rbad",
    "bidi": "\u202eevil\u2066",
    "surrogate": "\ud800\udcff",
    "markup": "[/foo] [bold red]x[/] [link=https://example.org]y[/link] [@click=z]",
    "newlines": "one\ntwo\n\n\nthree\x0b\x0c\x85\u2028four",
    "wide": "你好" * 100,
    "stacked": "a" + "\u0301" * 5_000,
    "emoji": "❤️👩\u200d🚀" * 60,
    "backspaces": "x\b\b\b\b\b" * 50,
    "mixed": HOSTILE,
}
EACH = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def unseen(text):
    """Characters that a terminal would act on, or show as nothing."""
    return {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n", "\r"}


def checked(terminal):
    """What a terminal was sent holds our own codes and text that is safe, and what it shows is in order."""
    terminal.update()
    bare = CODES.sub("", terminal.sent)
    assert unseen(bare) == set()
    assert "evil" not in bare or "\\u{202e}evil" in bare
    history = terminal.history
    assert not [line for line in history if line.startswith(("tests  ", "spent"))], "a live line was left behind"
    return history


@EACH
@pytest.mark.parametrize("width", [40, 80])
def test_no_text_of_an_event_or_a_notice_acts_on_the_terminal(text, width):
    with Terminal(width, 24) as terminal:
        for event in hostile_run(text):
            terminal.happened(event)
            terminal.passed(
                *(Streamed(text=text, channel=channel, call=text) for channel in ("reasoning", "answer", "call")),
                Line(text),
                Working(what=text, done=1, total=2),
            )
            terminal.passed(Working(what=text, done=2, total=2), Said(text))
            assert len(terminal.lines) <= 24
    assert checked(terminal)[0].startswith("run ")


def test_markup_is_text():
    with Terminal() as terminal:
        terminal.passed(Said(TEXTS["markup"]))
    assert checked(terminal) == [TEXTS["markup"]]


@pytest.mark.parametrize("piece", ["x", "x y ", "\x1b[31m", "\n", "\u202e"])
def test_ten_megabytes_on_one_line_are_a_few_lines(piece):
    text = piece * (10_000_000 // len(piece))
    with Terminal() as terminal:
        terminal.passed(Said(text), Line(text))
        for event in hostile_run("a"):
            terminal.happened(event)
        terminal.passed(Streamed(text=text, channel="reasoning"), Streamed(text=text, channel="answer"))
        assert len(terminal.lines) <= 24
    assert len(checked(terminal)) < 80


def test_a_sequence_that_comes_in_pieces_is_not_put_together():
    with Terminal() as terminal:
        for event in hostile_run("a")[:1]:
            terminal.happened(event)
        for char in "\x1b]0;owned\x07\x1b[2J":
            for channel in ("reasoning", "answer", "call"):
                terminal.passed(Streamed(text=char, channel=channel, call="run"))
    checked(terminal)
    assert terminal.screen.title == ""


def test_what_the_log_shows_is_sanitised_as_elsewhere():
    with Terminal() as terminal:
        for event in hostile_run(HOSTILE):
            terminal.happened(event)
    terminal.update()
    text = " ".join(CODES.sub("", terminal.sent).split())
    assert sanitise(text) == text
    assert re.search(r"\\u\{1b\}\]0;owned", text)
