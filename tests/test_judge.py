"""The judge's verdicts: what each kind takes, and the reasons that a person or a model can act on."""

import uuid
from dataclasses import replace

import pytest

from agent import events as e
from agent.task import Criterion, LeftFile
from agent.testreport import Status, TestCase, TestReport
from agent.verdict import Verdict, VerdictKind
from sandbox import Command, SetupFailed
from tests.lab import QUICK, HereEngine, IsolatedEngine, showing

TEST = "def test_sum():\n    from app import add\n\n    assert add(1, 2) == 3\n"
BASE = {
    "pytest.ini": "[pytest]\npythonpath = .\n",
    "app.py": "def add(a, b):\n    return a - b\n",
    "tests/test_app.py": TEST,
}
MENDED = {"app.py": "def add(a, b):\n    return a + b\n"}
ANY_TEST = "tests/test_loose.py::test_any"
SHOWS = Criterion(behaviour="it adds", command="python -c 'import app; print(app.add(1, 2))'", output="3")
HELD = Criterion(behaviour="it can be imported", command="python -c 'import app'")
GUARD = replace(HELD, before="holds")


@pytest.fixture
def judged(lab):
    """The verdict on `files` over the base, for a run whose plan has `criteria`."""

    def made(files, *, mode="change", criteria=(SHOWS,), engine=None):
        at = lab(BASE, mode=mode, engine=engine or IsolatedEngine())
        at.known(sum="failed")
        at.planned(criteria=criteria)
        at.wrote(at.put(files))
        return at.verdict()

    return made


def test_a_repair_passes_without_any_criterion(judged):
    verdict = judged(MENDED, mode="fix", criteria=())

    assert (verdict.kind, verdict.reasons, verdict.witnesses) == (VerdictKind.PASSED, (), ())
    assert verdict.report is not None
    assert verdict.report.ok
    assert verdict.test == QUICK
    assert verdict.environment
    assert verdict.seconds > 0


def test_a_change_passes_with_a_witness_that_failed_before(judged):
    verdict = judged(MENDED)

    assert verdict.kind is VerdictKind.PASSED
    (witness,) = verdict.witnesses
    assert (witness.base.output, witness.base.holds) == ("-1\n", False)
    assert (witness.result.output, witness.result.holds) == ("3\n", True)


def test_a_target_that_still_fails_is_named(judged):
    verdict = judged({"README": "done"}, mode="fix")

    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reasons == ("tests/test_app.py::test_sum does not pass", "no test passed")


def test_a_sealed_file_that_was_changed_all_the_same_is_found_before_anything_runs(judged):
    verdict = judged({**MENDED, "tests/test_app.py": "def test_sum(): pass\n"}, mode="fix")

    assert (verdict.kind, verdict.report) == (VerdictKind.FAILED, None)
    assert verdict.reasons == ("`tests/test_app.py` is sealed: it is part of the tests that judge the run",)


def test_a_criterion_that_does_not_hold_leaves_it_unproven_and_says_what_was_seen(judged):
    wanted = Criterion(behaviour="it says more", command="echo less; exit 3", output="more")
    verdict = judged(MENDED, criteria=(SHOWS, wanted))

    assert verdict.kind is VerdictKind.UNPROVEN
    assert verdict.reasons == ("`echo less; exit 3` does not show: it says more (exit code 3, printed 'less\\n')",)


def test_criteria_that_held_already_prove_nothing(judged):
    verdict = judged(MENDED, criteria=(GUARD,))

    assert verdict.kind is VerdictKind.UNPROVEN
    assert verdict.reasons == (
        "no acceptance criterion failed before the change and holds after it: there is no witness",
    )


def test_a_criterion_without_a_witness_leaves_it_unproven_whatever_the_others_show(judged):
    verdict = judged(MENDED, criteria=(HELD, SHOWS))

    assert verdict.kind is VerdictKind.UNPROVEN
    assert verdict.reasons == (
        "`python -c 'import app'` held before the change already, so it does not show: it can be imported",
    )


