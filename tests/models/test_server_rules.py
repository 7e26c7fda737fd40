"""What a scripted server takes and what it refuses, in the words of those whom it stands in for."""

import http.client
import json
from dataclasses import replace

import pytest

from agent.models.gateway import Gateway
from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from tests.models.served import CALLED, RESULT, TOOL, USER, ask, post, refused, said, serve, spoken


def misnamed(**function):
    return [{"type": "function", "function": TOOL["function"] | function}]


def schema(**words):
    return {"tools": misnamed(parameters={"type": "object"} | words)}


def called(**function):
    made = {"id": "a", "type": "function", "function": {"name": "write_file", "arguments": "{}"} | function}
    return {"messages": [USER, {"role": "assistant", "tool_calls": [made]}, RESULT | {"tool_call_id": "a"}]}


def conversation(*messages):
    return {"messages": [USER, *messages]}


X = {"x": {"type": "string"}}
REFUSED = {
    "a temperature": ({"temperature": 0.0}, "invalid temperature: only 1 is allowed for this model"),
    "the temperature of another mode": (
        {"temperature": 1, "thinking": {"type": "disabled"}},
        "invalid temperature: only 0.6 is allowed",
    ),
    "top_p": ({"top_p": 1}, "invalid top_p: only 0.95"),
    "several choices": ({"n": 2}, "invalid n: only 1"),
    "a presence penalty": ({"presence_penalty": 0.5}, "invalid presence_penalty: only 0"),
    "a frequency penalty": ({"frequency_penalty": 0.5}, "invalid frequency_penalty: only 0"),
    "an unknown field": ({"seed": 1}, "unknown field: seed"),
    "both caps": ({"max_tokens": 1}, "never both"),
    "a cap that is no number": ({"max_completion_tokens": "many"}, "invalid max_completion_tokens"),
    "a cap of nothing": ({"max_completion_tokens": 0}, "invalid max_completion_tokens"),
    "more than fits": (
        {"max_completion_tokens": 262_144},
        "Your request exceeded model token limit: 262144 (requested: 2621",
    ),
    "too many stops": ({"stop": list("abcdef")}, "invalid stop"),
    "a long stop": ({"stop": "x" * 33}, "invalid stop"),
    "a stream that is no boolean": ({"stream": "yes"}, "invalid stream: "),
    "stream options without a stream": ({"stream_options": {}}, "only allowed with stream"),
    "stream options that are none": ({"stream": True, "stream_options": 1}, "invalid stream_options"),
    "thinking without a type": ({"thinking": {"keep": "all"}}, "invalid thinking: type"),
    "thinking that is kept in part": ({"thinking": {"type": "enabled", "keep": "some"}}, "invalid thinking: keep"),
    "thinking with a budget": ({"thinking": {"type": "enabled", "budget": 9}}, "additional property budget"),
    "thinking that is no object": ({"thinking": True}, "malformed"),
    "a format that there is not": ({"response_format": {"type": "xml"}}, "invalid response_format"),
    "a format outside of MFJS": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object", "not": {}}}}},
        "At path 'response_format': keyword not supported: not",
    ),
    "a format without a schema": (
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        "At path 'response_format': not a schema",
    ),
    "a forced call": ({"tools": [TOOL], "tool_choice": "required"}, "'required' is incompatible with thinking enabled"),
    "a forced tool": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "write_file"}}},
        "'specified' is incompatible with thinking enabled",
    ),
    "a forced tool that there is not": (
        {
            "tool_choice": {"type": "function", "function": {"name": "write_file"}},
            "thinking": {"type": "disabled"},
        },
        "there is no tool write_file",
    ),
    "a choice that there is not": ({"tool_choice": "any"}, "invalid tool_choice: any"),
    "tools that are no list": ({"tools": {"a": 1}}, "tools must be a list"),
    "tools that are no tools": ({"tools": [{"function": 3}]}, "malformed"),
    "too many tools": ({"tools": misnamed() * 129}, "tools must be a list of at most 128"),
    "a tool twice": ({"tools": misnamed() * 2}, "function name write_file is duplicated"),
    "a short tool name": ({"tools": misnamed(name="ls")}, "function name is invalid"),
    "a long tool name": ({"tools": misnamed(name="x" * 65)}, "function name is invalid"),
    "a tool name with a dot": ({"tools": misnamed(name="files.write")}, "function name is invalid"),
    "parameters that are no object": ({"tools": misnamed(parameters={"type": "array"})}, "the root must be an object"),
    "a refused keyword": (schema(oneOf=[]), "At path 'write_file': keyword not supported: oneOf"),
    "a refused keyword within": (
        schema(properties={"x": {"type": "array", "items": {"type": "string", "pattern": "a"}}}),
        "At path 'write_file.x.items': keyword not supported: pattern",
    ),
    "a property without a type": (
        schema(properties={"x": {}}),
        "At path 'write_file.x': type is not defined",
    ),
    "a type beside anyOf": (
        schema(properties={"x": {"type": "string", "anyOf": [{"type": "string"}]}}),
        "At path 'write_file.x': type beside anyOf",
    ),
    "several types": (schema(properties={"x": {"type": ["string", "null"]}}), "malformed"),
    "a required property that there is not": (schema(properties=X, required=["y"]), "required property y"),
    "values of several types": (
        schema(properties={"x": {"type": "string", "enum": ["a", 1]}}),
        "enum is not homogeneous",
    ),
    "no values": (schema(properties={"x": {"type": "string", "enum": []}}), "enum is not homogeneous"),
    "a list of items": (
        schema(properties={"x": {"type": "array", "items": [{"type": "string"}]}}),
        "At path 'write_file.x.items': not a schema",
    ),
    "additional properties without a type": (
        schema(additionalProperties={}),
        "At path 'write_file.additionalProperties': type is not defined",
    ),
    "a reference to nothing": (schema(properties={"x": {"$ref": "#/$defs/y"}}), "$ref is not defined: #/$defs/y"),
    "a reference to elsewhere": (
        schema(properties={"x": {"$ref": "other.json#/$defs/y"}}, **{"$defs": {"y": {"type": "string"}}}),
        "$ref is not defined: other.json",
    ),
    "a definition outside of MFJS": (
        schema(**{"$defs": {"y": {"const": 1}}}),
        "At path 'write_file.$defs.y': keyword not supported: const",
    ),
    "definitions that are no object": (schema(**{"$defs": []}), "$defs is not an object"),
    "a property that is no schema": (schema(properties={"x": True}), "At path 'write_file.x': not a schema"),
    "definitions that are not at the root": (
        schema(properties={"x": {"type": "object", "$defs": {}}}),
        "At path 'write_file.x': keyword not supported: $defs",
    ),
    "no messages": ({"messages": []}, "not empty"),
    "messages of no shape": ({"messages": [{"role": "user", "content": "x"}, 3]}, "not empty"),
    "empty content": ({"messages": [{"role": "user", "content": ""}]}, "must not be empty"),
    "an empty text part": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": " "}]}]},
        "text content is empty",
    ),
    "an assistant that says nothing": (conversation({"role": "assistant"}), "must not be empty"),
    "empty content beside calls": (conversation(CALLED | {"content": ""}, RESULT), "must not be empty"),
    "an empty result": (conversation(CALLED, RESULT | {"content": ""}), "must not be empty"),
    "an unknown role": ({"messages": [{"role": "robot", "content": "x"}]}, "invalid role"),
    "a call without a result": (conversation(CALLED), "insufficient tool messages"),
    "a result too late": (conversation(CALLED, USER, RESULT), "must be followed by tool messages"),
    "a result of nothing": (conversation(RESULT), "tool_call_id functions.write_file:0 is not found"),
    "a result of another call": (conversation(CALLED, RESULT | {"tool_call_id": "b"}), "tool_call_id b is not found"),
    "two results": (conversation(CALLED, RESULT, RESULT), "is not found"),
    "an id used twice": (conversation(CALLED, RESULT, CALLED, RESULT), "duplicate or missing"),
    "arguments that are no JSON": (called(arguments="{"), "not a JSON object"),
    "arguments that are a list": (called(arguments="[]"), "not a JSON object"),
    "a call without an id": (
        conversation({"role": "assistant", "tool_calls": [CALLED["tool_calls"][0] | {"id": ""}]}, RESULT),
        "duplicate or missing tool call id: ''",
    ),
    "arguments that are missing": (called(arguments=None), "not a JSON object"),
    "a call of a tool that cannot be": (called(name="ls"), "function name is invalid"),
}


