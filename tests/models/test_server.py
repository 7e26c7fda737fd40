"""The scripted server as a client that is no SDK sees it."""

import http.client
import json
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from agent.messages import Usage
from agent.models.script import Script, ScriptedCall, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from agent.models.tokens import count_tokens
from tests.models.fakes import WRITE_FILE

USER = {"role": "user", "content": "Write a.py."}
TOOL = {
    "type": "function",
    "function": {"name": "write_file", "description": "d", "parameters": WRITE_FILE.parameters},
}


def post(server, messages=(USER,), *, headers=(), **fields):
    body = {"model": "kimi-k2.6", "messages": list(messages), "max_completion_tokens": 100} | fields
    connection = http.client.HTTPConnection(*server.base_url.removeprefix("http://").removesuffix("/v1").split(":"))
    sent = {"Authorization": "Bearer k", "Content-Type": "application/json"} | dict(headers)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), sent)
    response = connection.getresponse()
    try:
        return response.status, response.read().decode()
    finally:
        connection.close()


def spoken(answer):
    status, text = answer
    assert status == 200, text
    return json.loads(text)["choices"][0]["message"]


def refused(answer):
    status, text = answer
    assert status == 400, text
    return json.loads(text)["error"]["message"]


def serve(*replies, match="by-history", **settings):
    return ScriptedServer(Script(replies=replies, match=match), **settings)


def chunks_of(answer):
    events = [event.removeprefix("data: ") for event in answer[1].split("\n\n")[:-1]]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


def test_a_reply_is_streamed_in_small_pieces_in_the_order_of_kimi():
    text = "Here is a longer text."
    with serve(say(text, call("write_file", path="a.py", content="x" * 40), reasoning="Let me think.")) as server:
        chunks = chunks_of(post(server, tools=[TOOL], stream=True, stream_options={"include_usage": True}))
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    kinds = [next(iter(delta), None) for delta in deltas]
    assert kinds == ["role", *["reasoning_content"] * 2, *["content"] * 2, *["tool_calls"] * 7, None]
    heads = [call["id"] for delta in deltas for call in delta.get("tool_calls", ()) if "id" in call]
    assert heads == ["functions.write_file:0"]
    assert "".join(delta.get("content", "") for delta in deltas) == text
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-2:] == [None, "tool_calls"]
    usage = {
        "prompt_tokens": server.ledger[0].prompt,
        "completion_tokens": server.ledger[0].completion,
        "total_tokens": server.ledger[0].prompt + server.ledger[0].completion,
        "cached_tokens": 0,
    }
    assert chunks[-2]["choices"][0]["usage"] == usage
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], usage)


def test_a_reply_that_is_not_to_be_streamed_comes_in_one_body():
    with serve(say("Hi", call("write_file", path="a"), reasoning="r")) as server:
        message = spoken(post(server))
    assert message == {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "r",
        "tool_calls": [
            {
                "id": "functions.write_file:0",
                "type": "function",
                "function": {"name": "write_file", "arguments": '{"path": "a"}'},
            }
        ],
    }


def said(text):
    return {"role": "assistant", "content": text}


def test_by_history_the_reply_depends_on_the_conversation_alone():
    with serve(say("one"), say("two")) as server:
        longer = [USER, said("one"), USER]
        answers = [spoken(post(server, messages))["content"] for messages in (longer, [USER], longer, [USER])]
    assert answers == ["two", "one", "two", "one"]


def test_in_order_the_reply_depends_on_the_requests_before():
    with serve(say("one"), say("two"), match="in-order") as server:
        assert [spoken(post(server))["content"] for _ in range(2)] == ["one", "two"]
        assert "at its end: it has 2 replies" in refused(post(server))


def test_a_fault_is_served_once_then_the_reply_behind_it():
    with serve(
        ScriptedReply(status=429, headers={"Retry-After": "7"}), ScriptedReply(status=500), say("one")
    ) as server:
        answers = [post(server) for _ in range(4)]
    assert [status for status, _ in answers] == [429, 500, 200, 200]
    assert json.loads(answers[0][1])["error"]["type"] == "rate_limit_reached_error"
    assert len(server.ledger) == 2, "failed generations are not billed"


