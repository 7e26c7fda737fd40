"""The scripted server as a client that is no SDK sees it."""

import concurrent.futures
import contextlib
import http.client
import json
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from agent.models.gateway import Gateway
from agent.models.script import Script, ScriptedCall, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from tests.models.served import TOOL, USER, call_deltas_of, chunks_of, post, refused, said, serve, spoken, stream


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
        message = spoken(post(server, tools=[TOOL]))
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


def test_reasoning_that_is_empty_is_not_the_same_as_none():
    with serve(say("one", reasoning=""), say("two")) as server:
        first = [choice["delta"] for chunk in chunks_of(post(server, stream=True)) for choice in chunk["choices"]]
        assert [delta.get("reasoning_content") for delta in first] == [None, "", None, None]
        assert spoken(post(server))["reasoning_content"] == ""
        assert "reasoning_content" not in spoken(post(server, [USER, said("one"), USER]))


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


def test_raw_arguments_and_a_made_up_reason_are_sent_as_they_are():
    bad = ScriptedReply(calls=(ScriptedCall(name="write_file", raw_arguments="{bad"),), finish_reason="odd")
    with serve(bad) as server:
        answer = stream(server)
    arguments = [made["function"]["arguments"] for made in call_deltas_of(answer)]
    assert ("".join(arguments), chunks_of(answer)[-1]["choices"][0]["finish_reason"]) == ("{bad", "odd")


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


class Started:
    """A server that runs as a program of its own."""

    def __init__(self, base_url):
        self.base_url = base_url


@contextlib.contextmanager
def program(path, *options):
    command = [sys.executable, "-m", "agent.models.server", str(path), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process


def test_it_runs_as_a_program(tmp_path):
    path = tmp_path / "script.toml"
    path.write_text('[[reply]]\nsay = "Hi"\n')
    with program(path, "--port", "0") as process:
        assert spoken(post(Started(process.stdout.readline().strip())))["content"] == "Hi"
        process.send_signal(2)
        assert (process.wait(30), process.stderr.read()) == (0, "")


def test_as_a_program_it_lets_replies_go_wrong_too(tmp_path):
    path = tmp_path / "script.toml"
    path.write_text('[chaos]\nseed = 1\nkinds = ["no-credits"]\nrate = 0.0\n[[reply]]\nsay = "Hi"\n')
    with program(path, "--chaos", "1", "--rate", "1") as process:
        assert post(Started(process.stdout.readline().strip()))[0] == 402
        process.send_signal(2)
        assert (process.wait(30), process.stderr.read()) == (0, "")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("[[reply]]\nfault = 'cot'", (), "there is no fault 'cot'"),
        ("[[reply]]\nsay = 'x'", ("--chaos", "1", "--rate", "7"), "a rate is between 0 and 1"),
        ("[[reply]]\nsay = 'x'", ("--port", "99999"), "cannot serve"),
        (None, (), "cannot read the script"),
    ],
)
def test_as_a_program_it_tells_a_mistake_in_words(tmp_path, text, options, words):
    path = tmp_path / "script.toml"
    if text is not None:
        path.write_text(text)
    with program(path, *options) as process:
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert words in error
    assert "Traceback" not in error


def test_a_client_that_hangs_up_leaves_no_word_on_the_terminal(capfd):
    with ScriptedServer(Script(replies=(say("Hello."),))) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /v1/models HT")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.2)
    assert capfd.readouterr().err == ""


@contextlib.contextmanager
def asked(server):
    """A connection with a request for a stream on it."""
    host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    body = {"model": "kimi-k2.6", "messages": [USER], "max_completion_tokens": 100, "stream": True}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer k"})
    yield connection
    connection.close()


@pytest.mark.parametrize(("pause", "events"), [({"pace": 60.0}, 1), ({"gap": 60.0}, 2), ({"stall": True}, 2)])
def test_a_reply_comes_with_pauses_between_its_pieces(pause, events):
    with serve(ScriptedReply(say="Slow.", **pause)) as server, asked(server) as connection:
        response = connection.getresponse()
        for _ in range(events):
            assert b'"choices"' in response.readline()
            assert response.readline() == b"\n"
        connection.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            response.read()


def test_a_reply_comes_after_a_pause():
    with serve(ScriptedReply(say="Slow.", delay=60.0)) as server, asked(server) as connection:
        connection.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.getresponse()


def test_it_is_known_when_requests_came_in_and_answers_were_out():
    with serve(say("one")) as server:
        for answers in (1, 2):
            post(server)
            while len(server.answered) < answers:
                time.sleep(0.005)
    times = [
        time for pair in zip([request.at for request in server.requests], server.answered, strict=True) for time in pair
    ]
    assert times == sorted(times)
    assert len(set(times)) == 4


WRITES = say("I write it.", call("write_file", path="a.py", content="```\nx\n```"), call("run_tests"))
BLOCKS = """I write it.

```tool
{"name": "write_file", "arguments": {"path": "a.py", "content": "```\\nx\\n```"}}
```

```tool
{"name": "run_tests", "arguments": {}}
```"""


def test_a_model_without_tools_writes_its_calls_down():
    with serve(WRITES, say("Done.")) as server:
        message = spoken(post(server))
        assert message == {"role": "assistant", "content": BLOCKS}
        chunks = chunks_of(post(server, stream=True))
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == BLOCKS
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert spoken(post(server, [USER, message, USER]))["content"] == "Done."


@pytest.mark.parametrize("tools", [[], [TOOL]])
@pytest.mark.parametrize("protocol", ["tools", "text"])
def test_the_protocol_can_be_fixed(protocol, tools):
    with serve(WRITES, gateway=Gateway(protocol=protocol)) as server:
        message = spoken(post(server, tools=tools))
    assert message["content"] == (BLOCKS if protocol == "text" else "I write it.")
    assert [made["function"]["name"] for made in message.get("tool_calls", ())] == (
        ["write_file", "run_tests"] if protocol == "tools" else []
    )


def test_text_is_spoken_in_another_way_if_wanted():
    def tagged(reply):
        return reply.say + "".join(f"<{made.name}>" for made in reply.calls)

    with serve(WRITES, say("Done."), speak_text=tagged) as server:
        assert spoken(post(server))["content"] == "I write it.<write_file><run_tests>"
        assert spoken(post(server, [USER, said("x"), USER]))["content"] == "Done."


def test_malformed_arguments_make_a_malformed_block():
    with serve(ScriptedReply(calls=(ScriptedCall(name="write_file", raw_arguments='{"path": '),))) as server:
        content = spoken(post(server))["content"]
    assert content == '```tool\n{"name": "write_file", "arguments": {"path": }\n```'


def test_many_clients_are_served_at_once():
    with serve(say("one"), say("two")) as server:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            asked = [[USER], [USER, said("one"), USER]] * 40
            answers = list(pool.map(lambda messages: spoken(post(server, messages))["content"], asked))
        assert answers == ["one", "two"] * 40
        assert sorted(bill.request for bill in server.bills) == list(range(1, 81))
