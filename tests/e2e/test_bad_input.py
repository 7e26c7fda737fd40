"""Each thing that can be wrong with what a user has or types: a message, a hint, the documented exit code."""

import json
import os
import socket
import subprocess
import sys

import pytest

from agent.models.script import Script, ScriptedReply
from agent.models.server import ScriptedServer
from tests.e2e.harness import (
    KEY,
    LOCAL,
    LOCALLY,
    RED,
    ROOT,
    ended,
    greenward,
    journals,
    mended_at_once,
    start,
    variables,
)
from tests.gitrepo import git, put, repository, state

pytestmark = pytest.mark.untraced

NOWHERE = {"GREENWARD_BASE_URL": "http://127.0.0.1:9/v1"}
"""A server that nobody reaches, and on this machine, so that nothing is sent by mistake."""
QUOTA = {
    "error": {"message": "Your account is suspended, please check your plan", "type": "exceeded_current_quota_error"}
}


def refused(ran, code, *words):
    """The command ended with `code`, one message that holds `words`, and one hint."""
    assert ran.code == code, ran.said
    assert "Traceback" not in ran.err, ran.said
    error, _, hint = ran.err[ran.err.index("error: ") :].partition("\n\nhint: ")
    assert hint.strip(), ran.said
    for word in words:
        assert word in error, ran.said


def test_a_directory_without_a_repository(tmp_path):
    ran = greenward("fix", tmp_path, environment=variables(**NOWHERE))
    refused(ran, 2, "is not inside a git repository")


@pytest.mark.parametrize("variable", ["TF_BUILD", "TEAMCITY_VERSION"])
def test_what_a_runner_would_act_upon_wherever_it_stands_is_spelled_otherwise(tmp_path, variable):
    ran = greenward("fix", tmp_path / "##vso[task.x]", environment=variables(**NOWHERE, **{variable: "1"}))
    refused(ran, 2, r"#\u0023vso[task.x] is not a directory")


def test_a_directory_that_is_not_there(tmp_path):
    ran = greenward("fix", tmp_path / "nowhere", environment=variables(**NOWHERE))
    refused(ran, 2, "is not a directory")


def test_a_bare_repository(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    ran = greenward("fix", tmp_path / "bare.git", environment=variables(**NOWHERE))
    refused(ran, 2, "is a bare repository")


def test_a_repository_in_the_middle_of_a_rebase(red):
    git(red, "checkout", "--quiet", "-b", "other")
    put(red, {"sums.py": "other = 1\n"})
    git(red, "commit", "--quiet", "--all", "--message=other")
    git(red, "checkout", "--quiet", "main")
    put(red, {"sums.py": "main = 1\n"})
    git(red, "commit", "--quiet", "--all", "--message=main")
    git(red, "rebase", "--quiet", "other", check=False)
    before = state(red)
    refused(greenward("fix", red, environment=variables(**NOWHERE)), 2, "a rebase is in progress")
    assert state(red) == before


def test_no_key(red):
    ran = greenward("fix", red, environment=variables(key=None))
    refused(ran, 2, "no API key")
    assert "RUNAPI_KEY" in ran.err
    assert journals(red) == []


def test_an_engine_that_does_not_answer_loses_nothing(red, tmp_path):
    before = state(red)
    with ScriptedServer(mended_at_once()) as server:
        dead = variables(server, DOCKER_HOST=f"unix://{tmp_path}/no.sock")
        refused(greenward("fix", red, environment=dead), 4)
    assert state(red) == before
    assert journals(red) == []


def test_a_wrong_key_can_be_put_right(red):
    with ScriptedServer(mended_at_once(), key=KEY) as server:
        ran = greenward("fix", red, *LOCAL, environment=variables(server, key="sk-of-somebody-else"))
        refused(ran, 7, "401", "Invalid Authentication")
        assert "sk-of-somebody-else" not in ran.said
        ran = greenward("resume", *LOCALLY, "--repo", red, "--allow-unproven", environment=variables(server))
        assert ran.code == 0, ran.said


def test_a_model_that_the_provider_does_not_have(red):
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", red, *LOCAL, "--model", "kimi-k9", environment=variables(server))
    refused(ran, 2, "404", "kimi-k9")


def test_an_exhausted_quota_can_be_topped_up(red):
    fault = ScriptedReply(status=429, body=json.dumps(QUOTA))
    with ScriptedServer(Script(replies=(fault, *mended_at_once().replies))) as server:
        refused(greenward("fix", red, *LOCAL, environment=variables(server)), 7, "429", "account is suspended")
        ran = greenward("resume", *LOCALLY, "--repo", red, "--allow-unproven", environment=variables(server))
        assert ran.code == 0, ran.said


def test_a_server_that_is_down_is_asked_again_before_the_run_stops(red):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        ran = greenward("fix", red, *LOCAL, environment=variables(GREENWARD_BASE_URL=address))
    refused(ran, 5)
    assert ran.err.count("trying again") == 5
    with ScriptedServer(mended_at_once()) as server:
        resumed = greenward("resume", *LOCALLY, "--repo", red, "--allow-unproven", environment=variables(server))
    assert resumed.code == 0, resumed.said


@pytest.mark.parametrize("directory", ["/proc/greenward", "file/project"])
def test_a_new_project_where_nothing_can_be_written(tmp_path, directory):
    (tmp_path / "file").write_text("mine\n")
    ran = greenward("new", tmp_path / directory, "A tool", environment=variables(**NOWHERE))
    refused(ran, 2, directory)
    assert (tmp_path / "file").read_text() == "mine\n"


@pytest.mark.parametrize("name", ["file", "full"])
def test_a_new_project_where_something_is_already(tmp_path, name):
    put(tmp_path, {"file": "mine\n", "full/file": "mine\n"})
    ran = greenward("new", tmp_path / name, "A tool", environment=variables(**NOWHERE))
    refused(ran, 2, name)
    assert (tmp_path / "file").read_text() == "mine\n"


@pytest.mark.parametrize("command", [["change", " \n"], ["new", "project", ""]])
def test_an_empty_request(red, command):
    ran = greenward(*command, environment=variables(**NOWHERE), cwd=red)
    refused(ran, 2, "the request is empty")
    assert not (red / "project").exists()


def test_a_test_command_that_finds_no_tests(tmp_path):
    empty = repository(tmp_path / "empty", {"app.py": "x = 1\n"})
    before = state(empty)
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", empty, *LOCAL, environment=variables(server))
        refused(ran, 2, "no tests were found")
        assert server.requests == []
    assert state(empty) == before


def test_a_test_command_that_does_not_exist(red):
    command = ["--sandbox", "local", "--setup", "true", "--test", "no-such-runner"]
    refused(greenward("fix", red, *command, environment=variables(**NOWHERE)), 2, "was not found")


def test_a_damaged_journal(red):
    with ScriptedServer(mended_at_once()) as server:
        assert greenward("fix", red, *LOCAL, environment=variables(server)).code == 8
    (journal,) = journals(red)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], lines[3].replace(b"failed", b"passed"), *lines[4:]]))
    damaged = journal.read_bytes()
    for command in (["resume"], ["diff"], ["accept"]):
        named = greenward(*command, journal.parent.name, "--repo", red, environment=variables())
        refused(named, 6, "line 4 is damaged")
    assert journal.read_bytes() == damaged
    assert greenward("runs", "--repo", red, environment=variables()).code == 0


