"""Every directory in `examples` runs to the outcome that its `task.toml` states."""

import subprocess
import sys
import tomllib

import pytest

from agent.models.script import load_script
from agent.models.server import ScriptedServer
from scripts.example import EXAMPLES, prepare
from tests.e2e.harness import ROOT, entries, greenward, subjects, variables
from tests.gitrepo import git
from tests.readme import README, block_after, masked

pytestmark = pytest.mark.untraced

RECHECKED = "02"
"""The example with commands and runs of some tests: it is executed a second time."""


@pytest.mark.docker
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_ends_as_its_task_states(example, tmp_path):
    task = tomllib.loads((example / "task.toml").read_text())
    expected = task["expected"]
    project = tmp_path / "project"
    command = prepare(example, project)
    with ScriptedServer(load_script(example / "script.toml")) as server:
        ran = greenward(*command[1:], environment=variables(server))
    assert ran.code == expected["exit_code"], ran.said
    assert "Traceback" not in ran.err
    assert len(server.requests) == len(server.script.replies), "not every reply of the script was asked for"

    number = example.name[:2]
    if f"`scripts/example {number}` -->" in README:
        assert masked(ran.err + ran.out) == masked(block_after(f"the output of `scripts/example {number}`"))

    started, finished = entries(project)[0].event, entries(project)[-1].event
    assert finished.outcome == expected["outcome"]
    assert f"tests:   {expected['before']} -> {expected['after']}" in ran.out
    base = started.task.base_commit
    since = finished.commit if task["mode"] == "new" else f"{base}..{finished.commit}"
    assert subjects(project, since) == expected["commits"]
    assert git(project, "diff", "--name-only", base, finished.commit).split() == expected["changed"]

    again = ["--recheck"] if number == RECHECKED else []
    replayed = greenward("replay", *again, "--repo", project, environment=variables(key=None))
    assert replayed.code == 0, replayed.said
    assert replayed.out.startswith("the same: run ")


@pytest.mark.docker
def test_an_example_is_run_by_its_name_and_leaves_what_is_there_alone(tmp_path):
    project = tmp_path / "blocked"

    def run(*arguments):
        script = [sys.executable, "scripts/example.py", *map(str, arguments)]
        environment = {**variables(key=None), "PYTHONPATH": str(ROOT)}
        return subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    done = run("04", project)
    assert done.returncode == 1, done.stderr
    assert f"$ greenward fix {project}" in done.stderr
    assert "blocked: " in done.stdout
    head = git(project, "rev-parse", "HEAD")

    assert run("04", project).returncode == 2
    assert git(project, "rev-parse", "HEAD") == head
    assert "04-blocked" in run("nothing").stderr
    assert run().returncode == 2
