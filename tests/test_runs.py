"""Runs are found by their journals: by id, by its beginning, or as the last one."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent import events as e
from agent.errors import DamagedRun, UsageProblem
from agent.journal import Journal
from agent.runs import damaged_runs, find_run, find_unfinished, runs_directory, stored_runs
from tests.gitrepo import repository
from tests.kits import EPOCH, started


@pytest.fixture
def runs(tmp_path):
    """Writes runs: `runs(ab12=None, cd34="passed")` in the order of their ends."""

    def made(**outcomes: str | None) -> Path:
        for hour, (name, outcome) in enumerate(outcomes.items()):
            (tmp_path / name).mkdir()
            at = EPOCH + timedelta(hours=hour)
            with Journal(tmp_path / name / "journal.jsonl", clock=lambda at=at: at) as journal:
                journal.append(started())
                if outcome:
                    journal.append(e.RunFinished(outcome=e.Outcome(outcome), reason="", commit="c", tree="t"))
        return tmp_path

    return made


def test_the_run_that_was_worked_on_last_comes_first(runs):
    found = [(run.id, run.status) for run in stored_runs(runs(ab12="failed", cd34=None, ef56="passed"))]
    assert found == [("ef56", "passed"), ("cd34", "unfinished"), ("ab12", "failed")]


def test_each_run_is_read_when_it_is_asked_for(runs):
    directory = runs(ab12=None, cd34="passed", ef56="failed")
    found = stored_runs(directory)
    assert next(found).id == "ef56"
    (directory / "cd34" / "journal.jsonl").write_bytes(b"no more\n")

    assert [run.id for run in found] == ["ab12"]


def test_a_run_is_found_by_the_beginning_of_its_id(runs):
    directory = runs(ab12="failed", ab34=None)

    assert find_run(directory, "ab3").id == "ab34"
    assert find_run(directory, None).id == "ab34"


def test_a_whole_id_is_that_run_even_if_another_begins_with_it(runs):
    assert find_run(runs(ab="failed", ab34=None), "ab").id == "ab"


@pytest.mark.parametrize(("name", "problem"), [("ab", "more than one run"), ("x", "no run"), ("", "more than one run")])
def test_a_beginning_that_does_not_name_one_run_is_refused(runs, name, problem):
    with pytest.raises(UsageProblem, match=problem) as caught:
        find_run(runs(ab12="failed", ab34=None), name)
    assert "greenward runs" in caught.value.hint


def test_without_a_name_the_last_unfinished_run_is_taken_up(runs):
    directory = runs(ab12=None, cd34=None, ef56="passed")

    assert find_unfinished(directory, None).id == "cd34"
    assert find_unfinished(directory, "ef").id == "ef56"


def test_where_all_have_ended_the_last_one_is_named(runs):
    assert find_unfinished(runs(ab12="passed", cd34="failed"), None).id == "cd34"


@pytest.mark.parametrize("find", [find_run, find_unfinished])
def test_without_runs_there_is_a_hint(tmp_path, find):
    with pytest.raises(UsageProblem, match="no runs") as caught:
        find(tmp_path / "missing", None)
    assert "greenward change" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b'{"half a li', b"{}\n"])
def test_a_damaged_run_hides_no_other_and_is_told(runs, content):
    directory = runs(ab12="passed", cd34="passed")
    (directory / "cd34" / "journal.jsonl").write_bytes(content)

    assert [run.id for run in stored_runs(directory)] == ["ab12"]
    assert find_run(directory, None).id == "ab12"
    assert [str(error.message).count("cd34") for error in damaged_runs(directory)] == [1]
    with pytest.raises(DamagedRun, match="cd34"):
        find_run(directory, "cd")


def test_a_run_that_is_locked_by_another_process_can_be_read(runs):
    directory = runs(ab12=None)
    with Journal(directory / "ab12" / "journal.jsonl"):
        assert find_run(directory, "ab12").status == "unfinished"


def test_runs_are_found_from_any_directory_of_the_repository(tmp_path):
    root = repository(tmp_path / "repo", {"deep/er/a.py": ""})

    assert runs_directory(root / "deep" / "er", {}) == root / ".git" / "greenward" / "runs"
    with pytest.raises(UsageProblem, match="not inside a git repository"):
        runs_directory(tmp_path, {})