@pytest.mark.parametrize(("fields", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_moonshot_refuses_is_refused(fields, problem):
    with serve(say("one"), say("two"), say("three")) as server:
        assert problem in refused(post(server, **{"messages": [USER]} | fields))
        assert server.ledger == []
        assert len(server.requests) == 1


TAKEN = {
    "what is sent by default": {},
    "everything optional": {
        "tools": [TOOL],
        "tool_choice": "auto",
        "thinking": {"type": "enabled", "keep": "all"},
        "prompt_cache_key": "k",
        "safety_identifier": "u",
        "stop": ["x"] * 5,
        "stream": False,
        "response_format": {"type": "json_object"},
    },
    "the sampling that is fixed": {
        "temperature": 1.0,
        "top_p": 0.95,
        "n": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
    },
    "the sampling without thinking": {"temperature": 0.6, "thinking": {"type": "disabled"}},
    "a forced call without thinking": {
        "tools": [TOOL],
        "tool_choice": "required",
        "thinking": {"type": "disabled"},
    },
    "all of MFJS": schema(
        properties={
            "a": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}], "description": "d"},
            "b": {"type": "array", "items": {"$ref": "#/$defs/c"}, "maxItems": 3},
            "e": {"type": "string", "enum": ["x", "y"], "default": "x"},
        },
        required=["a"],
        additionalProperties={"type": "integer", "minimum": 0, "maximum": 9},
        title="t",
        **{"$defs": {"c": {"type": "object", "additionalProperties": False}}},
    ),
    "content in parts": {
        "messages": [
            USER,
            said("one"),
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ]
    },
    "128 tools": {"tools": [tool for n in range(128) for tool in misnamed(name=f"tool_{n}")]},
    "names of 3 and of 64": {"tools": misnamed(name="run") + misnamed(name="x" * 64)},
}


