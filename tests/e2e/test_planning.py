"""A plan first: printed, edited, approved on a terminal, carried out."""

import json
import os
import pty
import subprocess
import sys
import time
import tomllib

import pytest

from agent import events as e
from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from tests.e2e.harness import (
    LOCAL,
    LOCALLY,
    RIGHT,
    ROOT,
    entries,
    events,
    greenward,
    mended_at_once,
    plan,
    variables,
    writes,
)
from tests.gitrepo import git, state

CRITERION = {"behaviour": "it adds", "command": "python -c 'import sums; print(sums.add(2, 3))'", "output": "5"}
DONE = say("", call("finish", status="done"), expect=("nothing isolated them",))


def changing(*told: str):
    """Plans a change, and makes it once it has been told so."""
    work = writes("It has to add.", RIGHT, expect=("The plan is accepted", *told))
    return Script(replies=(plan(criteria=[CRITERION]), work, DONE))


def planned(red, script, *options):
    with ScriptedServer(script) as server:
        return greenward("plan", "make it add", red, *LOCAL, *options, environment=variables(server))


def test_a_plan_is_printed_with_what_it_may_cost_and_carried_out_on_resume(red):
    before = state(red)
    ran = planned(red, changing())

    assert ran.code == 0, ran.said
    assert state(red) == before
    run = entries(red)[0].event.run_id
    comments = [line for line in ran.out.splitlines() if line.startswith("#")]
    assert comments[0].startswith(f"# The plan of run {run}; nothing of it is done. Spent so far: $0.00")
    assert comments[1].startswith("# To carry it out may cost another $0.0")
    assert f"`greenward resume {run} --repo {red}`" in comments[2]
    written = tomllib.loads(ran.out)
    assert (written["request"], written["steps"]) == ("make it add", ["Mend it"])
    assert written["criteria"][0]["output"] == "5"
    assert f"next: greenward resume {run} --repo {red}" in ran.err
    assert "planned" in greenward("runs", "--repo", red, environment=variables()).out

    with ScriptedServer(changing()) as server:
        ran = greenward("resume", "--repo", red, *LOCALLY, "--allow-unproven", environment=variables(server))
    assert ran.code == 0, ran.said
    assert "plan: approved as it is" in ran.err
    assert "2 failed, 1 passed -> 3 passed" in ran.out
    assert len(server.requests) == 2, "the plan is not paid for again"


def test_an_edited_plan_is_what_the_model_is_told(red, tmp_path):
    file = tmp_path / "plan.toml"
    ran = planned(red, changing(), "--out", file)
    assert (ran.code, ran.out) == (0, ""), ran.said
    file.write_text(file.read_text().replace("Mend it", "Mend it in one line"))

    with ScriptedServer(changing("The user has settled the plan", "Mend it in one line")) as server:
        ran = greenward(
            "resume", "--repo", red, "--plan", file, *LOCALLY, "--allow-unproven", environment=variables(server)
        )
    assert ran.code == 0, ran.said
    assert "  1. Mend it in one line" in ran.err
    (approved,) = events(red, e.PlanApproved)
    assert approved.plan.steps == ("Mend it in one line",)


def test_a_plan_can_begin_a_run_and_holds_its_request(red, tmp_path):
    file = tmp_path / "plan.toml"
    planned(red, changing(), "--out", file)
    told = ("The plan is accepted", "make it add", "Mend it")
    script = Script(replies=(writes("It has to add.", RIGHT, expect=told), DONE))
    with ScriptedServer(script) as server:
        ran = greenward("change", "--plan", file, "", red, *LOCAL, "--allow-unproven", environment=variables(server))
    assert ran.code == 0, ran.said
    assert len(server.requests) == 2
    assert "2 failed, 1 passed -> 3 passed" in ran.out


def test_a_plan_is_printed_for_programs_too(red):
    ran = planned(red, changing(), "--json")

    assert ran.code == 0, ran.said
    found = json.loads(ran.out)
    assert (found["schema"], found["mode"], found["request"]) == (1, "change", "make it add")
    assert found["plan"]["summary"] == "Add instead of subtracting"
    assert 0 < found["estimate"]["least_dollars"] < found["estimate"]["most_dollars"] < found["limit_dollars"]
    assert 0 < found["spent_dollars"] < 0.01


