"""From what was typed to a task: the request, the notes of the repository, and a directory that is there or not."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import load_settings
from agent.errors import UsageProblem
from agent.events import Outcome
from agent.session import Surroundings
from agent.tasks import Planning, Project, start_new, start_on
from tests.gitrepo import put, repository
from tests.kits import Recorder


@pytest.fixture
def around(tmp_path):
    """Surroundings without an engine, and without the time to do anything: runs end as they have begun."""
    environ = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    flags = {"base_url": "http://127.0.0.1:9/v1", "sandbox": "local", "limits.seconds": 1e-9}
    settings = load_settings({}, flags, key=None)
    return Surroundings(settings=settings, watcher=Recorder(), environ=environ)


def test_a_change_is_bound_to_the_work_as_it_stands(tmp_path, around):
    root = repository(tmp_path / "repo", {"app.py": "x = 1\n"})
    put(root, {"app.py": "x = 2\n", ".env": "KEY=1\n"})
    project = Project(test="pytest -q", allow_test_changes=["t/*"])
    state = start_on(around, "change", root, "  Add --json, please!\n", project=project, planning=Planning())
    found, branch = state.started.task, state.started.branch

    assert (found.mode, found.request, found.test, found.test_policy) == (
        "change", "Add --json, please!", "pytest -q", "additive",
    )  # fmt: skip
    assert found.allow_test_changes == ("t/*",)
    assert branch.startswith("greenward/add-json-please-")
    assert "left out: .env (looks like a secret and is not tracked)" in around.watcher.said


def test_a_repair_locks_the_tests_and_needs_no_request(tmp_path, around):
    root = repository(tmp_path / "repo")
    started = start_on(around, "fix", root, " \n", planning=Planning(), project=Project()).started
    found, branch = started.task, started.branch

    assert (found.mode, found.request, found.test_policy) == ("fix", "", "locked")
    assert branch.startswith("greenward/fix-")


@pytest.mark.parametrize("request_", ["", " \n\t"])
def test_a_change_without_a_request_is_refused(tmp_path, around, request_):
    with pytest.raises(UsageProblem, match="the request is empty"):
        start_on(around, "change", tmp_path, request_, planning=Planning(), project=Project())
    with pytest.raises(UsageProblem, match="the request is empty"):
        start_new(around, tmp_path / "x", request_, planning=Planning())
    assert not (tmp_path / "x").exists()


def test_the_nearest_notes_for_agents_go_along_cut_to_size(tmp_path, around):
    root = repository(
        tmp_path / "repo",
        {"AGENTS.md": b"root \xff", "api/AGENTS.md": "n" * 100_000, "api/app.py": "", "web/app.py": "", "a.py": ""},
    )
    nearest = start_on(around, "fix", root, "", planning=Planning(), project=Project(cwd="api")).started.task
    above = start_on(around, "fix", root, "", planning=Planning(), project=Project(cwd="web")).started.task

    assert nearest.instructions.startswith("nnn")
    assert len(nearest.instructions) <= 20_000
    assert (above.instructions, above.cwd) == ("root \ufffd", "web")


def test_the_part_that_a_run_sees_is_on_record(tmp_path, around):
    root = repository(tmp_path / "repo", {"a/x.py": "", "b/x.py": ""})
    state = start_on(around, "fix", root, "", planning=Planning(), project=Project(only=["a/"]))

    assert state.started.task.only == ("a",)


# A directory for a scaffold


def test_a_scaffold_begins_in_a_repository_of_its_own(tmp_path, around):
    state = start_new(around, tmp_path / "deep" / "er", "A tool", planning=Planning())

    assert (tmp_path / "deep" / "er" / ".git").is_dir()
    assert (state.started.task.mode, state.outcome) == ("new", Outcome.OUT_OF_BUDGET)


@pytest.mark.parametrize("directory", ["/proc/x", "/proc/x/y", "/dev/null", "/dev/null/x"])
def test_a_directory_that_cannot_be_made_is_a_problem_with_a_hint(around, directory):
    with pytest.raises(UsageProblem, match=f"{directory} cannot be made|not empty") as caught:
        start_new(around, Path(directory), "A tool", planning=Planning())
    assert "empty or does not exist" in caught.value.hint


def test_a_file_in_the_way_stays(tmp_path, around):
    put(tmp_path, {"taken": "mine", "full/file": "mine"})
    for directory in (tmp_path / "taken", tmp_path / "taken" / "below", tmp_path / "full"):
        with pytest.raises(UsageProblem):
            start_new(around, directory, "A tool", planning=Planning())

    assert (tmp_path / "taken").read_text() == "mine"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]


def test_what_was_made_for_a_repository_that_could_not_be_is_removed(tmp_path, around):
    """Only as far as it was made: what was there before stays."""
    (tmp_path / "there").mkdir()
    nowhere = replace(around, environ={**around.environ, "PATH": str(tmp_path)})
    with pytest.raises(UsageProblem, match="git is not installed"):
        start_new(nowhere, tmp_path / "there" / "deep" / "er", "A tool", planning=Planning())

    assert list((tmp_path / "there").iterdir()) == []
