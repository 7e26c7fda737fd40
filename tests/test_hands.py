"""What the model's calls do: on the tree, through the policy, and in words that it can act on."""

import json

import pytest

from agent import events as e
from agent.durable import Moment
from agent.hands import keep
from agent.state import Phase
from sandbox import SetupFailed
from tests.gitrepo import git
from tests.lab import HereEngine

FILES = {
    "pytest.ini": "[pytest]\npythonpath = .\n",
    "app.py": "x = 1\n",
    "tests/test_app.py": "from app import x\n\n\ndef test_x():\n    assert x == 2\n",
}
PLAN = {
    "summary": "Set x",
    "steps": ["set x"],
    "criteria": [{"behaviour": "x is 2", "command": "python -c 'import app; assert app.x == 2'"}],
    "files": [{"path": "app.py", "purpose": "x"}],
}


@pytest.fixture
def at(lab):
    made = lab(FILES)
    made.measured()
    made.planned()
    return made


def call(at, name, **arguments):
    return at.call(name, json.dumps(arguments))


def test_a_file_that_is_written_is_in_the_tree_and_kept_from_being_pruned(at):
    event = call(at, "write_file", path="new.py", content="y = 1\n")

    assert at.workspace.read(event.tree, "new.py") == b"y = 1\n"
    assert git(at.root, "rev-parse", f"refs/greenward/r1/{event.tree}") == event.tree
    assert at.state.tree == event.tree
    assert git(at.root, "status", "--porcelain") == ""


def test_a_call_that_changes_nothing_leaves_the_tree(at):
    assert call(at, "read_file", path="app.py").tree == at.state.base


def test_a_sealed_test_stays_and_the_model_reads_why(at):
    event = call(at, "write_file", path="tests/test_app.py", content="")

    assert event.is_error
    assert event.tree == at.state.base
    assert "is sealed" in event.content
    reason = "is sealed: it is part of the tests that judge the run"
    assert event.refused == at.state.refused == (e.Refusal(path="tests/test_app.py", reason=reason),)


def test_of_changes_that_are_refused_only_some_are_kept_and_none_acts_on_a_terminal(at):
    event = call(at, "run_command", command='for n in $(seq 30); do ln -s /etc/passwd "p\x1b$n"; done')

    assert len(event.refused) == len(at.state.refused) == 20
    assert all("\\u{1b}" in refusal.path for refusal in event.refused)


def test_what_a_command_changed_and_was_not_taken_is_told_after_its_output(at):
    event = call(
        at, "run_command", command="echo done; echo x > tests/test_app.py; echo y > fine.txt; ln -s /etc/passwd p"
    )

    assert "done" in event.content
    assert "Of what it changed, this was not taken over:" in event.content
    assert "tests/test_app.py: is sealed" in event.content
    assert "p: is a symbolic link" in event.content
    assert [refusal.path for refusal in event.refused] == ["p", "tests/test_app.py"]
    assert at.workspace.changed(at.state.base, event.tree) == ("fine.txt",)


def test_commands_run_in_the_projects_directory_and_paths_count_from_the_root(lab):
    at = lab({f"api/{path}": text for path, text in FILES.items()}, cwd="api")
    at.planned()

    assert "app.py" in call(at, "run_command", command="ls").content.split()
    assert "x = 1" in call(at, "read_file", path="api/app.py").content


def test_a_test_run_is_an_effect_with_its_report(at):
    event = call(at, "run_tests")

    assert isinstance(event.effect, e.TestRun)
    assert event.effect.full
    assert event.effect.report.failing == ("tests/test_app.py::test_x",)
    assert event.tree == at.state.base


def test_a_selection_is_no_iteration(at):
    call(at, "write_file", path="tests/test_more.py", content="def test_more(): pass\n")
    event = call(at, "run_tests", tests=["tests/test_more.py::test_more"])

    assert isinstance(event.effect, e.TestRun)
    assert not event.effect.full
    assert event.effect.report.ids() == {"tests/test_more.py::test_more"}