def test_the_script_proves_what_was_said_since_the_last_reply():
    with serve(say("one"), say("two", expect=("1 failed", "a.py"))) as server:
        old = {"role": "user", "content": "1 failed"}
        problem = refused(post(server, [old, said("one"), {"role": "user", "content": "all of a.py passed"}]))
        assert problem == "reply 2 of the script expects to read '1 failed' first"
        assert spoken(post(server, [old, said("one"), {"role": "user", "content": "1 failed in a.py"}]))
    assert len(server.ledger) == 1


def test_a_script_that_is_at_its_end_says_so():
    with serve(say("one")) as server:
        assert "at its end: it has 1 replies" in refused(post(server, [USER, said("one"), USER]))


CALLED = {
    "role": "assistant",
    "tool_calls": [
        {
            "id": "functions.write_file:0",
            "type": "function",
            "function": {"name": "write_file", "arguments": '{"path": "a"}'},
        }
    ],
}
RESULT = {"role": "tool", "tool_call_id": "functions.write_file:0", "content": "ok"}


def misnamed(**function):
    return [{"type": "function", "function": TOOL["function"] | function}]


REFUSED = {
    "a temperature": ({"temperature": 0.0}, "invalid temperature"),
    "top_p": ({"top_p": 1}, "invalid top_p"),
    "several choices": ({"n": 2}, "invalid n"),
    "an unknown field": ({"seed": 1}, "unknown field: seed"),
    "both caps": ({"max_tokens": 1}, "never both"),
    "a cap that is no number": ({"max_completion_tokens": "many"}, "invalid max_completion_tokens"),
    "more than fits": ({"max_completion_tokens": 262_144}, "exceeded model token limit: 262144 (requested: 2621"),
    "no messages": ({"messages": []}, "not empty"),
    "messages of no shape": ({"messages": [{"role": "user", "content": "x"}, 3]}, "not empty"),
    "a short tool name": ({"tools": misnamed(name="ls")}, "function name is invalid"),
    "a refused keyword": ({"tools": misnamed(parameters={"type": "object", "oneOf": []})}, "not supported: oneOf"),
    "a property without a type": (
        {"tools": misnamed(parameters={"type": "object", "properties": {"x": {}}})},
        "At path 'write_file.x': type is not defined",
    ),
    "tools that are no list": ({"tools": {"a": 1}}, "tools must be a list"),
    "tools that are no tools": ({"tools": [{"function": 3}]}, "malformed"),
    "stream options without a stream": ({"stream_options": {}}, "only allowed with stream"),
    "empty content": ({"messages": [{"role": "user", "content": ""}]}, "must not be empty"),
    "an empty text part": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]},
        "must not be empty",
    ),
    "an assistant that says nothing": ({"messages": [USER, {"role": "assistant"}]}, "must not be empty"),
    "empty content beside calls": ({"messages": [USER, CALLED | {"content": ""}, RESULT]}, "must not be empty"),
    "an unknown role": ({"messages": [{"role": "robot", "content": "x"}]}, "invalid role"),
    "a call without a result": ({"messages": [USER, CALLED]}, "insufficient tool messages"),
    "a result too late": ({"messages": [USER, CALLED, USER, RESULT]}, "must be followed by tool messages"),
    "a result of nothing": ({"messages": [USER, RESULT]}, "is not found"),
    "two results": ({"messages": [USER, CALLED, RESULT, RESULT]}, "is not found"),
    "an id used twice": ({"messages": [USER, CALLED, RESULT, CALLED, RESULT]}, "duplicate or missing"),
    "arguments that are no JSON": (
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "a", "function": {"name": "write_file", "arguments": "{"}}],
                },
                RESULT | {"tool_call_id": "a"},
            ]
        },
        "not a JSON object",
    ),
}


@pytest.mark.parametrize(("fields", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_moonshot_refuses_is_refused(fields, problem):
    with serve(say("one"), say("two")) as server:
        messages = fields.get("messages", [USER])
        assert problem in refused(post(server, **{"messages": messages} | fields))
        assert server.ledger == []
        assert len(server.requests) == 1


def test_what_moonshot_takes_is_taken():
    with serve(say("one"), say("two")) as server:
        fields = {"tools": [TOOL], "thinking": {"type": "enabled"}, "prompt_cache_key": "k", "stop": ["x"]}
        assert spoken(post(server, [USER, CALLED, RESULT], **fields))["content"] == "two"


def test_reasoning_has_to_come_back_with_the_calls_that_it_led_to():
    with serve(say("one", call("write_file", path="a"), reasoning="r"), say("two")) as server:
        post(server)
        assert "reasoning_content is missing" in refused(post(server, [USER, CALLED, RESULT]))
        assert spoken(post(server, [USER, CALLED | {"reasoning_content": "r"}, RESULT]))["content"] == "two"
        assert spoken(post(server, [USER, CALLED, RESULT], thinking={"type": "disabled"}))["content"] == "two"


@pytest.mark.parametrize(("key", "header"), [(None, ""), (None, "Bearer "), (None, "k"), ("k", "Bearer other")])
def test_a_key_is_asked_for(key, header):
    with serve(say("one"), key=key) as server:
        status, text = post(server, headers={"Authorization": header})
    assert (status, json.loads(text)["error"]["type"]) == (401, "invalid_authentication_error")


def test_an_unknown_model_is_not_found():
    with serve(say("one")) as server:
        status, text = post(server, model="kimi-k2.5")
    assert (status, json.loads(text)["error"]["type"]) == (404, "resource_not_found_error")


def test_the_ledger_counts_what_was_new_and_what_was_known():
    with serve(say("one two three"), say("four")) as server:
        post(server, tools=[TOOL])
        post(server, [USER, said("one two three"), USER], tools=[TOOL])
        post(server, [{"role": "user", "content": "else"}], tools=[TOOL])
    first, second, third = server.ledger
    assert (first.cached, second.cached) == (0, first.prompt)
    assert 0 < third.cached < first.prompt, "the tools alone are known"
    assert first.completion == count_tokens("one two three") == 6
    assert server.billed == first + second + third


def test_a_reply_without_usage_is_billed_all_the_same():
    with serve(ScriptedReply(say="one", usage=False)) as server:
        assert "usage" not in json.loads(post(server)[1])
    assert server.ledger != [Usage()]


def test_raw_arguments_and_a_made_up_reason_are_sent_as_they_are():
    bad = ScriptedReply(calls=(ScriptedCall(name="write_file", raw_arguments="{bad"),), finish_reason="odd")
    with serve(bad) as server:
        chunks = chunks_of(post(server, stream=True))
    arguments = [
        made["function"]["arguments"] for chunk in chunks for made in chunk["choices"][0]["delta"].get("tool_calls", ())
    ]
    assert ("".join(arguments), chunks[-1]["choices"][0]["finish_reason"]) == ("{bad", "odd")


def test_a_reply_is_cut_where_the_script_says():
    with (
        serve(ScriptedReply(say="x" * 500, cut_after=300)) as server,
        pytest.raises(http.client.IncompleteRead) as caught,
    ):
        post(server, stream=True)
    assert len(caught.value.partial) == 300


def test_a_stalled_reply_ends_with_the_server():
    ended = threading.Event()

    def ask():
        with pytest.raises(http.client.IncompleteRead):
            post(server, stream=True)
        ended.set()

    with serve(ScriptedReply(say="x" * 500, stall=True)) as server:
        threading.Thread(target=ask, daemon=True).start()
        while not server.ledger:
            time.sleep(0.005)
        assert not ended.wait(0.1)
    assert ended.wait(10)


def test_other_paths_are_not_found():
    with serve(say("one")) as server:
        port = int(server.base_url.removesuffix("/v1").rpartition(":")[2])
        for method, path in (("GET", "/v1/chat/completions"), ("POST", "/v1/completions"), ("GET", "/")):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request(method, path)
            assert connection.getresponse().status == 404
            connection.close()


def test_it_runs_as_a_program(tmp_path):
    path = tmp_path / "script.toml"
    path.write_text('[[reply]]\nsay = "Hi"\n')
    program = [sys.executable, "-m", "agent.models.server", str(path), "--port", "0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        base_url = process.stdout.readline().strip()

        class Address:
            pass

        Address.base_url = base_url
        assert spoken(post(Address))["content"] == "Hi"
        process.send_signal(2)
        assert (process.wait(10), process.stderr.read()) == (0, "")


def test_a_client_that_hangs_up_leaves_no_word_on_the_terminal(capfd):
    with ScriptedServer(Script(replies=(say("Hello."),))) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /v1/models HT")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_a_paced_reply_comes_in_pieces():
    with serve(ScriptedReply(say="Slowly, and with care.", pace=60.0)) as server:
        host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        body = {"model": "kimi-k2.6", "messages": [USER], "max_completion_tokens": 100, "stream": True}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer k"})
        response = connection.getresponse()
        assert b'"role": "assistant"' in response.readline()
        connection.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            response.read()
        connection.close()
