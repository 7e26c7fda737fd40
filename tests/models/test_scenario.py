"""The faults that a script can name: how each looks on the wire, and what the real client makes of it."""

import contextlib
import http.client
import json
import re
import socket
from dataclasses import fields, replace
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from agent.messages import Message
from agent.models import ModelError
from agent.models.chaos import Chaos
from agent.models.gateway import Gateway
from agent.models.openai import Endpoint, OpenAIModel
from agent.models.reply import ErrorShape, Leak, Quirk
from agent.models.scenario import FAULTS, spoiled
from agent.models.script import Script, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from tests.models.fakes import ASK
from tests.models.served import (
    CALLED,
    RESULT,
    TOOL,
    USER,
    ask,
    call_deltas_of,
    chunks_of,
    deltas_of,
    events_of,
    post,
    serve,
    spoken,
    stream,
)

RIGHT = say(
    "I write two files.",
    call("write_file", path="a.py", content="x = 1\ny = 2\n"),
    call("write_file", path="b.py", content="z = 3\n"),
    reasoning="Two files are wanted.",
)
LAST = say("Done.")


def faulty(name, **changes):
    return serve(replace(RIGHT, fault=name, **changes), RIGHT, LAST)


@contextlib.contextmanager
def talking(*replies, **settings):
    with ScriptedServer(Script(replies=replies)) as server:
        settings = {"base_url": server.base_url, "model": "kimi-k2.6", "key": "sk-a", "idle": 5.0} | settings
        with OpenAIModel(Endpoint(**settings)) as model:
            yield server, model


# On the wire


def test_an_error_event_ends_a_stream_in_its_middle():
    with faulty("stream-error") as server:
        events = events_of(stream(server))
    assert [bool(json.loads(event).get("choices")) for event in events] == [True] * (len(events) - 1) + [False]
    assert len(events) > 5
    assert json.loads(events[-1])["error"]["type"] == "engine_overloaded_error"


def test_an_event_is_broken_or_the_stream_ends_early():
    with faulty("broken-event") as server:
        events = events_of(stream(server))
    with pytest.raises(json.JSONDecodeError):
        json.loads(events[-1])
    with faulty("early-end") as server:
        events = events_of(stream(server))
    assert all(json.loads(event)["choices"][0]["finish_reason"] is None for event in events)
    assert len(events) > 5