def test_the_whole_output_can_be_read_later(at):
    content = call(at, "run_command", command="seq 1 20000").content
    artifact = content.partition("read_output with id=")[2].split()[0]

    assert "10200" in call(at, "read_output", id=artifact, offset=50_000).content
    assert call(at, "read_output", id="../../etc", offset=0).is_error


def test_what_is_kept_is_written_once_and_whole_and_is_not_read_where_it_is_torn(at):
    happened = []
    artifact = keep(at.hands.artifacts, b"x" * 5_000, happened.append)
    assert keep(at.hands.artifacts, b"x" * 5_000, happened.append) == artifact
    assert happened == [Moment.FILE_BEGUN, Moment.FILE_DRAFTED, Moment.FILE_RENAMED, Moment.FILE_SYNCED]

    (at.hands.artifacts / artifact).write_bytes(b"x" * 100)
    assert call(at, "read_output", id=artifact, offset=0).is_error
    assert keep(at.hands.artifacts, b"x" * 5_000, happened.append) == artifact
    assert not call(at, "read_output", id=artifact, offset=0).is_error


def test_search_and_files_look_into_the_tree_as_it_stands(at):
    call(at, "write_file", path="deep/b.py", content="needle = 1\n")

    assert "deep/b.py" in call(at, "list_files").content
    assert "deep/b.py" in call(at, "search", pattern="needle").content
    assert call(at, "search", pattern="(").is_error
    assert call(at, "read_file", path="nowhere.py").is_error


def test_tools_of_the_next_phase_wait_for_the_plan(lab):
    at = lab(FILES)
    event = call(at, "write_file", path="a", content="b")

    assert event.is_error
    assert "not to be called in this phase" in event.content
    assert isinstance(call(at, "submit_plan", **PLAN).effect, e.Planned)


# What cannot be installed


class Failing(HereEngine):
    """Cannot install `nonsense`, nor anything if there is no index."""

    index = True

    def prepare(self, setup, say):
        if not self.index or any(b"nonsense" in data for data in setup.files.values()):
            raise SetupFailed("the setup ended with exit code 1", log="No matching distribution for nonsense\x1b")
        return super().prepare(setup, say)


def test_a_plan_whose_criteria_hold_already_is_not_taken_and_the_model_reads_which(lab):
    at = lab(FILES)
    held = {"behaviour": "x is 1", "command": "python -c 'import app; assert app.x == 1'"}
    event = call(at, "submit_plan", **PLAN | {"criteria": [*PLAN["criteria"], held]})

    assert (event.is_error, event.effect) == (True, None)
    assert f"- `{held['command']}`\n" in event.content
    assert PLAN["criteria"][0]["command"] not in event.content


@pytest.mark.parametrize(("mode", "before"), [("change", "holds"), ("fix", "fails")])
def test_a_guard_may_hold_already_and_under_fix_any_criterion(lab, mode, before):
    at = lab(FILES, mode=mode)
    held = {"behaviour": "x is 1", "command": "python -c 'import app; assert app.x == 1'", "before": before}
    event = call(at, "submit_plan", **PLAN | {"criteria": [*PLAN["criteria"], held]})

    assert not event.is_error, event.content


def test_a_plan_whose_dependencies_cannot_be_installed_is_not_taken(lab):
    at = lab(FILES, engine=Failing())
    event = call(at, "submit_plan", **PLAN, dependencies=["nonsense"])

    assert (event.is_error, event.effect) == (True, None)
    assert event.content == (
        "The plan is not taken. Its dependencies cannot be installed: the setup ended with exit code 1\n"
        "No matching distribution for nonsense\\u{1b}"
    )
    assert isinstance(call(at, "submit_plan", **PLAN, dependencies=["click"]).effect, e.Planned)


def test_a_setup_that_fails_without_the_plan_too_is_not_the_models_fault(lab):
    engine = Failing()
    engine.index = False
    with pytest.raises(SetupFailed):
        call(lab(FILES, engine=engine), "submit_plan", **PLAN, dependencies=["click"])


