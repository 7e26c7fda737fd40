"""Commands run on trees, in an environment that follows from the manifests, whatever dies on the way."""

import ast
from pathlib import Path

import pytest

import sandbox
from agent.live import Line, Said, Working
from agent.place import HEADLINES, setup_notices
from sandbox import Command, EngineGone, Limits, SandboxLost
from sandbox.local import LocalSandbox
from tests.lab import BIN, DyingEngine, HereEngine

FILES = {"app.py": "x = 1\n", "requirements.txt": "click\n", ".gitignore": "*.log\n"}
WRITE = Command(script="echo 2 > two.txt; echo noise > run.log")


def test_what_a_command_changes_comes_back_and_what_is_ignored_stays(lab):
    at = lab(FILES)
    execution = at.place.execute(at.state, at.state.base, WRITE)

    assert at.workspace.changed(at.state.base, execution.tree.id) == ("two.txt",)
    assert at.workspace.read(execution.tree.id, "two.txt") == b"2\n"


def test_nothing_comes_back_from_a_fresh_container(lab):
    at = lab(FILES)
    result = at.place.execute_fresh(at.state, at.state.base, WRITE)

    assert result.exit_code == 0
    assert (
        at.place.execute(at.state, at.state.base, Command(script="ls")).result.output == b"app.py\nrequirements.txt\n"
    )


def test_nothing_of_git_is_where_commands_run(lab):
    at = lab(FILES)
    look = Command(script="ls -a; git rev-parse --git-dir; git log --oneline")
    shown = [
        at.place.execute(at.state, at.state.base, look).result,
        at.place.execute_fresh(at.state, at.state.base, look),
    ]

    for result in shown:
        assert b"\n.git\n" not in result.output
        assert result.exit_code != 0, "no repository is found above it either"


def test_an_environment_is_looked_up_once(lab):
    at = lab(FILES)
    for _ in range(3):
        at.place.execute(at.state, at.state.base, Command(script="true"))

    assert len(at.engine.prepared) == 1
    assert len(at.engine.opened) == 1


def test_an_edited_manifest_gets_an_environment_of_its_own(lab):
    at = lab(FILES)
    edited = at.put({"requirements.txt": "click\nrich\n"})
    before, _ = at.place.prepare(at.state, at.state.base)
    after, recipe = at.place.prepare(at.state, edited)

    assert before.id != after.id
    assert any(b"rich" in data for data in recipe.setup.files.values())


def test_a_plan_with_dependencies_gets_an_environment_that_has_them(lab):
    at = lab(FILES)
    before, _ = at.place.prepare(at.state, at.state.base)
    after, recipe = at.place.prepare(at.planned(dependencies=("rich>=13",)), at.state.base)

    assert before.id != after.id
    assert any(b"rich>=13" in data for data in recipe.setup.files.values())


def test_a_fresh_container_of_another_environment_does_not_cost_the_working_copy(lab):
    at = lab(FILES)
    edited = at.put({"requirements.txt": "rich\n"})
    at.place.execute(at.state, at.state.base, Command(script="echo kept > left.log"))
    at.place.execute_fresh(at.state, edited, Command(script="true"))

    assert at.place.execute(at.state, at.state.base, Command(script="cat left.log")).result.output == b"kept\n"


def test_the_working_copy_moves_to_the_environment_that_is_called_for(lab):
    at = lab(FILES)
    edited = at.put({"requirements.txt": "rich\n"})
    at.place.execute(at.state, at.state.base, Command(script="echo kept > left.log"))
    at.place.execute(at.state, edited, Command(script="true"))

    assert at.place.execute(at.state, at.state.base, Command(script="cat left.log")).result.exit_code == 1


@pytest.mark.parametrize("fresh", [False, True])
def test_a_sandbox_that_dies_twice_is_made_anew(lab, fresh):
    at = lab(FILES, engine=DyingEngine(deaths=2))
    run = at.place.execute_fresh if fresh else at.place.execute
    ended = run(at.state, at.state.base, Command(script="echo here"))

    assert (ended if fresh else ended.result).output == b"here\n"
    assert at.watcher.said == ["the sandbox was lost (killed from outside); trying again"] * 2
    assert len(at.engine.opened) == 3


def test_a_sandbox_that_dies_a_third_time_is_given_up(lab):
    at = lab(FILES, engine=DyingEngine(deaths=3))
    with pytest.raises(SandboxLost, match="killed from outside"):
        at.place.execute(at.state, at.state.base, Command(script="true"))

    assert at.engine.deaths == 0


class GoneEngine(HereEngine):
    """Does not answer."""

    def prepare(self, setup, say):
        self.prepared.append(setup)
        raise EngineGone("cannot look at the image: refused", hint="is it running?")