@pytest.mark.parametrize(
    ("name", "line"), [("blank-heartbeats", "data:"), ("comment-heartbeats", ": keep-alive"), ("only-heartbeats", "")]
)
def test_heartbeats_stand_between_events(name, line):
    with faulty(name) as server:
        text = stream(server)[1]
    lines = text.split("\n\n")[:-1]
    if name == "only-heartbeats":
        assert set(lines) == {": ping", "data:"}
    else:
        assert lines[1::2] == [line] * (len(lines) // 2)
        assert lines[-2] == "data: [DONE]"


def test_a_connection_breaks_inside_a_chunked_body_or_before_any_answer():
    with faulty("cut") as server, pytest.raises(http.client.IncompleteRead) as caught:
        stream(server)
    assert caught.value.partial.startswith(b"data: ")
    with faulty("hang-up") as server, pytest.raises(http.client.RemoteDisconnected):
        stream(server)
    with faulty("reset") as server:
        host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
        body = json.dumps({"model": "kimi-k2.6", "messages": [USER]}).encode()
        with socket.create_connection((host, int(port))) as connection:
            head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: "
            connection.sendall(f"{head}{len(body)}\r\n\r\n".encode() + body)
            with pytest.raises(ConnectionResetError):
                connection.recv(1)


def test_a_body_comes_in_place_of_a_stream():
    expected = {
        "json-for-stream": ("application/json", "I write two files."),
        "error-in-200": ("application/json", "engine_overloaded_error"),
        "error-as-stream": ("text/event-stream; charset=utf-8", "engine_overloaded_error"),
        "html-in-200": ("text/html; charset=utf-8", "<title>Sign in</title>"),
        "no-choices": ("application/json", "chatcmpl-1"),
        "empty-stream": ("text/event-stream; charset=utf-8", "data: [DONE]\n\n"),
    }
    for name, (kind, words) in expected.items():
        with faulty(name) as server:
            status, headers, text = ask(server, stream=True, tools=[TOOL])
        assert (status, headers["content-type"], words in text) == (200, kind, True), name


def test_a_body_that_is_interrupted_is_half_of_it():
    with faulty("early-end") as server, pytest.raises(json.JSONDecodeError):
        json.loads(post(server)[1])


def test_the_forms_of_a_stream():
    with faulty("crlf") as server:
        text = stream(server)[1]
    assert text.count("\r\n") == text.count("\n") > 5
    with faulty("no-done") as server:
        assert "[DONE]" not in stream(server)[1]
    with faulty("null-finish-reason") as server:
        assert {choice["finish_reason"] for chunk in chunks_of(stream(server)) for choice in chunk["choices"]} == {None}
    with faulty("empty-choices") as server:
        assert chunks_of(stream(server))[0]["choices"] == []
    with faulty("vendor-reason") as server:
        assert chunks_of(stream(server))[-1]["choices"][0]["finish_reason"] == "repetition_truncation"
    with faulty("no-usage") as server:
        assert "usage" not in stream(server, stream_options={"include_usage": True})[1]


def test_the_forms_of_calls():
    with faulty("repeated-head") as server:
        assert all({"id", "type", "index"} < set(made) and "name" in made["function"] for made in heads(server))
    with faulty("no-index") as server:
        assert not any("index" in made for made in heads(server))
    with faulty("interleaved-calls") as server:
        assert [made["index"] for made in heads(server)][:4] == [0, 1, 0, 1]
    with faulty("late-name") as server:
        names = [made["function"].get("name") for made in heads(server) if made["index"] == 0]
        assert names == [*[None] * (len(names) - 1), "write_file"]
    with faulty("whole-calls") as server:
        assert [json.loads(made["function"]["arguments"])["path"] for made in heads(server)] == ["a.py", "b.py"]
    with faulty("object-arguments") as server:
        assert {"path": "b.py", "content": "z = 3\n"} in [made["function"]["arguments"] for made in heads(server)]
    with faulty("repeated-calls") as server:
        assert {made["index"] for made in heads(server)} == {0, 1, 2, 3}


def heads(server):
    return call_deltas_of(stream(server))


IDS = {
    "renumbered-ids": ["functions.write_file:0", "functions.write_file:1"],
    "zero-ids": ["0", "1"],
    "same-ids": ["functions.write_file:0"] * 2,
    "missing-ids": [None, None],
}


@pytest.mark.parametrize(("name", "ids"), IDS.items())
def test_ids_collide_across_replies(name, ids):
    history = [USER, CALLED, RESULT]
    with serve(say("one"), replace(RIGHT, fault=name)) as server:
        made = spoken(post(server, history, tools=[TOOL]))["tool_calls"]
        streamed = [delta.get("id") for delta in call_deltas_of(stream(server, history)) if "type" in delta]
    assert [one.get("id") for one in made] == streamed == ids


def test_ids_are_counted_up_by_default():
    with serve(say("one"), RIGHT) as server:
        made = spoken(post(server, [USER, CALLED, RESULT], tools=[TOOL]))["tool_calls"]
    assert [one["id"] for one in made] == ["functions.write_file:1", "functions.write_file:2"]


ARGUMENTS = {
    "malformed-arguments": '{"path": "a.py", "content": "x = 1\\ny = 2\\n"',
    "list-arguments": '[{"path": "a.py", "content": "x = 1\\ny = 2\\n"}]',
    "text-arguments": "the file as it was discussed",
    "raw-controls": '{"path": "a.py", "content": "x = 1\ny = 2\n"}',
    "empty-arguments": "",
}


@pytest.mark.parametrize(("name", "text"), ARGUMENTS.items())
def test_arguments_are_spoiled(name, text):
    with faulty(name) as server:
        assert spoken(post(server, tools=[TOOL]))["tool_calls"][0]["function"]["arguments"] == text


def test_an_escaped_backslash_is_no_line_end():
    text = r'{"path": "C:\\new\n"}'
    made = replace(RIGHT.calls[0], raw_arguments=text)
    assert spoiled(replace(RIGHT, calls=(made,), fault="raw-controls")).calls[0].text == '{"path": "C:\\\\new\n"}'


FIRST, SECOND = (made.text for made in RIGHT.calls)
TOKENS = (
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.write_file:0<|tool_call_argument_begin|>"
    + FIRST
    + "<|tool_call_end|><|tool_call_begin|>functions.write_file:1<|tool_call_argument_begin|>"
    + SECOND
    + "<|tool_call_end|><|tool_calls_section_end|>"
)
BARE = (
    f"write_file:0<|tool_call_argument_begin|>{FIRST}<|tool_call_end|>"
    f"write_file:1<|tool_call_argument_begin|>{SECOND}<|tool_calls_section_end|>"
)
BROKEN = TOKENS[: TOKENS.rindex(SECOND) + 1]
LEAKED = {
    "leaked-calls": ("I write two files." + TOKENS, "Two files are wanted."),
    "leaked-calls-bare": ("I write two files." + BARE, "Two files are wanted."),
    "leaked-broken": ("I write two files." + BROKEN, "Two files are wanted."),
    "leaked-into-reasoning": (None, "Two files are wanted." + TOKENS),
    "leaked-into-reasoning-bare": (None, "Two files are wanted." + BARE),
}


@pytest.mark.parametrize(("name", "texts"), LEAKED.items())
def test_calls_are_left_in_the_text(name, texts):
    with faulty(name) as server:
        choice = json.loads(post(server, tools=[TOOL])[1])["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": texts[0], "reasoning_content": texts[1]}
    assert choice["finish_reason"] == "stop"


EMPTY = {
    "think-only": (None, "Two files are wanted.", "stop"),
    "think-only-length": (None, "Two files are wanted.", "length"),
    "exclamations": (None, "!" * 64, "stop"),
    "exclamations-said": ("!" * 64, "Two files are wanted.", "stop"),
    "empty-reply": (None, None, "stop"),
    "cut-by-length": ("I write t", "Two files are wanted.", "length"),
}


@pytest.mark.parametrize(("name", "expected"), EMPTY.items())
def test_a_reply_says_nothing_or_not_all(name, expected):
    with faulty(name) as server:
        choice = json.loads(post(server, tools=[TOOL])[1])["choices"][0]
    message = choice["message"]
    assert (message["content"], message.get("reasoning_content"), choice["finish_reason"]) == expected
    assert "tool_calls" not in message


def test_reasoning_goes_by_other_keys():
    with faulty("other-reasoning-key") as server:
        assert spoken(post(server))["reasoning"] == "Two files are wanted."
    with faulty("reasoning-details") as server:
        details = [part for delta in deltas_of(stream(server)) for part in delta.get("reasoning_details", ())]
    assert "".join(part["text"] for part in details) == "Two files are wanted."


ERRORS = {
    "overloaded": (429, '"type": "engine_overloaded_error"'),
    "rate-limit": (429, '"type": "rate_limit_reached_error"'),
    "rate-limit-tokens": (429, "TPM rate limit"),
    "rate-limit-day": (429, "TPD rate limit"),
    "quota": (429, '"type": "exceeded_current_quota_error"'),
    "bad-request": (400, '"type": "invalid_request_error"'),
    "filtered": (400, '"type": "content_filter"'),
    "overflow": (400, "exceeded model token limit: 262144"),
    "unauthorised": (401, '"type": "invalid_authentication_error"'),
    "wrong-key": (401, '"type": "incorrect_api_key_error"'),
    "no-credits": (402, '"code": "insufficient_credits"'),
    "forbidden": (403, '"type": "permission_denied_error"'),
    "model-retired": (404, '"type": "resource_not_found_error"'),
    "request-timeout": (408, '{"message": "Request timeout"}'),
    "conflict": (409, '{"message": "Conflict"}'),
    "too-large": (413, "<title>413 Request Entity Too Large</title>"),
    "unsupported-media": (415, '{"message": "Unsupported media type"}'),
    "unprocessable": (422, '{"detail": "max_tokens: value is not valid"}'),
    "client-closed": (499, '"type": "client_closed_request"'),
    "server-error": (500, '"type": "unexpected_output"'),
    "bad-gateway": (502, "<title>502 Bad Gateway</title>"),
    "unavailable": (503, '"type": "server_unavailable"'),
    "gateway-timeout": (504, "<title>504 Gateway Time-out</title>"),
    "overloaded-529": (529, '"type": "overloaded"'),
    "silent-error": (500, ""),
    "shape-coded": (500, '{"error": {"message": "scripted fault", "code": "upstream"}}'),
    "shape-text": (500, '{"error": "scripted fault"}'),
    "shape-errors": (500, '{"errors": [{"message": "scripted fault"}]}'),
    "shape-message": (500, '{"message": "scripted fault"}'),
    "shape-detail": (500, '{"detail": "scripted fault"}'),
    "shape-error-message": (500, '{"errorMessage": "scripted fault"}'),
    "shape-msg": (500, '{"msg": "scripted fault"}'),
    "redirect": (307, ""),
}


@pytest.mark.parametrize(("name", "expected"), ERRORS.items())
def test_an_error_has_its_status_and_shape(name, expected):
    with faulty(name) as server:
        status, text = stream(server)
    assert status == expected[0]
    assert expected[1] in text
    assert bool(text) == bool(expected[1])


def test_any_error_can_be_told_in_any_shape():
    reply = ScriptedReply(status=402, shape="errors", error_message="Insufficient credits", error_code="E402")
    with serve(reply, LAST) as server:
        assert post(server) == (402, '{"errors": [{"message": "Insufficient credits", "code": "E402"}]}')


def test_a_wait_is_asked_for_in_all_forms():
    with faulty("rate-limit") as server:
        assert ask(server)[1]["retry-after"] == "1"
    with faulty("rate-limit-hours") as server:
        assert ask(server)[1]["retry-after"] == "86400"
    with faulty("rate-limit-ms") as server:
        headers = ask(server)[1]
        assert (headers["retry-after-ms"], headers.get("retry-after")) == ("250", None)
    with faulty("rate-limit-date") as server:
        headers = ask(server)[1]
        wait = parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])
        assert 1 <= wait.total_seconds() <= 3


