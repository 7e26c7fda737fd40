"""The client against everything that gateways do wrong, over real sockets."""

import contextlib
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from agent.messages import Usage
from agent.models import ModelError
from agent.models.openai import Endpoint, OpenAIModel
from tests.models.fakes import ASK, RawServer, call_delta, delta, events, http, stream, until_hangup

HELLO = delta(content="Hello")
STOP = delta("stop")
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4}}
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(*data):
    text = events(*data, done=False).encode()
    return CHUNKED + b"%x\r\n%s\r\n" % (len(text), text)


def error_of(model):
    with pytest.raises(ModelError) as caught:
        model.complete(ASK)
    return caught.value


BAD = {
    "an error event in the stream": (
        stream(HELLO, {"error": {"type": "engine_overloaded_error", "message": "busy"}}),
        ("overloaded", True, "engine_overloaded_error: busy"),
    ),
    "a quota error in the stream": (
        stream(HELLO, {"error": {"type": "exceeded_current_quota_error", "message": "pay"}}),
        ("quota", False, "exceeded_current_quota_error: pay"),
    ),
    "an error event without a type": (
        stream(HELLO, {"error": "broke"}),
        ("transport", True, "error: broke"),
    ),
    "an event that is no JSON": (
        stream(HELLO, '{"choices": ['),
        ("transport", True, 'an event of the stream is no JSON object: {"choices": ['),
    ),
    "an event nested without end": (
        stream("[" * 100_000),
        ("transport", True, "an event of the stream is no JSON object"),
    ),
    "an event that is no text": (
        http(b"data: \xff\xfe\n\n", kind="text/event-stream"),
        ("transport", True, "UnicodeDecodeError"),
    ),
    "an end without [DONE] and without a reason": (
        stream(HELLO, done=False),
        ("transport", True, "the stream ended before the reply did"),
    ),
    "an end within a call": (
        stream(delta(tool_calls=[call_delta(0, "a", "write_file", '{"pa')]), done=False),
        ("transport", True, "the stream ended before the reply did"),
    ),
    "an end inside a chunked body": (
        chunked(HELLO),
        ("transport", True, "RemoteProtocolError"),
    ),
    "no chunk at all": (
        stream(),
        ("transport", True, "the stream ended before the reply did"),
    ),
    "an empty body": (
        http("", kind="text/event-stream"),
        ("transport", True, "the stream ended before the reply did"),
    ),
    "only heartbeats": (
        http(": ping\n\ndata:\n\n", kind="text/event-stream"),
        ("transport", True, "the stream ended before the reply did"),
    ),
    "an error as JSON with a good status": (
        http(json.dumps({"error": {"type": "rate_limit_reached_error", "message": "slow"}})),
        ("rate_limited", True, "rate_limit_reached_error: slow"),
    ),
    "an error as JSON that calls itself a stream": (
        http(json.dumps({"error": {"code": "401", "message": "key"}}), kind="text/event-stream"),
        ("auth", False, "401: key"),
    ),
    "a page with a good status": (
        http("<html><title>Sign in</title>", kind="text/html"),
        ("transport", True, "the answer is no completion: Sign in"),
    ),
    "a page that calls itself a stream": (
        http("<html><title>Sign in</title>", kind="text/event-stream"),
        ("transport", True, "the answer is no completion: Sign in"),
    ),
    "JSON without choices": (
        http('{"id": "x", "choices": []}'),
        ("transport", True, 'the answer is no completion: {"id": "x", "choices": []}'),
    ),
    "JSON that is no object": (
        http("[1]"),
        ("transport", True, "the answer is no completion: [1]"),
    ),
    "a page with a bad status": (
        http("<html><title>502 Bad Gateway</title>", status="502 Bad Gateway", kind="text/html"),
        ("overloaded", True, "HTTP 502: 502 Bad Gateway"),
    ),
    "a stream that does not call itself one": (
        http(events(HELLO, STOP, USAGE), kind="text/plain"),
        ("transport", True, 'the answer is no completion: data: {"choices"'),
    ),
    "bytes that are no HTTP": (
        b"SSH-2.0-OpenSSH_9.2\r\n",
        ("transport", True, "RemoteProtocolError"),
    ),
    "a compression that it is not": (
        http(b"no gzip", kind="text/event-stream", Content_Encoding="gzip"),
        ("transport", True, "DecodingError"),
    ),
    "a length that is not kept": (
        http(events(HELLO, done=False), kind="text/event-stream", Content_Length="9999"),
        ("transport", True, "RemoteProtocolError"),
    ),
    "a connection that ends at once": (
        b"",
        ("transport", True, "RemoteProtocolError"),
    ),
}


