"""A run on a suite that counts as long, with a scripted model: some tests first, all of them before a verdict."""

import json
import os
from types import SimpleNamespace

import pytest

from agent.config import Key, load_settings
from agent.events import Outcome, ToolReturned, VerdictReached
from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from agent.progress import Progress
from agent.redact import Secret
from agent.replay.replaying import replay_executing, replay_plainly
from agent.runs import stored_runs
from agent.session import Surroundings
from agent.tasks import Planning, Project, start_on
from tests.e2e.harness import KEY, PYTEST, branch, events, plan, subjects
from tests.gitrepo import repository
from tests.lab import HereEngine

SLOW = "def test_b():\n    time.sleep(0.03)\n\n\ndef test():\n    time.sleep(0.03)\n"
"""What they take is most of what all take."""
FILES = {
    ".gitignore": "__pycache__/\n",
    "app.py": "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(5)),
    "shop.py": "def price():\n    return 1\n",
    "tests/test_shop.py": "import shop\n\n\ndef test_price():\n    assert shop.price() > 0\n",
    **{f"tests/test_app{n}.py": f"import app, time\n\n\n{SLOW}    assert app.f{n}() == {n}\n" for n in range(5)},
}
CRITERION = {"behaviour": "it costs 2", "command": "python3 -c 'import shop; assert shop.price() == 2'"}


def writes(content, *, expect=()):
    return say("", call("write_file", path="shop.py", content=content), call("run_tests"), expect=expect)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run that is red first, and then as it should be."""
    root, lines = repository(tmp_path_factory.mktemp("inner") / "repo", FILES), []
    script = Script(
        replies=(
            plan("Raise the price", criteria=[CRITERION]),
            writes("def price():\n    return -2\n", expect=("The plan is accepted",)),
            writes("def price():\n    return 2\n", expect=("Tests: 1 failed (10 not run again) (exit code 1",)),
            say("", call("finish", status="done"), expect=("nothing isolated them",)),
        )
    )
    with ScriptedServer(script) as server:
        flags = {"base_url": server.base_url, "sandbox": "local", "prices.input": 0.5, "prices.output": 2.0}
        around = Surroundings(
            settings=load_settings(os.environ, flags, key=Key(secret=Secret(KEY), source="RUNAPI_KEY")),
            watcher=Progress(lines.append),
            environ=dict(os.environ),
            long=0.0,
        )
        project = Project(test=f"PYTHONPATH=. {PYTEST}", setup="true")
        state = start_on(around, "change", root, "Raise the price.", project=project, planning=Planning())
    return SimpleNamespace(root=root, lines=lines, state=state)


def test_a_red_run_stops_at_what_the_change_touches_and_a_green_one_goes_on_to_the_end(done):
    root = done.root
    first, second = (event.effect.report for event in events(root, ToolReturned) if event.name == "run_tests")
    assert [case.id for case in first.fresh.cases] == ["tests/test_shop.py::test_price"]
    assert (first.reused, second.reused, len(second.cases)) == (10, 0, 11)
    (ruled,) = events(root, VerdictReached)
    assert (ruled.verdict.report.reused, len(ruled.verdict.report.cases)) == (0, 11)
    assert done.state.outcome is Outcome.UNPROVEN
    assert subjects(root, f"main..{branch(root)}") == ["Iteration 1: 1 failed (10 not run again)", "Raise the price"]
    told = "iteration 1: 1 failed (10 not run again), broken tests/test_shop.py"
    assert any(line.startswith(told) for line in done.lines)
    result = json.loads(next((root / ".git/greenward/runs").glob("*/result.json")).read_text())["result"]
    assert [commit["tests"]["reused"] for commit in result["commits"]] == [10, 0]


def test_its_replay_comes_to_the_same_commits_and_a_recheck_runs_the_same_tests_first(done):
    (run,) = stored_runs(done.root / ".git" / "greenward" / "runs")
    settings = load_settings({}, {"sandbox": "local"}, key=None)

    plain = replay_plainly(run, done.root, os.environ)
    executed = replay_executing(
        run, done.root, os.environ, engine=HereEngine(), settings=settings, observe=lambda _notice: None
    )

    assert (plain.divergence, executed.divergence) == (None, None)
    assert plain.tip == executed.tip == done.state.tip
    assert plain.tree == executed.tree == done.state.tip_tree
