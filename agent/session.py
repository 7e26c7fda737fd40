"""A session: one process at work on one run. Puts the parts together; decides nothing."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import random

from agent import __version__
from agent.approving import Approver
from agent.asking import Asker
from agent.baselinecache import BASELINES, BaselineCache
from agent.bench import Bench
from agent.compaction import Compactor
from agent.config import Settings
from agent.durable import Passing, unnoticed, write_durably
from agent.errors import GreenwardError, UsageProblem
from agent.events import Event, Outcome, RunStarted, SessionStarted
from agent.folding import fold
from agent.hands import Hands, keep
from agent.journal import Entry, Journal
from agent.judge import Judge
from agent.ledger import estimate
from agent.live import Said
from agent.loop import Kit, run
from agent.measuring import Measuring
from agent.meter import Meter, metered
from agent.models import ModelError, Request
from agent.models.endpoint import Endpoint
from agent.models.memory import ENDPOINTS, Memory
from agent.models.openai import OpenAIModel
from agent.models.retry import delay
from agent.notary import Notary
from agent.pacing import Pace
from agent.pausing import Stop, pause, stop_of
from agent.place import Place, setup_notices
from agent.recipes import Recipes
from agent.redact import Redactor
from agent.reopening import untold
from agent.result import RESULT, result_file
from agent.runs import JOURNAL
from agent.scribe import Scribe
from agent.speaking import Speaker
from agent.state import RunState
from agent.task import Plan, Task
from agent.tools.toolbox import SPECS
from agent.watching import Watcher
from agent.witnesses import Witnesses
from agent.workspace import Workspace
from sandbox import Engine, Limits, Setup
from sandbox.engines import Opening, cache_directory, open_engine, prepare_ahead

__all__ = ["Session", "Surroundings"]


ROOM_TO_REASON = 16_000
"""Tokens of a reply below which, says Moonshot, reasoning may leave nothing for the answer."""
LITTLE_ROOM = "a reply of {:,} tokens may end before it says anything, for reasoning counts, too (`--max-output`)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a session finds around it, handed in by the command line."""

    settings: Settings
    watcher: Watcher
    """Is told all that happens."""
    approve: Callable[[RunState], Plan | None] | None = None
    """Asks a person for the plan to carry out; None: there is nobody to ask."""
    environ: Mapping[str, str]
    """Where the engine is, and how builds reach a network; never handed to a container that runs code of a tree."""
    opening: Opening | None = None
    """The engine, if it was reached already."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    """What the journal's entries, and thereby the commits, are dated by."""
    passing: Passing = unnoticed
    """Is told of each moment at which something is left on disk."""

    def engine(self) -> AbstractContextManager[Engine]:
        """The engine that is set.

        Raises:
            SandboxUnavailable: it does not answer.
        """
        return self.opening.engine() if self.opening else open_engine(self.settings.sandbox, self.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Works on the runs of one repository."""

    workspace: Workspace
    around: Surroundings

    def start(self, task: Task, run_id: str, branch: str) -> RunState:
        """Begin a run and drive it to its end.

        Raises:
            GreenwardError, SandboxError: something outside of the run is in its way. Without an engine there is no run;
                any other can be resumed.
        """
        settings = self.around.settings
        started = RunStarted(
            run_id=run_id,
            branch=branch,
            task=task,
            limits=settings.limits,
            prices=settings.prices,
            model=settings.model,
            context=settings.context,
            max_output=settings.max_output,
            sandbox=settings.sandbox,
        )
        with self.around.engine() as engine, self._journal(run_id) as journal:
            self.workspace.checkpoint(run_id, task.base_commit)
            journal.watch(self.around.watcher)
            return self._work(journal, engine, None, started)

    def resume(
        self, run_id: str, given: Callable[[RunState], tuple[Event, ...] | None], known: RunState | None = None
    ) -> RunState:
        """Take a run up where its journal left off, with the events that `given` makes of its state.

        A run for which there are none (None) is left alone: it has ended. `known` is what was read of the run before.

        Raises:
            UsageProblem: the run used another sandbox than the one that is set, another process works on it, or what
                was given does not fit its state.
            GreenwardError, SandboxError: something outside of the run is in its way.
        """
        with self._journal(run_id) as journal:
            state = fold(journal.entries, known)
            events = given(state)
            if events is None:
                self._record(state)
                self._deliver(state, again=True)
                return state
            self.check_sandbox(state)
            self._catch_up(journal.entries, state)
            journal.watch(self.around.watcher)
            with self.around.engine() as engine:
                return self._work(journal, engine, state, *events)

    def _catch_up(self, entries: tuple[Entry, ...], state: RunState) -> None:
        """Have the watcher take in `entries`, which led to `state`, and told what no session has told anyone."""
        told = len(entries) - untold(entries)
        self.around.watcher.catch_up(entries[:told], state if told == len(entries) else fold(entries[:told]))
        for entry in entries[told:]:
            self.around.watcher(entry)

    def check_sandbox(self, state: RunState) -> None:
        """A repository's own directory may have come from anywhere: that a run isolates nothing is not its to say.

        Raises:
            UsageProblem: the run used another sandbox than the one that is set.
        """
        wanted, given = state.started.sandbox, self.around.settings.sandbox
        if wanted != given:
            raise UsageProblem(
                f"the run {state.started.run_id} uses the sandbox `{wanted}`, but `{given}` is set",
                hint=f"resume it with `--sandbox {wanted}`, if that is what you want",
            )

    def _journal(self, run_id: str) -> Journal:
        key = self.around.settings.key
        scrub = Redactor([key.secret] if key else [], urls=False)
        directory = self.workspace.run_directory(run_id)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Journal(directory / JOURNAL, clock=self.around.clock, scrub=scrub, passing=self.around.passing)

    def _work(self, journal: Journal, engine: Engine, known: RunState | None, *events: Event) -> RunState:
        """Drive the run on to its end, after `events` and the start of the session; `known` is its state before."""
        meter = Meter()
        try:
            for event in (*events, SessionStarted(pid=os.getpid(), version=__version__)):
                journal.append(event)
            with ExitStack() as stack:
                state = fold(journal.entries, known)
                run(journal, self._kit(state, journal, engine, stack, meter), state)
        except BaseException as error:
            self._pause(journal, stop_of(error), meter)
            raise
        state = fold(journal.entries)
        self._record(state)
        self._deliver(state)
        return state

    def _pause(self, journal: Journal, stop: Stop, meter: Meter) -> None:
        """Leave the branch at the best tree and say so, as far as what ended the session lets that be done."""
        broken = (OSError, GreenwardError)
        with suppress(*broken), self._reopened(journal) as opened:
            with suppress(*broken):
                pause(opened, Scribe(workspace=self.workspace), stop, meter)
            self._record(fold(opened.entries), exit_code=stop.exit_code)

    def _reopened(self, journal: Journal) -> AbstractContextManager[Journal]:
        """The journal, opened again where an append that was cut off has closed it."""
        return self._journal(journal.path.parent.name) if journal.closed else nullcontext(journal)

    def _record(self, state: RunState, *, exit_code: int | None = None) -> None:
        """Write what the run came to, or where it stands, into its directory.

        Raises:
            StorageProblem: it cannot be written.
        """
        code = exit_code if exit_code is not None else state.outcome.exit_code if state.outcome else 0
        directory = self.workspace.run_directory(state.started.run_id)
        write_durably(directory / RESULT, result_file(state, exit_code=code), self.around.passing)

    def _deliver(self, state: RunState, *, again: bool = False) -> None:
        """Write the files of a finished scaffold, `again` only what is missing; any other result waits for `accept`."""
        if state.started.task.mode != "new" or state.outcome is not Outcome.PASSED:
            return
        if state.forked and self.workspace.head() is not None:  # what the other run delivered stays until `accept`
            return
        from agent.accepting import check_out, unwritten  # noqa: PLC0415  (most runs never need it)

        if not again or unwritten(self.workspace, state):
            check_out(self.workspace, state, self.around.environ)

    def _kit(self, state: RunState, journal: Journal, engine: Engine, stack: ExitStack, meter: Meter) -> Kit:
        workspace, started = self.workspace, state.started
        recipes = Recipes(workspace=workspace, task=started.task)
        place = Place(
            engine=engine,
            workspace=workspace,
            recipe=recipes.for_tree,
            limits=Limits(),
            run_id=started.run_id,
            observe=self.around.watcher.notice,
            meter=meter,
        )
        recipes.execute = place.execute_in
        if state.plan is None and started.task.mode != "fix":
            self._prepare_ahead(state, recipes)
        stack.callback(place.close)
        if started.max_output < ROOM_TO_REASON and self.around.settings.thinking != "disabled":
            self.around.watcher.notice(Said(LITTLE_ROOM.format(started.max_output)))
        cache = cache_directory(self.around.environ)
        memory = Memory(cache / ENDPOINTS)
        endpoint = self._endpoint(state, memory)
        model = stack.enter_context(OpenAIModel(endpoint, memory=memory, observe=self.around.watcher.notice))
        model.prepare()
        bench = Bench(place=place, timeout=self.around.settings.test_timeout)
        directory = workspace.run_directory(started.run_id)
        notary = Notary(workspace=workspace, directory=directory, chain=lambda: journal.chain)
        scribe = Scribe(workspace=workspace, prove=notary.prove)
        artifacts = directory / "artifacts"
        witnesses = Witnesses(bench=bench)
        hands = Hands(workspace=workspace, place=place, bench=bench, witnesses=witnesses, artifacts=artifacts)
        speaker = Speaker(
            files=lambda tree: tuple(entry.path for entry in workspace.files(tree)), changed=workspace.changed
        )
        asker = Asker(
            model=model,
            tools=SPECS,
            delay=_delay,
            sleep=time.sleep,
            pace=Pace(tokens=self.around.settings.tokens_per_minute),
            rendered=model.rendered,
            compactor=Compactor(
                keep=partial(keep, artifacts, passing=self.around.passing),
                measure=lambda said: estimate(Request(messages=said, tools=SPECS)),
            ),
        )
        return Kit(
            approve=Approver(decide=self.around.approve).approve,
            prepare=metered(bench.prepare, meter),
            measure=metered(Measuring(bench=bench, cache=BaselineCache(cache / BASELINES)).measure, meter),
            prompt=speaker.prompt,
            ask=asker.ask,
            call_tool=metered(hands.call_tool, meter),
            test=metered(bench.test, meter),
            judge=metered(Judge(bench=bench, witnesses=witnesses).judge, meter),
            commit=scribe.commit,
            finish=scribe.finish,
        )

    def _prepare_ahead(self, state: RunState, recipes: Recipes) -> None:
        """While the model plans: the base's environment, or, where there is no base yet, the image it will stand on."""
        task = state.started.task
        setup = Setup(image=task.image) if task.mode == "new" else recipes.for_tree(state.base, state).setup
        prepare_ahead(state.started.sandbox, self.around.environ, setup, setup_notices(self.around.watcher.notice))

    def _endpoint(self, state: RunState, memory: Memory) -> Endpoint:
        settings, started = self.around.settings, state.started
        key = settings.require_key()
        known = memory.recall(settings.base_url, started.model)
        return Endpoint(
            base_url=settings.base_url,
            model=started.model,
            key=key.reveal() if key else "",
            context=started.context,
            thinking=None if settings.thinking == "default" else {"type": settings.thinking},
            protocol=settings.protocol,
            prompt_cache_key=started.run_id if known and "prompt_cache_key" in known.accepted else None,
            idle=settings.idle_timeout,
            total=settings.call_timeout,
        )


def _delay(error: ModelError, failures: int, left: float) -> float | None:
    return delay(error, failures, random=random, remaining=left)
