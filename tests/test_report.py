"""One report on a run, as text of 80 columns and as JSON: the same run, and nothing in it acts on a terminal."""

import json
import re
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from agent import events as e
from agent.figures import dollars, duration, percent
from agent.journal import Entry, read_entries
from agent.report import Report, as_json, report_of
from agent.reporttext import as_text
from agent.suspicions import Kind, Suspicion
from agent.task import Limits
from agent.telling import tell
from agent.text import sanitise
from agent.timeline import Turn
from agent.verdict import CaseResult, Verdict, VerdictKind, Witness
from tests.kits import EPOCH, PLANNED, PREPARED, committed, report, started, told
from tests.test_progress import HOSTILE, hostile_run
from tests.test_telling import RESERVED, answers, continued_run, says, story

GOLDEN = Path(__file__).parent / "journals" / "v1.jsonl"


def report_on(*events, **options):
    return report_of(story(*events, **options))


def section(shown, title):
    """The lines of one section, without their common indent."""
    return next(part for part in as_text(shown).split("\n\n") if part.startswith(f"{title}\n")).splitlines()[1:]


def test_a_run_reads_as_its_snapshot():
    assert (
        as_text(report_of(tell(read_entries(GOLDEN))))
        == """\
request
  Make it work.

  fix with scripted, in the sandbox none
  2030-01-01 00:00 UTC, 26 s of work in 2 sessions
  tests: pytest

plan
  Mend the sum.
   1. Find it.
   2. Mend it.
  file sum.py: add
  criterion: it adds
      $ add 1 1
      exit code 0, prints 2

timeline
   #  what was done                          time     in / cached / out     cost
   -  environment: made, base image pulled; slow (2.5 s)
   -  baseline: 1 failed, 1 passed (1.5 s)
   !  no reply (rate_limited: slow down)
   1  So.                                   4.0 s         100 / 20 / 10  $0.0001
        submit_plan
   2  So.                                   5.0 s          not reported  $0.0200
        edit é
        edit é  1 failed, 1 passed
        edit é - a typo
   -  session: taken up again by greenward 0.1.0
   -  iteration 1: 1 failed, 1 passed (1.5 s)
   -  commit: c1 Try
   3  So.                                   2.0 s         130 / 80 / 20  $0.0001
        finish
   -  iteration 2: 2 passed (1.5 s)
   -  verdict: passed (3.2 s)
   -  commit: c2 Mend the sum
   -  budget: the budget of 80 calls is spent
      $0.0201 of $1.00 (2 %), 5 calls, tokens 230 / 100 / 30

iterations
   1  1 failed, 1 passed -> 1 failed, 1 passed
      c1 Try
   2  1 failed, 1 passed -> 2 passed  judged: passed
      c2 Mend the sum
      fixed  tests/test_x.py::b

verdicts
  on iteration 2: passed: 2 passed (3.2 s)
    - all is well
    criterion: it adds
      $ add 1 1
      fails before, holds after (exit codes 1 and 0): proves it
    not shown: no judge can tell whether values are hard-coded for inputs that
      no test or criterion varies
    in sha256:1"""
    )


def test_a_run_that_only_began_is_shown_too():
    assert as_text(report_on()).splitlines() == [
        "request",
        "  Make it work.",
        "",
        "  fix with scripted, in the sandbox none",
        "  2030-01-01 00:00 UTC, 0.0 s of work",
    ]


def test_a_repair_without_a_request_says_what_it_mends():
    begun = started()
    shown = report_of(tell([Entry(seq=0, at=EPOCH, event=replace(begun, task=replace(begun.task, request="")))]))
    assert as_text(shown).splitlines()[1] == "  the failing tests"


def test_every_line_of_the_timeline_fits_80_columns():
    wide = "全" * 300
    run = report_on(
        RESERVED,
        e.CallFailed(error="x" * 90, message=wide, billed=False, wait=None),
        RESERVED,
        says(wide, ("t" * 200, json.dumps({"path": wide}))),
        answers(error=True, content=wide),
        e.TestsFinished(report=report(problem=wide), tree="t"),
        committed("t"),
    )
    from rich.cells import cell_len

    lines = section(run, "timeline")
    assert len(lines) > 6
    assert max(map(cell_len, lines)) <= 80


