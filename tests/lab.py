"""The kit's real parts over a real repository, without an engine: commands run in the test's own Python.

Where a test needs more, `Lab` takes another engine in the place of this one.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from agent import events as e
from agent.bench import Bench
from agent.folding import fold
from agent.hands import Hands
from agent.journal import Entry
from agent.judge import Judge
from agent.measuring import Measuring
from agent.messages import Message, ToolCall
from agent.place import Place
from agent.recipes import Recipes
from agent.scribe import Scribe
from agent.state import RunState
from agent.task import Limits as Budget
from agent.task import Mode, Plan, Task
from agent.testreport import Status, TestCase, TestReport
from agent.witnesses import Witnesses
from agent.workspace import Workspace
from sandbox import Command, Environment, ExecResult, Execution, Limits, Sandbox, SandboxLost, Setup, Tree
from sandbox.local import LocalSandbox
from tests.gitrepo import AT, repository
from tests.kits import EPOCH, PRICES, Recorder

QUICK = "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 python -m pytest"
"""Starts in half the time."""
BIN = f"{Path(sys.executable).parent}:/usr/bin:/bin"


@dataclass
class HereEngine:
    """Environments are nothing but names: all of them are the Python that runs the tests."""

    prepared: list[Setup] = field(default_factory=list)
    opened: list[Environment] = field(default_factory=list)
    lines: tuple[str, ...] = ()
    """What a setup says."""

    def prepare(self, setup: Setup, say: Callable[[str], None]) -> Environment:
        self.prepared.append(setup)
        for line in self.lines:
            say(line)
        return Environment(id=hashlib.sha256(repr(setup).encode()).hexdigest()[:12], origin="local")

    def open(self, environment: Environment, *, limits: Limits, run_id: str) -> Sandbox:
        self.opened.append(environment)
        return LocalSandbox(path=BIN, limits=limits)


@dataclass
class IsolatedEngine(HereEngine):
    """Says that it isolates: for what comes after that question."""

    fresh: list[Command] = field(default_factory=list)
    """What was run in a place of its own."""

    def open(self, environment: Environment, *, limits: Limits, run_id: str) -> Sandbox:
        self.opened.append(environment)
        return Isolated(self)


class Isolated(LocalSandbox):
    isolated = True

    def __init__(self, engine: IsolatedEngine) -> None:
        super().__init__(path=BIN, limits=Limits())
        self._engine = engine

    def execute_fresh(self, tree: Tree, command: Command) -> ExecResult:
        self._engine.fresh.append(command)
        return super().execute_fresh(tree, command)


@dataclass
class DyingEngine(HereEngine):
    """Its sandboxes die under the first `deaths` commands."""

    deaths: int = 0

    def open(self, environment: Environment, *, limits: Limits, run_id: str) -> Sandbox:
        self.opened.append(environment)
        return Dying(self)


class Dying(LocalSandbox):
    def __init__(self, engine: DyingEngine) -> None:
        super().__init__(path=BIN, limits=Limits())
        self._engine = engine

    def execute(self, tree: Tree, command: Command) -> Execution:
        self._die()
        return super().execute(tree, command)

    def execute_fresh(self, tree: Tree, command: Command) -> ExecResult:
        self._die()
        return super().execute_fresh(tree, command)

    def _die(self) -> None:
        if self._engine.deaths:
            self._engine.deaths -= 1
            raise SandboxLost("killed from outside")


def showing(**cases: str) -> TestReport:
    """A report on `tests/test_app.py`."""
    listed = tuple(TestCase(id=f"tests/test_app.py::test_{name}", status=Status(how)) for name, how in cases.items())
    return TestReport(cases=listed, exit_code=int("failed" in cases.values()))


class Lab:
    """A repository with `files`, a run on it, and the parts that work on it."""

    def __init__(
        self,
        root: Path,
        files: dict[str, str],
        *,
        mode: Mode = "change",
        engine: HereEngine | None = None,
        **task: object,
    ) -> None:
        self.root = repository(root / "repo", dict(files))
        self.workspace = Workspace.open(self.root)
        snapshot = self.workspace.snapshot(at=AT)
        task.setdefault("test", QUICK)
        policy = {"fix": "locked"}.get(mode, "additive")
        self.task = Task(
            mode=mode, request="Make it work.", base_commit=snapshot.commit, base_tree=snapshot.tree,
            test_policy=policy, **task,
        )  # fmt: skip
        self.engine = engine or HereEngine()
        self.watcher = Recorder()
        self.recipes = Recipes(workspace=self.workspace, task=self.task)
        self.place = Place(
            engine=self.engine, workspace=self.workspace, recipe=self.recipes.for_tree, limits=Limits(), run_id="r1",
            observe=self.watcher.notice,
        )  # fmt: skip
        self.bench = Bench(place=self.place, timeout=60.0)
        self.measuring = Measuring(bench=self.bench)
        self.witnesses = Witnesses(bench=self.bench)
        self.judge = Judge(bench=self.bench, witnesses=self.witnesses)
        self.hands = Hands(
            workspace=self.workspace, place=self.place, bench=self.bench, witnesses=self.witnesses,
            artifacts=root / "artifacts",
        )  # fmt: skip
        self.scribe = Scribe(workspace=self.workspace)
        self.events: list[e.Event] = [
            e.RunStarted(
                run_id="r1", branch="greenward/work-r1", task=self.task, limits=Budget(), prices=PRICES, model="m",
                context=9_000, max_output=900, sandbox="local",
            )
        ]  # fmt: skip

    def close(self) -> None:
        self.place.close()
        self.workspace.close()

    @property
    def state(self) -> RunState:
        return fold(Entry(seq=n, at=EPOCH + timedelta(seconds=n), event=event) for n, event in enumerate(self.events))

    def put(self, files: dict[str, str | None], tree: str = "") -> str:
        """The id of a tree with `files` written, as if nothing were sealed."""
        from agent.trees import Blob

        blobs = {
            path: None if text is None else Blob(mode="100644", data=text.encode()) for path, text in files.items()
        }
        return self.workspace.trees.build(tree or self.state.tree, blobs)

    def planned(self, **plan: object) -> RunState:
        """The run once its plan is taken."""
        made = replace(Plan(summary="Do it", steps=("do it",)), **plan)
        self.called("submit_plan", "{}")
        self.events.append(self.returned(self.state.tree, e.Planned(plan=made)))
        return self.state

    def measured(self) -> RunState:
        """The run once its baseline is measured."""
        self.events += self.measuring.measure(self.state)
        return self.state

    def tested(self, tree: str) -> RunState:
        """The run once the suite was run on `tree`."""
        self.events.append(e.TestsFinished(report=self.bench.run(self.state, tree), tree=tree))
        return self.state

    def known(self, **cases: str) -> RunState:
        """The run once its baseline showed `cases` of `tests/test_app.py`."""
        self.events.append(e.BaselineMeasured(report=showing(**cases)))
        return self.state

    def wrote(self, tree: str, **cases: str) -> RunState:
        """The run once the suite showed `cases` on `tree`."""
        self.events.append(e.TestsFinished(report=showing(**cases), tree=tree))
        return self.state

    def left(self, tree: str) -> RunState:
        """The run once the model left `tree`."""
        self.called("edit", "{}")
        self.events.append(self.returned(tree))
        return self.state

    def called(self, name: str, arguments: str) -> RunState:
        """The run once the model has called a tool."""
        call = ToolCall(id=f"{name}:{len(self.events)}", name=name, arguments=arguments)
        message = Message(role="assistant", content="", tool_calls=(call,))
        self.events.append(e.ModelReplied(message=message, usage=None, stop_reason="tool_calls"))
        return self.state

    def call(self, name: str, arguments: str) -> e.ToolReturned:
        """What came of a call of a real tool."""
        (event,) = self.hands.call_tool(self.called(name, arguments))
        assert isinstance(event, e.ToolReturned)
        self.events.append(event)
        return event

    def returned(self, tree: str, effect: e.Effect | None = None) -> e.ToolReturned:
        call = self.state.pending[0]
        return e.ToolReturned(call_id=call.id, name=call.name, content="", is_error=False, tree=tree, effect=effect)

    def verdict(self):
        (event,) = self.judge.judge(self.state)
        self.events.append(event)
        return event.verdict

    def committed(self) -> RunState:
        self.events += self.scribe.commit(self.state)
        return self.state
