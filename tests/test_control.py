"""The control: tests that are made to fail, and what it means if one still passes."""

import subprocess
import sys

import pytest

from agent.control import control_of, sabotage
from agent.junit import parse
from agent.testreport import Status, TestCase, TestReport

SUITE = b'''
import unittest

import pytest


def test_plain():
    """Passes."""
    assert True


def test_that_returns():
    return


@pytest.mark.parametrize("n", [1, 2])
def test_of_numbers(n):
    try:
        assert n
    except AssertionError:
        pass


def test_that_skips_itself_inside():
    pytest.importorskip("sys")


class TestGroup:
    def test_inside(self):
        assert self

    class TestDeeper:
        def test_deep(self):
            assert self


class OldStyle(unittest.TestCase):
    def test_old(self):
        self.assertTrue(True)


def helper():
    return 1
'''


def run(directory, name, source):
    (directory / name).write_bytes(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
    report = directory / "report.xml"
    done = subprocess.run(
        [*command, f"--junitxml={report}", "-o", "junit_family=xunit1"], cwd=directory, capture_output=True, check=False
    )
    return parse(report.read_bytes(), exit_code=done.returncode)


def reported(*ids):
    return TestReport(cases=tuple(TestCase(id=each, status=Status.PASSED) for each in ids))


def test_every_test_of_an_honest_suite_fails_in_the_control(tmp_path):
    honest = run(tmp_path, "test_suite.py", SUITE)
    assert len(honest.ids(Status.PASSED)) == 8
    control = control_of(honest, lambda path: SUITE)
    made = control.files["test_suite.py"]
    assert control.tests == 7
    report = run(tmp_path, "test_suite.py", made.source)
    assert report.ids(Status.FAILED) >= honest.ids(Status.PASSED)
    assert report.ids(Status.PASSED) == {f"test_suite.py::{made.must_pass}"}
    assert (control.suspects(report), control.insensible(report)) == ((), ())
    assert control.left_out(report) == ()


def test_a_report_that_repeats_itself_is_suspect():
    forged = reported("test_suite.py::test_plain", "test_suite.py::test_of_numbers[1]")
    control = control_of(forged, lambda path: SUITE)
    assert control.suspects(forged) == ("test_suite.py::test_of_numbers[1]", "test_suite.py::test_plain")
    assert control.left_out(forged) == ("test_suite.py",)


def test_tests_that_are_not_written_out_in_their_file_are_left_out():
    report = reported("test_suite.py::TestInherited::test_elsewhere", "test_suite.py::test_suite.doc", "notes.rst::doc")
    control = control_of(report, lambda path: SUITE)
    assert (control.files, control.tests, control.suspects(report)) == ({}, 0, ())


def test_what_is_no_python_is_left_out():
    assert sabotage(b"def test_a(:\n", ["test_a"]) is None
    assert sabotage(b"\xff\xfe", ["test_a"]) is None
    assert control_of(reported("gone.py::test_a"), lambda path: None).files == {}


def test_a_future_import_and_an_encoding_stay_what_they_are(tmp_path):
    source = "# coding: latin-1\nfrom __future__ import annotations\n\n\ndef test_word():\n    assert 'é'\n"
    made = sabotage(source.encode("latin-1"), ["test_word"])
    report = run(tmp_path, "test_coded.py", made.source)
    assert report.ids(Status.FAILED) == {"test_coded.py::test_word"}
    assert report.ids(Status.PASSED) == {f"test_coded.py::{made.must_pass}"}


# Twins that expect something else

ALWAYS_EQUAL = b"""
import pytest


class Always:
    def __eq__(self, other):
        return True


class TestIt:
    @pytest.mark.parametrize("n", ["a b", "c::d"])
    def test_of(self, n):
        assert Always() == 5

    def test_honest(self):
        assert 2 + 3 == 5


def test_plain():
    assert Always() == [1, 2] and 3 == 3.0
"""


def test_a_test_that_passes_whatever_it_expects_is_named_as_the_runner_names_it(tmp_path):
    first = run(tmp_path, "test_it.py", ALWAYS_EQUAL)
    control = control_of(first, lambda path: ALWAYS_EQUAL)
    report = run(tmp_path, "test_it.py", control.files["test_it.py"].source)
    assert control.suspects(report) == ()
    assert control.insensible(report) == (
        "test_it.py::TestIt::test_of[a b]", "test_it.py::TestIt::test_of[c::d]", "test_it.py::test_plain",
    )  # fmt: skip
    assert control.twins == 3


FAILING = {
    "numbers": "assert round(2.5) == 2",
    "negative": "assert -2 == int('-2')",
    "text": "assert 'a'.upper() == 'A'",
    "bytes": "assert bytes(1) == b'\\0'",
    "nothing": "assert {}.get(1) == None",
    "truth": "assert (not 0) == True",
    "list": "assert [x for x in 'ab'] == ['a', 'b']",
    "tuple": "assert tuple('ab') == ('a', 'b')",
    "set": "assert set('ab') == {'b', 'a'}",
    "mapping": "assert dict(a=1) == {'a': 1}",
    "left": "assert 5 == 2 + len('abc')",
    "one of two": "assert len('a') == 1 and print() is None",
    "after a loop": "for n in []:\n        assert n == 1\n    assert len('a') == 1",
    "in a block": "with open('/dev/null'):\n        assert len('a') == 1",
    "approximately": "from pytest import approx\n    assert 1.0 == approx(1.0) and len('a') == 1",
}


@pytest.mark.parametrize("body", FAILING.values(), ids=FAILING)
def test_what_equals_a_literal_does_not_equal_the_one_in_its_place(tmp_path, body):
    source = f"def test_a():\n    {body}\n".encode()
    made = sabotage(source, ["test_a"])
    assert list(made.twins.values()) == ["test_a"]
    (twin,) = made.twins
    assert f"test_x.py::{twin}" in run(tmp_path, "test_x.py", made.source).failing


LEFT_ALONE = {
    "unequal": "assert 1 != 2",
    "smaller": "assert 1 < 2",
    "a chain": "assert 1 == 1 == 1",
    "either": "assert x == 1 or x == 2",
    "a variable": "assert x == y",
    "two literals": "assert 1 == 1",
    "within a condition": "if x:\n        assert x == 1",
    "within a loop": "for x in y:\n        assert x == 1",
    "after a way out": "if x:\n        return\n    assert x == 1",
    "where something is to be raised": "with pytest.raises(ValueError):\n        f()\n        assert x == 1",
    "where a parameter says what is to come": "with y:\n        assert x == 1",
    "negated": "assert not x == 1",
    "within a function": "def inner():\n        assert x == 1\n    inner()",
    "one argument": "self.assertEqual(1)",
    "another method": "self.assertIs(x, 1)",
}


@pytest.mark.parametrize("body", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_may_hold_or_not_be_reached_all_the_same_has_no_twin(body):
    made = sabotage(f"def test_a(x, y):\n    {body}\n".encode(), ["test_a"])
    assert (made.names, made.twins) == ({"test_a"}, {})


def test_old_style_expectations_have_twins(tmp_path):
    body = "    def test_a(self):\n        self.assertEqual(len('a'), 1)\n"
    source = f"import unittest\n\n\nclass T(unittest.TestCase):\n{body}".encode()
    made = sabotage(source, ["T::test_a"])
    (twin,) = made.twins
    assert set(run(tmp_path, "test_x.py", made.source).failing) == {f"test_x.py::{twin}", "test_x.py::T::test_a"}


def test_it_counts_which_branch_defines_a_test_only_when_the_file_is_run(tmp_path):
    source = b"""
import sys

if sys.platform == "atari":
    def test_a():
        assert len("a") == 1
else:
    def test_a():
        assert len("b") == 1

try:
    import no_such_module
except ImportError:
    class TestB:
        def test_b(self):
            assert len("b") == 1
else:
    class TestB:
        def test_b(self):
            assert no_such_module

for _ in range(1):
    def test_c():
        assert len("c") == 1

match sys.maxsize:
    case 1:
        pass
    case _:
        def test_d():
            assert len("d") == 1
"""
    honest = run(tmp_path, "test_suite.py", source)
    control = control_of(honest, lambda path: source)
    made = control.files["test_suite.py"]
    report = run(tmp_path, "test_suite.py", made.source)

    assert len(honest.ids(Status.PASSED)) == 4
    assert made.names == {"test_a", "TestB::test_b", "test_c", "test_d"}
    assert (control.suspects(report), control.insensible(report), control.left_out(report)) == ((), (), ())


def test_a_file_all_of_whose_tests_have_variants_is_not_left_out(tmp_path):
    source = b"""
import pytest


@pytest.fixture(autouse=True, params=["asyncio", "trio"])
def backend(request):
    return request.param


def test_a():
    assert len("a") == 1
"""
    control = control_of(run(tmp_path, "test_suite.py", source), lambda path: source)
    report = run(tmp_path, "test_suite.py", control.files["test_suite.py"].source)

    assert len(report.ids(Status.PASSED)) == 2, "the test that must pass, once for each"
    assert control.left_out(report) == ()


@pytest.mark.parametrize("names", ["'n, m'", "['n', 'm']", "('n', 'm')"])
def test_a_file_that_gives_each_of_its_tests_arguments_is_not_left_out(tmp_path, names):
    body = "def test_a(n, m):\n    assert n + m == 3\n"
    source = f"import pytest\n\npytestmark = [pytest.mark.parametrize({names}, [(1, 2)])]\n\n\n{body}".encode()
    control = control_of(run(tmp_path, "test_suite.py", source), lambda path: source)
    report = run(tmp_path, "test_suite.py", control.files["test_suite.py"].source)

    assert (control.left_out(report), control.suspects(report), len(report.failing)) == ((), (), 2)


def test_a_file_that_cannot_be_written_anew_is_left_out():
    deep = "assert " + "+".join(["1"] * 800)
    compile(deep, "test_suite.py", "exec")
    assert sabotage(f"def test_a():\n    {deep}\n".encode(), ["test_a"]) is None