def test_turns_that_say_nothing_or_come_to_nothing_are_told():
    cut = replace(says(), stop_reason="length")
    lines = section(report_on(RESERVED, cut, RESERVED, says("", ("a", "{}")), RESERVED), "timeline")

    assert [line[6:].split("  ")[0] for line in lines if line[3].isdigit()] == ["(length)", "(1 call)", "no reply"]
    assert "        a - not carried out" in lines


def test_an_error_of_a_tool_is_told_beside_its_call():
    lines = section(report_on(RESERVED, says("", ("a", "{}")), answers(error=True, content="no\nsuch")), "timeline")
    assert "        a - error: no such" in lines


def test_names_of_tests_are_told_up_to_a_number():
    names = [f"t{n:02}" for n in range(25)]
    run = report_on(
        PREPARED,
        e.BaselineMeasured(report=report(**dict.fromkeys(names, "failed"))),
        PLANNED,
        e.TestsFinished(report=report(**dict.fromkeys(names, "passed")), tree="t"),
    )
    lines = section(run, "iterations")

    assert lines[0] == "   1  25 failed -> 25 passed"
    assert [line for line in lines if "fixed" in line][:1] == ["      fixed  tests/test_x.py::t00"]
    assert lines[-1] == "      fixed  and 5 more"


def test_a_verdict_tells_its_reasons_and_what_its_criteria_showed():
    held, fails = CaseResult(exit_code=0, output="2", holds=True), CaseResult(exit_code=3, output="", holds=False)
    verdict = Verdict(
        kind=VerdictKind.UNPROVEN,
        tree="t",
        reasons=tuple(f"reason {n}" for n in range(45)),
        witnesses=(Witness(behaviour="it is old", command="old", base=held, result=fails),),
        control="3 tests made to fail",
        notes=("a test was opened",),
        suspicions=(Suspicion(kind=Kind.CONFTEST, path="conftest.py", words="it is new"),),
        seconds=70.0,
    )
    run = report_on(e.TestsFinished(report=report(a="passed"), tree="t"), e.VerdictReached(verdict=verdict))
    lines = section(run, "verdicts")

    assert lines[0] == "  on iteration 1: unproven (1 min 10 s)"
    assert lines[1] == "    - reason 0"
    assert lines[41:] == [
        "    - and 5 more reasons",
        "    criterion: it is old",
        "      $ old",
        "      holds before, fails after (exit codes 0 and 3)",
        "    control: 3 tests made to fail",
        "    note: a test was opened",
        "    flagged: conftest.py: it is new (conftest)",
    ]


def test_a_long_request_is_cut_and_wrapped():
    begun = started()
    task = replace(begun.task, request="word " * 5_000 + "\n\nend")
    lines = as_text(report_of(tell([Entry(seq=0, at=EPOCH, event=replace(begun, task=task))]))).splitlines()

    assert any("characters left out" in line for line in lines)
    assert "  end" in lines
    assert max(map(len, lines)) <= 80


def test_json_holds_the_report_and_nothing_else():
    shown = report_of(tell(read_entries(GOLDEN)))
    parsed = json.loads(as_json(shown))

    assert parsed["schema"] == 1
    assert parsed["headline"] == "passed, without a proof: judged in a fresh container"
    assert parsed["turns"][1]["steps"][1]["tests"]["words"] == "1 failed, 1 passed"
    assert TypeAdapter(Report).validate_python(parsed) == shown


def test_json_of_a_run_cut_anywhere_is_json():
    entries = list(read_entries(GOLDEN))
    for end in range(1, len(entries) + 1):
        shown = report_of(tell(entries[:end]))
        assert TypeAdapter(Report).validate_json(as_json(shown)) == shown


def test_a_limit_without_end_is_null_in_json():
    limits = Limits(dollars=float("inf"), seconds=float("inf"))
    parsed = json.loads(as_json(report_on(limits=limits)), parse_constant=pytest.fail)
    assert parsed["limits"]["dollars"] is None


