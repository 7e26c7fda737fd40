"""A scripted server, and requests to it as a client that is no SDK sends them."""

import http.client
import json

from agent.models.script import Script
from agent.models.server import ScriptedServer
from tests.models.fakes import WRITE_FILE

USER = {"role": "user", "content": "Write a.py."}
TOOL = {
    "type": "function",
    "function": {"name": "write_file", "description": "d", "parameters": WRITE_FILE.parameters},
}
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


def serve(*replies, match="by-history", gateway=None, **settings):
    more = {} if gateway is None else {"gateway": gateway}
    return ScriptedServer(Script(replies=replies, match=match, **more), **settings)


def ask(server, messages=(USER,), *, headers=(), **fields):
    """The status, the headers (names in lower case) and the text of an answer, as far as it came."""
    body = {"model": "kimi-k2.6", "messages": list(messages), "max_completion_tokens": 1000} | fields
    connection = http.client.HTTPConnection(*server.base_url.removeprefix("http://").removesuffix("/v1").split(":"))
    sent = {"Authorization": "Bearer k", "Content-Type": "application/json"} | dict(headers)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), sent)
    response = connection.getresponse()
    try:
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()
    finally:
        connection.close()


def post(server, messages=(USER,), **more):
    """The status and the text of an answer."""
    status, _, text = ask(server, messages, **more)
    return status, text


def stream(server, messages=(USER,), **more):
    """An answer that is streamed to a client with a tool."""
    return post(server, messages, stream=True, **{"tools": [TOOL]} | more)


def spoken(answer):
    status, text = answer
    assert status == 200, text
    return json.loads(text)["choices"][0]["message"]


def refused(answer):
    status, text = answer
    assert status == 400, text
    return json.loads(text)["error"]["message"]


def said(text):
    return {"role": "assistant", "content": text}


def events_of(answer):
    assert answer[0] == 200, answer[1]
    return [event.removeprefix("data: ") for event in answer[1].split("\n\n")[:-1]]


def chunks_of(answer):
    events = events_of(answer)
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


def deltas_of(answer):
    return [choice["delta"] for chunk in chunks_of(answer) for choice in chunk["choices"]]


def call_deltas_of(answer):
    return [call for delta in deltas_of(answer) for call in delta.get("tool_calls", ())]
