"""A run as plain text of 80 columns."""

import textwrap
from collections.abc import Iterable, Iterator
from itertools import chain

from rich.cells import cell_len, set_cell_size

from agent.aside import Aside
from agent.figures import budget, dollars, duration, percent
from agent.marks import Mark
from agent.progress import some
from agent.report import Report
from agent.suites import Suite
from agent.task import Criterion, Plan
from agent.text import excerpt, number_of, one_line, sanitise
from agent.timeline import Answer, IterationView, Judgement, Shown, Step, Turn, in_order
from agent.verdict import UNSEEN, VerdictKind

__all__ = ["as_text"]

COLUMNS = 80
REQUEST = 4_000
"""Characters."""
NAMES = 20
"""Tests that are named of those that an iteration fixed or broke."""
FLAGS = 40
REASONS = 40
SHORTEST = 0.05
"""Seconds that are worth a word."""
WHAT = 34
"""Columns for what a turn did; its figures follow."""


def as_text(report: Report) -> str:
    """What `summary` leaves out, in its order: request, plan, tests set aside, timeline, iterations, verdicts."""
    parts = [
        _section("request", _request(report)),
        *(_section(title, _plan(plan)) for title, plan in _plans(report)),
        _section("set aside", chain.from_iterable(_aside(each) for each in report.aside)),
        _section("timeline", _timeline(report)),
        _section("iterations", chain.from_iterable(_iteration(each) for each in report.iterations)),
        _section("verdicts", chain.from_iterable(_verdict(each) for each in report.verdicts)),
    ]
    return sanitise("\n\n".join(part for part in parts if part))


