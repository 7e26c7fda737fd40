"""The client against a scripted server: what is sent, what comes back."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest

from agent.errors import UsageProblem
from agent.live import Said, ignore
from agent.messages import Message, ToolCall, Usage
from agent.models import ModelError, ToolSpec
from agent.models.memory import Memory
from agent.models.openai import Endpoint, OpenAIModel
from agent.models.script import Script, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from tests.models.fakes import ASK, TextServer, delta, http, stream

FILE = "def café():\n    return '\U0001f600'\n" * 40
TWO_TURNS = (
    say("I write it.", call("write_file", path="a.py", content=FILE), reasoning="A file is wanted."),
    say("Done.", expect=("1 file written",), reasoning="It is there."),
)


def answered(request, completion, *results):
    """The next request: the reply, and the results of its calls."""
    told = tuple(
        Message(role="tool", tool_call_id=made.id, content=result)
        for made, result in zip(completion.message.tool_calls, results, strict=True)
    )
    return replace(request, messages=(*request.messages, completion.message, *told))


def talk(server, memory=None, observe=ignore, **settings):
    endpoint = Endpoint(**{"base_url": server.base_url, "model": "kimi-k2.6", "key": "sk-secret"} | settings)
    return OpenAIModel(endpoint, memory=memory, observe=observe)


def insist(model, request):
    """The reply, asked for again each time the client has learned how to."""
    while True:
        try:
            return model.complete(request)
        except ModelError as error:
            if not error.again:
                raise


def test_importing_the_client_imports_no_sdk():
    code = "import sys, agent.models.openai; print(*{'openai', 'httpx2'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "\n"


def test_preparing_loads_the_sdk_in_the_background():
    code = """
import sys, threading
from agent.models.openai import Endpoint, OpenAIModel
OpenAIModel(Endpoint(base_url="http://127.0.0.1:9/v1", model="m", key="k")).prepare()
for thread in threading.enumerate():
    thread is threading.current_thread() or thread.join()
print("openai.resources.chat" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "True\n"


def test_a_conversation_with_a_call_goes_through():
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server) as model:
        first = model.complete(ASK)
        last = model.complete(answered(ASK, first, "1 file written"))
    made = first.message.tool_calls[0]
    assert (made.id, made.name) == ("functions.write_file:0", "write_file")
    assert made.arguments == TWO_TURNS[0].calls[0].text
    assert (first.message.content, first.message.reasoning) == ("I write it.", "A file is wanted.")
    assert (first.stop_reason, last.stop_reason) == ("tool_calls", "stop")
    assert last.message.content == "Done."
    assert [first.usage, last.usage] == server.ledger
    assert last.usage.cached == first.usage.prompt


def test_what_is_said_is_told_as_it_comes_in():
    told = []
    with ScriptedServer(Script(replies=TWO_TURNS)) as server:
        endpoint = Endpoint(base_url=server.base_url, model="kimi-k2.6", key="sk-secret")
        with OpenAIModel(endpoint, observe=told.append) as model:
            reply = model.complete(ASK).message
    said = {
        name: "".join(each.text for each in told if each.channel == name) for name in ("reasoning", "answer", "call")
    }
    assert said == {"reasoning": reply.reasoning, "answer": reply.content, "call": reply.tool_calls[0].arguments}
    assert len(told) > 10
    assert told[-1].call == "write_file"


def test_the_body_holds_only_what_is_needed():
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server) as model:
        model.complete(ASK)
        model.complete(replace(ASK, tools=()))
    full, plain = (request.body for request in server.requests)
    assert set(plain) == {"model", "messages", "stream", "max_completion_tokens", "stream_options"}
    assert set(full) == set(plain) | {"tools"}
    assert (full["max_completion_tokens"], full["stream"]) == (32_768, True)
    assert full["stream_options"] == {"include_usage": True}


def test_what_is_configured_is_sent():
    settings = {
        "thinking": {"type": "enabled", "keep": "all"},
        "prompt_cache_key": "run-1",
        "cap_field": "max_tokens",
    }
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server, **settings) as model:
        model.complete(ASK)
    body = server.requests[0].body
    assert {name: body[name] for name in ("thinking", "prompt_cache_key", "max_tokens")} == {
        "thinking": {"type": "enabled", "keep": "all"},
        "prompt_cache_key": "run-1",
        "max_tokens": 32_768,
    }
    assert "max_completion_tokens" not in body


def test_a_request_begins_like_the_one_before_it():
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server) as model:
        model.complete(answered(ASK, model.complete(ASK), "1 file written"))
    first, second = (request.body for request in server.requests)
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert second["tools"] == first["tools"]