def test_a_reply_that_is_given_several_times_has_as_many_places():
    with serve(replace(RIGHT, times=2), LAST) as server:
        history = [USER]
        for expected in ("I write two files.", "I write two files.", "Done."):
            assert spoken(post(server, history, tools=[TOOL]))["content"] == expected
            history += [{"role": "assistant", "content": "x"}, USER]


# With the real client


def right_of(name=None):
    """The message that a client should make of the reply, whatever form it has."""
    reply = spoiled(replace(RIGHT, fault=name))
    content = "" if (name or "").startswith("leaked-into-reasoning") else reply.say
    arguments = [made.text or "{}" for made in reply.calls]
    return content, reply.reasoning, [(made.name, text) for made, text in zip(reply.calls, arguments, strict=True)]


def made_of(message):
    return message.content, message.reasoning, [(made.name, made.arguments) for made in message.tool_calls]


def named(effect):
    return [name for name, fault in FAULTS.items() if fault.effect == effect]


@pytest.mark.parametrize("name", named("whole") + named("detour"))
def test_the_client_takes_what_arrives_whole(name):
    with talking(replace(RIGHT, fault=name), LAST) as (server, model):
        completion = model.complete(ASK)
        assert made_of(completion.message) == right_of(name)
        assert completion.usage in (None, server.bills[0].told)
        results = tuple(
            Message(role="tool", tool_call_id=made.id, content="ok") for made in completion.message.tool_calls
        )
        following = replace(ASK, messages=(*ASK.messages, completion.message, *results, ASK.messages[1]))
        assert model.complete(following).message.content == "Done."
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", named("retry"))
def test_the_client_asks_again_after_what_passes(name):
    with talking(replace(RIGHT, fault=name), RIGHT, idle=0.3 if name == "stall" else 5.0) as (server, model):
        with pytest.raises(ModelError) as caught:
            model.complete(ASK)
        assert (caught.value.retryable, len(server.requests)) == (True, 1)
        assert made_of(model.complete(ASK).message) == right_of()


