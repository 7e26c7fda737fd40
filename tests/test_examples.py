"""Every directory in `examples` runs to the outcome that its `task.toml` states."""

import shutil
import tomllib

import pytest

from agent.models.script import load_script
from agent.models.server import ScriptedServer
from tests.e2e.harness import ROOT, entries, greenward, subjects, variables
from tests.gitrepo import git, repository

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/task.toml"))


@pytest.mark.docker
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_ends_as_its_task_states(example, tmp_path):
    task = tomllib.loads((example / "task.toml").read_text())
    expected = task["expected"]
    project = tmp_path / "project"
    if task["mode"] != "new":
        shutil.copytree(example / "repo", project)
        repository(project, {})
    arguments = {
        "new": ["new", project, task["request"]],
        "fix": ["fix", project],
        "change": ["change", task["request"], project],
    }[task["mode"]]
    with ScriptedServer(load_script(example / "script.toml")) as server:
        ran = greenward(*arguments, *task["options"], environment=variables(server))
    assert ran.code == expected["exit_code"], ran.said
    assert "Traceback" not in ran.err
    assert len(server.requests) == len(server.script.replies), "not every reply of the script was asked for"

    started, finished = entries(project)[0].event, entries(project)[-1].event
    assert finished.outcome == expected["outcome"]
    assert f"tests:   {expected['before']} -> {expected['after']}" in ran.out
    base = started.task.base_commit
    since = finished.commit if task["mode"] == "new" else f"{base}..{finished.commit}"
    assert subjects(project, since) == expected["commits"]
    assert git(project, "diff", "--name-only", base, finished.commit).split() == expected["changed"]