def test_two_processes_on_one_run(red):
    first, *others = mended_at_once().replies
    with ScriptedServer(Script(replies=(first, ScriptedReply(say="Well.", stall=True), *others))) as server:
        process = start("fix", red, *LOCAL, environment=variables(server))
        try:
            while len(server.requests) < 2 and process.poll() is None:
                pass
            refused(greenward("resume", *LOCALLY, "--repo", red, environment=variables(server)), 2, "another process")
        finally:
            process.kill()
            ended(process)


@pytest.mark.parametrize("arguments", [["frobnicate"], ["fix", "--max-cost", "much"], ["fix", "--sandbox", "none"]])
def test_a_command_or_option_that_does_not_exist(red, arguments):
    ran = greenward(*arguments, environment=variables(**NOWHERE), cwd=red)
    assert ran.code == 2, ran.said
    assert "Traceback" not in ran.err


def test_no_runs_to_speak_of(red):
    for command in ("resume", "diff", "accept", "undo"):
        refused(greenward(command, environment=variables(), cwd=red), 2, "there are no runs")
    refused(greenward("diff", "abc", environment=variables(), cwd=red), 2, "no run has an id")
    assert greenward("runs", environment=variables(), cwd=red).out == "no runs yet\n"


def test_the_user_lacks_an_identity(red, private_home):
    with ScriptedServer(mended_at_once()) as server:
        assert greenward("fix", red, *LOCAL, environment=variables(server)).code == 8
    nobody = {name: value for name, value in variables().items() if not name.startswith("GIT_")}
    git(red, "config", "user.useConfigOnly", "true")
    before = state(red)
    refused(greenward("accept", "--repo", red, environment=nobody), 2, "git did not do it")
    assert state(red) == before
    assert (red / "sums.py").read_text() == RED["sums.py"]


def test_a_project_of_another_directory(red):
    ran = greenward("fix", red, "--cwd", "elsewhere", environment=variables(**NOWHERE))
    refused(ran, 2, "there is no `elsewhere`")


def test_unknown_settings_are_named(red, private_home):
    ran = greenward("fix", red, environment=variables(**NOWHERE, GREENWARD_MODLE="x"))
    refused(ran, 2, "GREENWARD_MODLE")
    assert "GREENWARD_MODEL" in ran.err
    subprocess.run(["mkdir", "-p", private_home / ".config" / "greenward"], check=True)
    (private_home / ".config" / "greenward" / "config.toml").write_text("model = [\n")
    refused(greenward("fix", red, environment=variables(**NOWHERE)), 2, "config.toml")


def test_a_reader_that_goes_away_ends_the_command_without_a_word(red):
    process = start("accept", "--help", environment=variables())
    process.stdout.close()
    process.stdout = None
    assert process.wait() == 141
    assert process.stderr.read() == ""
    process.stderr.close()


BREAKS = """
import os
from agent import runs
from agent.cli import main

def runs_directory(*_):
    raise LookupError(f"with {os.environ['SEEN']} in it")

runs.runs_directory = runs_directory
main()
"""


def test_a_fault_of_our_own_has_a_code_of_its_own_and_shows_no_key(red):
    done = subprocess.run(
        [sys.executable, "-c", BREAKS, "runs", "--repo", str(red)], cwd=ROOT,
        env=os.environ | {"RUNAPI_KEY": KEY, "SEEN": KEY},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 70
    assert "in runs_directory" in done.stderr, "a report of it needs to say where"
    assert "error: greenward is broken: LookupError: with [redacted] in it\n\nhint: " in done.stderr
    assert "please report it" in done.stderr
    assert KEY not in done.stderr + done.stdout
