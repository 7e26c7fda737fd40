"""Of a long suite the tests that a change touches run first; only what could not be green stops there."""

import pytest

from agent import events as e
from agent.scribe import Scribe
from agent.state import Due, due
from agent.task import Limits
from agent.testreport import Status, TestCase, TestReport
from agent.verdict import VerdictKind, shortfall
from tests.gitrepo import git
from tests.lab import QUICK, Lab

PARTS = range(6)
FILES = {
    "pytest.ini": "[pytest]\npythonpath = .\n",
    "app/__init__.py": "",
    **{f"app/m{n}.py": f"def f():\n    return {n}\n" for n in PARTS},
    **{
        f"tests/test_m{n}.py": f"from app import m{n}\n\n\ndef test_one():\n    assert m{n}.f() == {n}\n\n\n"
        "def test_two():\n    pass\n"
        for n in PARTS
    },
}
BROKEN, SOUND = "def f():\n    return 'no'\n", "def f():\n    return 5 + 0\n"


ENDS = {f"tests/test_m{n}.py::test_{name}": "passed" for n in PARTS for name in ("one", "two")}
"""How the tests of `FILES` end."""


@pytest.fixture
def at(lab):
    """A planned change of a project whose suite took long."""
    return ready(lab(FILES))


def ready(at: Lab, ends: dict[str, str] = ENDS, seconds: float = 9.0) -> Lab:
    """The run once the base's tests ended as `ends` says, and there is a plan."""
    at.events += at.bench.prepare(at.state)
    cases = tuple(TestCase(id=name, status=Status(how), seconds=0.5) for name, how in ends.items())
    report = TestReport(cases=cases, exit_code=int("failed" in ends.values()), seconds=seconds)
    at.events.append(e.BaselineMeasured(report=report))
    at.planned()
    return at


def run(at, files):
    """What the suite shows once `files` are written."""
    at.left(at.put(files))
    event = at.call("run_tests", "{}")
    assert isinstance(event.effect, e.TestRun)
    return event


def seen(report):
    return {case_id.partition("::")[0] for case_id in report.fresh.ids()}


def test_what_cannot_be_green_stops_after_the_tests_that_the_change_touches(at):
    event = run(at, {"app/m5.py": BROKEN})
    report = event.effect.report

    assert seen(report) == {"tests/test_m5.py"}
    assert report.fresh.failing == ("tests/test_m5.py::test_one",)
    assert (report.reused, report.count(Status.PASSED), report.exit_code) == (10, 11, 1)
    assert str(report) == "1 failed, 1 passed (10 not run again)"
    assert "Tests: 1 failed, 1 passed (10 not run again) (exit code 1" in event.content
    assert "the others are run, and all of these, once these pass" in event.content
    assert "Newly failing: tests/test_m5.py::test_one" in event.content
    assert "gone from the report" not in event.content

    assert not at.state.green
    assert due(at.state) is Due.COMMIT
    at.committed()
    message = git(at.root, "log", "-1", "--format=%B", at.state.tip)
    assert message.startswith("Iteration 1: 1 failed, 1 passed (10 not run again)\n")
    assert "Tests-After: 1 failed, 1 passed (10 not run again)" in message


def test_once_they_pass_all_tests_run_and_only_that_is_judged(at):
    run(at, {"app/m5.py": BROKEN})
    at.committed()
    report = run(at, {"app/m5.py": SOUND}).effect.report

    assert (report.reused, len(report.cases), report.ok) == (0, 12, True)
    assert due(at.state) is Due.JUDGE


def test_a_fault_that_the_first_tests_do_not_show_is_found_by_the_others(lab):
    """It takes its way through the environment, of which no source tells."""
    reads = "import os\n\n\ndef test_one():\n    assert 'BAD' not in os.environ\n"
    at = ready(lab({**FILES, "tests/test_z.py": reads}), {**ENDS, "tests/test_z.py::test_one": "passed"})
    report = run(at, {"app/m5.py": f"import os\nos.environ['BAD'] = '1'\n{FILES['app/m5.py']}"}).effect.report

    assert (report.reused, report.failing) == (0, ("tests/test_z.py::test_one",))