def test_a_guard_has_only_to_hold_still(judged):
    verdict = judged(MENDED, criteria=(GUARD, SHOWS))
    assert verdict.kind is VerdictKind.PASSED
    assert [witness.proves for witness in verdict.witnesses] == [False, True]

    broken = judged({"app.py": "def add(a, b):\n    return a + b\n\n\nraise SystemExit\n"}, criteria=(GUARD, SHOWS))
    assert broken.kind is not VerdictKind.PASSED


JSON = "import json\n\n\ndef test_json():\n    from app import add\n\n    assert json.dumps(add(1, 2)) == '3'\n"


def by_test(name):
    return Criterion(behaviour="it adds, in JSON", test=f"tests/test_json.py::{name}")


def test_a_test_is_a_witness_if_it_is_red_where_the_work_is_not_done(judged):
    verdict = judged({**MENDED, "tests/test_json.py": JSON}, criteria=(by_test("test_json"),))

    assert (verdict.kind, verdict.reasons) == (VerdictKind.PASSED, ())
    (witness,) = verdict.witnesses
    assert (witness.command, witness.base.holds, witness.proves) == ("tests/test_json.py::test_json", False, True)


def test_a_test_that_passes_without_the_work_is_none(judged):
    hollow = "def test_json():\n    assert '3'.isdigit()\n"
    verdict = judged({**MENDED, "tests/test_json.py": hollow}, criteria=(by_test("test_json"),))

    assert verdict.kind is VerdictKind.UNPROVEN
    assert "held before the change already" in verdict.reasons[0]


def test_a_test_that_does_not_pass_or_is_not_there_shows_nothing(judged):
    verdict = judged({**MENDED, "tests/test_json.py": JSON}, criteria=(by_test("test_xml"), SHOWS))

    assert verdict.kind is VerdictKind.UNPROVEN
    assert verdict.reasons == (
        "`tests/test_json.py::test_xml` does not show: it adds, in JSON (exit code 0, printed 'there is no such test')",
    )


def test_all_variants_of_a_test_have_to_pass(judged):
    marked = "import pytest\n\nfrom app import add\n\n\n@pytest.mark.parametrize('n', [1, 2])\n"
    many = f"{marked}def test_n(n):\n    assert add(n, n) == 2 * n\n"
    verdict = judged({**MENDED, "tests/test_json.py": many}, criteria=(by_test("test_n"),))

    assert (verdict.kind, verdict.reasons) == (VerdictKind.PASSED, ())


def leaving(*files):
    command = 'python -c \'import app; open("out.txt", "w").write(str(app.add(1, 2)))\''
    return Criterion(
        behaviour="it writes the sum", command=command, files=tuple(LeftFile(path=p, text=t) for p, t in files)
    )


def test_files_that_a_case_leaves_are_compared_here(judged):
    assert judged(MENDED, criteria=(leaving(("out.txt", "3")),)).reasons == ()
    wrong = judged(MENDED, criteria=(leaving(("out.txt", "4"), ("other/out.txt", "")), SHOWS))
    assert wrong.kind is VerdictKind.UNPROVEN
    assert "out.txt does not hold '4'; it leaves no file other/out.txt)" in wrong.reasons[0]


def test_a_change_without_criteria_is_unproven(judged):
    assert judged(MENDED, criteria=()).kind is VerdictKind.UNPROVEN


def test_a_local_sandbox_proves_nothing(judged):
    verdict = judged(MENDED, engine=HereEngine())

    assert (verdict.kind, verdict.environment) == (VerdictKind.UNPROVEN, "")
    assert verdict.reasons == ("the tests passed, but nothing isolated them: a local sandbox proves nothing",)


ALWAYS = {"app.py": "from unittest.mock import ANY\n\n\ndef add(a, b):\n    return ANY\n"}


def test_a_result_that_equals_everything_is_suspect(judged):
    verdict = judged(ALWAYS, mode="fix", criteria=())

    assert verdict.kind is VerdictKind.SUSPECT
    assert verdict.reasons == ("tests/test_app.py::test_sum passes whatever values it expects",)
    assert "1 with other values expected, 1 of which passed" in verdict.control


