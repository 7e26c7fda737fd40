"""What is said to the model, verbatim: a change of a prompt is a change of its snapshot.

`UPDATE_SNAPSHOTS=1 pytest tests/test_prompts.py` writes them anew; the diff is what to review.
"""

import os
from pathlib import Path

import jinja2
import pytest

from agent.events import Say
from prompts import render

SNAPSHOTS = Path(__file__).parent / "snapshots"
TEMPLATES = Path(__file__).parents[1] / "prompts"

PLAN = {
    "mode": "change",
    "request": "add --json to the list command",
    "cwd": "",
    "instructions": "--- notes 1\nRun `make lint`.\n--- end of notes 1",
    "files": ["README.md", "src/app.py"],
    "files_left_out": 0,
    "failures": "",
    "given": False,
}
TICKS = [{"path": "a.py", "written": True}, {"path": "b.py", "written": False}]
SAID = {
    "system": ("system", {}),
    "plan-change": ("plan", PLAN),
    "plan-cwd": ("plan", {**PLAN, "cwd": "services/api"}),
    "plan-new": ("plan", {**PLAN, "mode": "new", "request": "a CLI that counts", "instructions": "", "files": []}),
    "plan-fix": ("plan", {**PLAN, "mode": "fix", "request": "", "failures": "1 failed", "files_left_out": 12}),
    "plan_missing": ("plan_missing", {}),
    "plan-given": ("plan", {**PLAN, "given": True}),
    "tests": ("tests", {"changed_plan": ""}),
    "tests-changed": ("tests", {"changed_plan": 'summary = "Count words"\n'}),
    "tests_not_red": ("tests_not_red", {"result": "3 passed", "problem": ""}),
    "tests_not_red-problem": ("tests_not_red", {"result": "no tests", "problem": "no tests were found"}),
    "code-new": ("code", {"mode": "new", "old_failures": (), "changed_plan": ""}),
    "code-fix": ("code", {"mode": "fix", "old_failures": (), "changed_plan": ""}),
    "code-change": ("code", {"mode": "change", "old_failures": ("tests/test_a.py::test_old",), "changed_plan": ""}),
    "results-red": ("results", {"feedback": "1 failed, 2 passed", "green": False}),
    "results-green": ("results", {"feedback": "3 passed", "green": True}),
    "verdict-unproven": ("verdict", {"kind": "unproven", "reasons": ["`app list --json` does not show: JSON"]}),
    "verdict-failed": ("verdict", {"kind": "failed", "reasons": ["tests/test_a.py::test_b fails"]}),
    "nudge": ("nudge", {"report": "1 failed"}),
    "nudge-untested": ("nudge", {"report": ""}),
    "code-changed": ("code", {"mode": "fix", "old_failures": (), "changed_plan": 'summary = "Add"\n'}),
    "truncated": ("truncated", {}),
    "stuck": ("stuck", {"idle": 0, "planning": False, "dead_ends": ["iteration 1: 2 failed"]}),
    "stuck-idle": ("stuck", {"idle": 25, "planning": True, "dead_ends": []}),
    "returned": ("returned", {"place": "what they were after iteration 2 (1 failed, 3 passed)"}),
    "compacted": ("compacted", {"plan": TICKS, "dead_ends": ["iteration 1: 2 failed"]}),
    "compacted-bare": ("compacted", {"plan": [], "dead_ends": []}),
    "continue": ("continue", {"request": "also print the total"}),
    "hint": ("hint", {"hint": "look at the parser"}),
    "text_protocol": ("text_protocol", {"tools": ["run_tests(tests: [string] = [])\n  Run the tests."]}),
}


@pytest.mark.parametrize("name", SAID)
def test_a_prompt_reads_as_its_snapshot(name):
    template, values = SAID[name]
    text = render(template, **values)
    snapshot = SNAPSHOTS / f"{name}.md"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        snapshot.write_text(text + "\n")
    assert text + "\n" == snapshot.read_text()


@pytest.mark.parametrize("name", [name for name in SAID if SAID[name][1] and name != "plan-new"])
def test_a_missing_value_raises_instead_of_vanishing(name):
    template, values = SAID[name]
    for missing in values:
        with pytest.raises(jinja2.UndefinedError):
            render(template, **{key: value for key, value in values.items() if key != missing})


def test_every_template_has_a_snapshot_and_every_thing_to_say_a_template():
    templates = {path.name.removesuffix(".md.j2") for path in TEMPLATES.glob("*.j2")}
    assert {template for template, _ in SAID.values()} == templates
    assert {say.value for say in Say} == templates - {"system", "text_protocol"}


def test_the_system_prompt_is_the_same_in_every_run():
    assert render("system") == render("system")
    assert not any(mark in render("system") for mark in ("/work", "/tmp", "20"))
