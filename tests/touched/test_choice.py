"""What runs first: what must, then the nearest, for an eighth of the time."""

import pytest

from agent.baseline import NOTHING_KNOWN, Standings
from agent.task import Mode
from agent.testreport import Status, TestCase, TestReport
from agent.touched.choice import first_files, holds_tests, is_prose, reaches_everything
from agent.touched.contexts import changed_lines, read_contexts
from agent.touched.suite import Suite, covering, overlaid, unsettled

TEN = {f"t{number}.py": 1.0 for number in range(10)}


def report(exit_code=None, **cases):
    """A report on `tests/test_<first letter>.py`, as `a1="passed"`."""
    listed = tuple(
        TestCase(id=f"tests/test_{name[0]}.py::test_{name}", status=Status(how), seconds=1.0)
        for name, how in cases.items()
    )
    failed = "failed" in cases.values()
    return TestReport(cases=listed, exit_code=int(failed) if exit_code is None else exit_code, seconds=9.0)


def ids(*names):
    return {f"tests/test_{name[0]}.py::test_{name}" for name in names}


def test_the_nearest_files_run_first_as_far_as_an_eighth_of_the_time_goes():
    sixteen = {f"t{number}.py": 1.0 for number in range(16)}
    near = {path: (0, number, 0) for number, path in enumerate(sixteen)}
    assert first_files(sixteen, (), near) == {"t0.py", "t1.py"}
    assert first_files(TEN, (), near) == {"t0.py"}, "one at least"


def test_what_has_to_run_does_and_the_nearest_file_besides():
    near = {"t7.py": (0, 1, 1), "t8.py": (1, 0, 0)}
    assert first_files(TEN, ("t1.py", "t2.py", "t3.py"), near) == {"t1.py", "t2.py", "t3.py", "t7.py"}


def test_where_too_much_has_to_run_first_all_runs_at_once():
    assert first_files(TEN, [f"t{number}.py" for number in range(6)], {}) is None
    assert first_files({"big.py": 9.0, "small.py": 1.0}, (), {"big.py": (0, 0, 0)}) is None


def test_where_nothing_is_touched_all_runs_at_once():
    assert first_files(TEN, (), {}) is None
    assert first_files(TEN, ("new.py",), {}) == {"new.py"}, "a new file of tests comes first by itself"


@pytest.mark.parametrize(
    "path", ["pyproject.toml", "sub/setup.cfg", "requirements-dev.txt", "uv.lock", "src/fast.pyx", "src/x.c", "tox.ini"]
)
def test_configuration_and_what_is_compiled_reaches_everything(path):
    assert reaches_everything(path)


@pytest.mark.parametrize("path", ["src/app.py", "README.md", "tests/data/setup.json", "locks.py"])
def test_other_files_do_not(path):
    assert not reaches_everything(path)


def test_files_for_people_and_files_of_tests_are_told_by_their_names():
    assert [is_prose(path) for path in ("README.md", "LICENSE", "data/x.json", "a.py")] == [True, True, False, False]
    assert [holds_tests(path) for path in ("t/test_x.py", "x_test.py", "tests/conftest.py", "app.py")] == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "expected"), [("fix", {"a1", "a2", "b1", "b2", "c1"}), ("change", {"a2", "b1", "b2", "c1"})]
)
def test_what_stands_in_the_way_of_green_is_not_taken_for_granted(mode: Mode, expected):
    baseline = report(a1="failed", a2="passed", b1="skipped", b2="passed", d1="passed")
    last = report(a1="failed", a2="failed", b2="skipped", c1="failed", d1="passed")

    assert unsettled(mode, baseline, NOTHING_KNOWN, last) == ids(*expected)
    by_chance = Standings(flaky=ids("a1", "a2"))
    assert unsettled(mode, baseline, by_chance, last) == ids(*expected) - by_chance.flaky