@pytest.mark.parametrize("asked", ["prepare", "execute", "execute_fresh"])
def test_an_engine_that_does_not_answer_is_waited_for_twice_and_then_the_run_can_be_resumed(lab, asked):
    at = lab(FILES, engine=GoneEngine())
    at.place.sleep = (waited := []).append
    command = () if asked == "prepare" else (Command(script="true"),)
    with pytest.raises(EngineGone) as caught:
        getattr(at.place, asked)(at.state, at.state.base, *command)

    assert (len(at.engine.prepared), waited) == (3, [1.0, 4.0])
    assert caught.value.hint == "is it running?; then `greenward resume r1` goes on: nothing is lost"


def test_a_place_that_cannot_be_made_ready_ahead_costs_nothing_that_is_known(lab):
    at = lab(FILES, engine=GoneEngine())
    at.place.expect(at.state, at.state.base)

    assert len(at.engine.prepared) == 1


def test_nothing_is_isolated_before_something_ran(lab):
    from tests.lab import IsolatedEngine

    at = lab(FILES, engine=IsolatedEngine())
    assert not at.place.isolated
    at.place.execute_fresh(at.state, at.state.base, Command(script="true"))
    assert at.place.isolated


# What is told of a setup


class ForeseeingEngine(HereEngine):
    """Keeps how many places each of its sandboxes was to make ready ahead."""

    def open(self, environment, *, limits, run_id):
        self.opened.append(environment)
        return Foreseeing(self)


class Foreseeing(LocalSandbox):
    def __init__(self, engine):
        super().__init__(path=BIN, limits=Limits())
        self.engine = engine

    def expect(self, count):
        self.engine.lines += (str(count),)


def test_places_are_made_ready_ahead_once_there_is_an_environment_and_after_each_command(lab):
    engine = ForeseeingEngine()
    at = lab({"a.py": ""}, engine=engine)
    list(at.bench.prepare(at.state))
    prepared = engine.lines
    at.place.execute(at.state, at.state.base, Command(script="true"))
    worked = engine.lines
    at.place.execute_fresh(at.state, at.state.base, Command(script="true"))

    assert (prepared, worked) == (("1",), ("1", "2"))
    assert engine.lines == worked, "a verdict may be the end"


def test_lines_of_a_setup_are_no_progress(lab):
    lines = ("setting up the environment (once for these requirements)", "Collecting click", "  Downloading click", "")
    at = lab(FILES, engine=HereEngine(lines=lines))
    at.place.prepare(at.state, at.state.base)

    assert at.watcher.said == ["setting up the environment (once for these requirements)"]


def test_lines_of_a_setup_are_shown_and_not_kept(lab):
    at = lab(FILES, engine=HereEngine(lines=("Collecting click",)))
    at.place.prepare(at.state, at.state.base)

    assert at.watcher.noticed == [Line("Collecting click")]


def test_the_files_on_their_way_and_the_last_line_of_a_command_are_told(lab):
    at = lab(FILES)
    for execute in (at.place.execute, at.place.execute_fresh):
        at.watcher.noticed.clear()
        execute(at.state, at.state.base, Command(script="echo one; printf two"))

        sent = [notice for notice in at.watcher.noticed if isinstance(notice, Working)]
        size = sum(len(text) for text in FILES.values())
        assert [notice.done for notice in sent] == sorted({notice.done for notice in sent})
        assert (sent[-1].done, sent[-1].total, len(sent)) == (size, size, len(FILES))
        assert sent[-1].finished
        assert at.watcher.noticed[-1] == Line("two")


def test_every_message_of_the_sandbox_itself_is_a_headline():
    """What it passes on of others has no text of its own before the first value."""
    said = []
    for path in sorted(Path(sandbox.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say" and node.args:
                text = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
                said += [text.value] if isinstance(text, ast.Constant) else []
    heard = []
    tell = setup_notices(heard.append)
    for text in said:
        tell(text)

    assert len(said) >= 5
    assert heard == [Said(text) for text in said]
    assert all(any(text.startswith(headline) for text in said) for headline in HEADLINES)


# What is sealed


def test_under_new_nothing_is_sealed_until_there_is_code(lab):
    at = lab({"test_a.py": ""}, mode="new")
    assert at.place.seal(at.state).policy == "free"


def test_tests_of_a_project_in_a_directory_are_sealed_there(lab):
    at = lab({"api/test_a.py": "def test(): pass\n", "test_a.py": ""}, cwd="api")
    seal = at.place.seal(at.measured())

    assert "api/test_a.py" in seal.files
    assert "test_a.py" not in seal.files


def test_what_a_repository_seals_by_its_settings_is_sealed(lab):
    at = lab(
        {"pyproject.toml": '[tool.greenward]\nsealed = ["data/*"]\n', "data/a": "1", "test_a.py": "def test(): pass\n"}
    )
    changed = at.put({"data/a": "2"})

    assert at.place.violations(at.measured(), changed) == ("`data/a` is sealed by the settings",)
