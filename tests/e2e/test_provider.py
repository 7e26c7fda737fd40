"""The provider's side of a run: whose key it is, what an error costs, and how an interruption ends."""

import json
import signal
from pathlib import Path

import pytest

from agent.events import CallFailed, Prompted, SessionStarted
from agent.journal import read_entries
from agent.models.script import Script, ScriptedReply
from agent.models.server import ScriptedServer
from tests.e2e.harness import (
    KEY,
    LOCAL,
    LOCALLY,
    PYTEST,
    billed,
    ended,
    events,
    greenward,
    journals,
    lines_written,
    mended_at_once,
    start,
    told,
    variables,
    wait_for,
)
from tests.models.fakes import RawServer, http

OTHERS = {
    "OPENAI_API_KEY": "sk-leak",
    "OPENAI_ORG_ID": "leak",
    "OPENAI_PROJECT_ID": "leak",
    "OPENAI_CUSTOM_HEADERS": "X-Leak: leak\nAuthorization: Bearer sk-leak",
}
"""What the user of another provider has set."""


@pytest.fixture
def elsewhere():
    """The server of another provider, which is not to be asked."""
    server = RawServer(http("{}"))
    yield server
    server.close()
    assert server.requests == []


def resumed(root, server, *options):
    return greenward("resume", *LOCALLY, "--repo", root, "--allow-unproven", *options, environment=variables(server))


def run_id(root):
    (journal,) = journals(root)
    return journal.parent.name


# Whose key it is


def test_the_key_of_another_provider_is_not_taken_for_ours(red, elsewhere):
    ran = greenward("fix", red, *LOCAL, environment=variables(key=None, OPENAI_BASE_URL=elsewhere.base_url, **OTHERS))
    assert ran.code == 2, ran.said
    assert "hint: set the environment variable `RUNAPI_KEY`" in ran.err
    assert journals(red) == []


@pytest.mark.parametrize("key", [KEY, None])
def test_nothing_of_another_provider_reaches_the_server(red, elsewhere, key):
    with ScriptedServer(mended_at_once()) as server:
        theirs = variables(server, key=key, OPENAI_BASE_URL=elsewhere.base_url, **OTHERS)
        ran = greenward("fix", red, *LOCAL, environment=theirs)
        seen = server.requests
    assert ran.code == (8 if key else 7), ran.said
    assert {request.headers.get("authorization") for request in seen} == {f"Bearer {KEY}" if key else None}
    assert "leak" not in str(seen)
    assert "leak" not in ran.said


# What an error costs


def test_an_attempt_that_fails_is_one_request_and_one_entry(red):
    faults = (
        ScriptedReply(status=503, headers={"x-request-id": "req-1", "X-RunAPI-Task-Id": "task-1"}),
        ScriptedReply(status=429, headers={"Retry-After": "1", "x-request-id": "req-2"}),
    )
    with ScriptedServer(Script(replies=(*faults, *mended_at_once().replies))) as server:
        ran = greenward("fix", red, *LOCAL, "--allow-unproven", environment=variables(server))
        assert ran.code == 0, ran.said
        assert len(server.requests) == len(faults) + len(mended_at_once().replies)
        assert billed(server, red) <= told(red)
    failed = events(red, CallFailed)
    assert [(event.error, event.billed) for event in failed] == [("overloaded", True), ("rate_limited", False)]
    assert "HTTP 503 server_error: scripted fault (request req-1, task task-1)" in failed[0].message
    assert "req-2" in failed[1].message
    assert failed[1].wait >= 1.0


def test_a_wait_that_the_run_has_no_time_for_stops_it_at_once(red):
    fault = ScriptedReply(status=429, headers={"Retry-After": "86400"})
    with ScriptedServer(Script(replies=(fault, *mended_at_once().replies))) as server:
        ran = greenward("fix", red, *LOCAL, environment=variables(server))
        assert ran.code == 5, ran.said
        assert len(server.requests) == 1
        assert "it asks to wait 86400 s, and the run has 1" in ran.err
        assert f"hint: then `greenward resume {run_id(red)}`" in ran.err
        assert events(red, CallFailed)[0].wait is None
        again = resumed(red, server)
        assert again.code == 0, again.said


TPD = {"error": {"type": "rate_limit_reached_error", "message": "reached TPD rate limit, current: 5, limit: 4"}}
CREDITS = {"error": {"code": "insufficient_credits", "message": "Insufficient credits"}}