def test_a_repair_and_a_scaffold_are_planned_as_well(red, tmp_path):
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("plan", "--fix", "", red, *LOCAL, environment=variables(server))
    assert ran.code == 0, ran.said
    assert "baseline: 2 failed, 1 passed" in ran.err

    files = [{"path": "tests/test_app.py", "purpose": "tests"}]
    script = Script(replies=(plan("A tool", criteria=[CRITERION], files=files),))
    with ScriptedServer(script) as server:
        ran = greenward("plan", "--new", tmp_path / "tool", "a tool", *LOCAL, environment=variables(server))
    assert ran.code == 0, ran.said
    assert tomllib.loads(ran.out)["files"] == files
    assert list((tmp_path / "tool").iterdir()) == [tmp_path / "tool" / ".git"]


def test_what_the_model_does_instead_of_planning_is_told(red):
    refused = say("", call("finish", status="blocked", reason="It adds already."))
    ran = planned(red, Script(replies=(refused,)))
    assert ran.code == 1
    assert "blocked: It adds already." in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["change", "x", "--plan", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["change", "x", "--approve"], "no terminal to ask on"),
        (["plan", "x", "--fix", "--new", "there"], "two different things"),
        (["change", "--continue", "abc", "more"], "no run has an id that begins with 'abc'"),
        (["resume", "--plan", "good.toml"], "there are no runs"),
    ],
)
def test_bad_input_is_told_before_anything_is_asked(red, arguments, words):
    (red / "good.toml").write_text('summary = "a"\nsteps = ["b"]\n')
    ran = greenward(*arguments, environment=variables(), cwd=red)
    assert ran.code == 2, ran.said
    assert words in ran.err
    assert "\n\nhint: " in ran.err


# On a terminal


def on_a_terminal(arguments, answers, **environment):
    """Run `greenward` on a terminal and answer its questions; its exit code, and what the screen was sent."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", *map(str, arguments)],
        stdin=follower, stdout=follower, stderr=follower, env={**variables(), "TERM": "dumb", **environment}, cwd=ROOT,
    )  # fmt: skip
    os.close(follower)
    seen, answers, limit = b"", list(answers), time.monotonic() + 120
    while time.monotonic() < limit:
        try:
            piece = os.read(leader, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
        if answers and seen.endswith(b"[e]dit: "):
            os.write(leader, answers.pop(0))
    code = process.wait(timeout=30)
    os.close(leader)
    return code, seen.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("answers", "outcome"), [([b"y\n"], "unproven"), ([b"what?\n", b"n\n"], "planned"), ([b"\x04"], "planned")]
)
def test_a_person_is_asked_before_more_is_spent(red, answers, outcome):
    with ScriptedServer(changing()) as server:
        code, seen = on_a_terminal(
            ["change", "make it add", red, *LOCAL, "--approve", "--base-url", server.base_url], answers
        )
    assert "estimate: $0.0" in seen
    assert f"\n{outcome}" in seen, seen
    assert code == (8 if outcome == "unproven" else 1), seen
    assert len(server.requests) == (3 if outcome == "unproven" else 1)
    assert git(red, "status", "--porcelain") == ""


def test_a_person_edits_the_plan_in_their_editor(red, tmp_path):
    spoil, mend = tmp_path / "spoil.sh", tmp_path / "mend.sh"
    spoil.write_text("echo 'oops = ' >>\"$1\"\n")
    mend.write_text("sed -i -e '/oops/d' -e 's/Mend it/Mend it in one line/' \"$1\"\n")
    turns = tmp_path / "editor.sh"
    turns.write_text(f'cd {tmp_path}; [ -e spoilt ] && exec sh {mend} "$1"; touch spoilt; exec sh {spoil} "$1"\n')
    with ScriptedServer(changing("Mend it in one line")) as server:
        code, seen = on_a_terminal(
            ["change", "make it add", red, *LOCAL, "--approve", "--allow-unproven", "--base-url", server.base_url],
            [b"e\n", b"e\n", b"y\n"],
            EDITOR=f"sh {turns}",
            VISUAL="",
        )
    assert code == 0, seen
    assert "the plan is no TOML" in seen
    assert 'steps = [\n    "Mend it in one line",\n]' in seen
    assert [event.plan.steps for event in events(red, e.PlanApproved)] == [("Mend it in one line",)]
