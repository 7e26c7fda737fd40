"""What a run came to, for a person: the outcome first, the next command last."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent import events as e
from agent.aside import aside_of
from agent.baseline import Standing
from agent.events import Outcome
from agent.folding import fold
from agent.journal import Entry, read_entries
from agent.result import result_of
from agent.runs import StoredRun
from agent.summary import essentials, run_line, summary
from agent.suspicions import Kind, Suspicion
from agent.task import Limits
from agent.text import sanitise
from agent.verdict import CaseResult, Verdict, VerdictKind, Witness
from tests.kits import EPOCH, report, started
from tests.test_progress import HOSTILE, hostile_run

GOLDEN = Path(__file__).parent / "journals" / "v1.jsonl"
RED, GREEN = report(a="failed"), report(a="passed")


def state_of(*events, mode="fix", limits=None):
    entries = [started(mode, limits=limits), *events]
    return fold(Entry(seq=n, at=EPOCH + timedelta(seconds=n), event=event) for n, event in enumerate(entries))


def ended(outcome, reason="", *, verdict=None, mode="fix", limits=None, changed=True):
    """A run that was red, was changed once, and ended."""
    tree = "done" if changed else "base"
    events = [e.BaselineMeasured(report=RED), e.TestsFinished(report=GREEN if changed else RED, tree=tree)]
    events += [e.VerdictReached(verdict=replace(verdict, tree=tree))] if verdict else []
    commit = "c1" if changed else "c0"
    proof = "f" * 64 if outcome is Outcome.PASSED else ""
    end = e.RunFinished(outcome=outcome, reason=reason, commit=commit, tree=tree, proof=proof)
    return state_of(*events, e.Committed(commit=commit, tree=tree, subject=""), end, mode=mode, limits=limits)


NAMES = {name: f"tests/test_x.py::{name}" for name in "abcdef"}
BASE = e.BaselineMeasured(
    report=report(a="failed", b="failed", c="failed", d="failed", e="failed", f="passed"),
    runs=21,
    flaky=(NAMES["a"],),
    environmental={NAMES["b"]: "name resolution", NAMES["c"]: "missing executable (git)"},
    cached=True,
)


def asides(state):
    return [each.removeprefix("aside:   ") for each in summary(state).splitlines() if each.startswith("aside:")]


def test_what_is_set_aside_is_listed_with_the_reason():
    assert asides(state_of(BASE, mode="change")) == [
        f"1 environmental failure (missing executable (git)): {NAMES['c']}; a network and services are not supported",
        f"1 environmental failure (name resolution): {NAMES['b']}; a network and services are not supported",
        "1 flaky test seen to pass and to fail on the same files: tests/test_x.py::a",
        "2 old failures that may stay: tests/test_x.py::d, tests/test_x.py::e",
    ]


def test_under_fix_the_old_failures_are_the_task():
    assert not any("old failure" in each for each in asides(state_of(BASE)))


def test_of_many_tests_three_are_named_to_people_and_twenty_to_programs():
    many = report(**{f"t{n}": "failed" for n in range(30)})
    state = state_of(e.BaselineMeasured(report=many), mode="change")
    (aside,) = aside_of(state)

    assert asides(state)[0].endswith("tests/test_x.py::t0, tests/test_x.py::t1, tests/test_x.py::t2 and 27 more")
    assert (aside.standing, aside.count, len(aside.ids)) == (Standing.FAILS, 30, 20)
    assert result_of(state).aside == (aside,)


def test_a_test_that_wavered_later_is_listed_as_flaky():
    tested = e.TestsFinished(report=replace(report(d="failed"), flaky=(NAMES["d"],)), tree="t")

    assert any("flaky" in each and NAMES["d"] in each for each in asides(state_of(BASE, tested)))


def line(state, name):
    return next(text for text in summary(state).splitlines() if text.startswith(name)).removeprefix(name).strip()


def test_a_green_run_reads_as_its_snapshot():
    assert (
        summary(fold(read_entries(GOLDEN)))
        == """
