"""Records, beside a run, which tests of the base run which lines: where the project has `coverage`, and once.

What is recorded says which tests to run first. It decides nothing, so it may be old, in part, or forged.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.bench import OWN_REPORT, build_script
from agent.durable import write_durably
from agent.events import BaselineMeasured, Event
from agent.place import Place
from agent.recipe import Recipe
from agent.seal import Seal
from agent.state import RunState, seconds_left
from agent.testreport import TestReport
from agent.touched.contexts import MAX_BYTES, Contexts, read_contexts
from sandbox import MIB, Command, Environment, ExecResult, SandboxError, contexts
from sandbox.aside import Aside, carried
from sandbox.contexts import RECORD

__all__ = ["CONTEXTS", "Recorder", "recording_script"]

CONTEXTS = "contexts"
"""The directory's name in the cache."""
KEPT = 30
"""Records, the newest ones."""
TIMES, BESIDE, MOST = 5.0, 30.0, 300.0
"""A recording may take so many times what the suite took, and so many seconds beside; at most so many in all."""
SHARE = 0.2
"""Of the time that is left to the run."""
LARGEST = 64 * MIB
"""Of a tree that is held in memory for it."""

Step = Callable[[RunState], Iterator[Event]]


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Begins when the baseline is there, in a sandbox of its own, and is asked later for what came of it; to be closed.

    Where nothing isolates, nothing is recorded: two runs of one suite at a time might meet.
    """

    place: Place
    kind: str
    """Of the engine."""
    host: Mapping[str, str]
    directory: Path
    """Where records are kept from run to run."""
    long: float
    """Seconds of a suite from which on it is worth it."""
    _begun: bool = field(default=False, init=False)
    _aside: Aside | None = field(default=None, init=False)
    _kept: Path = field(default=Path(), init=False)
    _contexts: Contexts | None = field(default=None, init=False)

    def following(self, measure: Step) -> Step:
        """The step `measure`, and once the baseline is written down, the beginning of a record."""

        def step(state: RunState) -> Iterator[Event]:
            for event in measure(state):
                yield event
                if isinstance(event, BaselineMeasured):
                    self._begin(state, event.report)

        return step

    def known(self, state: RunState) -> Contexts | None:
        """What is recorded of the base, if that has ended by now."""
        if state.baseline is not None:
            self._begin(state, state.baseline)
        if self._aside is not None and self._aside.ended:
            result, self._aside = self._aside.result, None
            if result is not None:
                self._take(state, result)
        return self._contexts

    def close(self) -> None:
        """Stop what is not done yet."""
        if self._aside is not None:
            self._aside.close()

    def _begin(self, state: RunState, baseline: TestReport) -> None:
        wanted = state.started.task.mode != "new" and baseline.seconds >= self.long and self.place.isolated
        if wanted and not self._begun:
            self._begun = True
            with suppress(SandboxError):  # whoever needs the sandbox finds out
                self._record(state, baseline)

    def _record(self, state: RunState, baseline: TestReport) -> None:
        environment, recipe = self.place.prepare(state, state.base)
        cwd = state.started.task.cwd
        self._kept = self.directory / f"{_key(state.base, environment, recipe, cwd)}.json"
        with suppress(OSError):
            self._contexts = self._read(state, self._kept.read_bytes())
        seconds = min(MOST, TIMES * baseline.seconds + BESIDE)
        if self._contexts is not None or seconds > SHARE * seconds_left(state):
            return
        work = self.place.workspace.tree(state.base, seal=Seal(policy="locked"), ignore_base=state.base)
        tree = carried(work, LARGEST)
        if tree is None:
            return
        script = f"{build_script(recipe)}\n{recording_script(OWN_REPORT.sub('', recipe.test))}"
        command = Command(script=script, timeout=seconds, cwd=cwd, collect=(RECORD,))
        self._aside = Aside(self.kind, self.host, environment, tree, command, run_id=state.started.run_id)

    def _take(self, state: RunState, result: ExecResult) -> None:
        self.place.meter.book(result.seconds)
        data = result.files.get(RECORD, b"")
        self._contexts = self._read(state, data)
        if self._contexts is None:
            return
        with suppress(OSError):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self._kept, data)
            found = sorted(self.directory.glob("*.json"), key=lambda path: path.lstat().st_mtime, reverse=True)
            for path in found[KEPT:]:
                path.unlink(missing_ok=True)

    def _read(self, state: RunState, data: bytes) -> Contexts | None:
        paths = self.place.workspace.trees.entries(state.base).keys()
        return read_contexts(data, paths, state.started.task.cwd) if len(data) <= MAX_BYTES else None


def recording_script(test: str) -> str:
    """Shell lines that run the command `test` of a project with the plugin, where it has `coverage`, and nothing else.

    The project's own measurement of coverage is put aside. `RECORD` is written into the directory for results.
    """
    return f"""
python -c 'import coverage' || exit 0
cat >"$GREENWARD_OUT/greenward_contexts.py" <<'GREENWARD'
{Path(contexts.__file__).read_text()}
GREENWARD
export PYTEST_ADDOPTS="-p greenward_contexts" PYTHONPATH="$GREENWARD_OUT${{PYTHONPATH:+:$PYTHONPATH}}"
python -c 'import pytest_cov' 2>/dev/null && PYTEST_ADDOPTS="$PYTEST_ADDOPTS --no-cov"
{test}
python "$GREENWARD_OUT/greenward_contexts.py"
"""


def _key(tree: str, environment: Environment, recipe: Recipe, cwd: str) -> str:
    """Names all that a record depends on."""
    parts = (tree, environment.id, recipe.build, recipe.test, cwd)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
