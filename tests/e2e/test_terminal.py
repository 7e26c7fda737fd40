"""A run in a real terminal: what is drawn on it, and how it is left, however the run ends."""

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pyte
import pytest

from agent.models.script import Script, ScriptedReply
from agent.models.server import ScriptedServer
from tests.e2e.harness import LOCAL, PATIENCE, ROOT, greenward, mended_at_once, mending, variables

STALLED = Script(replies=(mending().replies[0], ScriptedReply(say="Let me think.\n" * 3, stall=True)))


class Typewriter:
    """`greenward` in a pseudo-terminal of its own, whose screen is emulated."""

    def __init__(self, *arguments, environment, width=80, height=24):
        self.screen = pyte.HistoryScreen(width, height, history=1_000)
        self._stream = pyte.ByteStream(self.screen)
        self.sent = b""
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent", *map(str, arguments)],
            env=dict(environment), cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    @property
    def lines(self):
        above = ["".join(line[n].data for n in range(self.screen.columns)) for line in self.screen.history.top]
        return [line.rstrip() for line in (*above, *self.screen.display)]

    def read(self, seconds=0.05):
        """Take in what was written; False once there will be no more."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.sent += data
        self._stream.feed(data)
        return bool(data)

    def until(self, text):
        deadline = time.monotonic() + PATIENCE
        while not any(text in line for line in self.lines):
            assert self.read(), "\n".join(self.lines)
            assert time.monotonic() < deadline, "\n".join(self.lines)

    def ended(self):
        while self.read(1.0):
            pass
        os.close(self._master)
        return self.process.wait(PATIENCE)


def drawing(server, **more):
    """The environment of a user who sits at a terminal."""
    return variables(server, **{"TERM": "xterm-256color", **more})


def in_order(screen):
    return not screen.screen.cursor.hidden and pyte.modes.DECAWM in screen.screen.mode


def test_a_run_is_drawn_and_leaves_its_log_and_summary(red):
    with ScriptedServer(mended_at_once()) as server:
        screen = Typewriter("fix", red, *LOCAL, environment=drawing(server))
        screen.until("spent    $")
        assert screen.screen.cursor.hidden
        assert screen.ended() == 8
    assert in_order(screen)
    text = "\n".join(screen.lines)
    assert "iteration 1: 3 passed" in text
    assert "  fixed  tests/test_sums.py::test_add\n" in text
    assert "\nunproven: the tests passed, but nothing isolated them" in text
    assert "\nspent " not in text
    assert "plan ·" not in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_the_terminal_as_it_was(red, number):
    with ScriptedServer(STALLED) as server:
        screen = Typewriter("fix", red, *LOCAL, environment=drawing(server))
        screen.until("    Let me think.")
        screen.process.send_signal(number)
        assert screen.ended() == 130
    assert in_order(screen)
    text = "\n".join(screen.lines)
    assert "error: interrupted" in text
    assert "plan: Add instead of subtracting" in text
    assert "Let me think." not in text
    assert "spent  " not in text


def test_an_error_leaves_the_terminal_as_it_was(red):
    with ScriptedServer(Script(replies=(ScriptedReply(status=401, once=False),))) as server:
        screen = Typewriter("fix", red, *LOCAL, environment=drawing(server))
        assert screen.ended() == 7
    assert in_order(screen)
    text = "\n".join(screen.lines)
    assert "error: " in text
    assert "spent  " not in text


@pytest.mark.parametrize(
    ("arguments", "more"), [(["--plain"], {}), ([], {"TERM": "dumb"}), ([], {"TERM": ""}), (["--quiet"], {})]
)
def test_plain_lines_hold_no_escape_also_in_a_terminal(red, arguments, more):
    with ScriptedServer(mended_at_once()) as server:
        screen = Typewriter("fix", red, *LOCAL, *arguments, environment=drawing(server, **more))
        assert screen.ended() == 8
    assert b"\x1b" not in screen.sent
    assert (b"iteration 1: 3 passed" in screen.sent) == (arguments != ["--quiet"])


def test_without_colours_a_run_is_drawn_all_the_same(red):
    with ScriptedServer(mended_at_once()) as server:
        screen = Typewriter("fix", red, *LOCAL, environment=drawing(server, NO_COLOR=""))
        assert screen.ended() == 8
    assert b"spent    " in screen.sent
    assert not [code for code in (b"\x1b[3", b"\x1b[9", b";3", b";9") if code in screen.sent.replace(b"\x1b[39m", b"")]


def test_a_run_that_is_asked_for_a_plan_waits_for_the_answer_below_a_still_screen(red):
    with ScriptedServer(mended_at_once()) as server:
        screen = Typewriter("fix", red, *LOCAL, "--approve", environment=drawing(server))
        screen.until("carry it out? [y]es, [n]o, [e]dit:")
        assert in_order(screen)
        os.write(screen._master, b"y\n")
        screen.until("plan: approved as it is")
        assert screen.ended() == 8


def test_what_a_locale_cannot_write_is_spelled_in_ascii(red):
    script = mended_at_once()
    first, second, *others = script.replies
    told = ScriptedReply(say="Größe: \u4f60", calls=second.calls, expect=second.expect)
    with ScriptedServer(Script(replies=(first, told, *others))) as server:
        ran = greenward("fix", red, *LOCAL, environment=drawing(server, PYTHONIOENCODING="ascii:strict"))
    assert ran.code == 8, ran.said
    assert "model: Gr\\xf6\\xdfe: \\u4f60" in ran.err