passed, without a proof: judged in a fresh container
done:    Mend the sum.
tests:   1 failed, 1 passed -> 2 passed
shown:   2 passed in a fresh container; 1 of 1 acceptance criteria failed before and hold after
cost:    $0.0201 of $1.00, 5 of 80 calls, 2 of 8 iterations
tokens:  6,260 of 5,000,000 (230 in, 100 of them cached, 30 out)
time:    26 s of 30 min, in the sandbox 0 s of 30 min
branch:  greenward/work-r1
next:    greenward diff r1, then greenward accept r1"""
    )


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome.PASSED, "green"),
        (Outcome.FAILED, "not green"),
        (Outcome.BLOCKED, "blocked"),
        (Outcome.UNPROVEN, "unproven"),
        (Outcome.OUT_OF_BUDGET, "out of budget"),
    ],
)
def test_each_outcome_has_its_word_and_its_reason(outcome, word):
    assert summary(ended(outcome, "so it is")).splitlines()[1] == f"{word}: so it is"
    assert summary(ended(outcome)).splitlines()[1] == word


def test_a_run_that_goes_on_says_how():
    state = state_of()

    assert summary(state).splitlines()[1] == "unfinished"
    assert line(state, "tests:") == "not run -> not run"
    assert line(state, "next:") == "greenward resume r1"


def test_reasons_of_a_verdict_are_listed_if_the_headline_does_not_say_them_all():
    failed = Verdict(kind=VerdictKind.FAILED, tree="", reasons=tuple(f"{n} fails" for n in range(20)))
    lines = summary(ended(Outcome.FAILED, "0 fails; 1 fails", verdict=failed)).splitlines()

    assert lines[2:12] == [f"  - {n} fails" for n in range(10)]
    assert lines[12].startswith("tests:")


def test_what_proved_it_is_told_and_what_proved_nothing_too():
    held, fails = CaseResult(exit_code=0, output="", holds=True), CaseResult(exit_code=1, output="", holds=False)
    proving = tuple(Witness(behaviour="", command="", base=fails, result=held) for _ in range(2))
    witnesses = (*proving, Witness(behaviour="", command="", base=held, result=held, guards=True))
    passed = Verdict(kind=VerdictKind.PASSED, tree="", report=GREEN, witnesses=witnesses, notes=("a test was opened",))
    state = ended(Outcome.PASSED, verdict=passed)

    assert line(state, "shown:") == (
        "1 passed in a fresh container; 2 of 2 acceptance criteria failed before and hold after;"
        " 1 held before and hold still"
    )
    assert line(state, "note:") == "a test was opened"


def test_what_is_flagged_stands_in_the_summary_of_a_green_run():
    makefile = Suspicion(kind=Kind.MACHINE_FILE, path="Makefile", words="is executed")
    state = ended(Outcome.PASSED, verdict=Verdict(kind=VerdictKind.PASSED, tree="", suspicions=(makefile,)))

    assert line(state, "flagged:") == "Makefile: is executed (machine-file)"
    assert result_of(state).suspicions == (makefile,)


def test_what_was_tried_and_refused_stands_in_the_summary_once_with_how_often():
    sealed = e.Refusal(path="tests/test_app.py", reason="is sealed")
    tried = e.ToolReturned(
        call_id="1", name="write_file", content="", is_error=True, tree="base", refused=(sealed, sealed)
    )
    state = state_of(tried, replace(tried, refused=(e.Refusal(path="../x", reason="leads out"),)))

    told = [line for line in summary(state).splitlines() if line.startswith("refused:")]
    assert told == [
        "refused: a change of tests/test_app.py, 2 times: is sealed",
        "refused: a change of ../x: leads out",
    ]
    assert result_of(state).refused == (sealed, sealed, e.Refusal(path="../x", reason="leads out"))


def test_nothing_is_shown_by_a_verdict_that_did_not_pass():
    unproven = Verdict(kind=VerdictKind.UNPROVEN, tree="", report=GREEN, reasons=("no witness",))
    assert "shown:" not in summary(ended(Outcome.UNPROVEN, "no witness", verdict=unproven))


@pytest.mark.parametrize(
    ("reason", "limits", "option"),
    [
        ("the budget of $1 is spent", Limits(), "--max-cost 2"),
        ("the next call could pass the budget of $0.5 ($0.4 spent)", Limits(dollars=0.5), "--max-cost 1"),
        ("the budget of 1 iterations is spent", Limits(iterations=1), "--max-iterations 2"),
        ("the budget of 0 calls is spent", Limits(calls=0), "--max-calls 0"),
        ("the budget of 90 seconds is spent", Limits(seconds=90.0), "--max-minutes 3"),
        ("the next call could pass the budget of 5 tokens (0 spent)", Limits(tokens=5), "--max-tokens 10"),
    ],
)
def test_out_of_budget_offers_to_go_on_with_twice_as_much(reason, limits, option):
    assert line(ended(Outcome.OUT_OF_BUDGET, reason, limits=limits), "next:") == (
        f"greenward resume r1 {option} goes on; or greenward diff r1, then greenward accept r1"
    )


def test_a_conversation_that_outgrew_the_context_is_not_mended_by_a_larger_budget():
    state = ended(Outcome.OUT_OF_BUDGET, "the conversation has grown to the model's context of 9,000 tokens")
    assert "resume" not in line(state, "next:")


def test_where_nothing_was_changed_there_is_nothing_to_accept():
    assert line(ended(Outcome.FAILED, changed=False), "next:") == "nothing was changed"
    assert line(ended(Outcome.OUT_OF_BUDGET, "$", changed=False), "next:") == "greenward resume r1 --max-cost 2 goes on"


def test_a_list_of_runs_has_one_line_each_of_a_bounded_length():
    state = ended(Outcome.PASSED)
    task = replace(state.started.task, request="Do this.\n" * 50)
    run = StoredRun(directory=Path("/runs/ab12"), state=replace(state, started=replace(state.started, task=task)))

    shown = run_line(run)
    assert shown.startswith("ab12  2030-01-01 00:00  fix     passed         $0.0000  Do this. Do this.")
    assert len(shown) < 140
    assert "\n" not in shown


def test_a_repair_without_a_request_is_named_for_what_it_mends():
    state = ended(Outcome.PASSED)
    task = replace(state.started.task, request="")
    run = StoredRun(directory=Path("/runs/ab12"), state=replace(state, started=replace(state.started, task=task)))

    assert run_line(run).endswith("  the failing tests")


def test_no_text_from_outside_acts_on_a_terminal():
    entries = [Entry(seq=n, at=EPOCH, event=event) for n, event in enumerate(hostile_run())]
    state = fold(entries)
    shown = [summary(state), run_line(StoredRun(directory=Path("/runs/ab12"), state=state))]

    for text in shown:
        assert sanitise(text) == text
        assert HOSTILE not in text
        text.encode()


def test_the_next_command_names_the_repository_unless_it_is_the_current_directory():
    state = ended(Outcome.UNPROVEN, "no witness")
    assert summary(state, "my project").endswith(
        "next:    greenward diff r1 --repo 'my project', then greenward accept r1 --repo 'my project'"
    )
    assert summary(state).endswith("next:    greenward diff r1, then greenward accept r1")


def test_a_scaffold_ends_in_its_directory():
    assert summary(ended(Outcome.PASSED, mode="new"), "tally").endswith("next:    cd tally && git log")


def test_whatever_reports_a_result_says_that_its_tests_were_free():
    state = ended(Outcome.PASSED, "so", verdict=Verdict(kind=VerdictKind.PASSED, tree="", report=GREEN))
    free = replace(state, started=replace(state.started, task=replace(state.started.task, test_policy="free")))

    for text in (summary(free), essentials(free), run_line(StoredRun(directory=Path("r1"), state=free))):
        assert "free to change" in text
    for text in (summary(state), essentials(state), run_line(StoredRun(directory=Path("r1"), state=state))):
        assert "free to change" not in text
    assert line(free, "shown:") == "1 passed in a fresh container, with tests that were free to change"


def test_nothing_is_called_green_without_a_proof():
    proven = ended(Outcome.PASSED, "judged", verdict=Verdict(kind=VerdictKind.PASSED, tree="", report=GREEN))
    unproven = replace(proven, finished=replace(proven.finished, proof=""))

    assert summary(proven).splitlines()[1] == "green: judged"
    assert line(proven, "proof:") == "ffffffffffff; `greenward verify c1` checks it and runs it again"
    assert "green:" not in summary(unproven) + essentials(unproven)
    assert summary(unproven).splitlines()[1] == "passed, without a proof: judged"
