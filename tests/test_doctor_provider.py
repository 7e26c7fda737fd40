"""What the doctor finds of keys and servers."""

import socket

import pytest

from agent.config import load_settings
from agent.doctor import ok
from agent.doctor.provider import check_abilities, check_endpoint, check_key, of_error, of_models
from agent.models import ModelError
from agent.models.memory import ENDPOINTS, Memory
from agent.models.script import Script, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from sandbox.engines import cache_directory
from tests.sandbox.test_images import NO_REGISTRY, filesystem, host_with, mmdebstrap  # noqa: F401  (a fixture)
from tests.test_doctor import context, verdict

KEY = "sk-of-the-doctor-0123456789"


def test_a_key_is_named_by_its_variable_and_never_shown():
    found = check_key(context(keys={"RUNAPI_TOKEN": KEY}))
    assert found == ok("present, from RUNAPI_TOKEN")
    assert verdict(check_key(context())) == ("problem", 2)
    assert verdict(check_key(context(flags={"base_url": "http://127.0.0.1:1/v1"}))) == ("ok", 0)


@pytest.fixture
def server():
    with ScriptedServer(Script(replies=(say("Hello."),)), key=KEY) as made:
        yield made


def asking(url, *, key=KEY, **flags):
    return context(keys={"RUNAPI_KEY": key}, flags={"base_url": url, **flags})


def test_a_server_that_takes_the_key_and_serves_the_model_is_well(server):
    found = check_endpoint(asking(server.base_url))
    assert found == ok(f"{server.base_url} answers, takes the key, and serves kimi-k2.6")
    assert server.requests == []


def test_a_key_that_is_refused_is_7_and_not_shown(server):
    found = check_endpoint(asking(server.base_url, key="sk-some-other-key"))
    assert verdict(found) == ("problem", 7)
    assert "check the API key" in found.hint
    assert "sk-some-other-key" not in f"{found}"


def test_a_model_that_is_not_served_is_told_with_those_that_are(server):
    found = check_endpoint(asking(server.base_url, model="kimi-k2.5"))
    assert verdict(found) == ("problem", 2)
    assert "does not serve `kimi-k2.5`; it serves kimi-k2.6" in found.found
    assert "such as `kimi-k2.6`" in found.hint


def test_a_base_url_without_its_path_is_told(server):
    found = check_endpoint(asking(server.base_url.removesuffix("/v1")))
    assert verdict(found) == ("problem", 2)
    assert "Most servers answer below /v1" in found.hint


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_does_not_answer_is_5(scheme):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    found = check_endpoint(asking(f"{scheme}://127.0.0.1:{port}/v1"))
    assert verdict(found) == ("problem", 5)
    assert "check the network, the proxy settings and the base URL" in found.hint


def test_nobody_is_asked_offline_or_without_what_it_takes():
    said = []
    looks = [
        context(offline=True, say=said.append),
        context(say=said.append),
        context(say=said.append, keys={"RUNAPI_KEY": "two words"}),
        context(say=said.append, flags={"sandbox": "vm"}),
    ]
    assert [check_endpoint(each).found for each in looks] == [
        "not asked: `--offline`",
        "there is no key to ask with",
        "the key cannot be used",
        "the settings cannot be used",
    ]
    assert said == []


SETTINGS = load_settings({}, {}, key=None)


@pytest.mark.parametrize(
    ("kind", "code"), [("auth", 7), ("quota", 7), ("refused", 2), ("transport", 5), ("overloaded", 5)]
)
def test_each_refusal_has_the_code_that_a_run_would_end_with(kind, code):
    found = of_error(ModelError(kind, "no", hint="h"), SETTINGS, "HTTPS_PROXY")
    assert verdict(found) == ("problem", code)
    assert found.found == "no (through the proxy that `HTTPS_PROXY` names)"
    assert found.hint


def test_a_server_that_lists_nothing_is_not_called_wrong():
    assert verdict(of_models((), SETTINGS)) == ("warning", 0)
    many = tuple(f"m{number}" for number in range(200))
    assert len(of_models(many, SETTINGS).found) < 200


TOOL = call("note_word", word="ok")


def probed(*replies, refuse=()):
    """What is found of a model that replies so, and the requests that this took."""
    script = Script(replies=replies, match="in-order")
    with ScriptedServer(script, key=KEY, refuse=refuse) as server:
        return check_abilities(asking(server.base_url)), server.requests


def test_what_a_model_can_do_is_found_out_by_tiny_requests_and_remembered():
    thought = ScriptedReply(say="ok", reasoning="Hm.")
    found, requests = probed(thought, say("ok"), thought, thought, say("", TOOL), say("ok"))

    assert verdict(found) == ("ok", 0), found
    assert found.found == "stream works; usage works; thinking works; tools works; cache key works"
    assert found.details["tools"] == "works: tools are called; it is made use of"
    assert all(request.body["max_completion_tokens"] <= 512 for request in requests)
    assert len(requests) <= 9
    with ScriptedServer(Script(replies=(say("ok"),)), key=KEY) as server:
        before = asking(server.base_url)
        check_abilities(before)
        remembered = Memory(cache_directory(before.environ) / ENDPOINTS).recall(server.base_url, "kimi-k2.6")
    assert remembered is not None


def test_tools_that_are_refused_are_a_warning_that_says_what_follows():
    found, _ = probed(*[say("ok")] * 4, say("", TOOL), say("ok"), refuse=("tools",))
    assert verdict(found) == ("warning", 0)
    assert "tools are not accepted: they are called in text, which works" in found.found


def test_a_model_that_cannot_be_asked_is_not_tried():
    assert verdict(check_abilities(context(offline=True))) == ("skipped", 0)
    assert verdict(check_abilities(context())) == ("skipped", 0)
    with ScriptedServer(Script(replies=(say("ok"),)), key=KEY) as server:
        assert verdict(check_abilities(asking(server.base_url, model="kimi-k2.5"))) == ("skipped", 0)
        assert verdict(check_abilities(asking(server.base_url, key="sk-another"))) == ("problem", 7)
    assert server.requests == []
