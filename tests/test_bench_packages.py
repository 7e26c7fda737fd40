"""Real packages before the judge: what is compared, and what counts as chance."""

import pytest

from agent.testreport import Status, TestCase, TestReport
from bench.atbase import touched
from bench.packages import comparison


def report(**cases):
    return TestReport(cases=tuple(TestCase(id=name, status=Status(how)) for name, how in cases.items()))


def test_tests_that_ended_differently_or_are_lost_are_named():
    judged, plain = report(a="passed", b="failed", d="xfailed"), report(a="passed", b="passed", c="passed", d="skipped")
    compared = comparison(judged, plain, lambda: plain)

    assert (compared.differing, compared.flaky) == (("b", "c", "d"), ())


def test_what_differs_between_plain_runs_is_flaky():
    judged, plain = report(a="failed", b="failed"), report(a="passed", b="passed")
    compared = comparison(judged, plain, lambda: report(a="failed", b="passed"))

    assert (compared.differing, compared.flaky) == (("b",), ("a",))


def test_ids_that_are_new_in_each_run_are_flaky_and_one_that_is_lost_is_not():
    judged, plain = report(**{"a[16:47]": "passed"}), report(**{"a[16:48]": "passed", "b[1]": "passed"})
    compared = comparison(judged, plain, lambda: plain)

    assert (compared.differing, compared.flaky) == (("b[1]",), ("a[16:47]", "a[16:48]"))


def test_where_nothing_differs_there_is_no_second_plain_run():
    def again():
        pytest.fail("there is nothing to find out")

    assert comparison(report(a="passed"), report(a="passed"), again).differing == ()


def test_the_module_that_is_touched_is_the_packages_own():
    paths = ("tests/__init__.py", "docs/examples/__init__.py", "src/app/deeper/__init__.py", "src/app/__init__.py")

    assert touched(dict.fromkeys(paths, (b"", False))) == "src/app/__init__.py"
