"""What is remembered of endpoints between runs."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from agent.models.capabilities import Capabilities
from agent.models.memory import KEPT, Memory

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KNOWN = Capabilities(
    cap_field="max_tokens",
    renamed=True,
    refused=frozenset({"tools", "thinking"}),
    accepted=frozenset({"prompt_cache_key"}),
    filler=" ",
    unthinking=True,
)


def memory(path, *, later=timedelta()):
    return Memory(path, now=lambda: NOW + later)


def test_what_is_known_of_a_model_at_an_endpoint_is_found_again(tmp_path):
    path = tmp_path / "cache" / "greenward" / "endpoints.json"
    memory(path).remember("https://a/v1", "one", KNOWN)
    memory(path).remember("https://a/v1", "two", Capabilities())
    assert memory(path).recall("https://a/v1", "one") == KNOWN
    assert memory(path).recall("https://a/v1", "two") == Capabilities()
    assert memory(path).recall("https://b/v1", "one") is None
    assert [file.name for file in path.parent.iterdir()] == ["endpoints.json"]


@pytest.mark.parametrize(
    ("later", "known"),
    [(KEPT - timedelta(seconds=1), KNOWN), (KEPT, None), (timedelta(seconds=-1), None)],
    ids=["young", "old", "from the future"],
)
def test_it_is_forgotten_in_time(tmp_path, later, known):
    path = tmp_path / "endpoints.json"
    memory(path).remember("u", "m", KNOWN)
    assert memory(path, later=later).recall("u", "m") == known


def test_what_is_too_old_does_not_stay_in_the_file(tmp_path):
    path = tmp_path / "endpoints.json"
    memory(path).remember("u", "old", KNOWN)
    memory(path, later=KEPT).remember("u", "new", KNOWN)
    assert list(json.loads(path.read_text())) == ["u new"]


ENTRY = {"at": NOW.isoformat(), "known": {"refused": ["tools"]}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\x00",
        json.dumps({"u m": {"at": "soon", "known": {}}}),
        json.dumps({"u m": ENTRY | {"at": "2030-01-01T00:00:00"}}),
        json.dumps({"u m": ENTRY | {"known": {"refused": ["model"]}}}),
        json.dumps({"u m": ENTRY | {"known": {"cap_field": "n"}}}),
        json.dumps({"u m": ENTRY | {"more": 1}}),
    ],
)
def test_a_file_that_is_none_of_ours_counts_as_empty_and_is_replaced(tmp_path, text):
    path = tmp_path / "endpoints.json"
    path.write_text(json.dumps({"u m": ENTRY}))
    assert memory(path).recall("u", "m") == Capabilities(refused=frozenset({"tools"}))
    path.write_text(text)
    assert memory(path).recall("u", "m") is None
    memory(path).remember("u", "m", KNOWN)
    assert memory(path).recall("u", "m") == KNOWN


def test_a_place_that_cannot_be_written_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "endpoints.json", tmp_path):
        memory(path).remember("u", "m", KNOWN)
        assert memory(path).recall("u", "m") is None
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_without_a_file_nothing_is_remembered():
    nowhere = Memory()
    nowhere.remember("u", "m", KNOWN)
    assert nowhere.recall("u", "m") is None
