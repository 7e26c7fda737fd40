"""A run from outside: its provider, its engine, and the process at work on it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent import events as e
from agent.config import load_settings
from agent.errors import GreenwardError
from agent.folding import apply, fold
from agent.journal import Entry
from agent.models import Request
from agent.runs import JOURNAL
from agent.session import Session, Surroundings
from agent.state import RunState
from agent.task import Limits, Mode, Task
from agent.watching import Silent, Watcher
from agent.workspace import Workspace
from sandbox import SandboxError
from tests.kits import PRICES
from tests.stateful.process import Clock, Died, Process, SteppedSession, Stopping
from tests.stateful.provider import Failure, Provider, Reply
from tests.stateful.world import StillEngine

Given = Callable[[RunState], tuple[e.Event, ...] | None]
MOVES = e.Committed | e.RunPaused | e.RunFinished
"""Events that say where the branch is."""
ENDS = KeyboardInterrupt | GreenwardError | SandboxError
"""What a session may end with, besides an outcome."""
SERVER = "http://127.0.0.1:9/v1"
"""Nobody is there: nothing is sent."""


@dataclass
class StillOpening:
    """An engine that was reached before, or is not to be reached."""

    still: StillEngine
    run_id: str

    def engine(self):
        return self.still.answering()


@dataclass
class Run:
    """One run, the process at work on it, and what that process made durable."""

    id: str
    root: Path
    clock: Clock
    limits: Limits
    context: int
    isolated: bool
    tokens_per_byte: float
    entries: list[Entry] = field(default_factory=list)
    """What is durable, as the processes were told."""
    state: RunState | None = None
    """What that folds to."""
    process: Process | None = None
    ended: Process | None = None
    """The last process, if it ended in good order."""
    began_at: int = 0
    """How many entries there were when the last process began."""
    unknown: bool = False
    """Whether the branch may be at a commit that the journal does not know, because its line was torn."""

    def __post_init__(self) -> None:
        self.engine = StillEngine(isolated=self.isolated, executing=lambda: self._stop("executes"))
        self.provider = Provider(prices=PRICES, tokens_per_byte=self.tokens_per_byte, answering=self._answer)

    @property
    def branch(self) -> str:
        return f"greenward/work-{self.id}"

    @property
    def directory(self) -> Path:
        return self.root / ".git" / "greenward" / "runs" / self.id

    @property
    def journal(self) -> Path:
        return self.directory / JOURNAL

    @property
    def last(self) -> e.Event:
        return self.entries[-1].event

    def start(self, mode: Mode) -> None:
        """Begin it in a process of its own."""
        policy = "locked" if mode == "fix" else "additive"

        def work(session: Session) -> RunState:
            base = session.workspace.snapshot(at=self.clock())
            task = Task(
                mode=mode, request="Make them pass.", base_commit=base.commit, base_tree=base.tree, setup="true",
                test="python -m pytest", test_policy=policy,
            )  # fmt: skip
            return session.start(task, self.id, session.workspace.branch_name("work", self.id))

        self._begin(work)

    def resume(self, given: Given) -> None:
        """Take it up in a new process."""
        self._begin(lambda session: session.resume(self.id, given))

    def go(self, order: object = None) -> None:
        """Let its process go on to its next stop."""
        self._working.go(order)
        self._take_in()

    def die(self, torn: int | None = None) -> None:
        """Kill its process; of the line that it was writing only `torn` bytes are in the file, if that is said."""
        process, self.process = self._working, None
        wrote = process.wrote
        while process.go(Died()) != "ended":
            pass
        if torn is None or wrote is None:
            return
        line = self.entries.pop()
        self.state = fold(self.entries) if self.entries else None
        whole = self.journal.read_bytes()
        before = whole[:-1].rfind(b"\n") + 1
        self.journal.write_bytes(whole[: min(before + torn, len(whole) - 1)])
        self.unknown = self.unknown or isinstance(line.event, MOVES)

    def around(self, watcher: Watcher | None = None) -> Surroundings:
        """What a session finds around it."""
        limits = {f"limits.{name}": getattr(self.limits, name) for name in Limits.__slots__}
        prices = {f"prices.{name}": getattr(PRICES, name) for name in ("input", "cached", "output")}
        flags = {"base_url": SERVER, "sandbox": "local", "context": self.context, "max_output": 2_048}
        settings = load_settings({}, flags | limits | prices, key=None)
        opening = StillOpening(self.engine, self.id)
        return Surroundings(
            settings=settings, watcher=watcher or Silent(), environ={}, opening=opening, clock=self.clock
        )

    def _begin(self, work: Callable[[Session], RunState]) -> None:
        def worked(process: Process) -> RunState:
            self.process = process
            with Workspace.open(self.root) as workspace:
                around = self.around(Stopping(process, self.began_at))
                session = SteppedSession(
                    workspace=workspace, around=around, process=process, provider=self.provider, clock=self.clock,
                    beginning=self._is_remembered,
                )  # fmt: skip
                return work(session)

        self.ended, self.began_at = None, len(self.entries)
        self.process = Process(worked)
        self._take_in()

    def _take_in(self) -> None:
        process = self._working
        if process.wrote is not None:
            self.entries.append(process.wrote)
            self.state = fold(self.entries) if self.state is None else apply(self.state, process.wrote)
            self.unknown = self.unknown and not isinstance(self.last, MOVES)
        if process.what == "ended":
            self.process, self.ended = None, process
            if process.error is not None and not isinstance(process.error, ENDS):
                raise process.error

    @property
    def _working(self) -> Process:
        assert self.process is not None
        return self.process

    def _is_remembered(self, state: RunState) -> None:
        assert state == self.state, "the state in memory is the one that the entries fold to"

    def _stop(self, what):
        return self._working.stop(what)

    def _answer(self, request: Request) -> Reply | Failure:
        return self._stop("asks")