def test_each_call_has_an_id_of_its_own():
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server) as model:
        model.complete(ASK)
        model.complete(ASK)
    ids = [request.headers["x-client-request-id"] for request in server.requests]
    assert len(set(ids)) == 2
    assert all(ids)


ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-leak",
    "OPENAI_ADMIN_KEY": "sk-leak",
    "OPENAI_ORG_ID": "leak",
    "OPENAI_PROJECT_ID": "leak",
    "OPENAI_WEBHOOK_SECRET": "leak",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/leak",
    "OPENAI_CUSTOM_HEADERS": "X-Leak: leak\nAuthorization: Bearer sk-leak\nUser-Agent: leak\nHost: leak\nCookie: leak",
    "OPENAI_LOG": "debug",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}
HEADERS = {
    "host",
    "connection",
    "content-length",
    "content-type",
    "accept",
    "accept-encoding",
    "user-agent",
    "x-client-request-id",
}


@pytest.mark.parametrize("key", ["sk-secret", ""])
def test_nothing_of_the_environment_reaches_the_server(key, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server, key=key) as model:
        if key:
            model.complete(ASK)
        else:
            with pytest.raises(ModelError, match="Invalid Authentication"):
                model.complete(ASK)
    headers = server.requests[0].headers
    assert set(headers) - {"authorization"} == HEADERS
    assert headers.get("authorization") == (f"Bearer {key}" if key else None)
    assert "leak" not in str(server.requests)
    assert headers["host"] in server.base_url


def test_the_sdk_does_not_log_requests_when_its_variable_is_set(monkeypatch):
    code = """
from tests.models.test_openai import *
with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server) as model:
    print(model.complete(ASK).stop_reason)
"""
    monkeypatch.setenv("OPENAI_LOG", "debug")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("tool_calls\n", "")


def test_a_refused_field_is_left_out_from_then_on():
    server = ScriptedServer(Script(replies=TWO_TURNS), refuse=("stream_options", "prompt_cache_key"), usage_in="choice")
    with server, talk(server, prompt_cache_key="run-1") as model:
        first = model.complete(ASK)
        model.complete(answered(ASK, first, "1 file written"))
    assert [sorted({"stream_options", "prompt_cache_key"} & set(request.body)) for request in server.requests] == [
        ["prompt_cache_key", "stream_options"],
        ["prompt_cache_key"],
        [],
        [],
    ]
    assert first.usage == server.ledger[0]


def test_the_cap_goes_by_its_other_name_but_is_never_left_out():
    with ScriptedServer(Script(replies=TWO_TURNS), refuse=("max_completion_tokens",)) as server, talk(server) as model:
        model.complete(ASK)
    assert [request.body.get("max_tokens") for request in server.requests] == [None, 32_768]
    assert "max_completion_tokens" not in server.requests[1].body
    refuse = ("max_completion_tokens", "max_tokens")
    with ScriptedServer(Script(replies=TWO_TURNS), refuse=refuse) as server, talk(server) as model:
        with pytest.raises(ModelError, match="unknown field: max_tokens"):
            model.complete(ASK)
        assert len(server.requests) == 2


TOOLS_REFUSED = ("tools",)


def test_without_tools_the_conversation_goes_on_in_text():
    news = []
    with (
        TextServer(Script(replies=TWO_TURNS), refuse=TOOLS_REFUSED) as server,
        talk(server, observe=news.append) as model,
    ):
        with pytest.raises(ModelError) as caught:
            model.complete(ASK)
        assert (caught.value.again, caught.value.billed) == (True, False)
        first = model.complete(ASK)
        last = model.complete(answered(ASK, first, "1 file written"))
    made = first.message.tool_calls[0]
    assert (first.message.content, made.id, made.name) == ("I write it.", "functions.write_file:0", "write_file")
    assert json.loads(made.arguments) == {"path": "a.py", "content": FILE}
    assert (first.stop_reason, last.message.content) == ("tool_calls", "Done.")
    assert ["tools" in request.body for request in server.requests] == [True, False, False]
    assert [each.text for each in news if isinstance(each, Said)] == [
        "the endpoint takes no tools: they are called in text from here on"
    ]


