"""What each failure says of the bill: nothing is charged only where the vendor says so, and then nothing is."""

import socket
from dataclasses import replace

import pytest

from agent.messages import Usage
from agent.models import ModelError
from agent.models.endpoint import Endpoint
from agent.models.gateway import Gateway
from agent.models.openai import OpenAIModel
from agent.models.scenario import FAULTS
from agent.models.script import Script, ScriptedReply, call
from agent.models.server import ScriptedServer
from tests.models.fakes import ASK

FREE = {
    "overloaded": "overloaded",
    "rate-limit": "rate_limited",
    "rate-limit-ms": "rate_limited",
    "rate-limit-date": "rate_limited",
    "rate-limit-tokens": "rate_limited",
    "rate-limit-hours": "rate_limited",
    "rate-limit-day": "rate_limited",
    "quota": "quota",
    "bad-request": "refused",
    "overflow": "overflow",
    "unauthorised": "auth",
    "wrong-key": "auth",
    "no-credits": "quota",
    "forbidden": "auth",
    "model-retired": "refused",
    "too-large": "overflow",
    "unsupported-media": "refused",
    "unprocessable": "refused",
    "redirect": "refused",
    "no-tools": "refused",
}
"""A 429, or refused before any work."""
CHARGED = {
    "stream-error": "overloaded",
    "broken-event": "transport",
    "early-end": "transport",
    "empty-stream": "transport",
    "only-heartbeats": "transport",
    "cut": "transport",
    "hang-up": "transport",
    "reset": "transport",
    "stall": "transport",
    "error-in-200": "overloaded",
    "error-as-stream": "overloaded",
    "html-in-200": "transport",
    "no-choices": "transport",
    "leaked-broken": "empty",
    "think-only": "empty",
    "think-only-length": "starved",
    "exclamations": "empty",
    "exclamations-said": "empty",
    "empty-reply": "empty",
    "quota-in-stream": "quota",
    "filtered": "filtered",
    "filtered-reply": "filtered",
    "request-timeout": "transport",
    "conflict": "transport",
    "client-closed": "transport",
    "server-error": "overloaded",
    "bad-gateway": "overloaded",
    "unavailable": "overloaded",
    "gateway-timeout": "overloaded",
    "overloaded-529": "overloaded",
    "silent-error": "overloaded",
    "shape-coded": "overloaded",
    "shape-text": "overloaded",
    "shape-errors": "overloaded",
    "shape-message": "overloaded",
    "shape-detail": "overloaded",
    "shape-error-message": "overloaded",
    "shape-msg": "overloaded",
}
"""A reply may have been made, whether or not it came."""
LEARNED = {name for name, fault in FAULTS.items() if fault.effect == "less"} - {"no-tools"}
"""The client sends the same prompt again by itself."""
RIGHT = ScriptedReply(reasoning="Let me see.", say="I write it.", calls=(call("write_file", path="a", content="b"),))


def failing(name):
    """The error that a fault becomes, and what a provider charges for it that charges all that it may."""
    script = Script(replies=(replace(RIGHT, fault=name), RIGHT), gateway=Gateway(bill_failed=True))
    with ScriptedServer(script) as server:
        endpoint = Endpoint(
            base_url=server.base_url, model="kimi-k2.6", key="sk-a", idle=0.3 if name == "stall" else 5.0
        )
        with OpenAIModel(endpoint) as model, pytest.raises(ModelError) as caught:
            model.complete(ASK)
        return caught.value, server.billed


@pytest.mark.parametrize("name", FREE)
def test_what_was_refused_before_any_work_is_free(name):
    error, charged = failing(name)
    assert (error.kind, error.billed, error.usage) == (FREE[name], False, None)
    assert charged == Usage()


@pytest.mark.parametrize("name", CHARGED)
def test_whatever_may_have_been_charged_counts_as_charged(name):
    error, charged = failing(name)
    assert (error.kind, error.billed) == (CHARGED[name], True)
    assert charged.prompt > 0
    assert error.usage in (None, charged)


def test_no_fault_is_left_out():
    failing_ones = {name for name, fault in FAULTS.items() if fault.effect in ("retry", "end", "less")}
    assert failing_ones == FREE.keys() | CHARGED.keys() | LEARNED


def test_what_never_left_the_machine_is_free():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    endpoint = Endpoint(base_url=f"http://127.0.0.1:{port}/v1", model="m")
    with OpenAIModel(endpoint) as model, pytest.raises(ModelError) as caught:
        model.complete(ASK)
    assert (caught.value.kind, caught.value.billed) == ("transport", False)


def test_an_error_of_which_nothing_is_known_counts_as_charged():
    assert ModelError("transport", "so it is").billed
