"""A session: one process at work on one run. Puts the parts together; decides nothing."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from random import random

from agent import __version__
from agent.accepting import check_out
from agent.asking import Asker
from agent.bench import Bench
from agent.config import Settings
from agent.events import Outcome, RunStarted, SessionStarted
from agent.hands import Hands
from agent.journal import Journal
from agent.judge import Judge
from agent.loop import Kit, run
from agent.models.endpoint import Endpoint
from agent.models.openai import OpenAIModel
from agent.models.retry import delay
from agent.place import Place
from agent.progress import Progress
from agent.recipes import Recipes
from agent.redact import Redactor
from agent.runs import JOURNAL
from agent.scribe import Scribe
from agent.speaking import Speaker
from agent.state import RunState, fold
from agent.task import Task
from agent.tools.toolbox import TOOLS
from agent.workspace import Workspace
from sandbox import Limits
from sandbox.engines import open_engine

__all__ = ["Session", "Surroundings", "new_run_id"]

TOOL_SPECS = tuple(tool.spec for tool in TOOLS)
"""All of them in every call, whatever the phase: they stand at the head of what the provider caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a session finds around it, handed in by the command line."""

    settings: Settings
    say: Callable[[str], None]
    """Hears of slow steps."""
    progress: Progress
    """Hears of every event."""
    environ: Mapping[str, str]
    """Where the engine is, and how builds reach a network; never handed to a container that runs code of a tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Works on the runs of one repository."""

    workspace: Workspace
    around: Surroundings

    def start(self, task: Task, run_id: str, branch: str) -> RunState:
        """Begin a run and drive it to its end."""
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
        with self._journal(run_id) as journal:
            journal.watch(self.around.progress)
            journal.append(started)
            return self._work(journal)

    def resume(self, run_id: str) -> RunState:
        """Take a run up where its journal left off; a run that has ended is left alone."""
        with self._journal(run_id) as journal:
            self.around.progress.catch_up(journal.entries)
            journal.watch(self.around.progress)
            return self._work(journal)

    def _journal(self, run_id: str) -> Journal:
        key = self.around.settings.key
        scrub = Redactor([key.secret] if key else [])
        directory = self.workspace.run_directory(run_id)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Journal(directory / JOURNAL, scrub=scrub)

    def _work(self, journal: Journal) -> RunState:
        state = fold(journal.entries)
        if state.outcome is None:
            journal.append(SessionStarted(pid=os.getpid(), version=__version__))
            with ExitStack() as stack:
                run(journal, self._kit(state, stack))
        state = fold(journal.entries)
        if state.started.task.mode == "new" and state.outcome is Outcome.PASSED:
            check_out(self.workspace, state, self.around.environ)
        return state

    def _kit(self, state: RunState, stack: ExitStack) -> Kit:
        settings, workspace, started = self.around.settings, self.workspace, state.started
        place = Place(
            engine=stack.enter_context(open_engine(started.sandbox, self.around.environ)),
            workspace=workspace,
            recipe=Recipes(workspace=workspace, task=started.task).for_tree,
            limits=Limits(),
            run_id=started.run_id,
            say=self.around.say,
        )
        stack.callback(place.close)
        key = settings.require_key()
        endpoint = Endpoint(
            base_url=settings.base_url,
            model=started.model,
            key=key.reveal() if key else "",
            context=started.context,
            thinking=None if settings.thinking == "default" else {"type": settings.thinking},
            idle=settings.idle_timeout,
            total=settings.call_timeout,
        )
        model = stack.enter_context(OpenAIModel(endpoint))
        bench = Bench(place=place, timeout=settings.test_timeout)
        scribe = Scribe(workspace=workspace)
        artifacts = workspace.run_directory(started.run_id) / "artifacts"
        hands = Hands(workspace=workspace, place=place, bench=bench, artifacts=artifacts)
        return Kit(
            prepare=bench.prepare,
            measure=bench.measure,
            prompt=Speaker(files=lambda tree: tuple(entry.path for entry in workspace.files(tree))).prompt,
            ask=Asker(model=model, tools=TOOL_SPECS, delay=partial(delay, random=random), sleep=time.sleep).ask,
            call_tool=hands.call_tool,
            test=bench.test,
            judge=Judge(bench=bench).judge,
            commit=scribe.commit,
            finish=scribe.finish,
        )


def new_run_id() -> str:
    """Eight hexadecimal digits."""
    return secrets.token_hex(4)