@pytest.mark.parametrize("fields", TAKEN.values(), ids=TAKEN)
def test_what_moonshot_takes_is_taken(fields):
    with serve(say("one"), say("two")) as server:
        assert spoken(post(server, **{"messages": [USER, CALLED, RESULT]} | fields))["content"] == "two"


def test_reasoning_has_to_come_back_with_the_calls_that_it_led_to():
    with serve(say("one", call("write_file", path="a"), reasoning="r"), say("two")) as server:
        post(server)
        assert "reasoning_content is missing in assistant tool call message at index 1" in refused(
            post(server, [USER, CALLED, RESULT])
        )
        for given in ("r", ""):
            assert spoken(post(server, [USER, CALLED | {"reasoning_content": given}, RESULT]))["content"] == "two"
        assert spoken(post(server, [USER, CALLED, RESULT], thinking={"type": "disabled"}))["content"] == "two"


def test_reasoning_has_to_come_back_whatever_became_of_the_ids():
    answers = say("one", call("write_file", path="a"), reasoning="r"), say("two")
    other = {"role": "assistant", "tool_calls": [CALLED["tool_calls"][0] | {"id": "x"}]}
    with serve(*answers) as server:
        post(server)
        assert "reasoning_content is missing" in refused(post(server, [USER, other, RESULT | {"tool_call_id": "x"}]))


def test_all_calls_need_reasoning_if_the_gateway_says_so():
    with serve(say("one"), say("two"), gateway=Gateway(reasoning="always")) as server:
        assert "reasoning_content is missing" in refused(post(server, [USER, CALLED, RESULT]))
        assert spoken(post(server, [USER, CALLED | {"reasoning_content": " "}, RESULT]))["content"] == "two"
        assert spoken(post(server, [USER, said("one"), USER]))["content"] == "two"


def test_a_model_that_always_thinks_refuses_not_to():
    with serve(say("one"), gateway=Gateway(thinking="always")) as server:
        problem = refused(post(server, thinking={"type": "disabled"}))
        assert problem == "Invalid request: invalid thinking: only type=enabled is allowed for this model"
        assert spoken(post(server, thinking={"type": "enabled"}))["content"] == "one"


@pytest.mark.parametrize(("thinking", "reasoning"), [("honoured", None), ("ignored", "r")])
def test_thinking_that_is_disabled_is_left_out_or_not(thinking, reasoning):
    with serve(say("one", reasoning="r"), gateway=Gateway(thinking=thinking)) as server:
        assert spoken(post(server, thinking={"type": "disabled"})).get("reasoning_content") == reasoning
        assert spoken(post(server, thinking={"type": "enabled"}))["reasoning_content"] == "r"