@pytest.mark.parametrize("name", [name for name in named("less") if name != "no-tools"])
def test_the_client_does_without_a_field_that_is_refused(name):
    settings = {"prompt_cache_key": "run-1", "thinking": {"type": "enabled"}}
    with talking(replace(RIGHT, fault=name), RIGHT, **settings) as (server, model):
        assert made_of(model.complete(ASK).message) == right_of()
    assert [FAULTS[name].field in request.body for request in server.requests] == [True, False]
    assert [bill.request for bill in server.bills] == [2]


def test_tools_are_refused_like_any_field():
    with faulty("no-tools") as server:
        status, text = stream(server)
    assert (status, json.loads(text)["error"]["message"]) == (400, "Invalid request: unknown field: tools")


WITHOUT_END = {"rate-limit-hours": 86_400.0}


@pytest.mark.parametrize("name", named("end"))
def test_the_client_gives_up_on_what_does_not_pass(name):
    with talking(replace(RIGHT, fault=name), RIGHT) as (server, model):
        with pytest.raises(ModelError) as caught:
            model.complete(ASK)
        assert (caught.value.retryable, caught.value.retry_after) == (name in WITHOUT_END, WITHOUT_END.get(name))
        assert len(server.requests) == 1


# The catalogue


def test_an_unknown_fault_is_refused_with_the_name_that_was_meant():
    with pytest.raises(ValueError, match="there is no fault 'stream-eror': 'stream-error' is meant"):
        Script(replies=(replace(RIGHT, fault="stream-eror"),))


