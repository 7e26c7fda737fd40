"""The control: tests that are made to fail, and what it means if one still passes."""

import subprocess
import sys

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
    assert report.ids(Status.FAILED) == honest.ids(Status.PASSED)
    assert control.suspects(report) == ()
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