@pytest.mark.parametrize(("key", "header"), [(None, ""), (None, "Bearer "), (None, "k"), ("k", "Bearer other")])
def test_a_key_is_asked_for(key, header):
    with serve(say("one"), key=key) as server:
        status, text = post(server, headers={"Authorization": header})
    assert (status, json.loads(text)["error"]["type"]) == (401, "invalid_authentication_error")


def test_a_retired_model_is_not_found_and_the_list_has_the_others():
    gateway = Gateway(models=("kimi-k3", "kimi-k2.7-code-highspeed"))
    with ScriptedServer(Script(model="kimi-k2.7-code", replies=(say("one"),), gateway=gateway)) as server:
        status, text = post(server)
        assert (status, json.loads(text)["error"]["type"]) == (404, "resource_not_found_error")
        assert "kimi-k2.6" in text
        assert spoken(post(server, model="kimi-k2.7-code"))["content"] == "one"
        port = int(server.base_url.removesuffix("/v1").rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/v1/models", headers={"Authorization": "Bearer k"})
        listed = json.loads(connection.getresponse().read())
        connection.close()
    assert [model["id"] for model in listed["data"]] == ["kimi-k2.7-code", "kimi-k3", "kimi-k2.7-code-highspeed"]


OPTIONAL = {
    "stream_options": ({"stream": True, "stream_options": {"include_usage": True}}),
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "thinking": {"thinking": {"type": "enabled"}},
    "response_format": {"response_format": {"type": "json_object"}},
    "max_completion_tokens": {},
    "tools": {"tools": [TOOL]},
}
WORDS = {
    "moonshot": "Invalid request: unknown field: {0}",
    "runapi": " not currently accepted for kimi-k2.6",
    "openai": "{0}",
    "vllm": "'loc': ('body', '{0}'), 'msg': 'Extra inputs are not permitted'",
    "fastapi": '"loc": ["body", "{0}"], "msg": "Extra inputs are not permitted"',
}


@pytest.mark.parametrize("wording", WORDS)
@pytest.mark.parametrize("name", OPTIONAL)
def test_a_field_is_refused_before_any_work_in_the_words_of_the_host(name, wording):
    with serve(say("one"), gateway=Gateway(refuse=(name,), wording=wording)) as server:
        status, text = post(server, **OPTIONAL[name])
    assert status == (422 if wording == "fastapi" else 400)
    assert name in text
    assert WORDS[wording].format(name) in text
    assert server.bills == []


def test_openai_names_the_cap_that_it_wants():
    with serve(say("one"), gateway=Gateway(refuse=("max_tokens",), wording="openai")) as server:
        error = json.loads(post(server, max_tokens=5)[1])["error"]
    assert error == {
        "message": "Unsupported parameter: 'max_tokens' is not supported with this model."
        " Use 'max_completion_tokens' instead.",
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "unsupported_parameter",
    }


def test_a_host_without_tools_takes_no_history_of_them_either():
    with serve(say("one"), say("two"), refuse=("tools",)) as server:
        assert "unknown field: tools" in refused(post(server, [USER, CALLED, RESULT]))
        assert spoken(post(server, [USER, said("one"), USER]))["content"] == "two"


def test_a_host_may_cease_to_take_tools():
    with serve(say("one"), say("two")) as server:
        assert spoken(post(server, tools=[TOOL]))["content"] == "one"
        server.gateway = replace(server.gateway, refuse=("tools",))
        assert "unknown field: tools" in refused(post(server, [USER, said("one"), USER], tools=[TOOL]))
        assert spoken(post(server, [USER, said("one"), USER]))["content"] == "two"


def test_a_body_that_is_no_request_is_refused_like_one_without_a_model():
    with serve(say("one")) as server:
        port = int(server.base_url.removesuffix("/v1").rpartition(":")[2])
        for text in (b"", b"[1]", b"{", b"[" * 100_000):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", "/v1/chat/completions", text, {"Authorization": "Bearer k"})
            assert connection.getresponse().status == 404
            connection.close()


def test_each_answer_bears_the_ids_that_support_asks_for():
    with serve(say("one")) as server:
        sent = {"X-Client-Request-Id": "mine"}
        _, refused_with, _ = ask(server, model="other", headers=sent)
        _, spoken_with, _ = ask(server, headers=sent)
    names = ("x-request-id", "x-client-request-id", "x-runapi-task-id")
    assert [refused_with.get(name) for name in names] == ["req-1", "mine", None]
    assert [spoken_with.get(name) for name in names] == ["req-2", "mine", "task-2"]
