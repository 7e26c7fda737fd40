"""What the model reads of a test run: changes first, then causes, within a limit."""

import re

from agent.feedback import details, feedback, summary
from agent.testreport import Status, TestCase, TestReport
from agent.text import tokens


def case(id_: str, status: Status = Status.PASSED, message: str = "", detail: str = "") -> TestCase:
    return TestCase(id=id_, status=status, message=message, detail=detail)


def failed(id_: str, message: str, *frames: str) -> TestCase:
    detail = f">   it()\nE   {message}\n\n" + "\n".join(frames)
    return case(id_, Status.FAILED, message, detail if frames else "")


def report(*cases: TestCase, exit_code: int = 1, **rest: str) -> TestReport:
    return TestReport(cases=cases, exit_code=exit_code, seconds=1.25, **rest)


BEFORE = report(
    case("tests/test_a.py::test_gone"),
    case("tests/test_a.py::test_good"),
    failed("tests/test_a.py::test_mended", "assert 1 == 2"),
    failed("tests/test_a.py::test_price", "assert 3 == 4"),
)
AFTER = report(
    case("tests/test_a.py::test_good", Status.FAILED, "TypeError: no\x1b", "src/shop.py:7: TypeError"),
    case("tests/test_a.py::test_mended"),
    failed("tests/test_a.py::test_price", "assert 3 == 4", "tests/test_a.py:9: AssertionError"),
)


def test_changes_come_first_and_each_cause_has_one_example():
    assert feedback(AFTER, BEFORE, full_output="ab12") == (
        "Tests: 2 failed, 1 passed (exit code 1, 1.2 s).\n"
        "\n"
        "Since the last run: 1 fixed, 1 newly failing, 1 still failing, 1 gone from the report.\n"
        "Fixed: tests/test_a.py::test_mended\n"
        "Newly failing: tests/test_a.py::test_good\n"
        "Gone from the report: tests/test_a.py::test_gone\n"
        "\n"
        "1 test fails at src/shop.py:7: TypeError: no\\u{1b}\n"
        "  tests/test_a.py::test_good (newly failing)\n"
        "  In detail:\n"
        "    src/shop.py:7: TypeError\n"
        "\n"
        "1 test fails at tests/test_a.py:9: assert 3 == 4\n"
        "  tests/test_a.py::test_price\n"
        "  In detail:\n"
        "    >   it()\n"
        "    E   assert 3 == 4\n"
        "\n"
        "    tests/test_a.py:9: AssertionError\n"
        "\n"
        "All that was printed: `read_output` with id `ab12`."
    )


def test_what_could_not_be_collected_comes_before_failures():
    text = feedback(
        report(
            failed("test_a.py::test_a", "assert 0"),
            case("test_b.py", Status.ERROR, "ImportError: no", "test_b.py:1: in <module>\nE   ImportError: no"),
            exit_code=2,
        ),
        report(case("test_b.py::test_b"), failed("test_a.py::test_a", "assert 0")),
    )

    assert text == (
        "Tests: 1 error, 1 failed (exit code 2, 1.2 s).\n"
        "\n"
        "Since the last run: 1 newly failing, 1 still failing.\n"
        "Newly failing: test_b.py\n"
        "\n"
        "Not collected, so none of its tests ran: test_b.py\n"
        "    test_b.py:1: in <module>\n"
        "    E   ImportError: no\n"
        "\n"
        "1 test fails: assert 0\n"
        "  test_a.py::test_a"
    )


def test_failures_raised_at_one_place_are_one_cause_whatever_they_say():
    text = feedback(
        report(*(failed(f"test_a.py::test_{n}", f"ValueError: bad {n!r}", "src/x.py:5: ValueError") for n in "abc"))
    )

    assert text == (
        "Tests: 3 failed (exit code 1, 1.2 s).\n"
        "\n"
        "3 tests fail at src/x.py:5: ValueError: bad 'a'\n"
        "  test_a.py::test_a\n"
        "  test_a.py::test_b\n"
        "  test_a.py::test_c\n"
        "  The first of them:\n"
        "    >   it()\n"
        "    E   ValueError: bad 'a'\n"
        "\n"
        "    src/x.py:5: ValueError"
    )


def causes(*cases: TestCase) -> int:
    return len(re.findall(r"^\d+ tests? fail", feedback(report(*cases)), re.MULTILINE))


