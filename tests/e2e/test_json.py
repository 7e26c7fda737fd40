"""`--json`: what a program reads of a run on standard output, while people read standard error."""

import json
import subprocess
import sys

from jsonschema import Draft202012Validator

from agent.models.script import Script, ScriptedReply
from agent.models.server import ScriptedServer
from tests.e2e.harness import (
    LOCAL,
    LOCALLY,
    ROOT,
    entries,
    greenward,
    journals,
    mended_at_once,
    mending,
    variables,
)

VALIDATOR = Draft202012Validator(json.loads((ROOT / "docs" / "events.schema.json").read_text("utf-8")))


def parsed(text):
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        VALIDATOR.validate(line)
    return lines


def as_in_the_journal(repository):
    (path,) = journals(repository)
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [{"schema": 1, "seq": each["seq"], "at": each["at"], "event": each["event"]} for each in found]


def test_standard_output_holds_the_events_of_the_journal_and_the_result(red):
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", red, *LOCAL, "--json", environment=variables(server))
    assert ran.code == 8, ran.said
    *events, last = parsed(ran.out)
    assert events == as_in_the_journal(red)
    assert (last["result"]["outcome"], last["result"]["exit_code"]) == ("unproven", 8)
    assert (last["result"]["tests_before"]["failed"], last["result"]["tests_after"]["failed"]) == (2, 0)
    assert "\niteration 1: 3 passed" in ran.err
    assert "\nunproven: " in ran.err
    assert "\x1b" not in ran.err


def test_a_result_that_is_allowed_has_the_exit_code_of_the_process(red):
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", red, *LOCAL, "--json", "--quiet", "--allow-unproven", environment=variables(server))
    assert ran.code == 0, ran.said
    assert parsed(ran.out)[-1]["result"]["exit_code"] == 0
    assert ran.err.splitlines()[0].startswith("unproven: ")
    assert [line.split(":")[0] for line in ran.err.splitlines()[1:]] == ["branch", "next"]


def test_an_error_is_the_last_line_and_a_run_that_is_taken_up_goes_on_with_its_events(red):
    first, *others = mending().replies
    with ScriptedServer(Script(replies=(first, ScriptedReply(status=402), *others))) as server:
        failed = greenward("fix", red, *LOCAL, "--json", environment=variables(server))
        *events, last = parsed(failed.out)
        assert last["error"]["exit_code"] == failed.code == 7
        assert events == as_in_the_journal(red)
        ran = greenward("resume", *LOCALLY, "--repo", red, "--json", environment=variables(server))
    assert ran.code == 8, ran.said
    *more, last = parsed(ran.out)
    assert events + more == as_in_the_journal(red)
    assert last["result"]["outcome"] == "unproven"


def test_bad_input_is_an_error_for_programs_too(tmp_path):
    ran = greenward("fix", tmp_path, "--json", environment=variables(key=None))
    (line,) = parsed(ran.out)
    assert line["error"]["exit_code"] == ran.code == 2
    assert f"error: {line['error']['message']}" in ran.err


def test_whoever_stops_reading_stops_the_run_in_good_order(red):
    with ScriptedServer(mended_at_once()) as server:
        command = [sys.executable, "-m", "agent", "fix", str(red), *LOCAL, "--json"]
        with subprocess.Popen(
            command, env=variables(server), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert json.loads(process.stdout.readline())["event"]["kind"] == "run_started"
            process.stdout.close()
            said = process.stderr.read()
        assert process.returncode == 141
        assert "Traceback" not in said
        assert len(entries(red)) < 10
        ran = greenward("resume", *LOCALLY, "--repo", red, environment=variables(server))
    assert ran.code == 8, ran.said


def test_the_list_of_runs_for_programs(red):
    nowhere = greenward("runs", "--repo", red.parent / "none", "--json", environment=variables())
    assert parsed(nowhere.out)[0]["error"]["exit_code"] == nowhere.code == 2
    empty = greenward("runs", "--repo", red, "--json", environment=variables())
    assert (empty.code, empty.out) == (0, "")
    with ScriptedServer(mended_at_once()) as server:
        greenward("fix", red, *LOCAL, environment=variables(server))
    (line,) = parsed(greenward("runs", "--repo", red, "--json", environment=variables()).out)
    assert (line["result"]["outcome"], line["result"]["mode"]) == ("unproven", "fix")
    assert f"--repo {red}" in line["result"]["next"]


def test_quiet_says_the_outcome_the_branch_and_the_next_command(red):
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", red, *LOCAL, "--quiet", environment=variables(server))
    assert (ran.code, ran.err) == (8, "")
    headline, *others = ran.out.splitlines()
    assert headline.startswith("unproven: ")
    assert [line.split(":")[0] for line in others] == ["branch", "next"]
