"""Suites of any length, and runs that work on them: what they take is measured (`bench.innerloop`, `bench.costs`).

Each project has up to twenty modules in three layers, with a file of tests each; a test takes 1 to 20 ms.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent import events as e
from agent.bench import Bench
from agent.folding import fold
from agent.journal import Entry
from agent.measuring import Measuring
from agent.messages import Message, ToolCall
from agent.place import Place
from agent.recipes import Recipes
from agent.state import RunState
from agent.task import Limits as Budget
from agent.task import Mode, Plan, Prices, Task
from agent.workspace import Workspace
from bench.runs import repository
from sandbox import Limits
from sandbox.engine import connect
from sandbox.setup import DockerEngine

__all__ = ["MODULES", "SIZES", "TIMEOUT", "Opened", "module", "opened", "planned", "project", "say", "state_of"]

SIZES = (10, 200, 2_000)
MODULES = 20
TIMEOUT = 600.0
"""Seconds for one run of a suite."""
AT = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A repository, and a place in which its suite can be run."""

    root: Path
    workspace: Workspace
    task: Task
    place: Place


@contextmanager
def opened(files: Mapping[str, str], mode: Mode) -> Iterator[Opened]:
    """A repository with `files`, and Docker."""
    with tempfile.TemporaryDirectory(prefix="greenward-bench-") as directory:
        client = connect(os.environ)
        try:
            engine = DockerEngine(client, host=os.environ, cache=Path(directory))
            root = repository(Path(directory) / "project", files)
            with Workspace.open(root) as workspace:
                snapshot = workspace.snapshot(at=AT)
                task = Task(mode=mode, request="Do it.", base_commit=snapshot.commit, base_tree=snapshot.tree)
                recipe = Recipes(workspace=workspace, task=task).for_tree
                place = Place(
                    engine=engine, workspace=workspace, recipe=recipe, limits=Limits(), run_id="bench", observe=_ignore
                )
                try:
                    yield Opened(root=root, workspace=workspace, task=task, place=place)
                finally:
                    place.close()
        finally:
            client.close()


def project(tests: int) -> dict[str, str]:
    """A project with so many tests."""
    files = {"pytest.ini": "[pytest]\npythonpath = .\n", ".gitignore": "__pycache__/\n", "app/__init__.py": ""}
    modules = min(MODULES, tests)
    for number in range(modules):
        files[f"app/m{number:02}.py"] = module(number, modules)
        files[f"tests/test_m{number:02}.py"] = _tests(number, tests // modules + (number < tests % modules))
    return files


def planned(task: Task, bench: Bench, took: list[float] | None = None) -> list[e.Event]:
    """What happens until there are a baseline and a plan; the seconds of the former are added to `took`."""
    call = ToolCall(id="plan", name="submit_plan", arguments="{}")
    reply = Message(role="assistant", content="", tool_calls=(call,))
    plan, tree = e.Planned(plan=Plan(summary="Do it", steps=("do it",))), task.base_tree
    events: list[e.Event] = [
        e.RunStarted(
            run_id="bench", branch="greenward/bench", task=task, limits=Budget(),
            prices=Prices(input=0, cached=0, output=0), model="none", context=100_000, max_output=1_000,
            sandbox="docker",
        )
    ]  # fmt: skip
    events += bench.prepare(state_of(events))
    began = time.monotonic()
    events += Measuring(bench=bench).measure(state_of(events))
    if took is not None:
        took.append(time.monotonic() - began)
    taken = e.ToolReturned(call_id="plan", name="submit_plan", content="", is_error=False, tree=tree, effect=plan)
    return [*events, e.ModelReplied(message=reply, usage=None, stop_reason="tool_calls"), taken]


def state_of(events: Sequence[e.Event]) -> RunState:
    return fold(Entry(seq=seq, at=AT, event=event) for seq, event in enumerate(events))


def module(number: int, modules: int, value: str = "") -> str:
    """A module that uses two of the layer below; its own value is `value`, or its number."""
    core, middle = modules // 5, modules * 3 // 5
    below = range(core) if number < middle else range(core, middle)
    uses = [] if number < core else [below[number % len(below)], below[(number + 1) % len(below)]]
    imports = "".join(f"from app import m{each:02}\n" for each in uses)
    calls = "".join(f"    assert m{each:02}.value() is not None\n" for each in uses)
    text = value if not value or value.endswith("+ 0") else repr(value)
    return f"{imports}\n\ndef value():\n{calls}    return {text or number}\n"


def _tests(number: int, count: int) -> str:
    tests = "".join(
        f"\n\ndef test_{each:03}():\n    time.sleep({(1 + each % 20) / 1000})\n"
        f"    assert app.m{number:02}.value() == {number}\n"
        for each in range(count)
    )
    return f"import time\n\nimport app.m{number:02}\n{tests}"


def _ignore(_: object) -> None:
    pass


def say(text: str) -> None:
    print(text, file=sys.stderr)