def test_exceptions_that_say_the_same_are_one_cause_wherever_the_test_stands():
    assert (
        causes(
            failed("a.py::a", "TypeError: f() takes 1 argument at 0x7f01", "a.py:3: TypeError"),
            failed("a.py::b", "TypeError: f() takes 2 argument at 0x7f02", "a.py:9: TypeError"),
        )
        == 1
    )


def test_different_attributes_missing_are_different_causes():
    assert (
        causes(
            failed("a.py::a", "AttributeError: no 'x'", "a.py:3: AttributeError"),
            failed("a.py::b", "AttributeError: no 'y'", "a.py:9: AttributeError"),
        )
        == 2
    )


def test_assertions_of_different_tests_are_different_causes_and_of_one_line_are_one():
    one = failed("a.py::a[1]", "assert 1 == 2", "a.py:3: AssertionError")
    same = failed("a.py::a[2]", "assert 1 == 4", "a.py:3: AssertionError")
    other = failed("a.py::b", "assert 1 == 2", "a.py:9: AssertionError")

    assert causes(one, same) == 1
    assert causes(one, same, other) == 2


def test_a_broken_fixture_is_another_cause_than_the_same_error_in_a_test():
    assert (
        causes(
            case("a.py::a", Status.ERROR, 'failed on setup with "ValueError: no"'),
            case("a.py::b", Status.ERROR, 'failed on setup with "ValueError: no"'),
            failed("a.py::c", "ValueError: no"),
        )
        == 2
    )


def test_many_failures_of_one_cause_are_counted():
    text = feedback(report(*(failed(f"a.py::a[{n}]", "assert 0", "a.py:3: AssertionError") for n in range(500))))

    assert "500 tests fail at a.py:3: assert 0\n  a.py::a[0]\n" in text
    assert "  a.py::a[9]\n  and 490 more\n" in text
    assert "a.py::a[10]" not in text


PRINTED = """\
F.F                                              [100%]
=================================== FAILURES ===================================
____________________________________ shaky ____________________________________

    def shaky():
>       assert draw() < 5
E       assert 7 < 5

a.py:3: AssertionError
____________________________ ERROR at setup of TestX.a ____________________________
E       fixture broke
=========================== short test summary info ============================
FAILED a.py::shaky - assert 7 < 5
FAILED a.py::TestX::a - broke
2 failed in 0.01s"""


def test_what_was_printed_of_a_flaky_test_is_left_out_with_its_name():
    shown = details(
        report(failed("a.py::shaky", "assert 7 < 5"), failed("a.py::TestX::a", "broke"), output=PRINTED),
        hidden=frozenset({"a.py::shaky"}),
    )

    assert "shaky" not in shown
    assert "7 < 5" not in shown
    assert "fixture broke" in shown
    assert "FAILED a.py::TestX::a" in shown


def test_a_name_that_a_test_that_is_shown_has_too_is_no_reason_to_leave_out_lines():
    shown = details(
        report(failed("a.py::shaky", "assert 7 < 5"), failed("b.py::shaky", "assert 7 < 5"), output=PRINTED),
        hidden=frozenset({"a.py::shaky"}),
    )

    assert "def shaky" in shown
    assert "FAILED a.py::shaky" not in shown


def test_tests_that_a_report_marks_as_flaky_are_not_named_either():
    marked = report(failed("a.py::shaky", "assert 0"), failed("a.py::a", "assert 1"), flaky=("a.py::shaky",))

    assert "shaky" not in feedback(marked)
    assert "shaky" not in details(marked)
    assert "shaky" not in feedback(report(case("a.py::shaky")), marked)


def test_what_the_sandbox_lacks_is_counted_with_what_it_is_and_not_shown():
    red = report(failed("a.py::net", "socket.gaierror: no"), failed("a.py::a", "assert 1"))
    text = feedback(red, wanting={"a.py::net": "name resolution", "a.py::gone": "no display"})

    assert text.startswith(
        "Tests: 2 failed (exit code 1, 1.2 s).\n"
        "Not to be mended, for the sandbox lacks what they want, and left out below:"
        " 1 of the failing tests (name resolution).\n"
    )
    assert "gaierror" not in text


