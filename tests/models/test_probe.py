"""What a few tiny requests find out about an endpoint."""

from dataclasses import replace

import pytest

from agent.models import ModelError
from agent.models.capabilities import Capabilities
from agent.models.gateway import Gateway
from agent.models.memory import Memory
from agent.models.openai import Endpoint, OpenAIModel
from agent.models.probe import CAP, probe_all
from agent.models.script import Script, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from tests.models.fakes import ASK, TextServer, delta, http, stream

OK = say("ok")
THOUGHT = say("ok", reasoning="They want ok.")
CALLED = say("", call("note_word", word="ok"))


def probed(server, memory=None):
    """The verdicts by name, what follows, and what is remembered."""
    memory = memory or Memory()
    with server, OpenAIModel(Endpoint(base_url=server.base_url, model="kimi-k2.6", key="sk-secret")) as model:
        findings = list(probe_all(model, memory))
    verdicts = {finding.name: finding.verdict for finding in findings}
    return (
        verdicts,
        {finding.name: finding.follows for finding in findings},
        memory.recall(server.base_url, "kimi-k2.6"),
    )


def script(*replies):
    return Script(replies=replies, match="in-order")


def test_an_endpoint_that_takes_all_is_found_to(tmp_path):
    server = ScriptedServer(script(THOUGHT, THOUGHT, OK, THOUGHT, CALLED, OK))
    verdicts, _, known = probed(server, Memory(tmp_path / "endpoints.json"))
    assert verdicts == dict.fromkeys(("stream", "usage", "thinking", "tools", "cache key"), "works")
    assert known == Capabilities(accepted=frozenset({"thinking", "tools", "prompt_cache_key"}))
    bodies = [request.body for request in server.requests]
    assert [sorted(body.keys() - {"model", "messages", "stream"}) for body in bodies] == [
        ["max_completion_tokens"],
        ["max_completion_tokens", "stream_options"],
        ["max_completion_tokens", "thinking"],
        ["max_completion_tokens"],
        ["max_completion_tokens", "thinking", "tools"],
        ["max_completion_tokens", "prompt_cache_key"],
    ]
    assert all(body["max_completion_tokens"] == CAP for body in bodies)
    assert sum(len(str(body)) for body in bodies) < 4 * 400 * len(bodies)
    assert bodies[2]["thinking"] == bodies[4]["thinking"] == {"type": "disabled"}


def test_an_endpoint_that_takes_as_little_as_can_be_is_found_to(tmp_path):
    refuse = ("stream_options", "prompt_cache_key", "thinking", "tools", "max_completion_tokens")
    server = ScriptedServer(script(THOUGHT, THOUGHT, CALLED), refuse=refuse, usage_in="choice")
    verdicts, follows, known = probed(server, Memory(tmp_path / "endpoints.json"))
    assert verdicts == {
        "stream": "works",
        "usage": "works",
        "thinking": "refused",
        "tools": "refused",
        "cache key": "refused",
    }
    assert "in text, which works" in follows["tools"]
    refused = frozenset({"stream_options", "prompt_cache_key", "thinking", "tools"})
    assert known == Capabilities(refused=refused, cap_field="max_tokens", renamed=True)
    assert len(server.requests) == 8


def test_what_is_taken_and_passed_over_is_found_out():
    thinks = replace(script(THOUGHT, THOUGHT, THOUGHT, OK, OK, OK), gateway=Gateway(thinking="ignored"))
    server = ScriptedServer(thinks, usage_in="none")
    verdicts, follows, _ = probed(server)
    assert verdicts == {
        "stream": "works",
        "usage": "ignored",
        "thinking": "ignored",
        "tools": "ignored",
        "cache key": "works",
    }
    assert "the most that it could have cost" in follows["usage"]
    assert "failed to do" in follows["tools"]


def test_tools_that_are_never_called_are_called_in_text_from_then_on(tmp_path):
    server = ScriptedServer(script(OK, OK, OK, OK, OK, CALLED, OK))
    verdicts, _, known = probed(server, Memory(tmp_path / "endpoints.json"))
    assert (verdicts["tools"], verdicts["thinking"]) == ("ignored", "unclear")
    assert known.refused == {"tools"}


def test_a_reply_in_one_piece_is_found_out(raw):
    body = '{"choices": [{"index": 0, "message": {"content": "ok"}}], "usage": {"prompt_tokens": 9}}'
    _, model = raw(http(body), stream(delta("stop", content="ok")))
    stream_finding = next(probe_all(model, Memory()))
    assert (stream_finding.name, stream_finding.verdict) == ("stream", "ignored")


@pytest.mark.parametrize(("status", "kind"), [(401, "auth"), (402, "quota"), (503, "overloaded")])
def test_an_endpoint_that_cannot_be_asked_is_an_error_and_teaches_nothing(tmp_path, status, kind):
    memory = Memory(tmp_path / "endpoints.json")
    server = ScriptedServer(script(OK, ScriptedReply(status=status), OK))
    with pytest.raises(ModelError) as caught:
        probed(server, memory)
    assert caught.value.kind == kind
    assert memory.recall(server.base_url, "kimi-k2.6") is None


def test_a_model_that_is_gone_is_answered_with_those_that_are_there():
    with pytest.raises(ModelError) as caught:
        probed(ScriptedServer(replace(script(OK), model="kimi-k3")))
    assert caught.value.hint == "the endpoint does not serve kimi-k2.6; it serves kimi-k3"


def test_what_was_found_is_made_use_of(tmp_path):
    memory = Memory(tmp_path / "endpoints.json")
    server = TextServer(Script(replies=(CALLED,)), refuse=("tools",))
    with server:
        endpoint = Endpoint(base_url=server.base_url, model="kimi-k2.6", key="sk-secret")
        with OpenAIModel(endpoint) as model:
            list(probe_all(model, memory))
        asked = len(server.requests)
        with OpenAIModel(endpoint, memory=memory) as model:
            assert model.complete(ASK).message.tool_calls
        assert len(server.requests) == asked + 1
