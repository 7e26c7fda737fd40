"""A run is told as plain lines; whatever text comes from outside, no line does more than be read."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent import events as e
from agent.folding import fold
from agent.journal import Entry, read_entries
from agent.messages import Message, ToolCall
from agent.progress import Progress
from agent.suspicions import Kind, Suspicion
from agent.task import Criterion, Limits, Plan
from agent.testreport import Status, TestCase, TestReport
from agent.text import sanitise
from agent.verdict import Verdict, VerdictKind
from tests.kits import EPOCH, report, started

GOLDEN = Path(__file__).parent / "journals" / "v1.jsonl"


B = "tests/test_x.py::b"


def told(*events):
    lines = []
    progress = Progress(lines.append)
    for number, event in enumerate(events):
        progress(Entry(seq=number, at=EPOCH, event=event))
    return lines


def test_a_whole_run_reads_as_its_snapshot():
    assert told(*(entry.event for entry in read_entries(GOLDEN))) == [
        "run r1: fix with scripted, at most $1.00, 8 iterations, 80 calls, 30 min",
        "environment: made in 2 s, base image pulled; tests: pytest",
        "  note: slow",
        "baseline: 1 failed, 1 passed (1.5 s)",
        "model: no reply (rate_limited: slow down); trying again in 0.5 s",
        "model: So.",
        "plan: Mend the sum.",
        "  1. Find it.",
        "  2. Mend it.",
        "  shows: add 1 1 -> 2",
        "model: So.",
        "  edit é",
        "  some tests: 1 failed, 1 passed",
        "  unseal tests/test_new.py: a typo",
        "iteration 1: 1 failed, 1 passed ($0.0201 of $1.00, 4 calls)",
        "commit: c1 Try",
        "model: So.",
        "model: done.",
        "iteration 2: 2 passed, fixed tests/test_x.py::b ($0.0201 of $1.00, 5 calls)",
        "judge: passed (3.2 s in fresh containers)",
        "commit: c2 Mend the sum",
        "budget: the budget of 80 calls is spent",
    ]


def test_a_baseline_is_told_with_how_often_it_was_run_and_what_is_set_aside():
    base = e.BaselineMeasured(
        report=report(a="failed", b="failed", c="passed", seconds=1.5), runs=21, flaky=("tests/test_x.py::a",),
        environmental={B: "name resolution"}, cached=True,
    )  # fmt: skip

    assert told(started(), base)[1:] == [
        "baseline: 2 failed, 1 passed (1.5 s, 21 runs, cached)",
        f"  aside: 1 environmental failure (name resolution): {B}; a network and services are not supported",
        "  aside: 1 flaky test seen to pass and to fail on the same files: tests/test_x.py::a",
    ]


def test_limits_that_change_are_told():
    limits = Limits(dollars=2.5, iterations=3, calls=4, seconds=90)
    assert told(started(), e.LimitsChanged(limits=limits))[1] == (
        "limits: at most $2.50, 3 iterations, 4 calls, 1.5 min"
    )


def test_what_was_told_in_an_earlier_session_is_not_told_again():
    entries = tuple(read_entries(GOLDEN))
    lines = []
    progress = Progress(lines.append)
    progress.catch_up(entries[:-3], fold(entries[:-3]))
    for entry in entries[-3:]:
        progress(entry)

    assert lines == ["commit: c2 Mend the sum", "budget: the budget of 80 calls is spent"]


def test_a_verdict_that_is_not_green_is_told_with_its_reasons_and_any_with_its_notes():
    failed = Verdict(kind=VerdictKind.FAILED, tree="t", reasons=("a fails", "b is lost"))
    passed = Verdict(kind=VerdictKind.PASSED, tree="t", notes=("a test was opened",))

    assert told(started(), e.VerdictReached(verdict=failed))[1:] == [
        "judge: failed (0.0 s in fresh containers)", "  a fails", "  b is lost",
    ]  # fmt: skip
    assert told(started(), e.VerdictReached(verdict=passed))[2:] == ["  note: a test was opened"]


def test_what_is_flagged_is_told_up_to_a_number():
    many = tuple(Suspicion(kind=Kind.MACHINE_FILE, path=f"{n}/Makefile", words="is\x1b run") for n in range(10))
    passed = Verdict(kind=VerdictKind.PASSED, tree="t", suspicions=many)

    lines = told(started(), e.VerdictReached(verdict=passed))[2:]
    assert lines[0] == "  flagged: 0/Makefile: is\\u{1b} run (machine-file)"
    assert (len(lines), lines[-1]) == (9, "  flagged: and 2 more")


def test_a_verdict_that_nothing_isolated_says_so():
    verdict = Verdict(kind=VerdictKind.UNPROVEN, tree="t")
    local = replace(started(), sandbox="local")

    assert told(local, e.VerdictReached(verdict=verdict))[1:] == [
        "judge: unproven (0.0 s in fresh directories, isolated by nothing)"
    ]


def test_a_new_test_that_passes_was_not_fixed():
    new = e.TestsFinished(report=report(a="passed", b="passed"), tree="t")
    line = told(started(), e.BaselineMeasured(report=report(a="passed")), new)[-1]

    assert "fixed" not in line


def test_what_was_fixed_and_broken_is_named_and_the_rest_is_counted():
    before = report(**dict.fromkeys("abcde", "failed"), f="passed")
    after = report(**dict.fromkeys("abcde", "passed"), f="failed")
    line = told(started(), e.BaselineMeasured(report=before), e.TestsFinished(report=after, tree="t"))[-1]

    assert (
        ", fixed tests/test_x.py::a tests/test_x.py::b tests/test_x.py::c and 2 more, broken tests/test_x.py::f ("
        in line
    )


def test_a_commit_that_changed_nothing_is_not_told():
    tested = e.TestsFinished(report=report(a="failed"), tree="base")
    commit = e.Committed(commit="c0", tree="base", subject="Nothing")
    assert not [line for line in told(started(), tested, commit) if line.startswith("commit")]


@pytest.mark.parametrize("arguments", ['{"path": "a.py"}', "[1]", "{", '{"path": 3}', "[" * 100_000])
def test_a_call_is_told_whatever_its_arguments_are(arguments):
    call = ToolCall(id="1", name="read_file", arguments=arguments)
    reply = e.ModelReplied(message=Message(role="assistant", tool_calls=(call,)), usage=None, stop_reason="tool_calls")
    failed = e.ToolReturned(call_id="1", name="read_file", content="no\nsuch file", is_error=True, tree="t")

    (line,) = told(started(), reply, failed)[1:]
    assert line.startswith("  read_file")
    assert line.endswith(" - no such file")


HOSTILE = "x\x1b]0;owned\x07\r\n\n\u202eevil\u2028\x9b2J\u200b\x00\ud800"


def hostile_run(text=HOSTILE):
    """Every text that a model, a repository or a server has a say in is hostile."""
    cases = (TestCase(id=text, status=Status.FAILED, message=text, detail=text),)
    bad = TestReport(cases=cases, exit_code=1, problem=text, output=text)
    call = ToolCall(id="1", name=text, arguments=f'{{"path": "{"x" * 9}"}}')
    plan = Plan(
        summary=text,
        steps=(text,),
        criteria=(Criterion(behaviour=text, command=text, output=text),),
    )
    reply = e.ModelReplied(
        message=Message(role="assistant", content=text, tool_calls=(call,) * 6), usage=None, stop_reason=text
    )
    back = e.ToolReturned(call_id="1", name=text, content=text, is_error=True, tree="t")
    effects = (
        e.Planned(plan=plan),
        e.TestRun(report=bad, full=False),
        e.TestRun(report=bad, full=True),
        e.Unsealed(path=text, reason=text),
        e.Finish(status="blocked", reason=text),
    )
    verdict = Verdict(kind=VerdictKind.FAILED, tree="t", reasons=(text,), notes=(text,))
    return [
        replace(started(), run_id=text, model=text),
        e.EnvironmentPrepared(id=text, origin=text, cached=False, seconds=1.0, build=text, test=text, notes=(text,)),
        e.BaselineMeasured(report=bad),
        e.CallFailed(error=text, message=text, billed=False, wait=None),
        reply,
        back,
        *(replace(back, effect=effect) for effect in effects),
        e.TestsFinished(report=bad, tree="t"),
        e.VerdictReached(verdict=verdict),
        e.Committed(commit="c1", tree="t", subject=text),
        e.BudgetExhausted(reason=text),
        e.RunFinished(outcome=e.Outcome.FAILED, reason=text, commit=text, tree="t"),
    ]


def test_no_text_from_outside_acts_on_a_terminal_or_makes_a_line_of_its_own():
    lines = told(*hostile_run())

    assert len(lines) >= 15
    for line in lines:
        assert "\n" not in line
        assert sanitise(line) == line
        assert "evil" not in line or "\\u{202e}evil" in line
        line.encode()