def test_no_text_from_outside_acts_on_a_terminal():
    entries = [Entry(seq=n, at=EPOCH + timedelta(seconds=n), event=event) for n, event in enumerate(hostile_run())]
    told_ = tell(entries)
    clean = json.loads(json.dumps(HOSTILE.replace("\ud800", "")))
    text = as_text(report_of(told_))

    assert "owned" in text
    assert sanitise(text) == text
    assert clean not in text
    shown = report_of(tell([replace(one, event=_without_surrogates(one.event)) for one in entries]), where="\x1b\udcff")
    assert as_json(shown).isascii()
    assert not set(as_json(shown)) & {chr(code) for code in (*range(10), *range(11, 32), 127)}


def _without_surrogates(event):
    """As the journal keeps it: all text is Unicode."""
    adapter = TypeAdapter(type(event))
    plain = json.dumps(adapter.dump_python(event, mode="json"), ensure_ascii=False).encode(errors="replace")
    return adapter.validate_json(plain)


def test_the_next_command_names_the_repository():
    assert report_of(story(), "my repo").next == "greenward resume r1 --repo 'my repo'"
    assert report_of(story()).next == "greenward resume r1"


def test_the_time_of_a_run_is_when_it_was_worked_on():
    shown = report_on(told(e.Say.PLAN), e.SessionStarted(pid=1, version="1"))
    assert (shown.began, shown.last) == (EPOCH, EPOCH + timedelta(seconds=1))
    assert shown.turns == ()
    assert Turn not in map(type, shown.marks)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1.0, "0.0 s"), (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"),
        (61, "1 min 1 s"), (3_600, "1 h 0 min"), (7_384, "2 h 3 min"), (float("inf"), "without end"),
    ],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_amounts_and_shares_read_as_people_say_them():
    assert [dollars(0.01234), dollars(-1e-12), dollars(1_234.5)] == ["$0.0123", "$0.0000", "$1,234.5000"]
    assert [percent(0.003, 1), percent(0.5, 1), percent(0, 1), percent(1, 0), percent(1, float("inf"))] == [
        "0.3 %", "50 %", "0 %", "", "",
    ]  # fmt: skip


def test_a_run_that_was_asked_for_more_shows_both_requests_and_plans():
    shown = report_of(continued_run())
    text = as_text(shown)

    assert text.startswith("request\n  Make it work.\n\n  after turn 1:\n  More.\n\n  change with scripted")
    assert "\n\nearlier plan\n  Do it.\n\nplan\n  Do that.\n\ntimeline\n" in text
    assert "   -  ended: passed; judged\n   -  request: More.\n" in text
    assert (shown.base_tree, shown.tree) == ("base", "t2")
    assert TypeAdapter(Report).validate_json(as_json(shown)) == shown


def test_tests_that_are_set_aside_are_listed_in_text_and_json():
    many = report(**{f"t{n}": "failed" for n in range(22)})
    base = e.BaselineMeasured(report=many, environmental={"tests/test_x.py::t0": "no network"})
    shown = report_of(tell([Entry(seq=n, at=EPOCH, event=each) for n, each in enumerate((started("change"), base))]))
    text = as_text(shown)

    assert "set aside\n  1 environmental failure (no network)\n    tests/test_x.py::t0\n" in text
    assert "  21 old failures that may stay\n    tests/test_x.py::t1\n" in text
    assert "    and 1 more\n" in text
    assert [each["standing"] for each in json.loads(as_json(shown))["aside"]] == ["environmental", "stable fail"]
    assert [mark.words for mark in shown.marks] == ["22 failed; 1 environmental"]


def test_every_field_of_the_json_is_documented():
    guide = (Path(__file__).parents[1] / "docs" / "json.md").read_text("utf-8")
    table = guide.split("## `greenward show --json`")[1].split("\n## ")[0]
    named = [
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    ]
    assert sorted(named) == sorted(field.name for field in fields(Report))
