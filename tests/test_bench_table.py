"""What `make bench` says is counted as it says, and its runs end green."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent import events as e
from agent.journal import Entry
from agent.messages import Message
from agent.models.script import call, say
from agent.models.server import Received
from agent.testreport import TestReport
from bench import costs, innerloop, jobs, journals, runs
from bench.table import Figure, line

pytestmark = pytest.mark.untraced


def message(text, role="user"):
    return {"role": role, "content": text}


def test_a_share_counts_the_tokens_of_each_prompt_that_an_earlier_one_began_with():
    first = {"messages": [message("a" * 400)]}
    grown = {"messages": [*first["messages"], message("b" * 400)]}
    size = runs.prompt_units(first)[0][1]

    assert runs.prefix_share([first]) == 0
    assert runs.prefix_share([first, grown]) == pytest.approx(1 / 3)
    assert runs.prefix_share([first, grown, grown]) == pytest.approx(3 / 5)
    assert size == runs.prompt_units(grown)[1][1], "both messages weigh the same"


def test_no_share_is_larger_than_that_of_prompts_that_only_grow():
    first = {"messages": [message("a" * 400)]}
    grown = {"messages": [*first["messages"], message("b" * 400)]}
    changed = {"messages": [message("c" * 400), *grown["messages"][1:]]}

    assert runs.most_share([first, grown]) == pytest.approx(runs.prefix_share([first, grown])) == pytest.approx(1 / 3)
    assert runs.prefix_share([first, changed]) < runs.most_share([first, changed])


def test_a_prompt_that_was_changed_at_its_beginning_shares_nothing():
    assert runs.prefix_share([{"messages": [message("a")]}, {"messages": [message("b"), message("a")]}]) == 0


def test_the_size_of_a_prompt_is_that_of_the_system_prompt_and_the_schemas():
    tools = [{"name": "x" * 80}]
    small, large = ({"tools": tools, "messages": [message("s" * n), message("task")]} for n in (40, 80))

    assert runs.prompt_size(large) - runs.prompt_size(small) == 10
    assert runs.prompt_size(small) > (40 + 80) / 4


def test_a_turn_lasts_from_the_end_of_its_reply_to_the_next_request():
    replies = (say("", call("read_file", path="a")), say("", call("run_tests")), say("done"))
    requests = [Received(headers={}, body={}, at=at) for at in (1.0, 2.5, 4.0)]

    assert list(runs.gaps(replies, requests, [2.0, 3.0, 4.5])) == [(replies[0], 0.5), (replies[1], 1.0)]


@pytest.mark.parametrize(
    ("values", "unit", "target", "cells"),
    [
        ((0.3, 0.1, 0.2), "s", 0.2, "| f | 0.20 s | 0.20 s | 0.10 s | 3 | o |"),
        ((0.3, 0.1, 0.21), "s", 0.2, "| f | 0.20 s, **missed** | 0.21 s | 0.10 s | 3 | o |"),
        ((0.95, 0.97), "%", 0.955, "| f | 95.5% | 96.0% | 97.0% | 2 | o |"),
        ((0.95,), "%", 0.955, "| f | 95.5%, **missed** | 95.0% | 95.0% | 1 | o |"),
        ((0.0123,), "ms", None, "| f |  | 12.3 ms | 12.3 ms | 1 | o |"),
        ((80e6,), "MB", 120e6, "| f | 120 MB | 80 MB | 80 MB | 1 | o |"),
        ((8_512,), "kB", None, "| f |  | 8.5 kB | 8.5 kB | 1 | o |"),
    ],
)
def test_a_line_shows_the_median_the_best_and_a_target_that_is_missed(values, unit, target, cells):
    assert line(Figure(name="f", values=values, unit=unit, target=target, others="o")) == cells


@pytest.mark.docker
@pytest.mark.parametrize(
    ("files", "script", "tests"), [(runs.plain(1), runs.six(), 2), (runs.packaged(), runs.thirty("src/"), 9)]
)
def test_the_runs_that_are_timed_end_green_after_all_their_turns(tmp_path, files, script, tests):
    run = runs.run_fix(tmp_path / "project", files, script)

    assert len(run.requests) == len(script.replies)
    assert sum("run_tests" in [each.name for each in reply.calls] for reply in script.replies) == tests
    assert 0 < run.first_request < run.last_test < run.verdict < run.end
    assert all(seconds > 0 for _, seconds in run.turns)
    assert 20e6 < run.peak < 1e9
    assert runs.prefix_share([request.body for request in run.requests[1:]]) > 0.5
    assert len(runs.thirty().replies) == 30


def test_a_long_run_is_cut_short_where_it_can_be_taken_up_and_measuring_that_leaves_it_so(tmp_path):
    run = journals.long_run(tmp_path / "project", 3)
    before = run.journal.read_bytes()
    kinds = [entry.event.kind for entry in run.entries]

    assert kinds.count("model_replied") == 3
    assert kinds[-1] == "run_paused"
    assert journals.resume(run) > 0
    assert run.journal.read_bytes() == before
    assert len(journals.appends(run.entries, 2)) == len(journals.folds(run.entries, 100, 2)) == 2


def test_what_the_model_waits_for_is_missed_where_it_is_too_much_of_a_long_suite_or_shows_no_fault():
    row = innerloop.Row(
        tests=2_000, module="core", first=400, found=True, red_at_first=6.0, red=5.0, green=30.0, whole=20.0
    )
    assert innerloop.line(row).endswith("| 400 | 6.00 s | 5.00 s | 30.00 s | 20.00 s | 25% |")
    assert innerloop.line(replace(row, red=5.2)).endswith("| 26%, **missed** |")
    assert innerloop.line(replace(row, red=5.2, tests=200)).endswith("| 26% |")
    assert "400, **without the fault** |" in innerloop.line(replace(row, found=False))


def test_what_the_promises_cost_is_told_beside_a_plain_run():
    row = costs.Row(tests=200, plain=2.0, baseline=3.0, suite=2.5, control=1.5, covered="all")
    assert costs.line(row) == "| 200 | 2.00 s | 3.00 s (+1.00 s) | 2.50 s (+0.50 s) | 1.50 s (-0.50 s) | 3.5 | all |"


@pytest.mark.docker
def test_costs_are_those_of_a_green_verdict_with_its_control():
    row = costs.measured(10, times=1)
    assert row.covered.startswith("10 tests made to fail, none of which passed")
    assert row.control > 0


@pytest.mark.docker
def test_the_model_waits_for_a_run_that_shows_the_fault():
    assert [(row.module, row.first, row.found) for row in innerloop.measured(10)] == [
        (module, 10, True) for module in innerloop.CHANGED
    ]


def test_each_part_of_a_job_is_what_came_before_the_events_that_tell_of_it():
    call = e.CallReserved(dollars=0.1, tokens=10, max_tokens=5)
    reply = e.ModelReplied(message=Message(role="assistant", content=""), usage=None, stop_reason="stop")
    report = TestReport()
    ran = e.ToolReturned(
        call_id="1", name="run_tests", content="", is_error=False, tree="t", effect=e.TestRun(report=report, full=True)
    )
    read = replace(ran, effect=None)
    told = ((2, e.SessionStarted(pid=1, version="1")), (5, e.BaselineMeasured(report=report)), (6, call), (9, reply),
            (10, read), (14, ran), (15, call), (17, reply))  # fmt: skip
    entries = [Entry(seq=seq, at=datetime.fromtimestamp(at, UTC), event=event) for seq, (at, event) in enumerate(told)]

    took = jobs.phases(entries, began=1)
    assert took == {"environment": 1, "baseline": 3, "model": 5, "tests": 4, "verdict": 0}

    job = jobs.Job(install=10, image=0, whole=30, **took)
    assert job.rest == 30 - 10 - 13
    row = "| it | 10.0 s | 0.0 s | 1.0 s | 3.0 s | 5.0 s | 4.0 s | 0.0 s | 7.0 s | 30.0 s |"
    assert jobs.line("it", [job, job, replace(job, whole=40)]) == row
