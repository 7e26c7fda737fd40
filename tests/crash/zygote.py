"""A process that has imported everything, and forks one for each thing that is to be done, and perhaps to be killed.

It reads orders as lines of JSON and answers each with a line; see `Order` and `Answer`. Run it as a module.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from agent.accepting import accept_run, undo_run
from agent.config import Key, load_settings
from agent.durable import Moment, Passing
from agent.errors import GreenwardError, UsageProblem
from agent.models.server import ScriptedServer
from agent.redact import Secret
from agent.reopening import taking_up
from agent.runs import JOURNAL, find_run, find_unfinished, runs_directory
from agent.session import Session, Surroundings
from agent.tasks import Planning, Project, start_new, start_on
from agent.watching import Silent
from agent.workspace import Workspace
from sandbox import Engine
from sandbox.engines import Opening
from tests.crash.disks import MOUNT, fill
from tests.crash.world import MENDING, PLAN, in_use
from tests.lab import IsolatedEngine

__all__ = ["RUN_ID", "Answer", "Kill", "Order"]

RUN_ID = "r1"
AT = datetime(2030, 1, 1, tzinfo=UTC)
"""The time at which all happens, so that equal work gives equal commits."""
TRACEBACK = 70
"""The exit code of a process that ended by an error which nobody had foreseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """When a process is to be killed: at the `nth` time that `moment` passes, or `seconds` after it was begun."""

    moment: str = ""
    nth: int = 0
    torn: bool = False
    """Whether half of the journal's last line is to be missing."""
    seconds: float = 0.0
    family: bool = False
    """Whether all that it started dies with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing to do on a repository, in a process of its own."""

    do: str
    """`fix`, `new`, `resume`, `accept` or `undo`."""
    repository: str
    base_url: str = ""
    iterations: int = 8
    merge: bool = False
    """Whether `accept` is to merge."""
    kill: Kill | None = None
    trace: str = ""
    """The file to which each moment is written, with what tells whether the disk has changed since the last."""
    disk: str = ""
    """The directory whose disk is filled, or made read-only, when the process would be killed."""
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How that process ended."""

    code: int
    """Its exit code; negative for the signal that killed it."""
    said: str = ""
    seconds: float = 0.0


class Isolated(Opening):
    """Says that it isolates, and sets nothing up: what is executed is executed here."""

    def __init__(self) -> None:
        self.run_id = RUN_ID

    @contextmanager
    def engine(self) -> Iterator[Engine]:  # type: ignore[override]
        yield IsolatedEngine()


@dataclass
class Hook:
    """Counts moments, and does at one of them what was ordered."""

    order: Order
    counts: dict[str, int] = field(default_factory=dict)

    def __call__(self, moment: Moment) -> None:
        number = self.counts[moment] = self.counts.get(moment, 0) + 1
        if self.order.trace:
            with Path(self.order.trace).open("a") as file:
                file.write(f"{moment}\t{number}\t{_signature(Path(self.order.repository))}\n")
        kill = self.order.kill
        if kill is None or (moment, number) != (kill.moment, kill.nth):
            return
        if self.order.disk and self.order.read_only:
            subprocess.run([MOUNT, "-o", "remount,ro", self.order.disk], check=True)
        elif self.order.disk:
            fill(Path(self.order.disk))
        if self.order.disk:
            return
        if kill.torn:
            _tear(Path(self.order.repository) / ".git" / "greenward" / "runs" / RUN_ID / JOURNAL)
        os.kill(os.getpid(), signal.SIGKILL)


def _tear(journal: Path) -> None:
    data = journal.read_bytes()
    last = data.rstrip(b"\n").rfind(b"\n") + 1
    os.truncate(journal, last + (len(data) - last) // 2)


def _signature(root: Path) -> int:
    found = []
    for directory, _, names in os.walk(root):
        for name in names:
            status = Path(directory, name).lstat()
            found.append((directory, name, status.st_size, status.st_mtime_ns, status.st_ino))
    return hash(tuple(sorted(found)))


def main() -> None:
    """Carry out orders until there are none left."""
    _warm_up()
    for line in sys.stdin:
        values = json.loads(line)
        kill = values.pop("kill")
        order = Order(**values, kill=Kill(**kill) if kill else None)
        print(json.dumps(asdict(_carried_out(order))), flush=True)


def _warm_up() -> None:
    """Do once what the processes to come will do, so that all is imported that they will need."""
    with tempfile.TemporaryDirectory() as directory, ScriptedServer(MENDING.script) as server:
        root = in_use(Path(directory) / "repository")
        _done(Order(do="fix", repository=str(root), base_url=server.base_url))
    if threading.active_count() > 1:
        raise RuntimeError("a process that is forked from several threads may stand still")
    gc.freeze()


def _carried_out(order: Order) -> Answer:
    reading, writing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(order, writing)
    os.close(writing)
    if order.kill and order.kill.seconds:
        _kill_later(child, order.kill)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - began
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode(errors="replace")
    return Answer(code=os.waitstatus_to_exitcode(status), said=said, seconds=seconds)


def _kill_later(child: int, kill: Kill) -> None:
    end = time.monotonic() + kill.seconds
    while time.monotonic() < end:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(min(0.002, max(0.0, end - time.monotonic())))
    os.kill(child, signal.SIGSTOP)
    family = [child, *_descendants(child)] if kill.family else [child]
    for each in family:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _descendants(process: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text(errors="replace").rpartition(") ")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, waiting = [], [process]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _be_the_child(order: Order, writing: int) -> None:
    code = TRACEBACK
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(null, number)
    try:
        code = _done(order)
    except GreenwardError as error:
        code = error.exit_code
        os.write(writing, f"{error.message}\n\nhint: {error.hint}".encode(errors="replace")[:4000])
    except BaseException:  # noqa: BLE001 - whatever it is, it is told
        import traceback

        os.write(writing, traceback.format_exc().encode(errors="replace")[-4000:])
    finally:
        os._exit(code)


def _done(order: Order) -> int:
    repository, hook = Path(order.repository), Hook(order)
    do: dict[str, Callable[[Path, Order, Passing], int]] = {
        "fix": _fixed,
        "new": _scaffolded,
        "resume": _resumed,
        "accept": _taken,
        "undo": _taken,
    }
    return do[order.do](repository, order, hook)


def _around(order: Order, passing: Passing) -> Surroundings:
    flags = {
        "sandbox": "docker",  # in name: what is opened is `Isolated`, so that there is a proof
        "base_url": order.base_url,
        "limits.iterations": order.iterations,
        "prices.input": 0.48,
        "prices.cached": 0.08,
        "prices.output": 2.0,
        "max_output": 16_000,
    }
    environ = dict(os.environ)
    key = Key(secret=Secret("sk-of-the-tests-0123456789abcdef"), source="here")
    settings = load_settings(environ, flags, key=key)
    return Surroundings(
        settings=settings,
        watcher=Silent(),
        environ=environ,
        opening=Isolated(),
        clock=lambda: AT,
        passing=passing,
    )


def _fixed(repository: Path, order: Order, passing: Passing) -> int:
    around = _around(order, passing)
    project = Project(setup="true", test="sh run-tests.sh")
    return _ended(start_on(around, "fix", repository, "", project=project, planning=Planning()))


def _scaffolded(repository: Path, order: Order, passing: Passing) -> int:
    return _ended(start_new(_around(order, passing), repository, "A tool that adds.", planning=Planning(plan=PLAN)))


def _resumed(repository: Path, order: Order, passing: Passing) -> int:
    around = _around(order, passing)
    run = find_unfinished(runs_directory(repository, around.environ), None)
    with Workspace.open(repository, environment=around.environ, passing=passing) as workspace:
        return _ended(Session(workspace=workspace, around=around).resume(run.id, taking_up))


def _taken(repository: Path, order: Order, passing: Passing) -> int:
    environ = dict(os.environ)
    run = find_run(runs_directory(repository, environ), None)
    with Workspace.open(repository, environment=environ, passing=passing) as workspace:
        if order.do == "accept":
            accept_run(workspace, run, merge=order.merge, environ=environ)
        else:
            undo_run(workspace, run, environ=environ)
    return 0


def _ended(state: object) -> int:
    outcome = state.outcome  # type: ignore[attr-defined]
    if outcome is None:
        raise UsageProblem("the run did not end")
    return int(outcome.exit_code)


if __name__ == "__main__":
    main()
