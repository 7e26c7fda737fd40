"""What a replay came to, in words and for programs."""

import re
from collections import Counter
from dataclasses import fields
from pathlib import Path

from agent.events import Outcome
from agent.replay import Divergence, Replayed, Step, Tally
from agent.replay.rendering import ReplayReport, as_text


def replayed(divergence=None, outcome=Outcome.PASSED, versions=("0.1.0",), **tally):
    return Replayed(
        run="3f2a", steps=40, versions=versions, recheck=False, outcome=outcome, branch="greenward/x-3f2a", tip="c2",
        tree="t2", tally=Tally(**tally), divergence=divergence,
    )  # fmt: skip


def test_a_line_is_told_for_each_thing_that_was_the_same():
    told = as_text(
        replayed(
            calls=3, conversations=4, edits=2, commits=["c1", "c2"], again=Counter(tool_returned=5),
            recorded=Counter(tool_returned=2, tests_finished=1, baseline_measured=1, verdict_reached=1),
        )
    )  # fmt: skip
    assert told.splitlines() == [
        "the same: run 3f2a (passed), 40 steps",
        "recorded: by greenward 0.1.0",
        "calls:    3 of 4 answered, from the record; each conversation is the one that was sent",
        "tools:    5 again, 2 from the record, 2 edits among them",
        "tests:    0 again, 2 from the record",
        "verdicts: 0 again, 1 from the record",
        "commits:  2 made again, with the recorded ids",
        "tip:      c2 of greenward/x-3f2a, tree t2",
    ]


def test_a_run_that_has_not_ended_or_not_begun_is_said_to_be_so():
    assert as_text(replayed(outcome=None)).startswith("the same: run 3f2a (unfinished), 40 steps\n")
    assert "recorded: no session" in as_text(replayed(versions=()))


def test_the_steps_one_of_which_was_changed_are_listed_as_far_as_they_fit():
    steps = tuple(Step(step=n, kind="prompted", what=f"words \x1b[2J {n}") for n in range(30))
    told = as_text(replayed(Divergence(steps=steps, difference="- a\n+ b", hint="look")))
    assert told.startswith("diverges: run 3f2a, at one of 30 steps of 40\n  step 0: prompted words \\u{1b}[2J 0\n")
    assert "  step 19: " in told
    assert "  step 20: " not in told
    assert told.endswith("  and 10 more\n  - as recorded, + as it came now\n  - a\n  + b\n\nhint: look")


def test_every_field_of_the_json_is_documented():
    guide = (Path(__file__).parents[2] / "docs" / "json.md").read_text("utf-8")
    table = guide.split("## `greenward replay --json`")[1].split("\n## ")[0]
    named = re.findall(
        r"`(\w+)`", " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    )
    assert sorted(named) == sorted(field.name for field in fields(ReplayReport))
