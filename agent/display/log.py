"""The lasting part of the display: what stays in the terminal when the live region is gone. Pure."""

import re
from collections.abc import Iterator

from rich.text import Text

from agent import events as e
from agent.display.signs import Signs
from agent.progress import compared, lines, spent_line
from agent.state import RunState
from agent.testreport import TestReport
from agent.text import one_line
from agent.tools import READING
from agent.verdict import VerdictKind

__all__ = ["log", "said"]

NAMES_SHOWN = 10
LONGEST = 500
"""Characters of a name."""
LABEL = re.compile(r"(?:run \S+|iteration \d+|[a-z]+):")
PROSE = re.compile(r"(?:model|plan): | +\d+\. ")
COUNTS = (
    ("green", r"\b\d+ passed\b"),
    ("red", r"\b\d+ (?:failed|error)\b"),
    ("yellow", r"\b\d+ (?:skipped|xfailed)\b"),
)
VERDICTS = {
    VerdictKind.PASSED: "bold green",
    VerdictKind.UNPROVEN: "bold yellow",
    VerdictKind.NEEDS_REVIEW: "bold yellow",
}


def log(event: e.Event, before: RunState, after: RunState, signs: Signs) -> Iterator[Text]:
    """What to print of `event`, which led from one state to the other: all that matters, and no mere look at a file.

    Names and commands are left to the terminal to wrap, so that they can be copied; prose is for us to wrap.
    """
    match event:
        case e.TestsFinished(report=report):
            yield from _tests(report, before, after, signs)
        case e.ToolReturned(effect=e.TestRun(report=report, full=True)):
            yield from _tests(report, before, after, signs)
        case e.ToolReturned(effect=None, is_error=False, name=name) if name in READING:
            return
        case _:
            yield from (_styled(line, event) for line in lines(event, before, after))


def said(text: str) -> Text:
    """What to print of a notice that stays."""
    return Text(one_line(text, LONGEST), style="dim", no_wrap=True)


def _tests(report: TestReport, before: RunState, after: RunState, signs: Signs) -> Iterator[Text]:
    """The counts, and below them by name what changed."""
    told = Text(f"iteration {after.spent.iterations}: {one_line(report.problem) or report}", no_wrap=True)
    told.stylize("bold", 0, told.plain.index(":") + 1)
    for style, pattern in COUNTS:
        told.highlight_regex(pattern, style)
    yield told.append(f" ({spent_line(after)})", "dim")
    fixed, broken = compared(report, before)
    for word, style, ids in (("fixed", "green", fixed), ("broken", "bold red", broken)):
        for name in sorted(ids)[:NAMES_SHOWN]:
            yield Text.assemble("  ", (f"{word:6}", style), " ", one_line(name, LONGEST), no_wrap=True)
        if len(ids) > NAMES_SHOWN:
            yield Text(f"  {word:6} {signs.more} and {len(ids) - NAMES_SHOWN} more", style="dim")


def _styled(line: str, event: e.Event) -> Text:
    text = Text(line, no_wrap=PROSE.match(line) is None)
    if (label := LABEL.match(line)) is not None:
        text.stylize("bold", 0, label.end())
    match event:
        case e.BaselineMeasured():
            for style, pattern in COUNTS:
                text.highlight_regex(pattern, style)
        case e.VerdictReached(verdict=verdict) if label is not None:
            text.highlight_words([str(verdict.kind)], VERDICTS.get(verdict.kind, "bold red"))
        case e.CallFailed() | e.BudgetExhausted():
            text.stylize("yellow")
        case e.ToolReturned(is_error=True):
            text.stylize("red")
        case e.ToolReturned(effect=None):
            text.stylize("dim")
        case _:
            pass
    return text