def test_what_failed_last_runs_again_wherever_the_change_is(at):
    run(at, {"app/m5.py": BROKEN})
    at.committed()
    report = run(at, {"app/m1.py": "def f():\n    return 1 + 0\n"}).effect.report

    assert seen(report) == {"tests/test_m1.py", "tests/test_m5.py"}
    assert report.failing == ("tests/test_m5.py::test_one",)


def test_a_new_test_comes_first_also_if_nothing_else_is_touched(at):
    report = run(at, {"tests/test_new.py": "def test_new():\n    assert 0\n"}).effect.report

    assert seen(report) == {"tests/test_new.py"}
    assert report.reused == 12


def test_old_failures_are_taken_over_as_such(lab):
    at = ready(lab({**FILES, "app/m0.py": BROKEN}), {**ENDS, "tests/test_m0.py::test_one": "failed"})
    report = run(at, {"app/m5.py": BROKEN}).effect.report

    assert seen(report) == {"tests/test_m5.py"}
    assert report.failing == ("tests/test_m5.py::test_one", "tests/test_m0.py::test_one")
    assert run_again(at, {"app/m5.py": SOUND}).reused == 0
    assert due(at.state) is Due.JUDGE


def run_again(at, files):
    at.committed()
    return run(at, files).effect.report


def test_tests_that_pass_only_after_others_do_not_speak_for_themselves(lab):
    shared = {
        "shared.py": "made = []\n",
        "tests/test_m0.py": "import shared\n\n\ndef test_one():\n    shared.made.append(1)\n",
        "tests/test_m5.py": "import shared\nimport app.m5\n\n\ndef test_needs_the_other():\n    assert shared.made\n",
    }
    ends = {name: how for name, how in ENDS.items() if "m0" not in name and "m5" not in name}
    ends |= {"tests/test_m0.py::test_one": "passed", "tests/test_m5.py::test_needs_the_other": "passed"}
    at = ready(lab(FILES | shared), ends)
    report = run(at, {"app/m5.py": SOUND}).effect.report

    assert (report.reused, report.ok) == (0, True)


def test_a_file_that_cannot_be_collected_stops_everything_as_it_always_does(at):
    event = run(at, {"app/m5.py": "def f(:\n"})

    assert event.effect.report.failing == ("tests/test_m5.py",)
    assert "Not collected, so none of its tests ran: tests/test_m5.py" in event.content
    assert not at.state.green


@pytest.mark.parametrize(
    "files",
    [
        {"pytest.ini": "[pytest]\npythonpath = .\nxfail_strict = true\n", "app/m5.py": BROKEN},
        {"app/rules.xml": "<rules/>\n", "app/m5.py": BROKEN},
        {f"tests/test_m{n}.py": FILES[f"tests/test_m{n}.py"] + "# more\n" for n in PARTS[2:]} | {"app/m5.py": BROKEN},
    ],
    ids=["configuration", "a file that nobody names", "most of the tests"],
)
def test_what_may_matter_for_every_test_has_all_of_them_run_at_once(at, files):
    report = run(at, files).effect.report

    assert report.reused == 0
    assert len(report.cases) == 12


def test_a_short_suite_is_simply_run(lab):
    at = ready(lab(FILES), seconds=4.9)

    assert run(at, {"app/m5.py": BROKEN}).effect.report.reused == 0


def test_the_last_iteration_shows_all_that_there_is(at):
    at.events.append(e.LimitsChanged(limits=Limits(iterations=1)))

    assert run(at, {"app/m5.py": BROKEN}).effect.report.reused == 0


def test_who_says_that_it_is_done_is_taken_at_their_word_and_all_tests_run(at):
    run(at, {"app/m5.py": BROKEN})
    at.committed()
    at.call("finish", '{"status": "done"}')

    assert due(at.state) is Due.TEST
    (event,) = at.inner.test(at.state)
    assert (event.report.reused, len(event.report.cases)) == (0, 12)
    assert event.report.failing == ("tests/test_m5.py::test_one",)


