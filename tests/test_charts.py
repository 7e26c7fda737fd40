"""Pictures are drawn to scale, within their frame, and say in words what they show."""

import pytest

from agent import events as e
from agent.charts import BOTTOM, COLUMNS, LEFT, ROW, TOP, WIDTH, chart_of_spending, chart_of_tests
from agent.task import Limits
from tests.kits import PREPARED, committed, report
from tests.test_report import report_on
from tests.test_telling import RESERVED, says


def drawn(*reports, before=None, mode="fix"):
    events = [PREPARED, *([e.BaselineMeasured(report=before)] if before else [])]
    for number, each in enumerate(reports):
        events += [e.TestsFinished(report=each, tree=f"t{number}"), committed(f"t{number}")]
    return chart_of_tests(report_on(*events, mode=mode))


def paid(*dollars, budget=1.0):
    events = []
    for each in dollars:
        events += [e.CallReserved(dollars=each, tokens=9, max_tokens=5), says("So.", usage=None)]
    return chart_of_spending(report_on(*events, limits=Limits(dollars=budget)))


def test_each_run_of_the_tests_is_a_bar_of_its_parts():
    chart = drawn(report(a="passed", b="passed", c="skipped", d="xfailed"), before=report(a="failed", b="passed"))

    before, after = chart.bars
    assert [(part.kind, part.x, part.width) for part in before.segments] == [
        ("passed", 0.0, WIDTH / 4), ("failed", WIDTH / 4, WIDTH / 4),
    ]  # fmt: skip
    assert [(part.kind, part.x, part.width) for part in after.segments] == [
        ("passed", 0.0, WIDTH / 2), ("skipped", WIDTH / 2, WIDTH / 2),
    ]  # fmt: skip
    assert [(bar.label, bar.y) for bar in chart.bars] == [("Before", 0), ("Iteration 1", ROW)]
    assert chart.height == 2 * ROW
    assert chart.described == "From 1 failed, 1 passed to 2 passed, 1 skipped, 1 xfailed, in 2 runs of the tests."


def test_one_failure_among_thousands_can_be_seen():
    many = report(**{f"t{n}": "passed" for n in range(5_000)}, bad="failed")
    (bar,) = drawn(many).bars
    assert bar.segments[1].width == 2.0


def test_without_tests_there_is_no_picture_and_without_a_result_an_empty_bar():
    assert drawn() is None
    (bar,) = drawn(report(problem="no report")).bars
    assert (bar.words, bar.segments) == ("no report", ())


def test_very_many_iterations_leave_out_the_middle():
    chart = drawn(*[report(a="failed")] * 40, before=report(a="failed"))

    assert len(chart.bars) == 25
    assert sorted(bar.y for bar in chart.bars) == [n * ROW for n in range(25)]
    labels = [bar.label for bar in sorted(chart.bars, key=lambda bar: bar.y)]
    assert labels[:9] == ["Before", *(f"Iteration {n}" for n in range(1, 8)), "… 17 left out"]
    assert labels[9:] == [f"Iteration {n}" for n in range(25, 41)]


def test_spending_near_the_budget_is_drawn_to_its_scale():
    chart = paid(0.25, 0.25)

    assert [tick.label for tick in chart.ticks] == ["$0", "$0.50", "$1.00"]
    assert chart.budget_y == TOP
    height = BOTTOM - TOP
    assert [column.spent_y for column in chart.columns] == [BOTTOM - height / 4, BOTTOM - height / 2]
    assert chart.columns[0].title == "Call 1: $0.2500 spent in all, $0.2500 at worst"
    assert chart.described.startswith("$0.5000 of $1.00 spent in 2 calls. The budget is the dashed line")


def test_spending_far_below_the_budget_fills_the_picture_and_says_so():
    chart = paid(0.01)

    assert chart.budget_y is None
    assert chart.budget == "budget: $1.00, 100 times this height"
    assert chart.columns[0].worst_y == TOP
    assert [tick.label for tick in chart.ticks] == ["$0", "$0.0050", "$0.0100"]


def test_what_was_reserved_stands_above_what_was_spent():
    chart = chart_of_spending(report_on(RESERVED, says("So.")))
    (column,) = chart.columns
    assert TOP <= column.worst_y < column.spent_y < BOTTOM


@pytest.mark.parametrize("calls", [1, 7, COLUMNS, COLUMNS + 1, 3_000])
def test_columns_stay_within_the_picture(calls):
    chart = paid(*[0.0001] * calls)

    assert len(chart.columns) <= COLUMNS
    for column in chart.columns:
        assert column.x >= LEFT
        assert column.x + column.width <= WIDTH + 0.01
        assert TOP <= column.worst_y <= column.spent_y <= BOTTOM
    ends = [column.x + column.width for column in chart.columns]
    assert all(end <= later.x for end, later in zip(ends, chart.columns[1:], strict=False))
    assert chart.calls == f"{calls} call{'s' * (calls > 1)}"


def test_calls_that_share_a_column_are_named_together():
    assert paid(*[0.0001] * 240).columns[0].title.startswith("Calls 1 to 2: $0.0002 spent in all")


def test_a_budget_without_end_is_said_to_have_none():
    chart = paid(0.01, budget=float("inf"))
    assert (chart.budget_y, chart.budget) == (None, "budget: no limit")


def test_where_nothing_is_paid_there_is_no_picture():
    assert paid() is None
    assert paid(0.0, 0.0) is None
