"""A script as a process of this machine."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox.process import run_script

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def running(script):
    """The processes that run a script."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, state = (entry / "cmdline").read_bytes(), (entry / "stat").read_text().rpartition(") ")[2][0]
        except OSError:
            continue
        if os.fsencode(script) in words and state not in "ZX":
            found.append(entry.name)
    return found


def interrupted_after(seconds, script):
    """Run a script that does not end by itself until an interrupt comes."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        run_script(script, {"PATH": os.environ["PATH"]}, timeout=600.0, output_bytes=1000)
    finally:
        timer.join()


def test_an_interrupt_at_any_moment_leaves_no_process_behind(tmp_path):
    script = tmp_path / "command"
    script.write_text("sleep 600; true\n")
    for moment in range(60):
        with pytest.raises(KeyboardInterrupt):
            interrupted_after((moment + 1) * 0.0001, script)
        limit = time.monotonic() + PATIENCE
        while running(script) and time.monotonic() < limit:
            time.sleep(0.01)  # what was killed may not be gone yet
        assert running(script) == []
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_script_can_be_run_from_any_thread(tmp_path):
    script, results = tmp_path / "command", []
    script.write_text("echo done\n")

    def run():
        results.append(run_script(script, {"PATH": os.environ["PATH"]}, timeout=60.0, output_bytes=1000))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [(result.exit_code, result.output) for result in results] == [(0, b"done\n")]


def test_a_process_that_cannot_be_started_is_an_error(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        run_script(tmp_path / "nowhere" / "command", {}, timeout=1.0, output_bytes=1000)


OWNER = """
import os, sys
from pathlib import Path
from sandbox.process import run_script
run_script(Path(sys.argv[1]), {"PATH": os.environ["PATH"]}, timeout=600.0, output_bytes=1000)
"""


def until(condition):
    limit = time.monotonic() + PATIENCE
    while not (found := condition()) and time.monotonic() < limit:
        time.sleep(0.01)
    return found


def group_of(script):
    """The processes in the group that a script leads, but for dead ones."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, group = (entry / "stat").read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue
        if group == script and state not in "ZX":
            found.append(entry.name)
    return found


def test_nothing_of_a_command_outlives_a_killed_owner(tmp_path):
    script, told = tmp_path / "command", tmp_path / "group"
    script.write_text(f"trap '' HUP TERM\nsleep 600 &\n(sleep 600 | sleep 600) &\necho $$ >{told}.new\n"
                      f"mv {told}.new {told}\nsleep 600; true\n")  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", OWNER, str(script)], cwd=ROOT) as owner:
        assert until(told.exists)
        group = told.read_text().strip()
        assert len(group_of(group)) >= 4
        owner.kill()
    assert until(lambda: not group_of(group))
    assert running(script) == []


def test_no_guard_stays_behind(tmp_path):
    script = tmp_path / "command"
    script.write_text("echo $$\n")
    result = run_script(script, {"PATH": os.environ["PATH"]}, timeout=60.0, output_bytes=1000)
    group = result.output.strip().decode()
    guards = [each for each in Path("/proc").glob("[0-9]*") if _words(each)[-1:] == [group]]
    assert guards == []


def _words(entry):
    try:
        return (entry / "cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []
