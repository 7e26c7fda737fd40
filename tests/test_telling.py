"""A journal is told as turns, iterations, verdicts and money, however its run went."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent import events as e
from agent.errors import DamagedRun
from agent.journal import Entry, read_entries
from agent.messages import Message, ToolCall, Usage
from agent.task import Limits
from agent.telling import subject_of, tell
from agent.testreport import Status, TestCase, TestReport
from agent.timeline import Answer, Payment
from agent.verdict import CaseResult, Verdict, VerdictKind, Witness
from tests.kits import EPOCH, PLANNED, PREPARED, committed, report, returned, started, told
from tests.test_progress import hostile_run

GOLDEN = Path(__file__).parent / "journals" / "v1.jsonl"
RESERVED = e.CallReserved(dollars=0.25, tokens=1_900, max_tokens=700)
USAGE = Usage(prompt=1_000, cached=0, completion=500)
COST = 0.0015
"""Of `USAGE`, in dollars."""


def story(*events, tick=1.0, mode="fix", limits=None):
    listed = [started(mode, limits=limits), *events]
    return tell(Entry(seq=n, at=EPOCH + timedelta(seconds=tick * n), event=event) for n, event in enumerate(listed))


def says(text="", *calls, usage=USAGE):
    made = tuple(ToolCall(id=str(n), name=name, arguments=arguments) for n, (name, arguments) in enumerate(calls))
    message = Message(role="assistant", content=text, reasoning="Hm.", tool_calls=made)
    return e.ModelReplied(message=message, usage=usage, stop_reason="tool_calls" if calls else "stop")


def answers(call="0", *, error=False, content="ok", effect=None, tree="base"):
    return e.ToolReturned(call_id=call, name="x", content=content, is_error=error, tree=tree, effect=effect)


def test_a_turn_is_a_reply_with_what_came_of_its_calls():
    edit = ("edit_file", '{"path": "a.py"}')
    run = story(
        RESERVED,
        says("So.", edit, ("run_command", '{"command": "ls"}')),
        answers(error=True, content="no"),
        answers("1"),
    )

    (turn,) = run.turns
    assert (turn.number, turn.said, turn.answered, turn.usage, turn.iteration) == (1, "So.", True, USAGE, 1)
    assert [(step.tool, step.subject, step.answer, step.note) for step in turn.steps] == [
        ("edit_file", "a.py", Answer.ERROR, "no"),
        ("run_command", "ls", Answer.DONE, ""),
    ]
    assert turn.model_seconds == 1.0
    assert turn.seconds == 3.0
    assert [step.seconds for step in turn.steps] == [1.0, 1.0]
    assert turn.dollars == pytest.approx(COST)


def test_the_next_reply_is_the_next_turn():
    run = story(RESERVED, says("One."), told(e.Say.NUDGE), RESERVED, says("Two.", usage=None))

    assert [(turn.number, turn.said, turn.seq) for turn in run.turns] == [(1, "One.", 1), (2, "Two.", 4)]
    assert run.turns[1].dollars == pytest.approx(RESERVED.dollars), "without usage, the worst case stands"
    assert run.turns[1].usage is None


def test_a_call_that_is_not_carried_out_is_told_as_such():
    run = story(RESERVED, says("", ("a", "{}"), ("b", "{}")), answers())
    assert [step.answer for step in run.turns[0].steps] == [Answer.DONE, Answer.MISSING]


def test_calls_that_fail_belong_to_the_turn_that_they_delay():
    failed = e.CallFailed(error="rate_limited", message="slow", billed=False, wait=1.0)
    run = story(RESERVED, failed, RESERVED, replace(failed, billed=True, error="cut"), RESERVED, says("At last."))

    (turn,) = run.turns
    assert [(one.error, one.billed) for one in turn.failed] == [("rate_limited", False), ("cut", True)]
    assert turn.dollars == pytest.approx(RESERVED.dollars + COST), "what may have been billed counts"
    assert turn.said == "At last."


def test_a_run_that_never_got_a_reply_has_a_turn_without_one():
    run = story(told(e.Say.PLAN), RESERVED, e.CallFailed(error="auth", message="no", billed=False, wait=None))

    (turn,) = run.turns
    assert (turn.answered, turn.dollars, len(turn.failed)) == (False, 0.0, 1)
    assert [(one.turn, len(one.told), one.reply) for one in run.exchanges] == [(1, 1, None)]


def test_money_is_told_before_at_its_worst_and_after():
    run = story(RESERVED, says("One."), RESERVED, RESERVED, says("Two."))

    assert run.payments == (
        Payment(call=1, turn=1, before=0.0, worst=0.25, after=pytest.approx(COST)),
        Payment(call=2, turn=2, before=pytest.approx(COST), worst=pytest.approx(0.2515), after=pytest.approx(0.2515)),
        Payment(call=3, turn=2, before=pytest.approx(0.2515), worst=pytest.approx(0.5015), after=pytest.approx(0.253)),
    )
    assert run.payments[-1].after == run.state.spent.dollars


def test_an_iteration_is_told_against_what_the_suite_showed_before():
    red, worse, green = report(a="failed", b="passed"), report(a="passed", b="failed"), report(a="passed", b="passed")
    run = story(
        PREPARED,
        e.BaselineMeasured(report=red),
        PLANNED,
        e.TestsFinished(report=worse, tree="t1"),
        committed("t1"),
        e.TestsFinished(report=green, tree="t2"),
        e.VerdictReached(verdict=Verdict(kind=VerdictKind.PASSED, tree="t2")),
        committed("t2"),
    )

    one, two = run.iterations
    assert (one.before.words, one.after.words) == ("1 failed, 1 passed", "1 failed, 1 passed")
    assert (one.fixed, one.broken) == (("tests/test_x.py::a",), ("tests/test_x.py::b",))
    assert (one.tree_before, one.tree, one.commit, one.verdict) == ("base", "t1", "c-t1", None)
    assert (two.fixed, two.broken, two.tree_before) == (("tests/test_x.py::b",), (), "t1")
    assert (two.number, two.commit, two.subject, two.verdict) == (2, "c-t2", "t2", VerdictKind.PASSED)
    assert run.baseline.failures[0].id == "tests/test_x.py::a"


def test_an_iteration_that_left_the_tree_as_it_was_has_no_commit_of_its_own():
    red = report(a="failed")
    run = story(
        PREPARED,
        e.BaselineMeasured(report=red),
        PLANNED,
        e.TestsFinished(report=red, tree="base"),
        e.Committed(commit="c0", tree="base", subject="nothing"),
    )
    assert run.iterations[0].commit == ""


def test_a_run_of_some_tests_is_a_step_and_no_iteration():
    some = e.TestRun(report=report(a="passed"), full=False)
    run = story(PREPARED, PLANNED, RESERVED, says("", ("run_tests", '{"tests": ["a", "b"]}')), answers(effect=some))

    assert run.turns[0].steps[0].subject == "a b"
    assert run.turns[0].steps[0].tests.words == "1 passed"
    assert run.iterations == ()


def test_a_verdict_is_told_with_its_criteria():
    held, fails = CaseResult(exit_code=0, output="2", holds=True), CaseResult(exit_code=1, output="", holds=False)
    witnesses = (
        Witness(behaviour="adds", command="add", base=fails, result=held),
        Witness(behaviour="old", command="old", base=held, result=held),
    )
    verdict = Verdict(
        kind=VerdictKind.UNPROVEN, tree="t", reasons=("no", "why"), witnesses=witnesses, report=report(a="failed")
    )
    run = story(e.TestsFinished(report=report(a="passed"), tree="t"), e.VerdictReached(verdict=verdict))

    (told_,) = run.judgements
    assert (told_.iteration, told_.kind, told_.reasons) == (1, VerdictKind.UNPROVEN, ("no", "why"))
    assert [(one.behaviour, one.proves) for one in told_.witnesses] == [("adds", True), ("old", False)]
    assert told_.tests.failed == 1
    assert [mark.words for mark in run.marks if mark.what == "verdict"] == ["unproven; no; why"]


def test_what_happens_between_turns_is_marked_with_the_turn_before_it():
    limits = Limits(dollars=2.0, tokens=7, calls=3, iterations=2, seconds=90.0)
    run = story(
        e.SessionStarted(pid=1, version="1"),
        PREPARED,
        e.BaselineMeasured(report=report(a="failed")),
        RESERVED,
        says("", ("submit_plan", "{}")),
        PLANNED,
        e.SessionStarted(pid=2, version="2"),
        e.LimitsChanged(limits=limits),
        e.TestsFinished(report=report(a="failed"), tree="t1"),
        committed("t1"),
        e.BudgetExhausted(reason="spent"),
    )

    assert [(mark.turn, mark.what, mark.words) for mark in run.marks] == [
        (0, "environment", "found in the cache"),
        (0, "baseline", "1 failed"),
        (1, "session", "taken up again by greenward 2"),
        (1, "limits", "at most $2.00, 7 tokens, 3 calls, 2 iterations, 1.5 min, in the sandbox 30 min"),
        (1, "iteration 1", "1 failed"),
        (1, "commit", "c-t1 t1"),
        (1, "budget", "spent"),
    ]
    assert run.sessions == 2


def test_time_between_sessions_is_no_work():
    events = [RESERVED, says("", ("a", "{}")), e.SessionStarted(pid=2, version="1"), answers()]
    entries = [
        Entry(seq=n, at=EPOCH + timedelta(seconds=n), event=event) for n, event in enumerate([started(), *events])
    ]
    away = timedelta(hours=9)
    run = tell([*entries[:3], *(replace(entry, at=entry.at + away) for entry in entries[3:])])

    assert run.turns[0].seconds == 2.0


def test_the_conversation_is_told_word_for_word():
    run = story(told(e.Say.PLAN), RESERVED, says("So.", ("a", "{}")), answers(content="x" * 2_000), told(e.Say.CODE))

    first, last = run.exchanges
    assert ([one.content for one in first.told], first.reply.reasoning) == (["plan"], "Hm.")
    assert [one.content for one in first.answers] == ["x" * 2_000]
    assert (last.turn, [one.content for one in last.told], last.reply) == (2, ["code"], None)


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        ('{"path": "a.py", "content": "x"}', "a.py"),
        ('{"command": "ls\\n-l"}', "ls\n-l"),
        ('{"files": [{"path": "a"}, {"path": "b"}]}', "a, b"),
        ('{"summary": "Mend it", "files": [{"path": "a"}]}', "Mend it"),
        ('{"tests": ["a", 1]}', "a 1"),
        ('{"files": ["a", {}]}', "a, "),
        ('{"path": "a\\ud800"}', "a?"),
        ("{}", ""),
        ("[1]", ""),
        ("{", ""),
        ("[" * 100_000, ""),
        ("9" * 5_000, ""),
    ],
)
def test_a_call_is_about_its_path_command_or_pattern(arguments, subject):
    assert subject_of(ToolCall(id="1", name="x", arguments=arguments)) == subject


def test_a_suite_without_a_result_keeps_what_was_printed():
    broken = TestReport(problem="no report was written", output="Segmentation fault", exit_code=139)
    run = story(e.BaselineMeasured(report=broken))

    assert (run.baseline.words, run.baseline.trusted, run.baseline.output) == (
        "no report was written", False, "Segmentation fault",
    )  # fmt: skip


def test_errors_count_as_failures_and_expected_failures_as_skips():
    cases = tuple(TestCase(id=str(n), status=status, detail="why") for n, status in enumerate(Status))
    suite = story(e.BaselineMeasured(report=TestReport(cases=cases, exit_code=1, output="much"))).baseline

    assert (suite.passed, suite.failed, suite.skipped, suite.total) == (1, 2, 2, 5)
    assert [failure.detail for failure in suite.failures] == ["why", "why"]
    assert suite.output == ""


def test_a_journal_cut_anywhere_is_told_as_far_as_it_goes():
    entries = list(read_entries(GOLDEN))
    for end in range(1, len(entries) + 1):
        run = tell(entries[:end])
        assert run.state.spent.dollars == pytest.approx(sum(turn.dollars for turn in run.turns))
        assert run.state.spent.iterations == len(run.iterations)
        assert [turn.number for turn in run.turns] == list(range(1, len(run.turns) + 1))


def test_a_run_whose_every_text_is_hostile_is_told():
    run = tell(Entry(seq=n, at=EPOCH, event=event) for n, event in enumerate(hostile_run()))
    assert (len(run.turns), len(run.iterations), len(run.judgements)) == (1, 2, 1)


def test_answers_before_any_reply_are_left_out():
    assert story(returned("x")).turns == ()


def test_what_is_no_run_is_told_to_be_none():
    with pytest.raises(DamagedRun):
        tell([])
    with pytest.raises(DamagedRun):
        tell([Entry(seq=0, at=EPOCH, event=PREPARED)])


def test_what_a_call_is_about_is_kept_as_it_was_said():
    call = ToolCall(id="1", name="x", arguments=json.dumps({"path": "a\x1b[31m"}))
    assert subject_of(call) == "a\x1b[31m"


@pytest.mark.parametrize(
    ("kind", "tone"),
    [("passed", "good"), ("unproven", "open"), ("needs review", "open"), ("suspect", "bad"), ("failed", "bad")],
)
def test_a_verdict_that_asks_for_proof_is_no_bad_news(kind, tone):
    verdict = Verdict(kind=VerdictKind(kind), tree="t", reasons=("why",))
    run = story(e.TestsFinished(report=report(a="passed"), tree="t"), e.VerdictReached(verdict=verdict))
    assert run.marks[-1].tone == tone


FIRST_PLAN, OTHER_PLAN = PLANNED.effect.plan, replace(PLANNED.effect.plan, summary="Do that.")
"""What `PLANNED` submits, and another."""
FINISHED = e.RunFinished(outcome=e.Outcome.PASSED, reason="judged", commit="c-t1", tree="t1")


def continued_run():
    """A run that was green, and then asked for more."""
    red, green = report(a="failed"), report(a="passed")
    return story(
        PREPARED,
        e.BaselineMeasured(report=red),
        RESERVED,
        says("", ("submit_plan", "{}")),
        PLANNED,
        e.TestsFinished(report=green, tree="t1"),
        e.VerdictReached(verdict=Verdict(kind=VerdictKind.PASSED, tree="t1", report=green)),
        committed("t1"),
        FINISHED,
        e.Continued(request="More.", limits=Limits(dollars=3.0)),
        RESERVED,
        says("", ("submit_plan", "{}")),
        replace(PLANNED, effect=e.Planned(plan=OTHER_PLAN)),
        e.TestsFinished(report=report(a="passed", b="failed"), tree="t2"),
        committed("t2"),
    )


def test_a_run_that_is_asked_for_more_tells_each_request_with_its_plan():
    run = continued_run()

    assert [(one.mode, one.request, one.turn, one.plan) for one in run.asked] == [
        ("fix", "Make it work.", 0, FIRST_PLAN), ("change", "More.", 1, OTHER_PLAN),
    ]  # fmt: skip
    assert [(mark.what, mark.words, mark.tone) for mark in run.marks if mark.what in ("ended", "request")] == [
        ("ended", "passed; judged", "good"), ("request", "More.", "plain"),
    ]  # fmt: skip
    assert run.baseline.words == "1 failed", "what was there before anything was done"
    assert [(one.number, one.tree_before, one.before.words) for one in run.iterations] == [
        (1, "base", "1 failed"), (2, "t1", "1 passed"),
    ]  # fmt: skip


def test_what_the_user_says_of_a_plan_is_told():
    withheld = e.PlanWithheld(reason="the user wants another")
    planned = e.RunFinished(outcome=e.Outcome.PLANNED, reason="it waits", commit="c0", tree="base")
    run = story(
        RESERVED,
        says("", ("submit_plan", "{}")),
        PLANNED,
        withheld,
        planned,
        e.PlanApproved(plan=OTHER_PLAN),
        e.HintGiven(text="Look at b.py."),
    )

    assert [(mark.what, mark.words) for mark in run.marks] == [
        ("plan", "the user wants another"),
        ("ended", "planned; it waits"),
        ("plan", "approved by the user, with changes"),
        ("hint", "Look at b.py."),
    ]
    assert run.asked[0].plan == OTHER_PLAN
    same = story(RESERVED, says("", ("submit_plan", "{}")), PLANNED, e.PlanApproved(plan=FIRST_PLAN))
    assert same.marks[-1].words == "approved by the user"


def test_a_plan_that_the_user_wrote_is_told_from_the_beginning():
    begun = started()
    given = replace(begun, task=replace(begun.task, plan=OTHER_PLAN))
    assert tell([Entry(seq=0, at=EPOCH, event=given)]).asked[0].plan == OTHER_PLAN


def test_more_budget_after_the_end_is_told_as_such():
    spent = replace(FINISHED, outcome=e.Outcome.OUT_OF_BUDGET, reason="")
    run = story(
        e.TestsFinished(report=report(a="failed"), tree="t1"), committed("t1"), spent, e.LimitsChanged(limits=Limits())
    )
    assert [(mark.what, mark.words) for mark in run.marks[-2:]] == [
        ("ended", "out of budget"),
        ("limits", "at most $1.00, 5,000,000 tokens, 80 calls, 8 iterations, 30 min, in the sandbox 30 min"),
    ]  # fmt: skip
