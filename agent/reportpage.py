"""A run as one HTML page that stands by itself: no script, no request, nothing in it that a run could make act."""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from agent import __version__, figures
from agent.changes import Changes
from agent.charts import chart_of_spending, chart_of_tests
from agent.marks import Mark, Tone, tone_of
from agent.report import Report
from agent.suites import Failure, Suite
from agent.text import excerpt, number_of, one_line, sanitise
from agent.timeline import Exchange, Turn, in_order
from agent.transcript import transcript_of
from agent.verdict import UNSEEN

__all__ = ["as_page"]

FIRST, LAST = 150, 350
"""Turns that the timeline shows, where there are more."""
FAILURES = 40
"""Tests of one run whose failures are shown."""
TRACEBACK = 6_000
"""Characters."""
LINE = 300
TRACEBACKS = 400_000
"""Characters of all tracebacks together, about."""
NAMES = 50
OPEN_LINES = 160
"""Lines of a patch that are unfolded, file by file."""
TEXT = 20_000
"""Characters of any text that has no limit of its own."""
SIGNS = {Tone.GOOD: "✓", Tone.BAD: "✗", Tone.OPEN: "?", Tone.PLAIN: "…"}
"""Beside a word, they say what the colour says."""
_QUOTED = re.compile(r"`([^`\n]+)`")


def as_page(report: Report, exchanges: tuple[Exchange, ...], changes: Changes) -> str:
    """The page on a run: outcome and proof first, the conversation word for word last."""
    tone = tone_of(report.outcome)
    word, _, why = report.headline.partition(": ")
    before, hidden, after = _timeline(report)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            tone=tone.value,
            sign=SIGNS[tone],
            word=word,
            why=why,
            before=before,
            hidden=hidden,
            after=after,
            tests_chart=chart_of_tests(report),
            spend_chart=chart_of_spending(report),
            changes=changes,
            failing=_failing(report),
            transcript=transcript_of(exchanges),
            version=__version__,
        )
    )


def _timeline(report: Report) -> tuple[list[Turn | Mark], int, list[Turn | Mark]]:
    """The turns that are shown with what happened between them, and how many are left out in the middle."""
    turns = report.turns
    hidden = len(turns) - FIRST - LAST
    if hidden <= 0:
        return in_order(turns, report.marks), 0, []
    start, end = turns[FIRST].seq, turns[-LAST].seq
    head = in_order(turns[:FIRST], (mark for mark in report.marks if mark.seq < start))
    return head, hidden, in_order(turns[-LAST:], (mark for mark in report.marks if mark.seq >= end))


def _failing(report: Report) -> list[tuple[str, Suite, list[Failure]]]:
    """The runs of the tests in which some failed, the last one first, with the failures that there is room for."""
    runs = [(f"Iteration {each.number}", each.after) for each in reversed(report.iterations)]
    judged = [(f"Verdict on iteration {each.iteration}", each.tests) for each in reversed(report.verdicts)]
    runs = [*((title, suite) for title, suite in judged if suite is not None), *runs]
    if report.baseline:
        runs.append(("Before", report.baseline))
    room, found = TRACEBACKS, []
    for title, suite in runs:
        if not suite.failures and suite.trusted:
            continue
        shown = []
        for failure in suite.failures[:FAILURES]:
            if room <= 0:
                break
            room -= min(len(failure.detail), TRACEBACK) + LINE
            shown.append(failure)
        found.append((title, suite, shown))
    return found


@cache
def _environment() -> Environment:
    """Apart from the one of `prompts`, in which nothing is HTML. Every value that a template prints is sanitised."""
    environment = Environment(
        loader=PackageLoader("agent", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "budget": figures.budget,
        "dollars": figures.dollars,
        "duration": figures.duration,
        "ticked": _ticked,
        "line": one_line,
        "long": lambda text, limit=TEXT: excerpt(sanitise(excerpt(text, limit)), limit),
    }
    environment.globals |= {
        "FAILURES": FAILURES,
        "NAMES": NAMES,
        "OPEN_LINES": OPEN_LINES,
        "SIGNS": SIGNS,
        "TRACEBACK": TRACEBACK,
        "UNSEEN": UNSEEN,
        "number_of": number_of,
        "tone_of": tone_of,
        "percent": figures.percent,
    }
    environment.tests["turn"] = lambda each: isinstance(each, Turn)
    return environment


def _ticked(text: str) -> Markup:
    """`text`, escaped, with what stands between backticks set as code."""
    return Markup(_QUOTED.sub(r"<code>\1</code>", str(escape(sanitise(text)))))  # noqa: S704 - it was escaped


def _visible(value: object) -> object:
    """What is printed for `value`: markup of the templates' own macros as it is, all else made visible."""
    return value if isinstance(value, Markup) else sanitise(str(value))
