"""Suites in which tests pass by chance, and whole runs on them: the real parts around an engine that draws reports.

What a test does follows from its name and the code beside it; what chance does, from a seed.
"""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from agent import events as e
from agent.asking import Asker
from agent.bench import Bench
from agent.folding import apply, fold
from agent.hands import Hands
from agent.journal import Entry
from agent.judge import Judge
from agent.live import ignore
from agent.loop import Kit, next_events
from agent.measuring import Measuring
from agent.messages import Message, ToolCall, Usage
from agent.models import Completion, Request
from agent.place import Place
from agent.recipes import Recipes
from agent.speaking import Speaker
from agent.state import RunState, ending
from agent.task import Limits as Budget
from agent.task import Mode, Task
from agent.tools.toolbox import SPECS
from agent.witnesses import Witnesses
from agent.workspace import Workspace
from sandbox import ExecResult, Limits
from tests.canned import FILE as TESTS
from tests.canned import CannedEngine, CannedRun, shown
from tests.gitrepo import AT, repository
from tests.kits import EPOCH, PRICES, compactor

FLAKY, OLD, STABLE = 10, 3, 7
NAMES = (
    *(f"test_flaky_{n}" for n in range(FLAKY)),
    *(f"test_old_{n}" for n in range(OLD)),
    *(f"test_stable_{n}" for n in range(STABLE)),
)
FILES = {
    "app.py": "STATE = 'old'\n",
    TESTS: "".join(f"def {name}():\n    assert look({name!r}) == 5\n\n\n" for name in NAMES),
}
LEFT, HURT = "test_old_0", "test_stable_3"
"""The old failure that work may leave as it is, and the test that it may hurt."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a model does in a run, and whether that may be called green."""

    name: str
    mode: Mode
    code: str
    """What it leaves in `app.py`, by which the tests go."""
    green: bool


WORKS = (
    Work("fix: honest", "fix", "right", green=True),
    Work("fix: breaks a stable test", "fix", "broken", green=False),
    Work("fix: stands on what is left in the working copy", "fix", "hollow", green=False),
    Work("fix: leaves an old failure", "fix", "unmended", green=False),
    Work("fix: makes a stable test flaky", "fix", "wobbly", green=False),
    Work("change: honest", "change", "right", green=True),
    Work("change: breaks a stable test", "change", "broken", green=False),
    Work("change: makes a stable test flaky", "change", "wobbly", green=False),
)