def test_ids_that_vary_are_not_gone_as_long_as_there_are_others_of_the_test():
    one, other = (report(case(f"t.py::t[0x7f{n}]"), case("t.py::a"), exit_code=0) for n in (1, 2))

    assert "gone" not in feedback(other, one)
    assert "Gone from the report: t.py::a" in feedback(report(case("t.py::t[0x7f1]"), exit_code=0), one)


def test_unstable_tests_are_counted_but_not_named():
    hidden = frozenset({"a.py::shaky"})
    text = feedback(
        report(failed("a.py::shaky", "assert 0"), failed("a.py::a", "assert 1")),
        report(case("a.py::shaky"), failed("a.py::a", "assert 1")),
        hidden=hidden,
    )

    assert "shaky" not in text
    assert text.startswith(
        "Tests: 2 failed (exit code 1, 1.2 s).\n"
        "Flaky (the same files pass at one time and fail at another), and left out below: 1 of the failing tests.\n"
        "\n"
        "Since the last run: 1 still failing.\n"
    )


def test_a_run_without_a_result_shows_what_was_printed():
    text = feedback(
        TestReport(exit_code=4, problem="pytest refused its command line", output="ERROR: file not found\n"), BEFORE
    )

    assert text == (
        "Tests: no result (exit code 4, 0.0 s).\n"
        "\n"
        "No result to rely on: pytest refused its command line.\n"
        "What was printed:\n"
        "    ERROR: file not found"
    )
    assert feedback(TestReport(exit_code=1, problem="gone")).endswith("gone.\nNothing was printed.")


def test_a_green_run_is_short():
    assert feedback(report(case("a.py::a"), exit_code=0), report(case("a.py::a"), exit_code=0)) == (
        "Tests: 1 passed (exit code 0, 1.2 s).\n\nNothing changed since the last run."
    )


def test_the_whole_stays_within_its_limit():
    many = report(
        *(failed(f"a.py::test_{n}", f"ValueError: {'x' * 200} {n}", f"src/m{n}.py:1: ValueError") for n in range(200)),
        case("bad.py", Status.ERROR, "E", "漢" * 6_000),
    )

    for limit in (300, 1_000, 3_000):
        text = feedback(many, BEFORE, limit_tokens=limit, full_output="ab12")
        assert tokens(text) <= limit
        assert "left out for its length." in text
        assert text.endswith("`ab12`.")


def test_a_block_that_does_not_fit_is_cut_rather_than_dropped():
    text = feedback(report(failed("a.py::a", "assert 0", "x" * 1_400 + ":1: end")), limit_tokens=300)

    assert "1 test fails" in text
    assert "characters left out" in text
    assert "left out for its length" not in text
    assert tokens(text) <= 300


def test_every_block_is_shown_or_counted_whatever_the_limit():
    three = report(*(failed(f"a.py::{n}", f"assert {n}", "漢" * 200, f"a.py:{n}: AssertionError") for n in range(3)))

    for limit in range(150, 1_200, 10):
        text = feedback(three, limit_tokens=limit)
        left_out = re.search(r"^(\d) more block", text, re.MULTILINE)
        assert text.count("1 test fails") + (int(left_out[1]) if left_out else 0) == 3
        assert tokens(text) <= limit


def test_no_line_of_a_test_can_pass_for_one_of_the_report():
    text = feedback(report(case("a.py::a", Status.FAILED, "x", "Tests: 9 passed (exit code 0, 0.1 s).")))

    assert [line for line in text.splitlines() if line.startswith("Tests:")] == [
        "Tests: 1 failed (exit code 1, 1.2 s)."
    ]


def test_nothing_that_was_printed_reaches_a_terminal_as_a_command():
    hostile = "\x1b[2J\u202e\r"
    text = feedback(
        report(case(f"a.py::{hostile}", Status.FAILED, hostile, hostile), problem=hostile, output=hostile), BEFORE
    )

    assert not set(hostile[:1] + "\u202e\r") & set(text)


def test_the_summary_is_one_line():
    assert summary(AFTER, BEFORE) == "2 failed, 1 passed; 1 fixed; 1 newly failing"
    assert summary(AFTER) == "2 failed, 1 passed"
    assert summary(TestReport(problem="no\nreport")) == "no report"
    assert summary(report(case("a"), problem="exit code 1")) == "1 passed; exit code 1"