@pytest.mark.parametrize(
    ("status", "body", "code", "hint"),
    [
        (429, TPD, 5, "the daily limit is used up"),
        (402, CREDITS, 7, "top up the account"),
        (429, {"error": "Your account is in arrears, please recharge"}, 7, "top up the account"),
    ],
)
def test_what_only_the_user_can_mend_is_not_tried_again(red, status, body, code, hint):
    with ScriptedServer(Script(replies=(ScriptedReply(status=status, body=json.dumps(body)),))) as server:
        ran = greenward("fix", red, *LOCAL, environment=variables(server))
        assert len(server.requests) == 1
    assert ran.code == code, ran.said
    assert f"hint: {hint}" in ran.err
    assert f"`greenward resume {run_id(red)}`" in ran.err
    assert told(red) == 0.0


def test_a_model_that_is_gone_is_answered_with_those_that_are_there(red):
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", red, *LOCAL, "--model", "kimi-k2.5", environment=variables(server))
    assert ran.code == 2, ran.said
    assert "hint: the endpoint does not serve kimi-k2.5; it serves kimi-k2.6" in ran.err


def test_reasoning_that_takes_all_of_the_cap_gets_more_room_and_is_then_done_without(red):
    thinking = ScriptedReply(reasoning="I think and think", finish_reason="length")
    with ScriptedServer(Script(replies=(thinking, thinking, *mended_at_once().replies))) as server:
        ran = greenward("fix", red, *LOCAL, "--max-output", 2_000, "--allow-unproven", environment=variables(server))
        assert ran.code == 0, ran.said
        asked = [(r.body["max_completion_tokens"], r.body.get("thinking")) for r in server.requests]
        assert billed(server, red) <= told(red)
    assert "a reply of 2,000 tokens may end before it says anything" in ran.err
    assert asked[:4] == [(2_000, None), (4_000, None), (4_000, {"type": "disabled"}), (2_000, None)]


# How an interruption ends


def interrupted(process):
    """What came of a run that was interrupted; one that goes on with what it does is killed."""
    process.send_signal(signal.SIGINT)
    ran = ended(process)
    assert ran.code == 130, ran.said
    assert "nothing is lost" in ran.err
    assert "Traceback" not in ran.err
    return ran


def lives(process):
    """Whether a process is more than an entry that waits for its parent."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def whole(root):
    """The journal of the one run, checked line by line."""
    (path,) = journals(root)
    assert path.read_bytes().endswith(b"\n")
    return [entry.event for entry in read_entries(path)]


def test_a_run_that_waits_for_its_next_attempt_ends_at_once(red):
    fault = ScriptedReply(status=429, headers={"Retry-After": "900"})
    with ScriptedServer(Script(replies=(fault, *mended_at_once().replies))) as server:
        process = start("fix", red, *LOCAL, environment=variables(server))
        wait_for(lambda: lines_written(red) and events(red, CallFailed), process)
        interrupted(process)
        assert isinstance(whole(red)[-2], CallFailed)
        ran = resumed(red, server)
        assert ran.code == 0, ran.said
        assert len(server.requests) == 1 + len(mended_at_once().replies)
        assert billed(server, red) <= told(red)


def test_a_run_whose_tests_are_running_ends_at_once_and_so_do_they(red, tmp_path):
    flag = tmp_path / "began"
    test = f"if [ -e {flag} ]; then {PYTEST}; else echo $$ >{flag}; sleep 900; fi"
    with ScriptedServer(mended_at_once()) as server:
        locally = (*LOCALLY, "--setup", "true", "--test", test)
        process = start("fix", red, *locally, environment=variables(server))
        wait_for(lambda: flag.exists() and flag.read_text().strip(), process)
        interrupted(process)
        assert not lives(int(flag.read_text()))
        assert not any(isinstance(event, Prompted) for event in whole(red))
        ran = resumed(red, server)
        assert ran.code == 0, ran.said
    assert len(events(red, SessionStarted)) == 2


def test_a_run_whose_reply_is_coming_in_ends_at_once(red):
    stalled = ScriptedReply(say="Let me think.", stall=True)
    with ScriptedServer(Script(replies=(stalled, *mended_at_once().replies))) as server:
        process = start("fix", red, *LOCAL, environment=variables(server, GREENWARD_IDLE_TIMEOUT="900"))
        wait_for(lambda: server.requests, process)
        interrupted(process)
        whole(red)
        ran = resumed(red, server)
        assert ran.code == 0, ran.said
        assert billed(server, red) <= told(red)