@dataclass
class Dice:
    """How each test ends, by chance where it is a flaky one; remembers what was seen on which tree."""

    seed: int
    seconds: float
    """That a run of the suite takes."""
    steady: frozenset[str] = frozenset()
    """Tests that end in another way in the working copy, and always in the same one there."""
    runs: int = 0
    seen: dict[tuple[str, str], set[bool]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.chances = {f"test_flaky_{n}": self.random.uniform(0.3, 0.7) for n in range(FLAKY)}

    def passes(self, name: str, state: str, *, fresh: bool) -> bool:
        """Whether the test passes this time, where `app.py` says `state`."""
        if name in self.chances:
            return self.random.random() < self.chances[name]
        if name.startswith("test_old"):
            return state != "old" and (state != "unmended" or name != LEFT)
        if name == HURT and state == "wobbly":
            return self.random.random() < 0.5
        return name != HURT or state not in ("broken", "hollow") or (state == "hollow" and not fresh)

    def both(self) -> frozenset[str]:
        """The tests that have passed and failed on one tree by now, whatever the place, and by chance."""
        return frozenset(name for (_, name), ways in self.seen.items() if len(ways) > 1) - self.steady


class World:
    """A repository in which every run begins anew, and the engine that draws."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace.open(repository(root, dict(FILES)))
        self.snapshot = self.workspace.snapshot(at=AT)
        self.root = root
        self.dice = Dice(seed=0, seconds=1.0)
        self._sources: dict[str, tuple[str, str]] = {}

    def close(self) -> None:
        self.workspace.close()

    def source(self, tree: str) -> tuple[str, str]:
        """The tests of a tree, and what its `app.py` says."""
        if tree not in self._sources:
            code = self.workspace.read(tree, "app.py").decode()
            self._sources[tree] = (self.workspace.read(tree, TESTS).decode(), code.partition("'")[2].rpartition("'")[0])
        return self._sources[tree]

    def show(self, run: CannedRun) -> ExecResult:
        """What a run shows by chance."""
        self.dice.runs += 1
        source, state = self.source(run.tree)
        names = run.among(re.findall(r"^def (test_\w+)", source, re.MULTILINE))
        if "made to fail" in source:
            return shown({name: "passed" if name.startswith("test_control_") else "failed" for name in names})
        ended = {name: self.dice.passes(name, state, fresh=run.fresh) for name in names}
        for name, passed in ended.items():
            self.dice.seen.setdefault((run.tree, name), set()).add(passed)
        seconds = self.dice.seconds * len(names) / len(NAMES)
        return shown({name: "passed" if passed else "failed" for name, passed in ended.items()}, seconds)

    def answer(self, tree: str) -> ExecResult:
        """What the acceptance criterion shows."""
        _, state = self.source(tree)
        found = {"case-0.out": b"-1\n" if state in ("old", "unmended") else b"3\n", "case-0.code": b"0\n"}
        return ExecResult(exit_code=0, output=b"", seconds=0.1, files=found)

    def run(self, work: Work, seed: int, seconds: float) -> "Came":
        """A whole run of the real parts in which the model does `work`."""
        steady = frozenset({HURT} if work.code == "hollow" else ())
        self.dice = Dice(seed=seed, seconds=seconds, steady=steady)
        task = Task(
            mode=work.mode, request="Make it right.", base_commit=self.snapshot.commit, base_tree=self.snapshot.tree,
            test="python -m pytest", setup="true", test_policy="locked" if work.mode == "fix" else "additive",
        )  # fmt: skip
        recipes = Recipes(workspace=self.workspace, task=task)
        engine = CannedEngine(show=self.show, answer=self.answer)
        place = Place(
            engine=engine,
            workspace=self.workspace,
            recipe=recipes.for_tree,
            limits=Limits(),
            run_id="r1",
            observe=ignore,
        )
        model = Worker(work)
        kit = self._kit(Bench(place=place, timeout=600.0), place, model)
        started = e.RunStarted(
            run_id="r1", branch="greenward/r1", task=task, limits=Budget(), prices=PRICES, model="m", context=200_000,
            max_output=900, sandbox="docker",
        )  # fmt: skip
        state, number = fold([Entry(seq=0, at=EPOCH, event=started)]), 1
        named: set[str] = set()
        while state.outcome is None:
            for event in next_events(state, kit):
                named |= self.dice.both().intersection(re.findall(r"test_\w+", _told(event)))
                state = apply(state, Entry(seq=number, at=EPOCH + timedelta(seconds=number), event=event))
                number += 1
        return Came(work=work, state=state, named=frozenset(named), runs=self.dice.runs)

    def _kit(self, bench: Bench, place: Place, model: "Worker") -> Kit:
        workspace = self.workspace
        asker = Asker(
            model=model, tools=SPECS, delay=lambda *_: None, sleep=lambda _: None, compactor=compactor(),
            clock=lambda: 0.0,
        )  # fmt: skip
        witnesses = Witnesses(bench=bench)
        artifacts = self.root / ".git" / "artifacts"
        hands = Hands(workspace=workspace, place=place, bench=bench, witnesses=witnesses, artifacts=artifacts)
        return Kit(
            approve=lambda _: iter(()),
            prepare=bench.prepare,
            measure=Measuring(bench=bench).measure,
            prompt=Speaker(files=lambda _: tuple(FILES), changed=workspace.changed).prompt,
            ask=asker.ask,
            call_tool=hands.call_tool,
            test=bench.test,
            judge=Judge(bench=bench, witnesses=witnesses).judge,
            commit=_commit,
            finish=_finish,
        )


def _commit(state: RunState) -> Iterator[e.Event]:
    yield e.Committed(commit=f"c{state.spent.iterations}", tree=state.tested_tree, subject="Leave it")


def _finish(state: RunState) -> Iterator[e.Event]:
    end = ending(state)
    assert end is not None
    yield e.RunFinished(outcome=end[0], reason=end[1], commit=state.tip, tree=state.tree)


def _told(event: e.Event) -> str:
    """What the model is told by an event."""
    match event:
        case e.Prompted(messages=messages):
            return "\n".join(message.content for message in messages)
        case e.ToolReturned(content=content):
            return content
        case _:
            return ""


@dataclass(frozen=True, slots=True)
class Worker:
    """Plans, does its work in one edit, tests, and says that it is done."""

    work: Work
    name: str = "worker"

    def complete(self, request: Request) -> Completion:
        said = sum(message.role == "assistant" for message in request.messages)
        calls = (self._plan, self._write, self._done)[min(said, 2)](said)
        message = Message(role="assistant", content="", tool_calls=calls)
        return Completion(message=message, usage=Usage(prompt=100, cached=20, completion=10), stop_reason="tool_calls")

    def _plan(self, _: int) -> tuple[ToolCall, ...]:
        plan = {"summary": "Make it right", "steps": ["do it"]}
        if self.work.mode == "change":
            plan["criteria"] = [{"behaviour": "it is right", "command": "look", "output": "3"}]
        return (ToolCall(id="plan", name="submit_plan", arguments=json.dumps(plan)),)

    def _write(self, _: int) -> tuple[ToolCall, ...]:
        written = json.dumps({"path": "app.py", "content": f"STATE = {self.work.code!r}\n"})
        tested = ToolCall(id="test", name="run_tests", arguments="{}")
        return (ToolCall(id="write", name="write_file", arguments=written), tested)

    def _done(self, said: int) -> tuple[ToolCall, ...]:
        return (ToolCall(id=f"done-{said}", name="finish", arguments='{"status": "done"}'),)


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one run."""

    work: Work
    state: RunState
    named: frozenset[str]
    """Tests that the model was told of by name after they had passed and failed on one tree."""
    runs: int
    """Of the suite or of parts of it, on either tree."""

    @property
    def right(self) -> bool:
        return (self.state.outcome is e.Outcome.PASSED) is self.work.green