@pytest.mark.parametrize(("answer", "expected"), BAD.values(), ids=BAD)
def test_an_answer_that_is_none_is_a_typed_error(raw, answer, expected):
    server, model = raw(answer)
    error = error_of(model)
    kind, retryable, words = expected
    assert (error.kind, error.retryable) == (kind, retryable)
    assert words in error.message
    assert error.message.isprintable()
    assert len(server.requests) == 1, "the client makes one attempt"


GOOD = {
    "heartbeats between events": http(
        ": ping\n\ndata:\n\ndata: \n\n" + events(HELLO, STOP, USAGE), kind="text/event-stream; charset=utf-8"
    ),
    "[DONE] without a reason": stream(HELLO, USAGE),
    "a reason without [DONE]": stream(HELLO, STOP, USAGE, done=False),
    "a connection that breaks after the reason": chunked(HELLO, STOP, USAGE),
    "one JSON body": http(
        json.dumps(
            {
                "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
                "usage": USAGE["usage"],
            }
        )
    ),
    "one JSON body that calls itself a stream": http(
        json.dumps({"choices": [{"message": {"content": "Hello"}}], "usage": USAGE["usage"]}), kind="text/event-stream"
    ),
    "carriage returns": http(events(HELLO, STOP, USAGE).replace("\n", "\r\n"), kind="text/event-stream"),
}


@pytest.mark.parametrize("answer", GOOD.values(), ids=GOOD)
def test_an_answer_in_an_unusual_form_is_one(raw, answer):
    _, model = raw(answer)
    completion = model.complete(ASK)
    assert (completion.message.content, completion.stop_reason) == ("Hello", "stop")
    assert completion.usage == Usage(prompt=9, completion=2, cached=4)


def test_a_recorded_stream_of_a_host_that_repeats_ids_comes_out_right(raw):
    entry = {"role": "assistant", "tool_calls": [call_delta(0, "0", "write_file", '{"path": ')]}
    rest = {"tool_calls": [call_delta(0, "0", "write_file", '"a"}')]}
    _, model = raw(stream(delta(**entry), delta(**rest), USAGE))
    completion = model.complete(ASK)
    made = completion.message.tool_calls[0]
    assert (made.id, made.name, made.arguments) == ("functions.write_file:0", "write_file", '{"path": "a"}')
    assert completion.stop_reason == "tool_calls"


def test_the_ids_for_support_are_in_the_message_and_on_the_completion(raw):
    ids = {"X_Request_Id": "req-1", "X_RunAPI_Task_Id": "task-2"}
    _, model = raw(
        http('{"error": "no"}', status="500 Oops", **ids), stream(HELLO, done=False, **ids), stream(HELLO, **ids)
    )
    assert error_of(model).message == "HTTP 500: no (request req-1, task task-2)"
    assert error_of(model).message.endswith("before the reply did (request req-1, task task-2)")
    assert model.complete(ASK).request_id == "req-1"


def test_a_key_that_the_provider_echoes_is_not_repeated(raw):
    echo = {"error": {"message": "bad key sk-secret"}}
    _, model = raw(http(json.dumps(echo), status="401 No"), stream("sk-secret"), b"sk-secret\r\n\r\n")
    for error in (error_of(model), error_of(model), error_of(model)):
        assert "sk-secret" not in f"{error.message} {error.__cause__} {error.hint}"
        assert "***" in error.message


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_not_followed(raw, status):
    other = RawServer(stream(HELLO))
    server, model = raw(http("", status=status, Location=f"http://127.0.0.1:{other.port}/v1/chat/completions"))
    error = error_of(model)
    other.close()
    assert (error.kind, error.retryable, len(server.requests), other.requests) == ("refused", False, 1, [])
    assert "base URL" in error.hint


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_the_sdk_does_not_retry(raw, status):
    server, model = raw(http("{}", status=f"{status} No", Retry_After="0", X_Should_Retry="true"))
    error_of(model)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http("{"), "transport"),
        (http("<title>Sign in</title>", kind="text/html"), "transport"),
        (http('{"data": {}}'), "transport"),
        (http('{"error": "no"}', status="401 No"), "auth"),
    ],
)
def test_a_list_of_models_that_is_none_is_a_typed_error(raw, answer, kind):
    _, model = raw(answer)
    with pytest.raises(ModelError) as caught:
        model.available()
    assert caught.value.kind == kind


def silent(server, connection):
    """Send the beginning of a reply, then nothing until the client hangs up."""
    connection.sendall(chunked(HELLO))
    until_hangup(server, connection)


def test_a_silent_stream_is_given_up(raw):
    server, model = raw(silent, idle=0.2)
    error = error_of(model)
    assert (error.kind, error.retryable, error.billed) == ("transport", True, True)
    assert "ReadTimeout" in error.message
    assert server.hung_up.wait(10)