def test_a_test_that_wavers_in_the_working_copy_alone_is_controlled_all_the_same(lab):
    at = lab(BASE, mode="fix", engine=IsolatedEngine())
    at.known(sum="failed")
    at.planned()
    always = at.put(ALWAYS)
    at.wrote(always, sum="failed")
    at.wrote(always, sum="passed")
    assert at.state.hidden == {"tests/test_app.py::test_sum"}

    assert at.verdict().reasons == ("tests/test_app.py::test_sum passes whatever values it expects",)


def test_a_test_that_passed_whatever_it_expects_before_is_the_users_own(lab):
    loose = "from unittest.mock import ANY\n\n\ndef test_any():\n    assert ANY == 5\n"
    at = lab({**BASE, "tests/test_loose.py": loose}, mode="fix", engine=IsolatedEngine())
    at.measured()
    at.planned()
    at.tested(at.put(MENDED))
    verdict = at.verdict()

    assert verdict.kind is VerdictKind.PASSED, verdict.reasons
    assert "2 with other values expected, 1 of which passed (1 did so before the work, too)" in verdict.control


FORGIVING = """import pytest


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    try:
        return (yield)
    except AssertionError:
        if pyfuncitem.path.name != "test_loose.py":
            raise
        return True
"""


def test_a_test_that_could_not_fail_before_is_the_users_own(lab):
    loose = "def test_any():\n    assert len('a') == 1\n"
    files = {**BASE, "tests/conftest.py": FORGIVING, "tests/test_loose.py": loose}
    at = lab(files, mode="fix", engine=IsolatedEngine())
    at.measured()
    at.planned()
    at.tested(at.put(MENDED))
    verdict = at.verdict()

    assert verdict.kind is VerdictKind.PASSED, verdict.reasons
    assert "2 tests made to fail, 1 of which passed" in verdict.control
    assert "1 of which passed (1 did so before the work, too)" in verdict.control


def test_a_test_that_cannot_fail_any_more_is_suspect_though_it_expected_nothing_before(lab):
    loose = "from unittest.mock import ANY\n\n\ndef test_any():\n    assert ANY == 5\n"
    at = lab({**BASE, "tests/test_loose.py": loose}, mode="fix", engine=IsolatedEngine())
    at.measured()
    at.planned()
    at.tested(at.put(MENDED))
    forgiving = Verdict(
        kind=VerdictKind.PASSED, tree=at.put({**MENDED, "conftest.py": FORGIVING}), report=at.state.report
    )
    reasons, _ = at.judge._control(at.state, forgiving)

    assert "tests/test_loose.py::test_any passes although it was made to fail" in reasons


def test_the_control_goes_on_though_the_command_stops_at_the_first_failure(lab):
    first = "def test_first():\n    assert len('a') == 1\n"
    at = lab({**BASE, "tests/test_a.py": first}, mode="fix", engine=IsolatedEngine(), test=f"{QUICK} -x")
    at.known(sum="failed")
    at.planned()
    at.wrote(at.put(MENDED))
    verdict = at.verdict()

    assert verdict.kind is VerdictKind.PASSED, verdict.reasons
    assert "without" not in verdict.control


def test_a_file_that_cannot_be_collected_in_the_control_leaves_out_no_other(lab):
    picky = "import inspect, sys\n\nassert 'greenward' not in inspect.getsource(sys.modules[__name__])\n"
    own = picky.replace("'greenward'", "'green' + 'ward'") + "\n\ndef test_own():\n    assert len('a') == 1\n"
    at = lab({**BASE, "tests/test_own.py": own}, mode="fix", engine=IsolatedEngine())
    at.known(sum="failed")
    at.planned()
    at.wrote(at.put(MENDED))
    verdict = at.verdict()

    assert verdict.kind is VerdictKind.PASSED, verdict.reasons
    assert verdict.control.endswith("(without tests/test_own.py)")


def test_a_flaky_test_is_not_controlled_for_it_may_pass_whatever_it_expects(lab):
    loose = "from unittest.mock import ANY\n\n\ndef test_any():\n    assert ANY == 5\n"
    at = lab({**BASE, "tests/test_loose.py": loose}, mode="fix", engine=IsolatedEngine())
    base = TestReport(cases=(*showing(sum="failed").cases, TestCase(id=ANY_TEST, status=Status.PASSED)), exit_code=1)
    at.events.append(e.BaselineMeasured(report=base, flaky=(ANY_TEST,)))
    at.planned()
    at.tested(at.put(MENDED))
    verdict = at.verdict()

    assert verdict.kind is VerdictKind.PASSED, verdict.reasons
    assert verdict.control.startswith("1 tests made to fail")


