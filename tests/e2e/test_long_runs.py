"""Runs that get nowhere and conversations that grow too long, as a process over real HTTP."""

import pytest

from agent import events as e
from agent.habits import REPEATS_END
from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from tests.e2e.harness import LOCAL, RED, RIGHT, events, greenward, plan, variables, writes
from tests.gitrepo import put, repository

pytestmark = pytest.mark.untraced

DONE = say("", call("finish", status="done"), expect=("nothing isolated them",))
LONG = "".join(f"line {number} = {number}  # of a file that is long\n" for number in range(400))


def test_the_same_command_seventy_six_times_is_executed_once(red, tmp_path):
    count = tmp_path / "count"
    status = say("Let me check the status.", call("run_command", command=f"echo run >>{count}; git status"))
    script = Script(replies=(plan(), *[status] * 76))
    with ScriptedServer(script) as server:
        ran = greenward("fix", red, *LOCAL, environment=variables(server))

    assert ran.code == 1, ran.said
    assert f"not green: no progress: {REPEATS_END} calls in a row brought nothing new" in ran.out
    assert count.read_text() == "run\n"
    assert len(server.requests) == 2 + REPEATS_END
    assert ran.err.count("answered before") == REPEATS_END
    assert "stuck: another approach is asked for" in ran.err
    assert "stuck: the work is put back to the best that was tested" in ran.err


def test_hundreds_of_calls_without_an_edit_are_cut_short(red):
    looks = [say("", call("search", pattern=f"word{number}")) for number in range(395)]
    with ScriptedServer(Script(replies=(plan(), *looks))) as server:
        ran = greenward("fix", red, *LOCAL, "--max-calls", "500", environment=variables(server))

    assert ran.code == 1, ran.said
    assert "no progress: 50 calls in a row changed nothing" in ran.out
    assert len(server.requests) == 51


def reading(red, files, *, context=262_144):
    """A run that reads `files` long files and then mends the sums, on a server with so much context."""
    put(red, {f"notes/{number}.txt": f"file {number}\n{LONG}" for number in range(files)})
    reads = [say("", call("read_file", path=f"notes/{number}.txt")) for number in range(files)]
    again = say("", call("read_output", id="0"), expect=("put aside",))
    mend = writes("It has to add.", RIGHT)
    return Script(replies=(plan(), *reads, again, mend, DONE), context=context)


def test_a_conversation_is_shortened_before_it_fills_the_context(red):
    script = reading(red, 12)
    with ScriptedServer(script) as server:
        ran = greenward(
            "fix", red, *LOCAL, "--allow-unproven", "--context", "40000", "--max-output", "4000",
            environment=variables(server),
        )  # fmt: skip

    assert ran.code == 0, ran.said
    assert "context: about " in ran.err
    (compacted, *_) = events(red, e.Compacted)
    assert compacted.after < 0.85 * 40_000 < compacted.before
    sizes = [sum(len(str(message)) for message in received.body["messages"]) for received in server.requests]
    assert max(sizes) < 4 * 40_000


def test_a_server_with_less_context_than_it_is_said_to_have_is_no_end(red):
    with ScriptedServer(reading(red, 12, context=60_000)) as server:
        ran = greenward("fix", red, *LOCAL, "--allow-unproven", environment=variables(server))

    assert ran.code == 0, ran.said
    assert [event.error for event in events(red, e.CallFailed)] == ["overflow"]
    assert len(events(red, e.Compacted)) >= 1, "and after the first refusal there is room in time"


def test_what_was_put_aside_can_be_read_again(tmp_path):
    red = repository(tmp_path / "red", RED)
    put(red, {f"notes/{number}.txt": f"file {number}\n{LONG}" for number in range(12)})
    with ScriptedServer(reading(red, 12)) as server:
        options = ("--context", "40000", "--max-output", "4000", "--allow-unproven")
        greenward("fix", red, *LOCAL, *options, environment=variables(server))
    shortened = events(red, e.Compacted)[0].shortened[0].message
    artifact = shortened.content.rpartition("id=")[2].rstrip("]")
    (kept,) = red.glob(f".git/greenward/runs/*/artifacts/{artifact}")
    assert "line 300 = 300" in kept.read_text()