def chatty(server, connection):
    """Send heartbeats until the client hangs up."""
    connection.sendall(CHUNKED)
    with contextlib.suppress(ConnectionError):
        while not select.select([connection], [], [], 0.01)[0]:
            connection.sendall(b"8\r\n: ping\n\n\r\n")
    server.hung_up.set()


def test_heartbeats_do_not_keep_a_call_alive_for_ever(raw):
    server, model = raw(chatty, total=0.2)
    assert "longer than its deadline" in error_of(model).message
    assert server.hung_up.wait(10)


def test_a_call_takes_no_longer_than_the_request_allows(raw):
    server, model = raw(chatty, total=600.0)
    with pytest.raises(ModelError, match="longer than its deadline"):
        model.complete(replace(ASK, seconds=0.2))
    assert server.hung_up.wait(10)


def test_a_silent_stream_ends_at_the_deadline_and_not_as_long_after_it_as_a_silence_may_last(raw):
    def falling_silent(server, connection):
        connection.sendall(chunked(HELLO))
        time.sleep(0.3)
        connection.sendall(b"8\r\n: ping\n\n\r\n")
        until_hangup(server, connection)

    server, model = raw(falling_silent, idle=600.0)
    with pytest.raises(ModelError, match="longer than its deadline") as caught:
        model.complete(replace(ASK, seconds=0.4))
    assert (caught.value.retryable, caught.value.billed) == (True, True)
    assert server.hung_up.wait(10)


def test_an_error_page_without_end_is_given_up_too(raw):
    def endless(server, connection):
        connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        server.hung_up.set()

    server, model = raw(endless)
    assert "larger than" in error_of(model).message
    assert server.hung_up.wait(10)


def test_a_connection_that_stays_open_after_the_end_is_closed(raw):
    def lingering(server, connection):
        connection.sendall(chunked(HELLO, STOP, "[DONE]"))
        until_hangup(server, connection)

    server, model = raw(lingering)
    assert model.complete(ASK).message.content == "Hello"
    assert server.hung_up.wait(10)


def test_an_interrupt_closes_the_stream_at_once(raw):
    def interrupting(server, connection):
        connection.sendall(chunked(HELLO))
        os.kill(os.getpid(), signal.SIGINT)
        until_hangup(server, connection)

    server, model = raw(interrupting, idle=600.0)
    with pytest.raises(KeyboardInterrupt):
        model.complete(ASK)
    assert server.hung_up.wait(10)


def test_a_refused_connection_is_unbilled_and_worth_another_try():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with OpenAIModel(Endpoint(base_url=f"http://127.0.0.1:{port}/v1", model="m")) as model:
        error = error_of(model)
    assert (error.kind, error.retryable, error.billed) == ("transport", True, False)
    assert f"http://127.0.0.1:{port}/v1: ConnectError" in error.message


def test_an_unencrypted_host_cannot_pose_as_an_encrypted_one(raw):
    server, _ = raw(stream(HELLO))
    base_url = server.base_url.replace("http", "https")
    with OpenAIModel(Endpoint(base_url=base_url, model="m", key="sk-secret", idle=0.2)) as model:
        error = error_of(model)
    assert error.kind == "transport"
    assert b"sk-secret" not in b"".join(server.requests)


@pytest.fixture
def proxy(monkeypatch):
    server = RawServer(http("", status="407 Proxy Authentication Required"))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
    yield server
    server.close()


def test_the_operators_proxy_is_used_and_sees_no_key(proxy):
    with OpenAIModel(Endpoint(base_url="https://models.invalid/v1", model="m", key="sk-secret")) as model:
        error = error_of(model)
    assert (error.kind, error.retryable, error.billed) == ("transport", True, False)
    assert len(proxy.requests) == 1
    assert b"CONNECT models.invalid:443" in proxy.requests[0]
    assert b"sk-secret" not in proxy.requests[0]


def test_the_operators_proxy_is_left_aside_if_not_wanted(proxy):
    endpoint = Endpoint(base_url="https://models.invalid/v1", model="m", key="sk-secret", trust_env=False)
    with OpenAIModel(endpoint) as model, pytest.raises(Exception, match=r"looks up 'models\.invalid'"):
        error_of(model)  # the suite's own guard stops the look-up of the name, which goes past the proxy
    assert proxy.requests == []


def test_a_certificate_that_is_not_trusted_is_named_as_such(tmp_path):
    pem = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem, "-out", tmp_path / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection, pytest.raises(OSError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        base_url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        with OpenAIModel(Endpoint(base_url=base_url, model="m", key="sk-secret")) as model:
            error = error_of(model)
        thread.join()
    assert (error.kind, error.retryable, error.billed) == ("transport", False, False)
    assert error.message.startswith("TLS: ")
    assert "SSL_CERT_FILE" in error.hint
