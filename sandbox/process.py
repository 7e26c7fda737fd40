"""A shell script as a subprocess: in a session of its own, with a deadline, its output kept in part.

Its process group does not outlive this process, however that ends: a guard in another session waits for the end of its
input, which nobody but this process holds open, and kills the group then. The script begins once the guard is there.
"""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

from sandbox import ExecResult
from sandbox.output import TIMED_OUT, HeadTail
from sandbox.stream import Deadline

__all__ = ["run_script"]

GRACE_SECONDS = 0.3
"""What processes have for ending after the command that started them."""
POLL_SECONDS = 0.01
END_SECONDS = 5.0
"""What a killed process has for going away."""
PROC = Path("/proc")
HELD = 'read -r begin || exit; exec sh "$1" </dev/null'
GUARD = 'read -r end; kill -s KILL -- "-$1"'


def run_script(
    script: Path,
    environment: Mapping[str, str],
    *,
    timeout: float,
    output_bytes: int,
    hear: Callable[[bytes], None] | None = None,
) -> ExecResult:
    """Run `script` with `sh` and nothing on its input; past `timeout` seconds its process group is killed."""
    kept = HeadTail(output_bytes, hear)
    began = time.monotonic()
    process: subprocess.Popen[bytes] | None = None
    guard: subprocess.Popen[bytes] | None = None
    try:
        with _uninterrupted():
            process = _started(script, environment)
            guard = _guarding(process)
            _begin(process)
        timed_out, outlived = _follow(process, kept, Deadline(timeout))
    finally:
        if process is not None:
            _end(process)
        if guard is not None:
            _end_guard(guard)
    code = process.returncode
    return ExecResult(
        exit_code=TIMED_OUT if timed_out else code if code >= 0 else 128 - code,
        output=kept.kept(),
        seconds=time.monotonic() - began,
        timed_out=timed_out,
        truncated=kept.truncated,
        outlived=outlived,
    )


def _started(script: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The process that is to run the script, once it is told to begin."""
    return subprocess.Popen(
        ["sh", "-c", HELD, "sh", str(script)],
        env=dict(environment),
        cwd=script.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        bufsize=0,
    )


def _guarding(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """The guard of a process that leads a group."""
    return subprocess.Popen(
        ["sh", "-c", GUARD, "sh", str(process.pid)],
        env={"PATH": os.defpath},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _begin(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):  # it is gone already, as its end will tell
            process.stdin.write(b"\n")
        process.stdin.close()


def _end_guard(guard: subprocess.Popen[bytes]) -> None:
    """End a guard before it sees the end of its input: the group's number may be another's by then."""
    guard.kill()
    guard.wait()
    if guard.stdin:
        guard.stdin.close()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep off SIGINT and SIGTERM for a moment.

    Between the start of a process and the moment from which it is known, an exception of theirs would leave it running.
    """
    came: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for kept_off in (signal.SIGINT, signal.SIGTERM):
                if callable(handler := signal.getsignal(kept_off)):
                    handlers[kept_off] = handler
                    signal.signal(kept_off, lambda *signalled: came.append(signalled))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number, frame in came:
        handlers[number](number, frame)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what still lives of a process, and let go of it."""
    if process.returncode is None:
        _kill_group(process)
    for each in (process.stdin, process.stdout):
        if each:
            each.close()
    grace = Deadline(END_SECONDS)
    while process.poll() is None and grace.left() > 0:
        time.sleep(POLL_SECONDS)


def _follow(process: subprocess.Popen[bytes], kept: HeadTail, deadline: Deadline) -> tuple[bool, bool]:
    """Take in output until the command has ended; whether it had to be stopped, and whether processes outlived it."""
    output = process.stdout.fileno() if process.stdout else -1
    while process.poll() is None:
        if deadline.left() <= 0:
            _kill_group(process)
            _drain(output, kept, Deadline(GRACE_SECONDS))
            return True, False
        _take(output, kept, min(POLL_SECONDS, deadline.left()))
    grace = Deadline(GRACE_SECONDS)
    while _group_lives(process) and grace.left() > 0:
        _take(output, kept, POLL_SECONDS)
    outlived = _group_lives(process)
    if outlived:
        _kill_group(process)
    _drain(output, kept, Deadline(GRACE_SECONDS))
    return False, outlived


def _take(output: int, kept: HeadTail, seconds: float) -> bool:
    """Take in what is there within `seconds`; whether there may be more."""
    readable, _, _ = select.select([output], [], [], seconds)
    if not readable:
        return True
    data = os.read(output, 65536)
    kept.feed(data)
    if not data:
        time.sleep(seconds)  # at its end a pipe is always readable
    return bool(data)


def _drain(output: int, kept: HeadTail, deadline: Deadline) -> None:
    while deadline.left() > 0 and _take(output, kept, min(POLL_SECONDS, deadline.left())):
        pass


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return any(_is_alive_in(process.pid, each) for each in PROC.glob("[0-9]*")) or not PROC.exists()


def _is_alive_in(group: int, entry: Path) -> bool:
    """Whether a process is of the group and more than a zombie that nobody has buried yet."""
    try:
        state, _, its_group = (entry / "stat").read_text(errors="replace").rpartition(") ")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in ("Z", "X")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