def test_a_manifest_that_cannot_be_installed_is_told_by_the_next_command(lab):
    at = lab(FILES, engine=Failing())
    at.planned()
    call(at, "write_file", path="requirements.txt", content="nonsense\n")

    ran, tested = call(at, "run_command", command="true"), call(at, "run_tests")

    assert ran.is_error
    assert "what the manifests ask for cannot be installed" in ran.content
    assert isinstance(tested.effect, e.TestRun)
    assert tested.effect.report.problem.startswith("what the manifests ask for cannot be installed")


# Opening a test


@pytest.fixture
def scaffold(lab):
    """A `new` run whose tests are written and red."""
    at = lab({}, mode="new")
    at.planned()
    tree = at.put({path: text for path, text in FILES.items() if path != "app.py"})
    at.tested(tree)
    at.committed()
    assert at.state.phase is Phase.CODE
    return at


def test_a_test_that_the_run_wrote_is_opened_and_may_then_change(scaffold):
    assert call(scaffold, "write_file", path="tests/test_app.py", content="").is_error
    event = call(scaffold, "unseal", path="tests/test_app.py", reason="x is 3")

    assert event.effect == e.Unsealed(path="tests/test_app.py", reason="x is 3")
    assert not call(scaffold, "write_file", path="tests/test_app.py", content="def test_x(): pass\n").is_error
    assert "is open already" in call(scaffold, "unseal", path="tests/test_app.py", reason="x is 3").content


@pytest.mark.parametrize(("path", "clause"), [("pytest.ini", "configures the test runner"), ("app.py", "not sealed")])
def test_what_is_no_test_is_not_opened(scaffold, path, clause):
    call(scaffold, "write_file", path="app.py", content="x = 1\n")
    event = call(scaffold, "unseal", path=path, reason="because")

    assert event.is_error
    assert event.effect is None
    assert clause in event.content


def test_a_test_of_the_user_is_never_opened_under_fix(lab):
    at = lab(FILES, mode="fix")
    at.measured()
    at.planned()
    event = call(at, "unseal", path="tests/test_app.py", reason="it is wrong")

    assert (event.is_error, event.effect) == (True, None)
    assert "no test may change" in event.content


def test_a_test_of_the_user_is_opened_under_change_and_the_model_reads_what_follows(at):
    event = call(at, "unseal", path="tests/test_app.py", reason="x is to be 3")

    assert event.effect == e.Unsealed(path="tests/test_app.py", reason="x is to be 3")
    assert "not called green until a person has looked" in event.content
    assert not call(at, "write_file", path="tests/test_app.py", content="def test_x(): pass\n").is_error
    assert call(at, "unseal", path="pytest.ini", reason="another root").is_error


def test_an_added_test_of_a_change_is_not_sealed_in_the_first_place(at):
    call(at, "write_file", path="tests/test_new.py", content="def test(): pass\n")

    assert "it is not sealed" in call(at, "unseal", path="tests/test_new.py", reason="mine").content


def test_a_path_with_marks_of_a_pattern_opens_only_itself(lab):
    names = ["tests/test_[a].py", "tests/test_a.py"]
    at = lab({}, mode="new")
    at.planned()
    at.tested(at.put(dict.fromkeys(names, "def test():\n    assert 0\n")))
    at.committed()
    call(at, "unseal", path=names[0], reason="wrong")

    assert not call(at, "write_file", path=names[0], content="").is_error
    assert call(at, "write_file", path=names[1], content="").is_error


def test_a_call_whose_answer_still_holds_is_not_carried_out_again(at, tmp_path):
    count = tmp_path / "count"
    first = call(at, "run_command", command=f"echo ran >>{count}")
    again = call(at, "run_command", command=f"echo ran >>{count}")

    assert count.read_text() == "ran\n"
    assert (again.repeats, again.is_error, again.tree) == (first.call_id, False, at.state.tree)
    assert f"the answer to your call {first.call_id} above still holds" in again.content

    call(at, "write_file", path="new.py", content="y = 1\n")
    call(at, "run_command", command=f"echo ran >>{count}")
    assert count.read_text() == "ran\nran\n", "on another tree it may come out otherwise"
