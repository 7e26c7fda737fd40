"""What a user sees while a run works: a log that stays, and a few lines below it that are drawn in place."""

from dataclasses import replace

import pytest

from agent import events as e
from agent.live import Line, Said, Streamed, Working
from agent.messages import Message, ToolCall
from agent.models import Usage
from agent.state import Due
from agent.task import Limits, Plan, PlannedFile
from agent.testreport import Status, TestCase, TestReport
from tests.display.screens import Terminal
from tests.kits import PREPARED, every_event, report, started, told

PLAN = Plan(
    summary="Count words",
    steps=("Write app.py and the tests", "Think it over", "Document it in README.md", "Run the tests until they pass"),
    files=tuple(PlannedFile(path=path, purpose="") for path in ("app.py", "tests/test_app.py", "README.md")),
)
RESERVED = e.CallReserved(dollars=0.07, tokens=12_048, max_tokens=2_048)
RED, MIXED, GREEN = (
    report(a="failed", b="failed", c="passed"),
    report(a="passed", b="failed", c="failed"),
    report(a="passed", b="passed", c="passed"),
)
SIZES = pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50)])


def reply(*calls, content=""):
    made = tuple(ToolCall(id=str(n), name=name, arguments=text) for n, (name, text) in enumerate(calls))
    message = Message(role="assistant", content=content, tool_calls=made)
    return e.ModelReplied(message=message, usage=Usage(prompt=9_000, completion=100), stop_reason="tool_calls")


def returned(number, name, effect=None, *, error=False, content="ok"):
    return e.ToolReturned(
        call_id=str(number), name=name, content=content, is_error=error, tree=f"t{number}", effect=effect
    )


PLANNED = [reply(("submit_plan", "{}")), returned(0, "submit_plan", e.Planned(plan=PLAN))]
BEGUN = [started(), PREPARED, e.BaselineMeasured(report=RED), RESERVED, *PLANNED, told(e.Say.CODE)]


def wrote(*paths):
    calls = [("write_file", f'{{"path": "{path}", "content": "x"}}') for path in paths]
    return [RESERVED, reply(*calls), *(returned(n, "write_file") for n in range(len(paths)))]


def shown(*events, notices=(), width=80, height=24, **settings):
    with Terminal(width, height, **settings) as terminal:
        terminal.happened(*events)
        terminal.passed(*notices)
        return terminal.lines


@SIZES
def test_the_plan_the_work_the_tests_and_what_is_spent_are_seen_at_once(width, height):
    with Terminal(width, height) as terminal:
        terminal.happened(*BEGUN, *wrote("app.py"), e.TestsFinished(report=MIXED, tree="t1"))
        lines = terminal.lines
    below = lines[lines.index("plan · 1 of 3 files written") :]
    assert below[1:5] == [
        "  ◐ Write app.py and the tests",
        "  · Think it over",
        "  ○ Document it in README.md",
        "  ○ Run the tests until they pass",
    ]
    assert below[5] == "⠋ committing · 0 s"
    assert "2 failed, 1 passed · 2 failed, 1 passed at first" in below[-2]
    assert below[-2].count("█") < below[-2].count("░")
    assert "$0.0094 of $1.00 · 2 of 80 calls · context 9k/262k · 0:00" in below[-1]


@SIZES
def test_what_matters_stays_when_the_live_lines_are_gone(width, height):
    with Terminal(width, height) as terminal:
        terminal.happened(
            *BEGUN, *wrote("app.py"),
            e.TestsFinished(report=MIXED, tree="t1"),
            e.Committed(commit="0123456789ab", tree="t1", subject="Iteration 1"),
            e.BudgetExhausted(reason="the budget of 1 call is spent"),
        )  # fmt: skip
        terminal.passed(Said("left out: .env"))
    assert terminal.history == [
        "run r1: fix with scripted, at most $1.00, 8 iterations, 80 calls, 30 min",
        "environment: cached; tests: pytest",
        "baseline: 2 failed, 1 passed (0.0 s)",
        "plan: Count words",
        "  1. Write app.py and the tests",
        "  2. Think it over",
        "  3. Document it in README.md",
        "  4. Run the tests until they pass",
        "  write_file app.py",
        "iteration 1: 2 failed, 1 passed ($0.0094 of $1.00, 2 calls)",
        "  fixed  tests/test_x.py::a",
        "  broken tests/test_x.py::c",
        "commit: 012345678 Iteration 1",
        "budget: the budget of 1 call is spent",
        "left out: .env",
    ]
    assert not terminal.screen.cursor.hidden
    assert (terminal.screen.cursor.x, terminal.screen.cursor.y) == (0, len(terminal.lines))