@pytest.mark.parametrize("refused_at", [0, 1, 2])
def test_a_conversation_can_change_to_text_at_any_turn(refused_at):
    replies = (TWO_TURNS[0], say("", call("write_file", path="b.py", content="")), say("Done."))
    request, server = ASK, TextServer(Script(replies=replies))
    server.refuse_after = refused_at
    with server, talk(server) as model:
        for turn in range(3):
            completion = insist(model, request)
            if turn < 2:
                request = answered(request, completion, "1 file written")
    ids = [made.id for message in request.messages for made in message.tool_calls]
    assert ids == ["functions.write_file:0", "functions.write_file:1"]
    assert completion.message.content == "Done."
    assert ["tools" in sent.body for sent in server.requests] == [True] * (refused_at + 1) + [False] * (3 - refused_at)
    texts = [sent.body["messages"] for sent in server.requests if "tools" not in sent.body]
    for shorter, longer in pairwise(texts):
        assert longer[: len(shorter)] == shorter
    assert not any("tool_calls" in message or message["role"] == "tool" for text in texts for message in text)


def test_text_is_spoken_from_the_beginning_if_it_is_wanted():
    with TextServer(Script(replies=TWO_TURNS)) as server, talk(server, protocol="text") as model:
        assert model.complete(ASK).message.tool_calls
    assert ["tools" in request.body for request in server.requests] == [False]


def test_calls_in_text_are_told_as_calls_while_they_come_in():
    news = []
    with TextServer(Script(replies=TWO_TURNS)) as server, talk(server, protocol="text", observe=news.append) as model:
        reply = model.complete(ASK).message
    told = {name: "".join(each.text for each in news if each.channel == name) for name in ("answer", "call")}
    assert told["answer"].strip() == reply.content
    assert json.loads(told["call"])["arguments"] == json.loads(reply.tool_calls[0].arguments)


def test_tools_that_are_insisted_on_and_refused_end_the_call():
    with TextServer(Script(replies=TWO_TURNS), refuse=TOOLS_REFUSED) as server, talk(server, protocol="tools") as model:
        with pytest.raises(ModelError, match="unknown field: tools") as caught:
            model.complete(ASK)
        assert (caught.value.kind, caught.value.again, len(server.requests)) == ("refused", False, 1)


def test_a_block_that_the_cap_cut_is_never_carried_out():
    block = '```tool\n{"name": "write_file", "arguments": {"path": "a.py", "content": "one'
    whole = '```tool\n{"name": "write_file", "arguments": {"path": "b.py", "content": ""}}\n```\n'
    cut = ScriptedReply(say=f"I write it.\n{whole}{block}", finish_reason="length", once=False)
    with TextServer(Script(replies=(cut,))) as server, talk(server, protocol="text") as model:
        completion = model.complete(ASK)
    assert (completion.stop_reason, completion.message.tool_calls) == ("length", ())
    assert completion.message.content == "I write it."
    assert "2 tool calls dropped" in completion.note


def test_blocks_in_the_reasoning_are_no_calls():
    block = '```tool\n{"name": "write_file", "arguments": {}}\n```'
    script = Script(replies=(ScriptedReply(reasoning=f"Perhaps\n{block}", say="No."),))
    with TextServer(script) as server, talk(server, protocol="text") as model:
        assert model.complete(ASK).message.tool_calls == ()


def test_what_is_reserved_for_is_what_is_sent():
    with TextServer(Script(replies=TWO_TURNS), refuse=TOOLS_REFUSED) as server, talk(server) as model:
        longer = answered(ASK, insist(model, ASK), "1 file written")
        assert model.rendered(longer).form.startswith("text, ")
        model.complete(longer)
        sent = server.requests[-1].body["messages"]
        assert [message.content for message in model.rendered(longer).request.messages] == [
            message["content"] for message in sent
        ]


def test_what_is_learned_is_kept_for_the_next_run(tmp_path):
    refuse, news = ("stream_options", "tools"), []
    with TextServer(Script(replies=TWO_TURNS), refuse=refuse) as server:
        for _ in range(2):
            with talk(server, memory=Memory(tmp_path / "endpoints.json"), observe=news.append) as model:
                insist(model, ASK)
        assert [each.text for each in news if isinstance(each, Said)] == [
            "the endpoint takes no tools: they are called in text from here on",
            "the endpoint took no tools when it was last asked: they are called in text",
        ]
        sent = [sorted({"stream_options", "tools"} & set(request.body)) for request in server.requests]
        assert sent == [["stream_options", "tools"], ["tools"], [], []]
        forced = talk(server, memory=Memory(tmp_path / "endpoints.json"), protocol="tools")
        with forced as model, pytest.raises(ModelError, match="unknown field: tools"):
            model.complete(ASK)