def test_a_users_test_that_was_opened_needs_review(lab):
    at = lab(BASE, engine=IsolatedEngine())
    at.known(sum="failed")
    at.planned(criteria=(SHOWS,))
    at.called("unseal", "{}")
    at.events.append(at.returned(at.state.tree, e.Unsealed(path="tests/test_app.py", reason="it is wrong")))
    at.wrote(at.put(MENDED))
    verdict = at.verdict()

    assert verdict.kind is VerdictKind.NEEDS_REVIEW
    assert verdict.reasons == ("the test file tests/test_app.py was opened for changes: it is wrong",)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ("return a + b + 1", "as it was before, tests/test_app.py::test_sum fails"),
        ("return 3 if (a, b) == (1, 2) else a + b + 1", "with the opened tests as they were before: 1 passed"),
    ],
)
def test_a_users_test_that_was_opened_and_changed_runs_as_it_was_before_too(lab, result, shown):
    at = lab(BASE, engine=IsolatedEngine())
    at.measured()
    at.planned(criteria=(replace(SHOWS, command="python -c 'import app; print(app.add(2, 2))'", output="5"),))
    at.called("unseal", "{}")
    at.events.append(at.returned(at.state.tree, e.Unsealed(path="tests/test_app.py", reason="it is to be one more")))
    changed = TEST.replace("add(1, 2) == 3", "add(2, 2) == 5")
    at.tested(at.put({"app.py": f"def add(a, b):\n    {result}\n", "tests/test_app.py": changed}))
    verdict = at.verdict()

    assert verdict.kind is VerdictKind.NEEDS_REVIEW
    assert verdict.reasons[1:] == (shown,)


def test_without_a_baseline_there_is_no_verdict_but_an_error(lab):
    at = lab(BASE, engine=IsolatedEngine())
    at.wrote(at.put(MENDED))
    verdict = at.verdict()

    assert (verdict.kind, verdict.reasons) == (VerdictKind.ERROR, ("there is no baseline",))


def test_manifests_that_cannot_be_installed_fail_the_tree(judged):
    class Failing(IsolatedEngine):
        def prepare(self, setup, say):
            if any(b"nonsense" in data for data in setup.files.values()):
                raise SetupFailed("the setup ended with exit code 1")
            return super().prepare(setup, say)

    verdict = judged({**MENDED, "requirements.txt": "nonsense\n"}, engine=Failing())
    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reasons == ("what the manifests ask for cannot be installed: the setup ended with exit code 1",)


# Criteria


def test_each_case_runs_in_a_copy_of_its_own_and_sees_no_git(judged):
    def case(command):
        return Criterion(behaviour=command, command=command, before="holds")

    criteria = (
        SHOWS,
        case("test ! -e left && touch left"),
        case("test ! -e left && touch left"),
        case("test ! -e .git && ! git rev-parse --git-dir"),
        case('test -z "$GREENWARD_OUT"'),
    )
    assert judged(MENDED, criteria=criteria).reasons == ()


def test_what_a_case_prints_is_compared_here_but_for_white_space(judged):
    def printing(wanted):
        return Criterion(
            behaviour=wanted, command="printf 'a   1\\n\\tb 2\\n'; echo oops >&2", output=wanted, before="holds"
        )

    assert judged(MENDED, criteria=(SHOWS, printing("a 1 b 2"), printing("oops"))).reasons == ()
    assert len(judged(MENDED, criteria=(SHOWS, printing("a1"), printing("c"))).reasons) == 2


@pytest.mark.parametrize(
    ("command", "code"), [("exit 2", 2), ("kill -9 $$", 137), ("nowhere", 127), ("'unbalanced", 2)]
)
def test_a_case_holds_by_its_exit_code_whatever_it_is(judged, command, code):
    ends = Criterion(behaviour="it ends so", command=command, exit_code=code, before="holds")

    assert judged(MENDED, criteria=(SHOWS, ends)).reasons == ()