def test_nothing_that_matters_is_overwritten_however_long_a_run_is():
    with Terminal(80, 24) as terminal:
        terminal.happened(*BEGUN)
        for number in range(60):
            terminal.happened(*wrote("app.py"), e.TestsFinished(report=MIXED, tree=str(number)))
            terminal.passed(Streamed(text="So I try again. " * 40, channel="answer"))
            terminal.happened(e.Committed(commit=f"{number:09}", tree=str(number), subject="Again"))
    history = terminal.history
    assert [line for line in history if line.startswith("commit:")] == [f"commit: {n:09} Again" for n in range(60)]
    iterations = [line.partition(":")[0] for line in history if line.startswith("iteration")]
    assert iterations == [f"iteration {number}" for number in range(1, 61)]
    assert not [line for line in history if line.startswith(("spent", "tests  "))]


def test_the_colours_of_tests_and_their_bar_say_how_they_ended():
    with Terminal() as terminal:
        terminal.happened(*BEGUN)
        assert terminal.style("2 failed").fg == "red"
        assert terminal.style("1 passed").fg == "green"
        assert (terminal.style("█").fg, terminal.style("░").fg) == ("green", "red")


def test_the_bar_grows_as_tests_turn_green():
    lengths = []
    for tests in (RED, MIXED, GREEN):
        lines = shown(*BEGUN, *wrote("app.py"), e.TestsFinished(report=tests, tree="t1"))
        lengths.append(lines[-2].count("█"))
    assert lengths[0] == lengths[1] < lengths[2]
    assert lengths[2] == 19


def test_one_failure_among_thousands_is_seen_in_the_bar():
    cases = tuple(TestCase(id=str(n), status=Status.PASSED) for n in range(5_000))
    many = TestReport(cases=(*cases, TestCase(id="bad", status=Status.FAILED)), exit_code=1)
    assert shown(started(), PREPARED, e.BaselineMeasured(report=many))[-2].count("░") == 1


def test_reasoning_is_one_line_with_its_length_and_an_answer_at_most_three():
    thought, said = "All of this is thought, and the end matters. ", "This is said. And so is this.\n\n"
    lines = shown(
        *BEGUN, RESERVED, notices=[Streamed(text=thought, channel="reasoning")] * 30,
    )  # fmt: skip
    at = lines.index("⠋ scripted thinks about the code · 0 s")
    assert lines[at + 1] == "  1350 characters, about 330 tokens · …of this is thought, and the end matters."
    assert lines[at + 2 : at + 5] == ["", "", ""]
    lines = shown(*BEGUN, RESERVED, notices=[Streamed(text=said, channel="answer")] * 30)
    at = lines.index("⠋ scripted answers · 0 s")
    assert lines[at + 2 : at + 5] == ["    This is said. And so is this."] * 3
    assert lines[at + 5].startswith("tests")


def test_a_call_is_named_with_its_subject_while_it_comes_in():
    pieces = [
        Streamed(text=text, channel="call", call="write_file", number=1) for text in ('{"path": "a', '.py", "con')
    ]
    lines = shown(*BEGUN, RESERVED, notices=pieces)
    assert "⠋ scripted calls write_file a.py (2 of this reply) · 0 s" in lines
    assert "  21 characters, about 4 tokens" in lines


def test_what_was_streamed_is_gone_once_the_reply_is_there():
    with Terminal() as terminal:
        terminal.happened(*BEGUN, RESERVED)
        terminal.passed(Streamed(text="Let me see.", channel="answer"))
        assert "    Let me see." in terminal.lines
        terminal.happened(reply(("run_command", '{"command": "make"}'), content="Let me see."))
        assert "    Let me see." not in terminal.lines
        assert "⠋ running make · 0 s" in terminal.lines


def test_the_files_on_their_way_are_shown_as_a_fraction_until_they_are_there():
    sending = Working(what="sending the files", done=3_000_000, total=9_000_000)
    with Terminal() as terminal:
        terminal.happened(started(), PREPARED)
        terminal.passed(sending)
        assert "  sending the files: 3.0 MB of 9.0 MB  ██████░░░░░░░░░░░░░░" in terminal.lines
        terminal.passed(replace(sending, done=9_000_000), Line("test_a.py ...F"))
        assert "  test_a.py ...F" in terminal.lines
        assert not [line for line in terminal.lines if "sending" in line]


