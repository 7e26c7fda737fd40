"""Pictures of a run as geometry: what the page draws as SVG. Pure; lengths are in the units of the picture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

from agent import figures
from agent.figures import dollars
from agent.report import Report
from agent.suites import Suite
from agent.text import number_of
from agent.timeline import Payment

__all__ = ["Bar", "Column", "Segment", "SpendChart", "TestsChart", "Tick", "chart_of_spending", "chart_of_tests"]

WIDTH = 400
ROW = 38
"""Height of one run of the tests."""
FIRST, LAST = 8, 16
"""Runs of the tests that are drawn, where there are more."""
COLUMNS = 120
"""Columns that are drawn; more calls than that share them."""
WIDEST = 40
"""Of a column."""
LEFT, TOP, BOTTOM = 60, 24, 150
NEAR = 4
"""The budget is drawn to scale if it is at most so many times what the columns reach."""
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a bar: `kind` is `passed`, `failed` or `skipped`."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One run of the tests, as a horizontal bar with its words above."""

    label: str
    words: str
    y: float
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestsChart:
    """Tests over iterations."""

    __test__ = False

    height: float
    bars: tuple[Bar, ...]
    described: str
    """The picture in words."""
    width: int = WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One call, or several: what had been spent after it, and above that what it had reserved at worst."""

    x: float
    width: float
    spent_y: float
    worst_y: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line across, with its label."""

    y: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendChart:
    """Spending over calls."""

    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    budget_y: float | None
    """None if the budget is far above what can be drawn."""
    budget: str
    calls: str
    described: str
    width: int = WIDTH
    left: int = LEFT
    bottom: int = BOTTOM
    height: int = BOTTOM + 34


def chart_of_tests(report: Report) -> TestsChart | None:
    """The tests of the baseline and of each iteration; None if none were run."""
    runs = [(f"Iteration {each.number}", each.after) for each in report.iterations]
    if report.baseline:
        runs.insert(0, ("Before", report.baseline))
    if not runs:
        return None
    described = f"From {runs[0][1].words} to {runs[-1][1].words}, in {number_of(len(runs), 'run')} of the tests."
    hidden = len(runs) - FIRST - LAST
    most = max(suite.total for _, suite in runs) or 1
    gap = [Bar(label=f"… {hidden} left out", words="", y=FIRST * ROW, segments=())] if hidden > 0 else []
    drawn = runs if hidden <= 0 else [*runs[:FIRST], *runs[-LAST:]]
    bars = [
        _bar(label, suite, most, (place + (1 if gap and place >= FIRST else 0)) * ROW)
        for place, (label, suite) in enumerate(drawn)
    ]
    return TestsChart(height=(len(bars) + len(gap)) * ROW, bars=(*bars, *gap), described=described)


def chart_of_spending(report: Report) -> SpendChart | None:
    """What was spent call by call, against the budget; None if no call was made, or none has a price."""
    payments, budget = report.payments, report.limits.dollars
    peak = max((max(each.worst, each.after) for each in payments), default=0.0)
    if peak <= 0:
        return None
    to_scale = budget <= NEAR * peak
    top = _nice(max(peak, budget)) if to_scale else _nice(peak)

    def y(amount: float) -> float:
        return round(BOTTOM - min(amount, top) / top * (BOTTOM - TOP), 2)

    words = f"{dollars(report.spent)} of {figures.budget(budget)} spent in {number_of(report.calls, 'call')}."
    above = "the dashed line" if to_scale else "above this picture"
    return SpendChart(
        columns=tuple(_columns(payments, y)),
        ticks=tuple(Tick(y=y(part * top), label=_amount(part * top, top)) for part in (0, 0.5, 1)),
        budget_y=y(budget) if to_scale else None,
        budget=f"budget: {figures.budget(budget)}"
        + ("" if to_scale or budget == inf else f", {budget / top:,.0f} times this height"),
        calls=number_of(report.calls, "call"),
        described=f"{words} The budget is {above}; no call was sent that could have passed it.",
    )


def _bar(label: str, suite: Suite, most: int, y: float) -> Bar:
    segments, x = [], 0.0
    for kind, count in (("passed", suite.passed), ("failed", suite.failed), ("skipped", suite.skipped)):
        width = round(count / most * WIDTH, 2)
        if count:
            segments.append(Segment(kind=kind, x=round(x, 2), width=max(width, 2.0)))
        x += width
    return Bar(label=label, words=suite.words, y=y, segments=tuple(segments))


def _columns(payments: tuple[Payment, ...], y: Callable[[float], float]) -> Iterator[Column]:
    share = max(1, -(-len(payments) // COLUMNS))
    groups = [payments[start : start + share] for start in range(0, len(payments), share)]
    pitch = (WIDTH - LEFT) / len(groups)
    width = min(pitch * 0.7, WIDEST)
    for place, group in enumerate(groups):
        spent, worst = group[-1].after, max(each.worst for each in group)
        calls = f"Call {group[0].call}" if len(group) == 1 else f"Calls {group[0].call} to {group[-1].call}"
        yield Column(
            x=round(LEFT + place * pitch + (pitch - width) / 2, 2),
            width=round(width, 2),
            spent_y=y(spent),
            worst_y=y(max(worst, spent)),
            title=f"{calls}: {dollars(spent)} spent in all, {dollars(worst)} at worst",
        )


def _nice(amount: float) -> float:
    """The least round number that is not below `amount`."""
    unit = 1e-6
    while unit * STEPS[-1] < amount:
        unit *= 10
    return next(unit * step for step in STEPS if unit * step >= amount)


def _amount(amount: float, top: float) -> str:
    places = 2 if top >= 0.2 else 4
    return f"${amount:,.{places}f}" if amount else "$0"