def test_a_fault_fits_where_it_makes_a_difference():
    fits = {name for name, fault in FAULTS.items() if fault.fits(LAST)}
    assert {"cut", "rate-limit", "think-only", "crlf"} <= fits
    assert not fits & {"leaked-calls", "interleaved-calls", "same-ids", "reasoning-details"}
    one, refusing = replace(RIGHT, calls=RIGHT.calls[:1]), set(named("less"))
    assert {name for name, fault in FAULTS.items() if not fault.fits(RIGHT)} == refusing
    misfits = {name for name, fault in FAULTS.items() if not fault.fits(one)}
    assert misfits - refusing == {"interleaved-calls", "same-ids"}
    assert FAULTS["no-thinking"].fits(RIGHT, {"model", "thinking"})
    assert not FAULTS["no-thinking"].fits(RIGHT, {"model"})


def test_the_manual_has_every_fault_and_every_key():
    manual = (Path(__file__).parents[2] / "docs" / "server.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (retry|less|whole|detour|end) \|$", manual, re.MULTILINE)
    assert rows == [(name, fault.about, fault.effect) for name, fault in FAULTS.items()]
    keys = {field.name for kind in (ScriptedReply, Gateway, Chaos) for field in fields(kind)} - {"calls"}
    names = keys | set(Quirk.__args__) | set(Leak.__args__) | set(ErrorShape.__args__)
    assert sorted(name for name in names if f"`{name}`" not in manual) == []