def test_a_setup_shows_its_last_line_below_its_own_message():
    lines = shown(started(), notices=[Said("setting up the environment"), Line("Collecting click"), Line("Done")])
    assert "setting up the environment" in lines
    assert "  setting up the environment: Done" in lines
    assert not [line for line in lines if "Collecting" in line]


def test_seconds_count_from_the_last_event():
    with Terminal() as terminal:
        terminal.happened(started(), PREPARED)
        terminal.now = 65.4
        terminal.passed()
        assert "⠸ running the tests on the base · 65 s" in terminal.lines
        assert "1:05" in terminal.lines[-1]


def test_a_wait_counts_down():
    with Terminal() as terminal:
        failed = e.CallFailed(error="overloaded", message="busy", billed=False, wait=8.0)
        terminal.happened(*BEGUN, RESERVED, failed)
        terminal.now = 3.0
        terminal.passed()
        assert "⠼ asking scripted again in 5 s · 3 s" in terminal.lines


def test_what_is_reserved_for_a_call_is_told_apart_until_it_is_settled():
    assert "$0.0047 + 0.0700 of $1.00" in shown(*BEGUN, RESERVED)[-1]
    assert "$0.0094 of $1.00" in shown(*BEGUN, RESERVED, reply())[-1]


def test_a_mere_look_at_a_file_leaves_no_trace_and_one_that_failed_does():
    look = [RESERVED, reply(("read_file", '{"path": "a.py"}'))]
    assert not [line for line in shown(*BEGUN, *look, returned(0, "read_file")) if "read_file" in line]
    failed = returned(0, "read_file", error=True, content="no such file")
    assert "  read_file a.py - no such file" in shown(*BEGUN, *look, failed)


def test_many_names_are_counted():
    before = report(**{f"t{n:02}": "failed" for n in range(25)})
    after = report(**{f"t{n:02}": "passed" for n in range(25)})
    lines = shown(started(), e.BaselineMeasured(report=before), e.TestsFinished(report=after, tree="t"), height=40)
    assert sum(line.startswith("  fixed  tests/") for line in lines) == 10
    assert "  fixed  … and 15 more" in lines


def test_prose_is_wrapped_at_blanks_and_a_name_is_not_broken():
    long = "tests/test_" + "x" * 100 + ".py"
    plan = replace(PLAN, summary="Count the words of many files, " * 5, steps=("Do it",), files=())
    bad = TestReport(cases=(TestCase(id=long, status=Status.FAILED),), exit_code=1)
    good = TestReport(cases=(TestCase(id=long, status=Status.PASSED),))
    with Terminal() as terminal:
        terminal.happened(started(), e.BaselineMeasured(report=bad), RESERVED, reply(("submit_plan", "{}")))
        terminal.happened(returned(0, "submit_plan", e.Planned(plan=plan)), e.TestsFinished(report=good, tree="t"))
    assert "     the words of many files, Count the words of many files, Count the words of" in terminal.lines
    terminal.update()
    assert f" {long}" in terminal.sent


@pytest.mark.parametrize("height", range(2, 40))
def test_the_live_lines_are_never_taller_than_the_screen(height):
    long = replace(PLAN, steps=tuple(f"Step {n} in app.py" for n in range(30)))
    with Terminal(80, height) as terminal:
        terminal.happened(*BEGUN[:-2], returned(0, "submit_plan", e.Planned(plan=long)), told(e.Say.CODE), RESERVED)
        for _ in range(3):
            terminal.now += 1
            terminal.passed(Streamed(text="So I say. " * 90, channel="answer"))
    history = terminal.history
    assert [line for line in history if line.startswith("  30. ")] == ["  30. Step 29 in app.py"]
    assert not [line for line in history if line.startswith(("tests  ", "spent", "⠋", "    So I"))]


def test_the_region_keeps_its_height_while_the_model_speaks():
    heights = set()
    with Terminal() as terminal:
        terminal.happened(*BEGUN, RESERVED)
        heights.add(len(terminal.lines))
        for channel in ("reasoning", "answer", "call"):
            terminal.passed(Streamed(text="Some words. " * 50, channel=channel, call="write_file"))
            heights.add(len(terminal.lines))
        terminal.passed(Line("..."))
        heights.add(len(terminal.lines))
    assert len(heights) == 1


def test_of_a_long_plan_the_steps_around_the_work_are_shown():
    files = tuple(PlannedFile(path=f"f{n}.py", purpose="") for n in range(30))
    long = Plan(summary="s", steps=tuple(f"Write f{n}.py" for n in range(30)), files=files)
    planned = returned(0, "submit_plan", e.Planned(plan=long))
    lines = shown(*BEGUN[:-2], planned, told(e.Say.CODE), *wrote(*(f"f{n}.py" for n in range(12))))
    assert "  ✓ Write f11.py" in lines
    assert "  ○ Write f12.py" in lines
    assert [line for line in lines if line.startswith("    … and ")]


