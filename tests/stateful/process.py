"""A process at work on a run, which goes on only as far as it is let, and can die at any of its stops.

It is a thread that holds still whenever something has happened: an entry is durable, a request is under way, or a
command is about to be executed. Whoever lets it go on says what comes next: nothing, an answer, or an exception.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal

from agent.approving import Approver
from agent.asking import Asker
from agent.bench import Bench
from agent.compaction import Compactor
from agent.events import Event
from agent.hands import Hands, keep
from agent.journal import Entry, Journal
from agent.judge import Judge
from agent.ledger import estimate
from agent.loop import Kit, Step
from agent.measuring import Measuring
from agent.meter import Meter, metered
from agent.models import Request
from agent.models.retry import delay
from agent.notary import Notary
from agent.place import Place
from agent.recipes import Recipes
from agent.scribe import Scribe
from agent.session import Session
from agent.speaking import Speaker
from agent.state import RunState
from agent.tools.toolbox import SPECS
from agent.watching import Silent
from agent.witnesses import Witnesses
from sandbox import Engine, Limits
from tests.kits import EPOCH
from tests.stateful.provider import Provider

What = Literal["wrote", "asks", "executes", "ended"]
PATIENCE = 120.0


class Died(BaseException):
    """The process was killed: nothing that it would still have done happens."""


@dataclass
class Clock:
    """The time of day of all processes: it goes on by a quarter of a second whenever it is looked at."""

    seconds: float = 0.0

    def __call__(self) -> datetime:
        self.seconds += 0.25
        return EPOCH + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds


class Process:
    """Does `work` as it is let."""

    def __init__(self, work: Callable[["Process"], RunState]) -> None:
        self.what: What = "wrote"
        """Where it holds still."""
        self.wrote: Entry | None = None
        """What it has just written, if that is why it holds still."""
        self.dead = False
        self.journal: Journal | None = None
        self.result: RunState | None = None
        self.error: BaseException | None = None
        self._orders: SimpleQueue[Any] = SimpleQueue()
        self._stops: SimpleQueue[What] = SimpleQueue()
        self._thread = Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self.what = self._stops.get(timeout=PATIENCE)

    def go(self, order: object = None) -> What:
        """Let it go on to its next stop; an exception is raised where it stands, anything else is an answer."""
        self.wrote = None
        self._orders.put(order)
        self.what = self._stops.get(timeout=PATIENCE)
        if self.what == "ended":
            self._thread.join(PATIENCE)
        return self.what

    def stop(self, what: What) -> Any:
        """Hold still, until there is an order."""
        self._stops.put(what)
        order = self._orders.get()
        if isinstance(order, Died):
            self.dead = True
            if self.journal is not None:
                self.journal.close()  # as the kernel does, and by that lets go of the lock
        if isinstance(order, BaseException):
            raise order
        return order

    def _run(self, work: Callable[["Process"], RunState]) -> None:
        try:
            self.result = work(self)
        except BaseException as error:  # noqa: BLE001 - whatever it is: it is looked at where the process is waited for
            self.error = error
        self._stops.put("ended")


@dataclass
class Stopping(Silent):
    """A watcher under which the process holds still after each entry that it writes."""

    process: Process
    durable: int
    """How many entries there were before; of those that no session has told of, it is told when this one begins."""

    def __call__(self, entry: Entry) -> None:
        if entry.seq < self.durable:
            return
        self.process.wrote = entry
        self.process.stop("wrote")


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedSession(Session):
    """The real session, with a provider and a clock that are not of this world, in a process that may die."""

    process: Process
    provider: Provider
    clock: Clock
    beginning: Callable[[RunState], None]
    """Is told of the state that each step begins from."""

    def _journal(self, run_id: str) -> Journal:
        if self.process.dead:
            raise Died
        journal = self.process.journal = Session._journal(self, run_id)
        return journal

    def _kit(self, state: RunState, journal: Journal, engine: Engine, stack: ExitStack, meter: Meter) -> Kit:
        workspace, started = self.workspace, state.started
        directory = workspace.run_directory(started.run_id)
        recipes = Recipes(workspace=workspace, task=started.task)
        place = Place(
            engine=engine, workspace=workspace, recipe=recipes.for_tree, limits=Limits(), run_id=started.run_id,
            observe=self.around.watcher.notice, meter=meter, sleep=self.clock.sleep,
        )  # fmt: skip
        stack.callback(place.close)
        bench = Bench(place=place, timeout=600.0)
        notary = Notary(workspace=workspace, directory=directory, chain=lambda: journal.chain)
        scribe = Scribe(workspace=workspace, prove=notary.prove)
        witnesses, artifacts = Witnesses(bench=bench), directory / "artifacts"
        asker = Asker(
            model=self.provider,
            tools=SPECS,
            delay=lambda error, failures, left: delay(error, failures, random=lambda: 0.5, remaining=left),
            sleep=self.clock.sleep,
            clock=self.clock.monotonic,
            compactor=Compactor(
                keep=partial(keep, artifacts), measure=lambda said: estimate(Request(messages=said, tools=SPECS))
            ),
        )
        speaker = Speaker(files=lambda tree: tuple(e.path for e in workspace.files(tree)), changed=workspace.changed)
        hands = Hands(workspace=workspace, place=place, bench=bench, artifacts=artifacts, witnesses=witnesses)
        steps: dict[str, Step] = {
            "approve": Approver().approve,
            "prepare": metered(bench.prepare, meter),
            "measure": metered(Measuring(bench=bench).measure, meter),
            "prompt": speaker.prompt,
            "ask": asker.ask,
            "call_tool": metered(hands.call_tool, meter),
            "test": metered(bench.test, meter),
            "judge": metered(Judge(bench=bench, witnesses=witnesses).judge, meter),
            "commit": scribe.commit,
            "finish": scribe.finish,
        }
        return Kit(**{name: self._told(step) for name, step in steps.items()})

    def _told(self, step: Step) -> Step:
        def stepped(state: RunState) -> Iterator[Event]:
            self.beginning(state)
            yield from step(state)

        return stepped