def test_what_did_not_lead_to_a_reply_is_not_kept(tmp_path):
    memory = Memory(tmp_path / "endpoints.json")
    script = Script(replies=(ScriptedReply(status=401), *TWO_TURNS))
    with ScriptedServer(script, refuse=("stream_options",)) as server, talk(server, memory=memory) as model:
        with pytest.raises(ModelError, match="401"):
            model.complete(ASK)
        assert memory.recall(server.base_url, "kimi-k2.6") is None
        model.complete(ASK)
        assert memory.recall(server.base_url, "kimi-k2.6").refused == {"stream_options"}


MISSING = "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2"
UNREASONED = http(
    json.dumps({"error": {"type": "invalid_request_error", "message": MISSING}}), status="400 Bad Request"
)


def test_reasoning_that_was_not_received_is_made_up_only_if_the_api_insists(raw):
    server, model = raw(UNREASONED, UNREASONED, UNREASONED, stream(delta("stop", content="ok")))
    made = ToolCall(id="a", name="write_file", arguments="{}")
    told = (Message(role="assistant", tool_calls=(made,)), Message(role="tool", tool_call_id="a", content="x"))
    assert insist(model, replace(ASK, messages=(*ASK.messages, *told))).message.content == "ok"
    assert [body["messages"][2].get("reasoning_content") for body in server.bodies] == [None, "", " ", " "]
    assert [body.get("thinking") for body in server.bodies] == [None, None, None, {"type": "disabled"}]


def test_an_api_that_nothing_satisfies_is_not_asked_for_ever(raw):
    server, model = raw(UNREASONED)
    with pytest.raises(ModelError, match="reasoning_content is missing") as caught:
        insist(model, ASK)
    assert (caught.value.kind, len(server.requests)) == ("refused", 4)


def test_reasoning_is_sent_back_or_the_server_complains():
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server) as model:
        first = model.complete(ASK)
        forgetful = replace(first, message=replace(first.message, reasoning=None))
        insist(model, answered(ASK, forgetful, "1 file written"))
    assert len(server.requests) == 3, "the request without reasoning was refused, the one with a filler taken"


@pytest.mark.parametrize("thinking", [None, {"type": "enabled", "keep": "all"}])
def test_a_reply_without_reasoning_can_be_asked_for(thinking):
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server, thinking=thinking) as model:
        model.complete(replace(ASK, think=False))
        model.complete(ASK)
    assert [request.body.get("thinking") for request in server.requests] == [{"type": "disabled"}, thinking]


def test_the_cap_shrinks_to_what_the_context_leaves():
    with ScriptedServer(Script(replies=TWO_TURNS, context=20_000)) as server, talk(server, context=20_000) as model:
        model.complete(ASK)
        long = replace(ASK, messages=(*ASK.messages, Message(role="user", content="x" * 80_000)))
        with pytest.raises(ModelError, match="no room") as caught:
            model.complete(long)
    assert (caught.value.kind, caught.value.billed, len(server.requests)) == ("overflow", False, 1)
    assert 18_000 < server.requests[0].body["max_completion_tokens"] < 19_000


def test_an_overflow_that_the_server_sees_has_its_kind():
    small = Script(replies=TWO_TURNS, context=4_000)
    with (
        ScriptedServer(small) as server,
        talk(server) as model,
        pytest.raises(ModelError, match="exceeded model token limit") as caught,
    ):
        model.complete(ASK)
    assert caught.value.kind == "overflow"


@pytest.mark.parametrize(("usage_in", "usage"), [("both", True), ("choice", True), ("chunk", True), ("none", False)])
def test_usage_is_read_where_it_is_and_missed_where_it_is_not(usage_in, usage):
    with ScriptedServer(Script(replies=TWO_TURNS), usage_in=usage_in) as server, talk(server) as model:
        assert model.complete(ASK).usage == (server.ledger[0] if usage else None)


def test_a_wrong_key_and_a_missing_model_are_told():
    with ScriptedServer(Script(replies=TWO_TURNS), key="sk-other") as server, talk(server) as model:
        with pytest.raises(ModelError, match="HTTP 401 invalid_authentication_error") as caught:
            model.complete(ASK)
        assert (caught.value.kind, caught.value.retryable) == ("auth", False)
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server, model="kimi-k2.5") as model:
        with pytest.raises(ModelError, match=r"HTTP 404 resource_not_found_error: Not found the model kimi-k2\.5"):
            model.complete(ASK)
        assert model.available() == ("kimi-k2.6",)


