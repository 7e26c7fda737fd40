"""What the tests of the base are worth, told from several runs on one tree."""

import pytest

from agent.baseline import (
    ALIKE,
    UNLIKE,
    Look,
    Standing,
    Standings,
    classify,
    family,
    may_vary,
    nothing_to_mend,
    red_again,
    selection_of,
    standing,
    without_names,
)
from agent.testreport import Again, Status, TestCase, TestReport
from tests.kits import report

A, B = "tests/test_x.py::a", "tests/test_x.py::b"


def listed(*cases: tuple[str, str], message: str = "", exit_code: int = 1) -> TestReport:
    """A report with cases of any id."""
    found = tuple(TestCase(id=name, status=Status(how), message=message) for name, how in cases)
    return TestReport(cases=found, exit_code=exit_code)


def looks(*reports: TestReport) -> list[Look]:
    """Runs of the whole suite."""
    return [Look(report=each) for each in reports]


def known(*reports: TestReport) -> Standings:
    return classify(looks(*reports), lambda _case: "")


def test_each_test_of_the_base_has_one_standing():
    first = report(a="passed", b="failed", c="skipped", d="xfailed", e="failed", f="passed", g="error")
    standings = classify(
        looks(first, report(a="passed", b="failed", c="skipped", d="xfailed", e="failed", f="failed", g="error")),
        lambda case: "name resolution" if case.id.endswith("::e") else "",
    )

    assert [standing(case, standings) for case in first.cases] == [
        Standing.PASSES,
        Standing.FAILS,
        Standing.SKIPPED,
        Standing.XFAILED,
        Standing.ENVIRONMENTAL,
        Standing.FLAKY,
        Standing.FAILS,
    ]


@pytest.mark.parametrize(("first", "then"), [("passed", "failed"), ("failed", "passed"), ("passed", "skipped")])
def test_a_test_that_ends_in_two_ways_on_one_tree_is_flaky(first, then):
    assert known(report(a=first, b="passed"), report(a=then, b="passed")).flaky == {A}


def test_a_failure_and_an_error_are_one_way_to_end():
    assert known(report(a="failed"), report(a="error")).flaky == frozenset()


def test_a_file_that_cannot_be_collected_at_times_has_flaky_tests():
    broken = listed(("tests/test_x.py", "error"), exit_code=2)

    assert known(report(a="passed", b="passed"), broken).flaky == {A, B}


def test_a_run_of_some_tests_says_nothing_of_the_others():
    some = Look(report=report(a="failed"), asked=(A,))

    assert classify([Look(report=report(a="failed", b="passed")), some], lambda _case: "") == Standings()


def test_what_is_flaky_is_not_environmental():
    found = classify(looks(report(a="failed"), report(a="passed")), lambda _case: "no network")

    assert (found.flaky, found.environmental) == ({A}, {})


ONE, OTHER = "t.py::test_it[<X object at 0x7f31c0a2>]", "t.py::test_it[<X object at 0x7f99d1b4>]"


def test_ids_that_are_others_in_each_run_are_unstable_and_not_flaky():
    found = known(listed((ONE, "passed"), (A, "passed")), listed((OTHER, "passed"), (A, "passed")))

    assert (found.unstable, found.flaky) == ({ONE}, frozenset())


def test_an_id_that_is_gone_with_none_in_its_place_is_not_unstable():
    assert known(report(a="passed", b="passed"), report(a="passed")).unstable == frozenset()


@pytest.mark.parametrize(
    "varying",
    [ONE, "t.py::t[9f1b6c1e-8a41-4e0b-9d55-2f1d3c4b5a69]", "t.py::t[1764330000.12]", "t.py::t[2026-01-02T03:04:05]"],
)
def test_ids_that_look_as_if_they_vary_ask_for_a_second_look(varying):
    assert may_vary(listed((varying, "passed"), ("t.py::t[3.11]", "passed"))) == (varying,)


def test_a_family_is_what_varying_ids_have_in_common():
    assert family(ONE) == family(OTHER) == "t.py::test_it["
    assert family("t.py::test_a_1") == family("t.py::test_a_2") != family("t.py::test_b_2")


# How often failures are run again


def test_failures_that_are_alike_are_run_again_but_twice():
    red = report(a="failed", b="passed")

    assert [red_again(looks(*[red] * n)) for n in range(1, 5)] == [(A,), (A,), (), ()]
    assert ALIKE == 2


def test_once_anything_was_seen_both_ways_failures_are_run_again_twenty_times():
    first, rest = report(a="failed", b="failed"), report(a="failed", b="passed")
    runs = [first, *[rest] * 30]

    assert [red_again(looks(*runs[:n])) for n in (1, 2, 20)] == [(A, B), (A,), (A,)]
    assert red_again(looks(*runs[: UNLIKE + 1])) == ()


def test_failures_that_say_something_else_each_time_are_no_longer_alike():
    one, other = (listed((A, "failed"), message=f"assert {word} in seen") for word in ("pear", "plum"))

    assert red_again(looks(one, other, one)) == (A,)


def test_numbers_and_the_order_of_words_make_no_difference():
    one, other = (
        listed((A, "failed"), message=f"assert {{{words}}} at 0x{n}f") for words, n in (("a b", 1), ("b a", 2))
    )

    assert red_again(looks(one, other, one)) == ()


def test_nothing_is_run_again_where_nothing_failed_or_all_were_seen_to_pass():
    assert red_again(looks(report(a="passed"))) == ()
    assert red_again(looks(report(a="failed"), report(a="passed"))) == ()


def test_tests_are_asked_for_by_id_and_absent_or_many_ones_by_file():
    assert selection_of([A, B], {A, B}) == (A, B)
    assert selection_of([A, "t.py::gone"], {A}) == ("t.py", A)
    assert selection_of([A, "tests/test_x.py::gone"], {A}) == ("tests/test_x.py",)
    many = [f"t.py::test_{n}" for n in range(101)]
    assert selection_of(many, many) == ("t.py",)
    assert selection_of(["t.py::odd[\\u{1b}]"], {"t.py::odd[\\u{1b}]"}) == ("t.py",)


# What is learned later


def test_later_runs_of_the_base_add_to_what_is_known_and_take_nothing_back():
    before = Standings(flaky=frozenset({A}), environmental={B: "no network"}, runs=3)
    after = before.learning([Again(id=B, here=(), base=(Status.FAILED, Status.PASSED))])

    assert (after.flaky, after.environmental) == ({A, B}, {})
    assert after.ended(B, Status.FAILED) == (Status.FAILED, Status.PASSED)
    assert after.ended("c", Status.FAILED) == (Status.FAILED,) * 3
    assert before.learning(()) is before


def test_an_id_that_a_later_run_of_the_base_lacks_is_unstable():
    found = Standings().learning([Again(id=ONE, here=(None,), base=(Status.PASSED, None))])

    assert (found.unstable, found.flaky) == ({ONE}, frozenset())


def test_names_of_flaky_tests_give_way_to_their_files():
    said = f"{A} fails; {A}b fails; {A}[1] fails"

    assert without_names(said, {A}) == f"a flaky test of tests/test_x.py fails; {A}b fails; {A}[1] fails"


def test_why_nothing_is_to_be_mended_names_what_is_missing():
    standings = Standings(flaky=frozenset({A}), environmental={B: "name resolution"})

    assert nothing_to_mend(report(a="failed", b="failed"), standings) == (
        "no failing test is one that a change of the code is known to mend: 1 test cannot pass in a sandbox"
        " (name resolution): tests that need a network or services are not supported;"
        " 1 test failed in one run and passed in another one of the same files"
    )
