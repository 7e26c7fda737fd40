"""The suite is run by the project's own command, and what it showed is read from its report alone."""

from dataclasses import replace

import pytest

from agent.bench import selecting, to_report
from agent.errors import UsageProblem
from agent.events import BaselineMeasured, EnvironmentPrepared
from agent.testreport import Status
from sandbox import Command, ExecResult, SetupFailed
from tests.lab import QUICK, HereEngine

PYTHONPATH = {"pytest.ini": "[pytest]\npythonpath = .\n"}
RED = PYTHONPATH | {
    "app.py": "def add(a, b):\n    return a - b\n",
    "tests/test_app.py": """\
from app import add


def test_sum():
    assert add(1, 2) == 3


def test_zero():
    assert add(0, 0) == 0
""",
}


def measured(at):
    return tuple(at.measuring.measure(at.state))


def statuses(report):
    return {case.id: case.status.value for case in report.cases}


def test_the_baseline_names_each_test_and_how_it_ended(lab):
    at = lab(RED, mode="fix")
    (event,) = at.measuring.measure(at.state)

    assert isinstance(event, BaselineMeasured)
    assert statuses(event.report) == {"tests/test_app.py::test_sum": "failed", "tests/test_app.py::test_zero": "passed"}
    assert event.report.exit_code == 1
    assert "assert" in event.report.cases[0].detail
    assert event.report.cases[1].detail == ""


def test_the_environment_is_told_with_its_commands(lab):
    at = lab(RED, mode="fix")
    (event,) = at.bench.prepare(at.state)

    assert isinstance(event, EnvironmentPrepared)
    assert (event.origin, event.build, event.test) == ("local", "", QUICK)


def test_a_whole_run_in_the_warm_copy_shows_the_tree_as_it_stands(lab):
    at = lab(RED)
    better = at.put({"app.py": "def add(a, b):\n    return a + b\n"})
    (event,) = at.bench.test(replace(at.state, tree=better))

    assert (event.report.ok, event.tree) == (True, better)


def test_what_tests_write_is_no_part_of_the_work(lab):
    at = lab({"test_it.py": "from pathlib import Path\n\n\ndef test_a():\n    Path('left.txt').write_text('x')\n"})

    first, second = at.bench.run(at.state, at.state.base), at.bench.run(at.state, at.state.base)
    seen = at.place.execute(at.state, at.state.base, Command(script="ls left.txt"))

    assert first.ok
    assert second.ok
    assert seen.result.exit_code != 0, "the working copy is put right before the next command"


def test_a_selection_runs_alone(lab):
    at = lab(RED, test="python -m pytest -q tests")
    report = at.bench.run(at.state, at.state.base, ("tests/test_app.py::test_zero",))

    assert statuses(report) == {"tests/test_app.py::test_zero": "passed"}


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("python -m pytest", "python -m pytest tests/a.py::test_x"),
        ("pytest -q tests", "pytest -q tests/a.py::test_x"),
        ("pytest ./tests/ -k 'a or b' tests/a.py", "pytest -k 'a or b' tests/a.py::test_x"),
        ("pytest -c setup.cfg --cov src", "pytest -c setup.cfg --cov src tests/a.py::test_x"),
        ("cd sub && pytest -q 'tests'", "cd sub && pytest -q tests/a.py::test_x"),
        ("python -m pytest python", "python -m pytest tests/a.py::test_x"),
        ("make test", "python -m pytest tests/a.py::test_x"),
        ("./run-pytest.sh", "python -m pytest tests/a.py::test_x"),
        ("pytest 'unbalanced", "pytest 'unbalanced tests/a.py::test_x"),
    ],
)
def test_a_selection_takes_the_place_of_what_the_command_names_itself(test, expected):
    assert selecting(test, ("tests/a.py::test_x",), ["tests/a.py", "src/b.py", "setup.cfg", "python/x.py"]) == expected


def test_an_id_with_blanks_and_quotes_is_one_word():
    assert selecting("pytest", ("t.py::test[it's a]",), []) == "pytest 't.py::test[it'\"'\"'s a]'"


def test_pytest_within_another_command_writes_its_report_all_the_same(lab):
    at = lab({**RED, "Makefile": "test:\n\t@python -m pytest -q\n"}, test="make test", mode="fix")

    assert at.bench.run_fresh(at.state, at.state.base).count(Status.FAILED) == 1


def test_a_report_that_the_command_asks_for_itself_does_not_take_the_place_of_ours(lab):
    at = lab(RED, test="python -m pytest --junitxml=own.xml -q", mode="fix")

    assert len(at.bench.run_fresh(at.state, at.state.base).cases) == 2


