"""A step of a plan is ticked off by what is known, and by nothing else."""

import pytest

from agent.display.steps import Mark, files_of, marks
from agent.messages import ToolCall
from agent.task import Plan, PlannedFile

FILES = (
    "pyproject.toml",
    "README.md",
    "src/tally/counting.py",
    "src/tally/cli.py",
    "tests/test_tally.py",
    "tests/test_x.py",
)


def mark(step, *written, green=False):
    plan = Plan(summary="s", steps=(step,), files=tuple(PlannedFile(path=path, purpose="") for path in FILES))
    return marks(plan, set(written), green=green)[0]


@pytest.mark.parametrize(
    ("step", "named"),
    [
        ("Write pyproject.toml", ["pyproject.toml"]),
        ("Write `src/tally/cli.py`.", ["src/tally/cli.py"]),
        ("Put the commands into cli.py", ["src/tally/cli.py"]),
        ("Write the counting functions", ["src/tally/counting.py"]),
        ("Document it in the readme", ["README.md"]),
        ("Write the tests first", ["tests/test_tally.py", "tests/test_x.py"]),
        ("Add test_x.py and README.md", ["tests/test_x.py", "README.md"]),
    ],
)
def test_a_step_is_done_when_all_files_that_it_names_are_written(step, named):
    assert mark(step) is Mark.OPEN
    assert mark(step, *(path for path in FILES if path not in named)) is Mark.OPEN
    assert mark(step, *named) is Mark.DONE
    if len(named) > 1:
        assert mark(step, named[0]) is Mark.PARTLY


@pytest.mark.parametrize(
    "step",
    ["Think about it", "Write the cli", "Recounting is done", "Write my-pyproject.toml.in", "See src/tally/cli.pyx"],
)
def test_nothing_is_known_of_a_step_that_names_no_planned_file(step):
    assert mark(step, *FILES, green=True) is Mark.UNKNOWN


@pytest.mark.parametrize(
    "step", ["Run the tests until they pass", "Make all tests green", "verify with the suite", "Tests in cli.py pass"]
)
def test_a_step_about_tests_that_pass_is_done_when_they_do(step):
    assert mark(step, *FILES) is Mark.OPEN
    assert mark(step, green=True) is Mark.DONE


@pytest.mark.parametrize(
    ("name", "arguments", "paths"),
    [
        ("write_file", '{"path": "./a.py", "content": ""}', ["a.py"]),
        ("edit_file", '{"path": "a.py", "replacements": []}', ["a.py"]),
        ("edit_files", '{"files": [{"path": "a.py"}, {"path": "b.py"}]}', ["a.py", "b.py"]),
        ("delete_file", '{"path": "a.py"}', ["a.py"]),
        ("read_file", '{"path": "a.py"}', []),
        ("write_file", '{"path": 3}', []),
        ("edit_files", '{"files": 3}', []),
        ("edit_files", '{"files": [3]}', []),
        ("write_file", "[1]", []),
        ("write_file", "{", []),
        ("write_file", "[" * 100_000, []),
    ],
)
def test_the_files_of_a_call_are_those_that_it_writes(name, arguments, paths):
    assert list(files_of(ToolCall(id="1", name=name, arguments=arguments))) == paths
