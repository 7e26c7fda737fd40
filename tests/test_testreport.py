"""What a report of pytest is read as, when pytest wrote it and when someone else did."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.junit import MAX_BYTES, parse
from agent.testreport import Status, TestCase, TestReport

DATA = Path(__file__).parent / "data" / "junit"

SUITE = {
    "tests/__init__.py": "",
    "tests/base.py": "class Base:\n    def test_inherited(self):\n        assert True\n",
    "tests/test_kinds.py": """
import pytest, unittest
from tests.base import Base

class TestOuter(Base):
    @pytest.mark.parametrize("value", ["a::b", "x.y", "[z]", "é\\u202e", "two\\nlines", "sp ace"])
    def test_values(self, value):
        assert value

    class TestInner:
        def test_deep(self): pass

class Old(unittest.TestCase):
    def test_subs(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertNotEqual(n, 1)
    @unittest.expectedFailure
    def test_expected(self): assert 0
    @unittest.skip("old")
    def test_skipped(self): assert 0

@pytest.fixture
def breaks_before():
    raise ValueError("before")

@pytest.fixture
def breaks_after():
    yield
    raise ValueError("after")

def test_setup(breaks_before): pass
def test_teardown(breaks_after): pass
def test_both(breaks_after): assert 1 == 2
@pytest.mark.xfail(reason="known")
def test_known(): assert 0
@pytest.mark.xfail(strict=True)
def test_strict(): pass
@pytest.mark.xfail(strict=False)
def test_lenient(): pass
@pytest.mark.skip(reason="later")
def test_later(): pass
""",
    "tests/deep/er/test_plain.py": "def test_one(): pass\n",
    "tests/lower_test.py": "class TestX:\n    def test_y(self): pass\n",
    "test_root.py": "def test_root(): pass\n",
}
STATUSES = {
    "tests/test_kinds.py::Old::test_subs": Status.FAILED,
    "tests/test_kinds.py::Old::test_expected": Status.XFAILED,
    "tests/test_kinds.py::Old::test_skipped": Status.SKIPPED,
    "tests/test_kinds.py::test_setup": Status.ERROR,
    "tests/test_kinds.py::test_teardown": Status.ERROR,
    "tests/test_kinds.py::test_both": Status.FAILED,
    "tests/test_kinds.py::test_known": Status.XFAILED,
    "tests/test_kinds.py::test_strict": Status.FAILED,
    "tests/test_kinds.py::test_later": Status.SKIPPED,
}


def run_pytest(root: Path, *arguments: str) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir=.", *arguments],
        cwd=root,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def lay(root: Path, files: dict[str, str]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def report_of(root: Path, *arguments: str, family: str = "xunit1") -> TestReport:
    target = root / "report.xml"
    code, output = run_pytest(root, f"--junitxml={target}", "-o", f"junit_family={family}", *arguments)
    xml = target.read_bytes() if target.exists() else None
    paths = [str(path.relative_to(root)) for path in root.rglob("*.py")]
    return parse(xml, exit_code=code, output=output.encode(), files=paths)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return lay(tmp_path_factory.mktemp("suite"), SUITE)


@pytest.fixture(scope="module")
def collected(suite):
    _, output = run_pytest(suite, "--collect-only")
    return {line for line in output.splitlines() if "::" in line}


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_ids_are_those_that_pytest_itself_prints(suite, collected, family):
    report = report_of(suite, family=family)

    assert report.ids() == collected
    assert len(collected) == 21
    assert report.problem == ""
    assert {case.id: case.status for case in report.cases if case.status is not Status.PASSED} == STATUSES
    assert report.count(Status.PASSED) == 12


def test_an_id_of_the_report_selects_its_test(suite):
    report = report_of(suite, "tests/test_kinds.py::TestOuter::test_values[a::b]")

    assert report.ids(Status.PASSED) == {"tests/test_kinds.py::TestOuter::test_values[a::b]"}
    assert report.ok


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_a_file_that_cannot_be_collected_is_an_error_under_its_path(tmp_path, family):
    lay(tmp_path, {"pkg/test_bad.py": "import nothere\n", "test_good.py": "def test_good(): pass\n"})

    report = report_of(tmp_path, family=family)

    assert (report.exit_code, report.problem, report.ok) == (2, "", False)
    assert [(case.id, case.status, case.message) for case in report.cases] == [
        ("pkg/test_bad.py", Status.ERROR, "ModuleNotFoundError: No module named 'nothere'")
    ]


@pytest.mark.parametrize(
    ("files", "arguments", "problem"),
    [
        ({"test_a.py": "x = 1\n"}, [], "no tests were found (exit code 5)"),
        ({"test_a.py": "def test_a(): pass\n"}, ["--nonsense"], "pytest refused its command line"),
        ({"test_a.py": "def test_a(): pass\n", "conftest.py": "1/0\n"}, [], "pytest refused its command line"),
        ({"test_a.py": "import os\ndef test_a(): os._exit(0)\n"}, [], "no report was written (exit code 0)"),
        ({"test_a.py": "def test_a(): raise KeyboardInterrupt\n"}, [], "the run of the tests was interrupted"),
        (
            {
                "test_a.py": "def test_a(): assert 0\n",
                "conftest.py": "def pytest_sessionfinish(session): session.exitstatus = 0\n",
            },
            [],
            "exit code 0 contradicts the report, in which 1 failed",
        ),
        (
            {
                "test_a.py": "def test_a(): pass\n",
                "conftest.py": "def pytest_sessionfinish(session): session.exitstatus = 1\n",
            },
            [],
            "the exit code is 1, though no test of the report failed",
        ),
    ],
)
def test_a_run_without_a_trustworthy_result_says_why(tmp_path, files, arguments, problem):
    report = report_of(lay(tmp_path, files), *arguments)

    assert report.problem.startswith(problem)
    assert not report.ok


def test_a_test_inherited_from_a_module_with_a_similar_name_is_told_apart():
    xml = suite_xml('<testcase classname="test_ab.TestX" name="test_y" file="test_a.py"/>')

    assert parse(xml, exit_code=0).ids() == {"test_ab.py::TestX::test_y"}


def test_the_second_family_is_read_without_any_list_of_files():
    report = parse((DATA / "pytest-xunit2.xml").read_bytes(), exit_code=2)

    assert [(case.id, case.status, case.message, case.seconds) for case in report.cases] == [
        ("tests/unit/test_bad.py", Status.ERROR, "ModuleNotFoundError: No module named 'nothere'", 0.0),
        ("tests/unit/test_shop.py::TestCart::TestEmpty::test_total[0-EUR]", Status.PASSED, "", 0.001),
        ("tests/unit/test_shop.py::test_price", Status.FAILED, "assert 3 == 4", 0.25),
        ("tests/unit/test_shop.py::test_later", Status.SKIPPED, "later", 0.0),
        ("tests/unit/test_shop.py::test_known", Status.XFAILED, "known", 0.0),
    ]
    assert report.cases[2].detail.splitlines()[-1] == "tests/unit/test_shop.py:9: AssertionError"


def test_a_test_that_failed_once_has_failed():
    report = parse((DATA / "reruns.xml").read_bytes(), exit_code=1)

    assert report.failing == ("test_a.py::test_slow",)
    assert report.cases[0] == TestCase(
        id="test_a.py::test_slow",
        status=Status.FAILED,
        message="Failed: Timeout (>0.2s) from pytest-timeout.",
        detail="test_a.py:4: Failed",
        seconds=0.5,
    )


def suite_xml(inside: str) -> bytes:
    return f'<testsuites><testsuite name="pytest">{inside}</testsuite></testsuites>'.encode()


CASE = '<testcase classname="test_a" name="test_b" file="test_a.py"/>'
UNREADABLE = {
    "more bytes than the cap": (b" " * (MAX_BYTES + 1), "it has 16,777,217 bytes"),
    "a document type": (b'<!DOCTYPE x [<!ENTITY a "b">]>' + suite_xml(CASE), "it declares a document type"),
    "an external entity": (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>', "it declares a document type"),
    "endless nesting": (b"<testsuites>" + b"<a>" * 200_000, "it is nested more than 32 deep"),
    "a cut": (suite_xml(CASE)[:-25], "no element found"),
    "text": (b"FAILED test_a.py", "syntax error"),
    "NUL": (suite_xml(CASE) + b"\0", "not well-formed"),
    "bytes of another encoding": (suite_xml("<x>").replace(b"x>", b"\xff>"), "not well-formed"),
    "an encoding that is none": (b'<?xml version="1.0" encoding="hex"?><testsuite/>', "'hex' is not a text encoding"),
    "an unknown encoding": (b'<?xml version="1.0" encoding="nope"?><testsuite/>', "unknown encoding"),
    "two documents": (suite_xml(CASE) * 2, "junk after document element"),
    "another root": (b"<html></html>", "its root is `html`"),
    "tests in tests": (suite_xml('<testcase name="a"><testcase name="b"/></testcase>'), "a test is nested"),
    "too many tests": (suite_xml('<testcase name="a"/>' * 100_001), "it holds more than 100,000 tests"),
}


@pytest.mark.parametrize(("xml", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_report_that_pytest_did_not_write_is_refused(xml, reason):
    report = parse(xml, exit_code=0)

    assert report.problem.startswith(f"the JUnit report cannot be read: {reason}")
    assert report.cases == ()
    assert not report.ok


def test_an_unreadable_report_says_what_the_exit_code_means_too():
    assert parse(b"<", exit_code=137).problem.endswith("; the test command was killed (exit code 137)")


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_no_green(data):
    assert not parse(data, exit_code=0).ok


@settings(deadline=None)
@given(st.integers(0, len(suite_xml(CASE)) - 1))
def test_a_report_cut_anywhere_is_no_green(length):
    assert parse(suite_xml(CASE), exit_code=0).ok
    assert not parse(suite_xml(CASE)[:length], exit_code=0).ok


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 124, 126, 127, 137, 255, -9])
def test_no_exit_code_but_zero_is_green(code):
    report = parse(suite_xml(CASE), exit_code=code)

    assert report.problem
    assert not report.ok


@pytest.mark.parametrize("code", [0, 1])
def test_a_report_without_tests_is_no_green(code):
    assert parse(suite_xml(""), exit_code=code).problem == f"the report holds no tests (exit code {code})"


def test_a_test_without_an_end_is_a_problem():
    report = parse(suite_xml(CASE + '<testcase time="0.1"/>'), exit_code=0)

    assert report.ids() == {"test_a.py::test_b"}
    assert report.problem == "a test did not come to its end"


def test_a_timeout_is_a_problem_and_keeps_the_output():
    report = parse(None, exit_code=-9, output=b"started\n", seconds=300.2, timed_out=True)

    assert report == TestReport(
        exit_code=-9, problem="the test command was stopped after 300 s", output="started\n", seconds=300.2
    )


def test_what_a_report_says_is_made_harmless():
    xml = suite_xml(
        '<testcase classname="test_a" name="a&#10;b" file="test_a.py" time="nan">'
        "<failure message='\u202e&#x9b;31m&#10;more'>\u200b</failure></testcase>"
    )

    assert parse(xml, exit_code=1, output=b"\x1b[2Jgone").cases == (
        TestCase(
            id="test_a.py::a\\nb", status=Status.FAILED, message="\\u{202e}\\u{9b}31m", detail="\\u{200b}", seconds=0.0
        ),
    )
    assert parse(xml, exit_code=1, output=b"\x1b[2Jgone").output == "\\u{1b}[2Jgone"


def test_the_worst_of_what_is_said_of_a_test_counts_and_the_first_of_equals():
    xml = suite_xml(
        '<properties><property name="a" value="b"/></properties>'
        '<testcase name="t"><properties><property name="x"/></properties><skipped>s</skipped>'
        '<failure message="one">first</failure><failure message="two">second</failure>'
        '<error message="three">third</error><system-out>printed</system-out></testcase><system-out>all</system-out>'
    )

    assert parse(xml, exit_code=1).cases == (TestCase(id="t.py", status=Status.FAILED, message="one", detail="first"),)


def test_long_tracebacks_are_trimmed():
    detail = parse(suite_xml(f'<testcase name="a"><failure>{"x" * 50_000}</failure></testcase>'), exit_code=1).cases[0]

    assert len(detail.detail) <= 6_000
    assert "characters left out" in detail.detail


def test_a_suite_that_only_skips_is_not_ok():
    assert not parse(suite_xml('<testcase name="a"><skipped/></testcase>'), exit_code=0).ok


def test_a_report_reads_as_counts():
    report = parse((DATA / "pytest-xunit2.xml").read_bytes(), exit_code=2)

    assert str(report) == "1 error, 1 failed, 1 passed, 1 skipped, 1 xfailed"
    assert str(TestReport(problem="no tests were found")) == "no tests were found"
    assert str(TestReport()) == "no tests"
