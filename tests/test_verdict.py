"""By which rules results of a suite become a shortfall, as tables."""

import pytest

from agent.baseline import Standings
from agent.testreport import Status, TestCase, TestReport
from agent.verdict import CaseResult, Witness, differences, shortfall, targets_of
from tests.kits import report

MODES = ["new", "fix", "change"]
A, B = "tests/test_x.py::a", "tests/test_x.py::b"


def listed(*cases: tuple[str, str], exit_code: int) -> TestReport:
    """A report of cases by their full ids."""
    return TestReport(
        cases=tuple(TestCase(id=case_id, status=Status(status)) for case_id, status in cases), exit_code=exit_code
    )


CASES = {
    # base, result, shortfall under new and fix, shortfall under change
    "green": (report(a="failed"), report(a="passed"), (), ()),
    "the target fails still": (
        report(a="failed", b="passed"),
        report(a="failed", b="passed"),
        (f"{A} does not pass",),
        (),
    ),
    "the target errs instead": (
        report(a="failed", b="passed"),
        report(a="error", b="passed"),
        (f"{A} does not pass",),
        (),
    ),
    "the target is lost": (
        report(a="failed", b="passed"),
        report(b="passed"),
        (f"{A} does not pass",),
        (f"{A} failed at the base and is lost on the result",),
    ),
    "the target is skipped": (
        report(a="failed", b="passed"),
        report(a="skipped", b="passed"),
        (f"{A} does not pass",),
        (f"{A} failed at the base and is skipped on the result",),
    ),
    "the target is expected to fail": (
        report(a="failed", b="passed"),
        report(a="xfailed", b="passed"),
        (f"{A} does not pass",),
        (f"{A} failed at the base and is expected to fail on the result",),
    ),
    "a passing test breaks": (
        report(a="passed", b="passed"),
        report(a="failed", b="passed"),
        (f"{A} passed at the base and fails on the result",),
        (f"{A} passed at the base and fails on the result",),
    ),
    "a passing test is lost": (
        report(a="passed", b="passed"),
        report(b="passed"),
        (f"{A} passed at the base and is lost on the result",),
        (f"{A} passed at the base and is lost on the result",),
    ),
    "a passing test is skipped": (
        report(a="passed", b="passed"),
        report(a="skipped", b="passed"),
        (f"{A} passed at the base and is skipped on the result",),
        (f"{A} passed at the base and is skipped on the result",),
    ),
    "a passing test is expected to fail": (
        report(a="passed", b="passed"),
        report(a="xfailed", b="passed"),
        (f"{A} passed at the base and is expected to fail on the result",),
        (f"{A} passed at the base and is expected to fail on the result",),
    ),
    "skips and xfails of the base stay": (
        report(a="skipped", b="xfailed", c="passed"),
        report(a="skipped", b="xfailed", c="passed"),
        (),
        (),
    ),
    "skips and xfails of the base pass": (
        report(a="skipped", b="xfailed", c="passed"),
        report(a="passed", b="passed", c="passed"),
        (),
        (),
    ),
    "a skip of the base is lost": (
        report(a="skipped", b="passed"),
        report(b="passed"),
        (f"{A} skipped at the base and is lost on the result",),
        (f"{A} skipped at the base and is lost on the result",),
    ),
    "a skip of the base fails": (
        report(a="skipped", b="passed"),
        report(a="failed", b="passed"),
        (f"{A} fails",),
        (f"{A} fails",),
    ),
    "an xfail of the base is lost": (
        report(a="xfailed", b="passed"),
        report(b="passed"),
        (f"{A} xfailed at the base and is lost on the result",),
        (f"{A} xfailed at the base and is lost on the result",),
    ),
    "an xfail of the base is skipped": (
        report(a="xfailed", b="passed"),
        report(a="skipped", b="passed"),
        (f"{A} xfailed at the base and is skipped on the result",),
        (f"{A} xfailed at the base and is skipped on the result",),
    ),
    "a test that is not of the base passes, and one is skipped": (
        report(a="passed"),
        report(a="passed", b="passed", c="skipped"),
        (),
        (),
    ),
    "a test that is not of the base fails": (
        report(a="passed"),
        report(a="passed", b="failed"),
        (f"{B} fails",),
        (f"{B} fails",),
    ),
    "no failure, but a bad exit code": (
        report(a="passed"),
        report(a="passed", exit_code=1),
        ("the exit code 1 contradicts the report (1 passed)",),
        ("the exit code 1 contradicts the report (1 passed)",),
    ),
    "a failure, but a good exit code": (
        report(a="passed"),
        report(a="passed", b="failed", exit_code=0),
        (f"{B} fails", "the exit code 0 contradicts the report (1 failed, 1 passed)"),
        (f"{B} fails", "the exit code 0 contradicts the report (1 failed, 1 passed)"),
    ),
    "no trustworthy result": (
        report(a="passed"),
        report(a="passed", problem="the report is cut off"),
        ("there is no trustworthy test result: the report is cut off",),
        ("there is no trustworthy test result: the report is cut off",),
    ),
    "nothing before and nothing after": (report(), report(), ("no test passed",), ("no test passed",)),
    "nothing but skips": (
        report(a="skipped"),
        report(a="skipped"),
        ("no test passed",),
        ("no test passed",),
    ),
    "a target that passes and errs in one report": (
        report(a="failed"),
        listed((A, "passed"), (A, "error"), (B, "passed"), exit_code=1),
        (f"{A} does not pass",),
        (),
    ),
    "a passing test that passes and errs in one report": (
        report(a="passed"),
        listed((A, "passed"), (A, "error"), (B, "passed"), exit_code=1),
        (f"{A} passed at the base and fails on the result",),
        (f"{A} passed at the base and fails on the result",),
    ),
    "a test that was seen both ways at the base": (
        listed((A, "passed"), (A, "failed"), (B, "passed"), exit_code=1),
        report(a="failed", b="passed"),
        (f"{A} does not pass",),
        (),
    ),
    "a file that was not collected passes": (
        listed(("tests/test_x.py", "error"), exit_code=2),
        report(a="passed", b="passed"),
        (),
        (),
    ),
    "a file that was not collected is not collected": (
        listed(("tests/test_x.py", "error"), ("tests/test_y.py::c", "passed"), exit_code=2),
        listed(("tests/test_x.py", "error"), ("tests/test_y.py::c", "passed"), exit_code=2),
        ("tests/test_x.py does not pass",),
        (),
    ),
    "a file that was not collected fails in part": (
        listed(("tests/test_x.py", "error"), exit_code=2),
        report(a="passed", b="failed"),
        ("tests/test_x.py does not pass", f"{B} fails"),
        (f"{B} fails",),
    ),
    "a file that was not collected is lost": (
        listed(("tests/test_x.py", "error"), ("tests/test_y.py::c", "passed"), exit_code=2),
        listed(("tests/test_y.py::c", "passed"), exit_code=0),
        ("tests/test_x.py does not pass",),
        ("tests/test_x.py failed at the base and is lost on the result",),
    ),
    "a file that was not collected is all skips": (
        listed(("tests/test_x.py", "error"), ("tests/test_y.py::c", "passed"), exit_code=2),
        listed(("tests/test_x.py::a", "skipped"), ("tests/test_y.py::c", "passed"), exit_code=0),
        ("tests/test_x.py does not pass",),
        ("tests/test_x.py failed at the base and is skipped on the result",),
    ),
    "a file whose name begins like the target's is another": (
        listed(("tests/test_x.py", "error"), exit_code=2),
        listed(("tests/test_x.pyc::a", "passed"), exit_code=0),
        ("tests/test_x.py does not pass",),
        ("tests/test_x.py failed at the base and is lost on the result",),
    ),
    "a file that was collected is not collected any more": (
        report(a="passed"),
        listed(("tests/test_x.py", "error"), ("tests/test_y.py::c", "passed"), exit_code=2),
        (f"{A} passed at the base and is lost on the result", "tests/test_x.py fails"),
        (f"{A} passed at the base and is lost on the result", "tests/test_x.py fails"),
    ),
    "a file that was skipped as a whole is collected": (
        listed(("tests/test_x.py", "skipped"), exit_code=0),
        report(a="passed"),
        (),
        (),
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_the_shortfall_of_a_result_against_the_base(mode, name):
    base, result, strict, lenient = CASES[name]
    assert shortfall(mode, base, result) == (lenient if mode == "change" else strict)


FLAKY = Standings(flaky=frozenset({A}))
WANTING = Standings(environmental={A: "no network"})


@pytest.mark.parametrize("standings", [FLAKY, WANTING])
@pytest.mark.parametrize(("was", "now"), [("passed", "failed"), ("failed", "passed"), ("failed", "failed")])
def test_what_is_no_measure_may_pass_or_fail(standings, was, now):
    before, after = report(a=was, b="passed"), report(a=now, b="passed")

    assert shortfall("fix", before, after, standings) == ()
    assert targets_of("fix", before, standings) == ()


@pytest.mark.parametrize("standings", [FLAKY, WANTING])
def test_what_is_no_measure_must_not_be_lost(standings):
    assert shortfall("fix", report(a="failed", b="passed"), report(b="passed"), standings) == (
        f"{A} failed at the base and is lost on the result",
    )


def test_a_test_that_wants_what_the_sandbox_lacks_must_not_be_skipped_anew():
    assert shortfall("fix", report(a="failed", b="passed"), report(a="skipped", b="passed"), WANTING) == (
        f"{A} failed at the base and is skipped on the result",
    )


def varying(*ended: str, first: int, other: str = "passed"):
    """A report with a test whose parameters have another id each time."""
    cases = [(f"t.py::test_r[{number}]", how) for number, how in enumerate(ended, first)]
    return listed(*cases, (B, other), exit_code=int("failed" in ended))


BEFORE = varying("passed", "failed", first=10)
UNSTABLE = Standings(unstable=frozenset({"t.py::test_r[10]", "t.py::test_r[11]"}))


@pytest.mark.parametrize(
    ("mode", "after", "reasons"),
    [
        ("fix", varying("passed", "passed", first=20), ()),
        ("fix", varying("passed", "failed", first=20), ("t.py::test_r[: 1 of the tests whose ids vary fail",)),
        ("change", varying("passed", "failed", first=20), ()),
        ("change", varying("failed", "failed", first=20),
         ("t.py::test_r[: 0 of the tests whose ids vary pass, and 1 did at the base",)),
        ("change", varying("passed", first=20), ("t.py::test_r[: 1 of 2 tests whose ids vary are lost",)),
        ("change", varying("passed", "failed", "failed", first=20),
         ("t.py::test_r[: 2 of the tests whose ids vary fail",)),
    ],
)  # fmt: skip
def test_tests_whose_ids_vary_are_counted(mode, after, reasons):
    assert shortfall(mode, BEFORE, after, UNSTABLE) == reasons
    assert shortfall(mode, BEFORE, after) != ()


def test_each_difference_says_which_test_it_is_about_and_how_that_may_end():
    before, after = report(a="failed", b="passed", c="passed"), report(a="failed", b="failed", c="passed")
    target, broken = differences("fix", before, after)

    assert (target.id, target.target, target.good) == (A, True, {Status.PASSED})
    assert (broken.id, broken.target, broken.good) == (B, False, {Status.PASSED})


@pytest.mark.parametrize(("mode", "targets"), [("new", (A,)), ("fix", (A,)), ("change", ())])
def test_the_targets_are_the_failures_of_the_base_except_under_change(mode, targets):
    assert targets_of(mode, report(a="failed", b="passed")) == targets


@pytest.mark.parametrize(
    ("base", "result", "proves"),
    [(False, True, True), (True, True, False), (False, False, False), (True, False, False)],
)
def test_a_witness_fails_on_the_base_and_holds_on_the_result(base, result, proves):
    shown = {held: CaseResult(exit_code=0, output="", holds=held) for held in (True, False)}
    witness = Witness(behaviour="it adds", command="add 1 1", base=shown[base], result=shown[result])
    assert witness.proves is proves