def test_nothing_is_sent_when_nothing_has_changed():
    with Terminal() as terminal:
        terminal.happened(*BEGUN)
        terminal.passed()
        terminal.update()
        before = len(terminal.sent)
        terminal.passed()
        terminal.update()
        assert len(terminal.sent) == before


def test_what_earlier_sessions_did_is_known_and_not_told_again():
    from agent.folding import fold
    from agent.journal import Entry
    from tests.kits import EPOCH

    with Terminal() as terminal:
        entries = [Entry(seq=n, at=EPOCH, event=event) for n, event in enumerate([*BEGUN, *wrote("app.py")])]
        terminal.display.catch_up(tuple(entries), fold(entries))
        terminal.happened(e.TestsFinished(report=GREEN, tree="t"))
        lines = terminal.lines
    assert lines[0].startswith("iteration 1: 3 passed")
    assert "plan · 1 of 3 files written" in lines


def test_a_narrower_terminal_leaves_nothing_behind_where_it_wraps_anew():
    with Terminal(120, 24) as terminal:
        terminal.happened(*BEGUN, RESERVED)
        terminal.passed(Streamed(text="word " * 200, channel="answer"))
        drawn = len(terminal.lines) - terminal.lines.index("")
        wide = sum(len(line) >= 60 for line in terminal.lines[-drawn:])
        assert wide
        terminal.update()
        before = len(terminal.sent)
        terminal.console.width = 60
        terminal.passed()
        terminal.update()
        frame = terminal.sent[before:]
    assert frame[: frame.index("plan")].count("\x1b[1A") == drawn - 1 + wide


def test_every_frame_is_whole_and_leaves_the_modes_as_they_were():
    with Terminal() as terminal:
        terminal.happened(*every_event())
    terminal.update()
    for on, off in (("\x1b[?2026h", "\x1b[?2026l"), ("\x1b[?7l", "\x1b[?7h"), ("\x1b[?25l", "\x1b[?25h")):
        assert terminal.sent.count(on) <= terminal.sent.count(off)
        assert terminal.sent.rindex(on) < terminal.sent.rindex(off)


def test_nothing_is_drawn_while_somebody_is_asked():
    with Terminal() as terminal:
        terminal.happened(*BEGUN)
        with terminal.display.paused():
            terminal.passed(Line("x"))
            assert not [line for line in terminal.lines if line.startswith("spent")]
            assert not terminal.screen.cursor.hidden
        terminal.passed()
        assert terminal.lines[-1].startswith("spent")
        assert terminal.screen.cursor.hidden


def test_without_colours_nothing_is_coloured():
    with Terminal(colour=None) as terminal:
        terminal.happened(*every_event())
        terminal.passed(Streamed(text="x", channel="reasoning"))
    terminal.update()
    import re

    codes = {code for found in re.findall(r"\x1b\[([0-9;]*)m", terminal.sent) for code in found.split(";")}
    assert codes <= {"", "0", "1", "2"}


def test_where_only_ascii_can_be_written_the_signs_are_ascii():
    with Terminal(encoding="ascii") as terminal:
        terminal.happened(*BEGUN, RESERVED)
        terminal.passed(Streamed(text="Größe … \u4f60 " * 60, channel="answer"))
        lines = terminal.lines
    assert "plan - 0 of 3 files written" in lines
    assert "  o Run the tests until they pass" in lines
    assert any(line.startswith("    Gr\\xf6\\xdfe ... \\u4f60") for line in lines)
    assert any("######" in line for line in lines)


@pytest.mark.parametrize("due", list(Due))
def test_all_that_can_be_due_has_words(due):
    from agent.display.frame import DUE

    assert due in DUE or due in (Due.ASK, Due.CALL_TOOL, Due.JUDGE)


def test_a_secret_in_a_notice_is_not_shown():
    lines = shown(
        started(), notices=[Said("pulling from s3cret"), Line("using s3cret")],
        redact=lambda text: text.replace("s3cret", "[redacted]"),
    )  # fmt: skip
    assert "pulling from [redacted]" in lines
    assert not [line for line in lines if "s3cret" in line]


def test_limits_of_one_are_told_in_the_singular():
    limits = Limits(iterations=1, calls=1)
    assert shown(started(limits=limits))[0].endswith("$1.00, 1 iteration, 1 call, 30 min")
