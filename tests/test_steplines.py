"""The steps of a run by their numbers, one line for each."""

from datetime import timedelta

from agent import events as e
from agent.journal import Entry
from agent.messages import Message
from agent.steplines import step_lines
from agent.task import Limits, Plan
from tests.kits import EPOCH, PRICES, every_event, replied, returned, started, told


def lines(*events):
    entries = [Entry(seq=n, at=EPOCH + timedelta(seconds=n), event=event) for n, event in enumerate(events)]
    return list(step_lines(entries))


def test_each_entry_is_a_line_with_its_number_time_and_kind():
    events = every_event()
    shown = lines(*events)
    assert len(shown) == len(events)
    assert [int(line.split()[0]) for line in shown] == list(range(len(events)))
    assert [line.split()[3] for line in shown] == [event.kind for event in events]
    assert shown[0] == "    0  2030-01-01 00:00:00  run_started           fix with scripted: Make it work."
    assert (
        shown[5] == "    5  2030-01-01 00:00:05  call_reserved         call 1: at most $0.0100, 2,048 tokens of reply"
    )
    assert shown[8].endswith("model_replied         So. -> submit_plan")
    assert shown[16].endswith("tool_returned         edit é: 1 failed, 1 passed")
    assert shown[19].endswith("committed             c1 Try")
    assert shown[-1].endswith("run_finished          passed: judged in a fresh container")


def test_what_a_user_did_is_shown_in_their_words():
    forked = e.Forked(
        run_id="r2", branch="b", parent="r1", step=1, commit="c0", model="other", prices=PRICES, context=9,
        max_output=9, limits=Limits(),
    )  # fmt: skip
    plan = Plan(summary="Add.", steps=("Add.",))
    end = e.RunFinished(outcome=e.Outcome.BLOCKED, reason="no", commit="c0", tree="base")
    events = [
        started(), e.SessionStarted(pid=1, version="0.1"), forked, e.LimitsChanged(limits=Limits(dollars=2)),
        e.PlanApproved(plan=plan), e.PlanWithheld(reason="not yet"), e.HintGiven(text="mind the sign"),
        e.RunPaused(why="interrupted", reason="interrupted", commit="c0", tree="base"), end,
        e.Continued(request="also subtract", limits=Limits()),
    ]  # fmt: skip
    words = [line[50:] for line in lines(*events)]
    assert words[2].startswith(
        "from run r1 after step 1, $0.0000 spent by then; with other, at most $1.00, 5,000,000 tok"
    )
    assert [words[1], *words[3:]] == [
        "by greenward 0.1",
        "at most $2.00, 8 iterations, 80 calls, 30 min",
        "Add.",
        "not yet",
        "mind the sign",
        "interrupted; the branch is at c0",
        "blocked: no",
        "also subtract",
    ]  # fmt: skip


def test_nothing_that_a_run_holds_acts_on_a_terminal_or_fills_it():
    hostile = "\x1b[2J" + "x" * 5_000 + "\nmore"
    events = [
        started(), told(e.Say.PLAN), replied("t"),
        e.ToolReturned(call_id="t", name="t" + hostile, content=hostile, is_error=True, tree="base"),
        e.ModelReplied(message=Message(role="assistant", content=hostile), usage=None, stop_reason="stop"),
        e.HintGiven(text=hostile), returned("t"),
    ]  # fmt: skip
    shown = lines(*events)
    assert all(line.isprintable() for line in shown)
    assert max(map(len, shown)) < 180