def test_a_case_cannot_answer_for_another_one(judged):
    """Its output and exit code are written where it ends, outside of its copy."""
    forging = Criterion(behaviour="forges", command='echo 0 > "${GREENWARD_OUT:?}/case-1.code"; true')
    failing = Criterion(behaviour="fails", command="exit 1")

    verdict = judged(MENDED, criteria=(SHOWS, failing, forging))
    assert [witness.result.exit_code for witness in verdict.witnesses] == [0, 1, 2]


def test_a_result_that_is_no_text_or_far_too_long_is_taken_as_it_is(judged):
    noisy = Criterion(behaviour="noise", command="printf '\\377\\033[2J'; seq 1 100000", output="99999", before="holds")
    verdict = judged(MENDED, criteria=(SHOWS, noisy))

    assert verdict.kind is VerdictKind.PASSED
    assert len(verdict.witnesses[1].result.output) <= 2_000


def test_cases_run_in_the_projects_directory(lab):
    at = lab({f"api/{path}": text for path, text in BASE.items()}, engine=IsolatedEngine(), cwd="api")
    at.known(sum="failed")
    at.planned(criteria=(SHOWS,))
    at.wrote(at.put({"api/app.py": MENDED["app.py"]}))

    assert at.verdict().kind is VerdictKind.PASSED


def test_cases_of_the_base_are_measured_once(lab):
    at = lab(BASE, engine=IsolatedEngine())
    at.known(sum="failed")
    at.planned(criteria=(SHOWS, Criterion(behaviour="never", command="exit 1")))
    at.wrote(at.put(MENDED))
    first, at_first = at.verdict(), len(at.engine.fresh)
    second = at.verdict()

    assert first.witnesses == second.witnesses
    assert (at_first, len(at.engine.fresh) - at_first) == (3, 2)


# Tests that the run wrote, and opened again


WRITTEN = {"pytest.ini": BASE["pytest.ini"], "tests/test_app.py": TEST.replace("== 3", "== 4")}
"""Its import stands in the test, so that the test is known before there is an `app`."""


@pytest.fixture
def scaffold(lab):
    """A `new` run that wrote a wrong test, opened it and left `files`; the verdict on them."""

    def made(files, *, opened=("tests/test_app.py",)):
        at = lab({}, mode="new", engine=IsolatedEngine())
        at.planned(criteria=(SHOWS,))
        at.wrote(at.put(WRITTEN), sum="failed")
        at.committed()
        for path in opened:
            at.called("unseal", "{}")
            at.events.append(at.returned(at.state.tree, e.Unsealed(path=path, reason="1 + 2 is 3")))
        at.wrote(at.put({**MENDED, **files}))
        return at.verdict()

    return made


def test_a_corrected_test_that_is_red_without_the_code_passes_with_a_note(scaffold):
    verdict = scaffold({"tests/test_app.py": TEST})

    assert (verdict.kind, verdict.reasons) == (VerdictKind.PASSED, ())
    assert verdict.notes == ("the test file tests/test_app.py was opened for changes: 1 + 2 is 3",)


def test_a_corrected_test_that_passes_without_the_code_proves_nothing(scaffold):
    verdict = scaffold({"tests/test_app.py": "def test_sum():\n    assert 1 + 2 == 3\n"})

    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reasons == (
        "tests/test_app.py was opened and changed, and passes without the code that it is to test",
    )


def test_a_corrected_test_that_cannot_be_collected_without_the_code_is_red(scaffold):
    verdict = scaffold({"tests/test_app.py": f"import app\n{TEST}"})

    assert verdict.kind is VerdictKind.PASSED


def test_a_corrected_conftest_without_which_there_is_no_result_proves_nothing(lab):
    at = lab({}, mode="new", engine=IsolatedEngine())
    at.planned(criteria=(SHOWS,))
    at.wrote(at.put({**WRITTEN, "tests/conftest.py": ""}), sum="failed")
    at.committed()
    at.called("unseal", "{}")
    at.events.append(at.returned(at.state.tree, e.Unsealed(path="tests/conftest.py", reason="it needs the app")))
    at.wrote(at.put({"tests/conftest.py": "import app\n", "app.py": "def add(a, b):\n    return 4\n"}))

    (reason,) = at.verdict().reasons
    assert reason.startswith("tests/conftest.py was opened and changed, and without the code there is no test result")