def _section(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return f"{title}\n{body}" if body else ""


def _request(report: Report) -> Iterator[str]:
    for place, each in enumerate(report.asked):
        if place:
            yield f"  after turn {each.turn}:"
        text = excerpt(sanitise(each.request.strip()), REQUEST) or "the failing tests"
        for line in text.split("\n"):
            yield from _wrapped(line, "  ") or [""]
        yield ""
    yield f"  {report.mode} with {one_line(report.model, 60)}, in the sandbox {one_line(report.sandbox, 40)}"
    worked = f"  {report.began:%Y-%m-%d %H:%M} UTC, {duration(report.seconds)} of work"
    yield worked + (f" in {report.sessions} sessions" if report.sessions > 1 else "")
    if report.environment:
        yield from _wrapped(f"tests: {one_line(report.environment.test)}", "  ")


def _aside(aside: Aside) -> Iterator[str]:
    """Tests of the base that are no measure, and why."""
    yield from _wrapped(one_line(aside.words), "  ")
    yield from (f"    {one_line(case_id)}" for case_id in aside.ids)
    if left := aside.count - len(aside.ids):
        yield f"    and {left} more"


def _plans(report: Report) -> Iterator[tuple[str, Plan]]:
    """Each with its title; those of earlier requests first."""
    for each in report.asked:
        if each.plan:
            yield "plan" if each is report.asked[-1] else "earlier plan", each.plan


def _plan(plan: Plan) -> Iterator[str]:
    yield from _wrapped(one_line(plan.summary, 1_000), "  ")
    for number, step in enumerate(plan.steps, start=1):
        yield from _wrapped(one_line(step, 1_000), "  ", first=f"{number:4}. ")
    for file in plan.files:
        yield from _wrapped(f"{one_line(file.path)}: {one_line(file.purpose)}", "      ", first="  file ")
    for criterion in plan.criteria:
        yield from _wrapped(one_line(criterion.behaviour), "      ", first="  criterion: ")
        yield f"      {one_line(criterion.test)}" if criterion.test else f"      $ {one_line(criterion.command)}"
        yield f"      {_wanted(criterion)}"


def _wanted(criterion: Criterion) -> str:
    """What is to come of a criterion, in words."""
    words = ["it passes" if criterion.test else f"exit code {criterion.exit_code}"]
    words += [f"prints {one_line(criterion.output)}"] if criterion.output else []
    words += [f"leaves {one_line(file.path)}" for file in criterion.files]
    words += ["before the work as after it"] if criterion.before == "holds" else []
    return ", ".join(words)


def _timeline(report: Report) -> Iterator[str]:
    if not report.turns and not report.marks:
        return
    yield f"   #  {'what was done':{WHAT}}{'time':>9}  {'in / cached / out':>20} {'cost':>8}"
    for each in in_order(report.turns, report.marks):
        yield from [_mark(each)] if isinstance(each, Mark) else _turn(each)
    usage = report.usage
    tokens = f"{usage.prompt:,} / {usage.cached:,} / {usage.completion:,}"
    share = percent(report.spent, report.limits.dollars)
    total = f"{dollars(report.spent)} of {budget(report.limits.dollars)}" + (f" ({share})" if share else "")
    yield f"      {total}, {report.calls} calls, tokens {tokens}"


def _mark(mark: Mark) -> str:
    time = f" ({duration(mark.seconds)})" if mark.seconds and mark.seconds >= SHORTEST else ""
    return f"   -  {_fit(f'{one_line(mark.what)}: {one_line(mark.words)}', COLUMNS - 6 - len(time)).rstrip()}{time}"


def _turn(turn: Turn) -> Iterator[str]:
    for failed in turn.failed:
        said = f"no reply ({one_line(failed.error)}: {one_line(failed.message)})"
        yield f"   !  {_fit(said, COLUMNS - 6).rstrip()}"
    said = one_line(turn.said) if turn.answered else "no reply"
    tokens = "not reported"
    if turn.usage:
        tokens = f"{turn.usage.prompt:,} / {turn.usage.cached:,} / {turn.usage.completion:,}"
    what = _fit(said or _deeds(turn), WHAT)
    yield f"{turn.number:4}  {what}{duration(turn.seconds):>9}  {tokens:>20} {dollars(turn.dollars):>8}"
    for step in turn.steps:
        yield f"        {_fit(_step(step), COLUMNS - 8).rstrip()}"


def _deeds(turn: Turn) -> str:
    """For a turn in which nothing was said."""
    return f"({one_line(turn.stop_reason)})" if not turn.steps else f"({number_of(len(turn.steps), 'call')})"


def _step(step: Step) -> str:
    words = f"{one_line(step.tool, 64)} {one_line(step.subject)}".rstrip()
    if step.tests:
        words += f"  {one_line(step.tests.words)}"
    if step.answer is Answer.MISSING:
        return f"{words} - not carried out"
    return f"{words} - {'error: ' if step.answer is Answer.ERROR else ''}{one_line(step.note)}" if step.note else words


def _iteration(each: IterationView) -> Iterator[str]:
    verdict = f"  judged: {each.verdict.value}" if each.verdict else ""
    yield f"{each.number:4}  {_words(each.before)} -> {_words(each.after)}{verdict}"
    if each.commit:
        yield f"      {_fit(f'{one_line(each.commit[:9])} {one_line(each.subject)}', COLUMNS - 6).rstrip()}"
    yield from _names("fixed", each.fixed)
    yield from _names("broken", each.broken)


def _names(word: str, ids: tuple[str, ...]) -> Iterator[str]:
    for case_id in ids[:NAMES]:
        yield f"      {word:6} {one_line(case_id)}"
    if len(ids) > NAMES:
        yield f"      {word:6} and {len(ids) - NAMES} more"


def _verdict(each: Judgement) -> Iterator[str]:
    counts = f": {_words(each.tests)}" if each.tests else ""
    yield f"  on iteration {each.iteration}: {each.kind.value}{counts} ({duration(each.seconds)})"
    for reason in each.reasons[:REASONS]:
        yield from _wrapped(one_line(reason, 400), "      ", first="    - ")
    if len(each.reasons) > REASONS:
        yield f"    - and {len(each.reasons) - REASONS} more reasons"
    for witness in each.witnesses:
        yield from _wrapped(one_line(witness.behaviour), "      ", first="    criterion: ")
        yield f"      $ {one_line(witness.command)}"
        yield f"      {_proof(witness)}"
    if each.control:
        yield from _wrapped(f"control: {one_line(each.control, 400)}", "      ", first="    ")
    for note in each.notes:
        yield from _wrapped(f"note: {one_line(note, 400)}", "      ", first="    ")
    for said in some(each.flagged, FLAGS):
        yield from _wrapped(f"flagged: {one_line(said, 400)}", "      ", first="    ")
    if each.kind is VerdictKind.PASSED:
        yield from _wrapped(f"not shown: {UNSEEN}", "      ", first="    ")
    if each.environment:
        yield f"    in {one_line(each.environment)}"


def _proof(witness: Shown) -> str:
    before, after = (f"{'holds' if case.holds else 'fails'}" for case in (witness.base, witness.result))
    codes = f"exit codes {witness.base.exit_code} and {witness.result.exit_code}"
    shown = ": proves it" if witness.proves else ": holds still" if witness.guards and witness.result.holds else ""
    return f"{before} before, {after} after ({codes}){shown}"


def _words(suite: Suite | None) -> str:
    return one_line(suite.words) if suite else "not run"


def _wrapped(text: str, indent: str, *, first: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _fit(text: str, width: int) -> str:
    """`text` in exactly `width` columns of a terminal."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 2) + "… "