def test_a_fault_is_raised_and_the_next_attempt_begins_anew():
    faults = (
        ScriptedReply(status=429, headers={"Retry-After": "3"}),
        ScriptedReply(status=503, body="<title>down</title>"),
        replace(TWO_TURNS[0], cut_after=900),
    )
    kinds = []
    with ScriptedServer(Script(replies=(*faults, *TWO_TURNS))) as server, talk(server) as model:
        for _ in faults:
            with pytest.raises(ModelError) as caught:
                model.complete(ASK)
            kinds.append((caught.value.kind, caught.value.retryable, caught.value.retry_after, caught.value.billed))
        completion = model.complete(ASK)
    assert kinds == [
        ("rate_limited", True, 3.0, False),
        ("overloaded", True, None, True),
        ("transport", True, None, True),
    ]
    assert completion.message.tool_calls[0].arguments == TWO_TURNS[0].calls[0].text
    assert len(server.requests) == 4
    assert len(server.ledger) == 2, "the cut reply was generated, so it is billed"


def test_a_closed_model_opens_again():
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server) as model:
        model.complete(ASK)
        model.close()
        assert model.complete(ASK).stop_reason == "tool_calls"


def test_tools_that_cannot_be_offered_are_an_error_of_ours():
    bad = ToolSpec(name="ls", description="d", parameters={"type": "object"})
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server) as model:
        with pytest.raises(ValueError, match="tool names"):
            model.complete(replace(ASK, tools=(bad,)))
        assert server.requests == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "http://models.example/v1"}, "not encrypted"),
        ({"base_url": "http://127.0.0.1.example/v1"}, "not encrypted"),
        ({"base_url": "ftp://models.example/v1"}, "not a base URL"),
        ({"base_url": "models.example"}, "not a base URL"),
        ({"base_url": "https://[::1/v1"}, "not a base URL"),
        ({"base_url": "https://user:pass@models.example/v1"}, "holds credentials"),
        ({"base_url": "https://models.example/v1?key=x"}, "not a base URL"),
        ({"key": ""}, "no API key"),
        ({"key": "sk-a\nX-Other: b"}, "characters that no key has"),
        ({"key": "sk-ü"}, "characters that no key has"),
        ({"cap_field": "n"}, "unknown field"),
    ],
)
def test_an_endpoint_that_is_not_safe_or_not_usable_is_refused(settings, message):
    with pytest.raises(UsageProblem, match=message):
        Endpoint(**{"base_url": "https://models.example/v1", "model": "m", "key": "sk-a"} | settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost"])
def test_loopback_needs_no_encryption_and_no_key(host):
    assert Endpoint(base_url=f"http://{host}:1/v1", model="m").loopback


def test_the_key_is_not_in_what_an_endpoint_prints():
    assert "sk-secret" not in repr(Endpoint(base_url="https://models.example/v1", model="m", key="sk-secret"))


def test_billed_tokens_add_up():
    with ScriptedServer(Script(replies=TWO_TURNS)) as server, talk(server) as model:
        model.complete(answered(ASK, model.complete(ASK), "1 file written"))
    assert server.billed == sum(server.ledger, Usage())
    assert server.billed.completion > 100


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks5://127.0.0.1:9"), ("HTTPS_PROXY", "nonsense://x"), ("SSL_CERT_FILE", "/nowhere.pem")],
)
def test_a_variable_that_no_connection_can_be_made_with_is_a_mistake_of_the_user(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    endpoint = Endpoint(base_url="https://models.invalid/v1", model="m", key="sk-a")
    with OpenAIModel(endpoint) as model:
        model.prepare()
        with pytest.raises(UsageProblem, match="no connection can be made") as caught:
            model.complete(ASK)
    assert "SSL_CERT_FILE" in caught.value.hint


def test_to_be_closed_waits_for_what_is_being_loaded():
    """An interpreter that ends in the middle of an import crashes."""
    script = """
import sys, threading
from agent.models.openai import Endpoint, OpenAIModel
with OpenAIModel(Endpoint(base_url="http://127.0.0.1:1/v1", model="m", key="k")) as model:
    model.prepare()
    before = [thread.name for thread in threading.enumerate()]
print("model" in before, [thread.name for thread in threading.enumerate()], "openai" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "True ['MainThread'] True\n", done.stderr


@pytest.mark.parametrize(("fault", "billed"), [("stream-error", True), ("overloaded", False)])
def test_an_error_after_a_good_status_may_have_been_billed(fault, billed):
    replies = (ScriptedReply(say="I will mend the sum.", fault=fault), ScriptedReply(say="Done."))
    with ScriptedServer(Script(replies=replies)) as server, talk(server) as model, pytest.raises(ModelError) as caught:
        model.complete(ASK)
    assert caught.value.billed is billed
    assert bool(server.billed.completion) <= billed