def test_a_test_that_is_lost_is_not_corrected(scaffold):
    verdict = scaffold({"tests/test_app.py": TEST.replace("test_sum", "test_other")})

    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reasons == ("tests/test_app.py::test_sum does not pass",)


def test_a_file_that_was_opened_and_left_alone_asks_for_nothing(scaffold):
    verdict = scaffold({"app.py": "def add(a, b):\n    return a + b + 1\n"})

    assert verdict.kind is VerdictKind.UNPROVEN
    assert "does not show" in verdict.reasons[0]


def test_a_change_of_tests_that_were_not_opened_is_a_violation(scaffold):
    verdict = scaffold({"tests/test_app.py": TEST}, opened=())

    assert verdict.kind is VerdictKind.FAILED
    assert "is sealed" in verdict.reasons[0]


# In real containers


RUNNER = """\
import app, os, sys
failed = app.add(1, 2) != 3
body = '<failure message="no"/>' if failed else ""
case = f'<testcase classname="tests.test_app" name="test_sum" file="tests/test_app.py">{body}</testcase>'
with open(os.environ["GREENWARD_OUT"] + "/junit.xml", "w") as file:
    file.write(f"<testsuites><testsuite>{case}</testsuite></testsuites>")
sys.exit(failed)
"""
"""Stands for pytest, which the base image does not have."""


@pytest.fixture
def contained(lab):
    """A laboratory whose commands run in containers of the base image."""
    from sandbox.engine import connect
    from sandbox.images import DEFAULT
    from sandbox.setup import DockerEngine

    client = connect({})
    made = []

    def make(root, **options):
        engine = DockerEngine(client, host={}, cache=root)
        options |= {"image": DEFAULT, "setup": f": {uuid.uuid4()}", "test": "python runner.py", "engine": engine}
        made.append(lab({"app.py": BASE["app.py"], "runner.py": RUNNER, "tests/test_app.py": TEST}, **options))
        return made[-1]

    yield make
    for at in made:
        at.place.close()
        environment, _ = at.place.prepare(at.state, at.state.base)
        client.remove_image(environment.id)
    client.close()


@pytest.mark.docker
def test_a_verdict_of_containers_is_a_proof_and_nothing_of_git_was_there(contained, tmp_path):
    at = contained(tmp_path)
    at.measured()
    commands = ('test -z "$(find / -xdev -name .git 2>/dev/null)"', "! ls /sys/class/net | grep -v lo")
    guards = tuple(Criterion(behaviour="nothing there", command=each, before="holds") for each in commands)
    at.planned(criteria=(SHOWS, *guards))
    at.wrote(at.put(MENDED))
    verdict = at.verdict()

    assert (verdict.kind, verdict.reasons) == (VerdictKind.PASSED, ())
    assert verdict.environment.startswith("sha256:")


@pytest.mark.docker
def test_what_was_left_in_the_working_container_is_not_there_for_the_judge(contained, tmp_path):
    at = contained(tmp_path)
    at.measured()
    at.planned(criteria=(SHOWS,))
    cheating = at.put({"app.py": "import sys\nsys.path.insert(0, '/tmp')\nfrom left import add\n"})
    at.place.execute(at.state, at.state.base, Command(script="echo 'def add(a, b): return 3' > /tmp/left.py"))
    at.wrote(cheating)

    assert at.bench.run(at.state, cheating).ok
    assert at.verdict().kind is VerdictKind.FAILED


def test_the_control_counts_that_each_failure_takes_its_time():
    from agent.judge import _within_time

    thousands = [f"tests/test_{file}.py::test_{n}" for file in "abc" for n in range(1200)]
    quick = TestReport(cases=tuple(TestCase(id=each, status=Status.PASSED) for each in thousands))

    def files(first=frozenset()):
        return {case_id.partition("::")[0] for case_id in _within_time(quick, first).ids()}

    assert files() == {"tests/test_a.py", "tests/test_b.py"}
    assert "tests/test_c.py" in files(frozenset({"tests/test_c.py"})), "what was to be mended comes first"