def test_the_projects_own_command_stays_as_it_is(lab):
    """It starts pytest out of sight, and names directories itself."""
    more = {"check.sh": f"{QUICK} -q other tests\n", "other/test_x.py": "def test_x():\n    pass\n"}
    at = ready(lab(FILES | more, test="sh check.sh"), {**ENDS, "other/test_x.py::test_x": "passed"})
    report = run(at, {"app/m5.py": BROKEN}).effect.report

    assert seen(report) == {"tests/test_m5.py"}
    assert report.reused == 11


def test_a_project_in_a_directory_of_its_repository_is_no_other(lab):
    at = ready(lab({f"api/{path}": text for path, text in FILES.items()}, cwd="api"))

    assert seen(run(at, {"api/app/m5.py": BROKEN}).effect.report) == {"tests/test_m5.py"}


def test_a_report_with_tests_that_did_not_run_is_never_green(at):
    passing = TestReport(cases=at.state.baseline.cases, reused=10, seconds=1.0)

    assert shortfall("change", at.state.baseline, at.state.baseline) == ()
    assert shortfall("change", at.state.baseline, passing) == ("10 of the tests were not run again",)
    assert not passing.ok


def test_the_branch_is_not_left_at_what_is_only_said_to_be_as_good(at):
    """The work as it was found has all tests run; the iteration shows the same of those that it had."""
    run(at, {"tests/test_new.py": "def test_new():\n    assert 0\n"})
    at.committed()
    at.events += Scribe(workspace=at.workspace).pause(at.state, "interrupted", "enough")

    assert at.state.result_tree == at.state.base


class Blind:
    """Takes every change for one of the same file."""

    def of(self, *_):
        return {"tests/test_m0.py": (0, 0, 0)}


def test_what_the_choice_misses_costs_an_iteration_and_never_makes_a_verdict(lab):
    at = ready(lab(FILES))
    at.inner.nearness = Blind()
    both = {"app/m0.py": BROKEN, "app/m5.py": BROKEN}
    first = run(at, both).effect.report
    assert (seen(first), due(at.state)) == ({"tests/test_m0.py"}, Due.COMMIT)
    assert "tests/test_m5.py::test_one" in first.ids(Status.PASSED), "as it was seen before"

    second = run_again(at, {"app/m0.py": FILES["app/m0.py"]})
    assert (second.reused, second.failing) == (0, ("tests/test_m5.py::test_one",))
    assert due(at.state) is Due.COMMIT, "there is nothing to judge"

    verdict = at.verdict()
    assert verdict.kind is VerdictKind.FAILED
    assert (verdict.report.reused, verdict.report.failing) == (0, second.failing)


def test_what_stands_as_it_did_was_not_seen_on_this_tree(lab):
    """Else the other tests, once they run and fail, would pass for flaky, and nobody would be told of them."""
    at = ready(lab(FILES))
    at.inner.nearness = Blind()
    run(at, {"app/m0.py": BROKEN, "app/m5.py": BROKEN})
    at.committed()
    at.call("finish", '{"status": "done"}')
    at.events += at.inner.test(at.state)

    assert at.state.report.failing == ("tests/test_m0.py::test_one", "tests/test_m5.py::test_one")
    assert (at.state.report.flaky, at.state.hidden) == ((), frozenset())


def test_a_test_that_newly_fails_by_chance_is_no_reason_to_stop(lab, tmp_path):
    """It fails the first time and never again."""
    ran = tmp_path / "ran"
    by_chance = (
        "from pathlib import Path\nfrom app import m5\n\n\ndef test_one():\n    assert m5.f() == 5\n\n\n"
        f"def test_two():\n    ran = Path({str(ran)!r})\n    first = not ran.exists()\n    ran.touch()\n"
        "    assert not first\n"
    )
    at = ready(lab({**FILES, "tests/test_m5.py": by_chance}))
    report = run(at, {"app/m5.py": SOUND}).effect.report

    assert report.reused == 0
    assert report.failing == ()
