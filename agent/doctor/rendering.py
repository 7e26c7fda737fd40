"""A report for people, and for programs."""

import json
import textwrap
from dataclasses import asdict

from agent import __version__
from agent.doctor import Report, Row, Verdict
from agent.settingslist import listed
from agent.text import number_of, one_line

__all__ = ["SCHEMA", "as_json", "as_text"]

SCHEMA = 1
WIDTH = 100
LONGEST = 1_000
"""Characters of what was found."""


def as_text(report: Report) -> str:
    """A row for each check with its verdict, its name, what was found and what to do; then how many are not well."""
    names = max(len(row.name) for row in report.rows)
    lines = [line for row in report.rows for line in _row(row, names)]
    return "\n".join([*lines, "", _sum(report)])


def as_json(report: Report) -> str:
    """One object; `docs/json.md` describes it."""
    checks = [{"name": row.name, **asdict(row.finding)} for row in report.rows]
    answer = {"schema": SCHEMA, "version": __version__, "exit_code": report.exit_code}
    return json.dumps(answer | {"checks": checks, "settings": listed(report.settings)}, indent=2)


def _row(row: Row, names: int) -> list[str]:
    finding = row.finding
    head = f"{finding.verdict:8} {row.name:{names}}  "
    lines = _wrapped(finding.found, head)
    return [*lines, *_wrapped(f"hint: {finding.hint}", " " * len(head))] if finding.hint else lines


def _wrapped(text: str, head: str) -> list[str]:
    line = one_line(text, LONGEST)
    return textwrap.wrap(
        line, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]  # fmt: skip


def _sum(report: Report) -> str:
    def count(verdict: Verdict) -> int:
        return sum(row.finding.verdict is verdict for row in report.rows)

    problems, warnings = count(Verdict.PROBLEM), count(Verdict.WARNING)
    if not problems and not warnings:
        return "all is well"
    return f"{number_of(problems, 'problem')}, {number_of(warnings, 'warning')}"
