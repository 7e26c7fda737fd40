"""What counts as the same when something is done again, and what does not."""

from dataclasses import replace

import pytest

from agent import events as e
from agent.messages import Message
from agent.replay.likeness import difference, masked, told
from agent.verdict import CaseResult, Verdict, VerdictKind, Witness
from tests.kits import report

RAN = e.ToolReturned(call_id="c", name="run_command", content="", is_error=False, tree="t")


def answering(content, name="run_command", **more):
    return told(replace(RAN, content=content, name=name, **more))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 failed, 2 passed in 0.03s", "1 failed, 2 passed in 12.5s"),
        ("Exit code 0 after 0.1 s.", "Exit code 0 after 21.0 s."),
        ("it took 12 ms, then 3 µs", "it took 9 ms, then 140 µs"),
        ("slow: 1 second", "slow: 2 seconds"),
        ("12:31:07.123 INFO", "09:05:59,001 INFO"),
        ("on 2030-01-02", "on 2031-11-30"),
        ("-rw-r--r-- 1 root root 3 Nov 28 12:38 a", "-rw-r--r-- 1 root root 3 Dec  1 2029 a"),
        ("/tmp/greenward-local-k3/work/a.py:3: in f", "/tmp/greenward-local-x_9/work/a.py:3: in f"),
        ("<object at 0x7F3a10>", "<object at 0x55ee20>"),
        ("http://127.0.0.1:40213/x", "http://127.0.0.1:9/x"),
        ("localhost:1", "localhost:22222"),
        ("pid 4711 ended", "pid 9 ended"),
        ("with id=0123456789abcdef and offset=2400.", "with id=fedcba9876543210 and offset=99."),
        ("`read_output` with id `0123456789abcdef`.", "`read_output` with id `fedcba9876543210`."),
        ("--- output 0123456789ab\nx", "--- output ba9876543210\nx"),
        ("x\n--- end of output 0123456789ab", "x\n--- end of output ba9876543210"),
        ("[… 12 of 6012 characters left out …]", "[… 13 of 6013 characters left out …]"),
    ],
)  # fmt: skip
def test_what_varies_from_one_execution_to_the_next_is_left_aside(one, other):
    assert masked(one) == masked(other)
    assert answering(one).like(answering(other))
    assert not answering(one, "read_file").like(answering(other, "read_file")), "of files nothing varies"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 failed, 2 passed in 0.03s", "2 failed, 2 passed in 0.03s"),
        ("Exit code 0 after 0.1 s.", "Exit code 1 after 0.1 s."),
        ("/tmp/a/work/a.py:3: in f", "/tmp/a/work/b.py:3: in f"),
        ("/tmp/a/work/a.py:3: in f", "/tmp/a/work/a.py:4: in f"),
        ("http://127.0.0.1:40213/x", "http://127.0.0.1:40213/y"),
        ("assert 30 == 31", "assert 30 == 32"),
        ("version 2.0.1", "version 2.0.2"),
        ("12:31", "12:32"),
        ("x\n", "x"),
    ],
)
def test_what_was_printed_is_not(one, other):
    assert not answering(one).like(answering(other))


def test_of_tests_their_status_counts_and_not_how_long_they_took():
    then, now = report(a="passed", b="failed", seconds=1.0), report(a="passed", b="failed", seconds=9.0)
    measured = e.BaselineMeasured(report=then, sandbox_seconds=1.0)
    assert told(measured).like(told(e.BaselineMeasured(report=now, sandbox_seconds=2.0)))
    worse = told(e.BaselineMeasured(report=report(a="failed", b="failed")))
    assert not told(measured).like(worse)
    assert difference(told(measured), worse) == "- tests/test_x.py::a passed\n+ tests/test_x.py::a failed"


def test_the_order_of_tests_is_no_difference():
    one, other = report(a="passed", b="passed"), report(b="passed", a="passed")
    assert told(e.TestsFinished(report=one, tree="t")).like(told(e.TestsFinished(report=other, tree="t")))
    assert not told(e.TestsFinished(report=one, tree="t")).like(told(e.TestsFinished(report=one, tree="u")))


def verdict(**changes):
    shown, not_shown = CaseResult(exit_code=0, output="2", holds=True), CaseResult(exit_code=1, output="", holds=False)
    witness = Witness(behaviour="adds", command="add", base=not_shown, result=shown)
    found = Verdict(kind=VerdictKind.PASSED, tree="t", report=report(a="passed"), witnesses=(witness,), seconds=1.0)
    return told(e.VerdictReached(verdict=replace(found, **changes)))


def test_a_verdict_is_its_kind_its_tests_and_its_criteria():
    failing = Witness(
        behaviour="adds", command="add", base=CaseResult(exit_code=1, output="", holds=False),
        result=CaseResult(exit_code=1, output="", holds=False),
    )  # fmt: skip
    assert verdict().like(verdict(seconds=9.0, environment="other", control="other words", reasons=("x",)))
    for change in (
        {"kind": VerdictKind.FAILED},
        {"tree": "u"},
        {"report": report(a="failed")},
        {"witnesses": (failing,)},
    ):
        assert not verdict().like(verdict(**change)), change


def test_an_environment_is_its_recipe_and_not_where_it_was_found():
    made = e.EnvironmentPrepared(id="a", origin="pulled", cached=False, seconds=3.0, build="make", test="pytest")
    assert told(made).like(told(replace(made, id="b", origin="here", cached=True, seconds=0.0)))
    assert not told(made).like(told(replace(made, test="pytest -x")))


def test_words_are_told_apart_from_facts():
    said = e.Prompted(about=e.Say.CODE, messages=(Message(role="user", content="Write it."),))
    other = replace(said, messages=(Message(role="user", content="Please write it."),))
    assert told(said).alike_in_facts(told(other))
    assert not told(said).like(told(other))
    assert not told(said).alike_in_facts(told(replace(said, about=e.Say.PLAN)))
    assert answering("Wrote a.py.", "write_file").alike_in_facts(answering("Done.", "write_file"))
    assert not answering("", "write_file").alike_in_facts(answering("", "write_file", tree="u"))
    assert not answering("").alike_in_facts(answering("", effect=e.TestRun(report=report(a="passed"), full=True)))


def test_a_difference_in_a_long_line_is_shown_where_it_is():
    line = "x" * 5_000
    shown = difference(answering(f"a\n{line}A{line}"), answering(f"a\n{line}B{line}"))
    old, new = shown.splitlines()
    assert (old[:3], new[:3]) == ("- …", "+ …")
    assert "A" in old
    assert "B" in new
    assert len(old) < 200


def test_a_difference_in_many_lines_is_cut_and_made_visible():
    shown = difference(answering("a"), answering("\n".join(f"{n}\x1b[2J" for n in range(50))))
    assert len(shown.splitlines()) == 14
    assert shown.splitlines()[-1] == "+ … and 38 more lines"
    assert "\x1b" not in shown