def test_tests_that_did_not_run_stand_as_they_did_and_are_last():
    paths = {f"tests/test_{name}.py" for name in "abc"}
    known = Suite.of(report(a1="passed", b1="failed", b2="passed", c1="skipped"), "t", paths, base="t", cwd="")
    now = overlaid(known, report(a1="failed", a2="passed"), {"tests/test_b.py", "tests/test_c.py"})

    assert now.reused == 3
    assert now.fresh.ids() == ids("a1", "a2")
    assert now.ids(Status.FAILED) == ids("a1", "b1")
    assert str(now) == "1 failed, 1 passed (3 not run again)"
    assert (now.exit_code, now.ok) == (1, False)
    assert overlaid(known, report(a1="passed"), {"tests/test_b.py"}).exit_code == 1, "it fails, as it did before"


def test_tests_that_are_gone_from_a_file_that_ran_are_gone():
    known = Suite.of(report(a1="passed", a2="passed"), "t", {"tests/test_a.py"}, base="t", cwd="")
    assert overlaid(known, report(a1="passed"), ()).ids() == ids("a1")


def test_a_project_in_a_directory_has_its_tests_there():
    known = Suite.of(report(a1="passed"), "t", {"api/tests/test_a.py"}, base="t", cwd="api")
    assert known.files == {"api/tests/test_a.py": ids("a1")}
    assert not known.untold
    assert Suite.of(report(a1="passed"), "t", {"elsewhere/tests/test_a.py"}, base="t", cwd="").untold


def test_whole_directories_are_left_out_where_nothing_in_them_is_to_run():
    left_out = {"tests/a/test_1.py", "tests/a/deep/test_2.py", "tests/b/test_3.py", "more/test_4.py"}
    assert covering(left_out, {"tests/b/test_5.py", "src/x.py"}, "") == ("more/", "tests/a/", "tests/b/test_3.py")
    assert covering({"api/tests/test_1.py"}, {"api/src/x.py"}, "api") == ("tests/",)
    assert covering(left_out, None, "") == tuple(sorted(left_out))


# What tests ran


RECORD = b'{"tests": ["tests/test_a.py::a", "tests/test_b.py::b"], "files": {"app.py": [["0c", [0]], ["10", [0, 1]]], "gone.py": [["02", [0]]]}}'  # noqa: E501


def test_a_record_says_which_tests_ran_a_line_and_which_ran_the_file():
    found = read_contexts(RECORD, {"app.py"})

    assert found.ran.keys() == {"app.py"}
    assert found.tests_of("app.py", 1 << 2) == ({"tests/test_a.py::a"}, {"tests/test_a.py::a", "tests/test_b.py::b"})
    assert found.tests_of("app.py", None)[0] == {"tests/test_a.py::a", "tests/test_b.py::b"}
    assert found.tests_of("other.py", 1) == (frozenset(), frozenset())


def test_a_record_of_a_project_in_a_directory_counts_from_the_root():
    assert read_contexts(RECORD, {"api/app.py"}, "api").ran.keys() == {"api/app.py"}


def with_files(text):
    return b'{"tests": ["a"], "files": %s}' % text.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"tests": 1, "files": {}}', b" " * 9_000_000,
        b'{"tests": [1], "files": {}}', b'{"tests": ["%s"], "files": {}}' % (b"a" * 3_000),
        *map(with_files, (
            "[]", '{"app.py": 3}', '{"app.py": [["0c"]]}', '{"app.py": [["0c", {"0": 1}]]}',
            '{"app.py": [["zz", [0]]]}',
            '{"app.py": [["0c", [1]]]}', '{"app.py": [["0c", [-1]]]}', '{"app.py": [["0c", [true]]]}',
        )),
    ],
)  # fmt: skip
def test_a_record_that_is_none_is_not_taken(data):
    assert read_contexts(data, {"app.py"}) is None


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", {2}),
        ("a\nb\nc\n", "a\nc\n", {2}),
        ("a\nb\nc\n", "a\nb\nx\nc\n", {2, 3}),
        ("a\nb\n", "a\nb\nx\n", {2}),
        ("a\n", "a\n", set()),
    ],
)
def test_changed_lines_are_told_as_they_were_before(before, after, lines):
    found = changed_lines(before.encode(), after.encode())
    assert {number for number in range(20) if found >> number & 1} == lines


def test_lines_of_an_enormous_file_are_not_compared():
    assert changed_lines(b"x\n" * 6_000, b"") is None