@pytest.mark.parametrize("mode", ["fix", "change"])
@pytest.mark.parametrize("test", ["true", "false", "nowhere --all", "exit 126"])
def test_a_command_that_is_no_pytest_is_refused_before_anything_is_spent(lab, mode, test):
    at = lab(RED, mode=mode, test=test)

    with pytest.raises(UsageProblem, match="gives no result") as caught:
        list(at.measuring.measure(at.state))

    assert "--test" in caught.value.hint


def test_a_change_may_begin_without_tests(lab):
    (event,) = measured(lab({"app.py": ""}))
    assert event.report.cases == ()
    assert event.report.problem == ""


def test_a_fix_without_tests_is_refused(lab):
    with pytest.raises(UsageProblem, match="no tests were found"):
        measured(lab({"app.py": ""}, mode="fix"))


def test_a_suite_that_does_not_end_is_a_problem_with_the_output_so_far(lab):
    at = lab(
        {"test_it.py": "import time\n\n\ndef test_a():\n    time.sleep(60)\n"}, test="echo begun; python -m pytest"
    )
    report = replace(at.bench, timeout=2.0).run(at.state, at.state.base)

    assert report.problem.startswith("the test command was stopped after")
    assert "begun" in report.output


def test_a_build_that_fails_is_told_with_its_own_output(lab):
    at = lab(RED, build="echo no compiler here; exit 3")
    report = at.bench.run_fresh(at.state, at.state.base)

    assert (report.problem, report.cases) == ("the build failed", ())
    assert "no compiler here" in report.output


def test_a_build_that_works_says_nothing(lab):
    at = lab(RED, build="echo built; touch built.txt", test="ls built.txt && python -m pytest")
    report = at.bench.run_fresh(at.state, at.state.base)

    assert len(report.cases) == 2
    assert "echo built" not in report.output


def test_a_project_in_a_directory_is_built_and_tested_there(lab):
    at = lab({f"services/api/{path}": text for path, text in RED.items()}, cwd="services/api")

    assert sorted(statuses(at.bench.run_fresh(at.state, at.state.base))) == [
        "tests/test_app.py::test_sum",
        "tests/test_app.py::test_zero",
    ]


def test_ids_begin_at_the_project_also_where_pytest_is_configured_at_the_root(lab):
    inside = {f"api/{path}": RED[path] for path in RED if path not in PYTHONPATH}
    at = lab(inside | PYTHONPATH, cwd="api", test="PYTHONPATH=. python -m pytest -q tests")

    report = at.bench.run_fresh(at.state, at.state.base)
    one = at.bench.run(at.state, at.state.base, ("tests/test_app.py::test_zero",))

    assert sorted(statuses(report)) == ["tests/test_app.py::test_sum", "tests/test_app.py::test_zero"]
    assert statuses(one) == {"tests/test_app.py::test_zero": "passed"}


def test_requirements_that_cannot_be_installed_are_a_problem_of_the_tree_not_of_the_run(lab):
    class Failing(HereEngine):
        def prepare(self, setup, say):
            if any(b"nonsense" in data for data in setup.files.values()):
                raise SetupFailed("the setup ended with exit code 1", log="No matching distribution: nonsense")
            return super().prepare(setup, say)

    at = lab({**RED, "requirements.txt": ""}, engine=Failing())
    tree = at.put({"requirements.txt": "nonsense\n"})
    report = at.bench.run(at.state, tree)

    assert report.problem == "what the manifests ask for cannot be installed: the setup ended with exit code 1"
    assert report.output == "No matching distribution: nonsense"


def test_requirements_of_the_base_that_cannot_be_installed_end_the_command(lab):
    class Failing(HereEngine):
        def prepare(self, setup, say):
            raise SetupFailed("the setup ended with exit code 1")

    at = lab(RED, engine=Failing())
    with pytest.raises(SetupFailed):
        at.bench.run(at.state, at.state.base)


def test_tracebacks_and_output_are_cut_to_what_an_event_carries():
    cases = "".join(
        f'<testcase classname="t" name="test_{n}" file="t.py"><failure message="m">{"x" * 9000}</failure></testcase>'
        for n in range(70)
    )
    xml = f"<testsuites><testsuite>{cases}</testsuite></testsuites>".encode()
    report = to_report(ExecResult(exit_code=1, output=b"y" * 50_000, seconds=1.0, files={"junit.xml": xml}))

    assert len(report.cases) == 70
    assert max(len(case.detail) for case in report.cases) <= 4_000
    assert sum(bool(case.detail) for case in report.cases) == 60
    assert len(report.output) <= 6_000


def test_a_suite_that_ran_out_of_memory_has_no_result():
    xml = b'<testsuites><testsuite><testcase classname="t" name="test_a" file="t.py"/></testsuite></testsuites>'
    report = to_report(ExecResult(exit_code=0, output=b"", seconds=1.0, out_of_memory=True, files={"junit.xml": xml}))

    assert not report.ok
    assert "out of memory" in report.problem
