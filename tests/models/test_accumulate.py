"""Chunks as hosts of Kimi really send them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.live import Streamed
from agent.messages import Usage
from agent.models.accumulate import Accumulator, RawCall, read_usage
from agent.text import least_tokens
from tests.models.fakes import call_delta, delta


def accumulate(*chunks):
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.reply()


def calls_of(*entries):
    return accumulate(*(delta(tool_calls=[entry]) for entry in entries)).calls


def test_content_and_reasoning_are_joined_and_kept_apart():
    reply = accumulate(
        delta(role="assistant", content=""),
        delta(reasoning_content="Let me "),
        delta(reasoning_content="think."),
        delta(content="Do"),
        delta("stop", content="ne"),
    )
    assert (reply.content, reply.reasoning, reply.reasoning_key) == ("Done", "Let me think.", "reasoning_content")
    assert (reply.finish_reason, reply.chunks) == ("stop", 5)


def test_each_piece_is_told_as_it_comes():
    told = []
    accumulator = Accumulator(told.append)
    for chunk in (
        delta(role="assistant", content=""),
        delta(reasoning_content="Hm"),
        delta(content="Do"),
        delta("stop", content="ne"),
        delta(tool_calls=[call_delta(0, "x", "run", "")]),
        delta(tool_calls=[call_delta(0, arguments='{"a"')]),
        delta(tool_calls=[call_delta(1, "y", "look", "{}")]),
    ):
        accumulator.add(chunk)
    assert told == [
        Streamed(text="Hm", channel="reasoning"),
        Streamed(text="Do", channel="answer"),
        Streamed(text="ne", channel="answer"),
        Streamed(text="", channel="call", call="run"),
        Streamed(text='{"a"', channel="call", call="run"),
        Streamed(text="{}", channel="call", call="look", number=1),
    ]


CALL_TABLE = {
    "id and name repeated in every delta": (
        [call_delta(0, "0", "run", '{"a"'), call_delta(0, "0", "run", ":1}")],
        [RawCall(id="0", name="run", arguments='{"a":1}')],
    ),
    "no index": (
        [call_delta(None, "x", "run", ""), call_delta(arguments='{"a"'), call_delta(arguments=":1}")],
        [RawCall(id="x", name="run", arguments='{"a":1}')],
    ),
    "no index, two calls": (
        [call_delta(None, "x", "run", "{}"), call_delta(None, "y", "run", "{"), call_delta(arguments="}")],
        [RawCall(id="x", name="run", arguments="{}"), RawCall(id="y", name="run", arguments="{}")],
    ),
    "no index and no id, two names": (
        [call_delta(name="run", arguments="{}"), call_delta(name="look", arguments="{}")],
        [RawCall(id="", name="run", arguments="{}"), RawCall(id="", name="look", arguments="{}")],
    ),
    "interleaved": (
        [
            call_delta(0, "x", "run", ""),
            call_delta(1, "y", "look", ""),
            call_delta(0, arguments='{"a'),
            call_delta(1, arguments='{"b'),
            call_delta(0, arguments='":1}'),
            call_delta(1, arguments='":2}'),
        ],
        [RawCall(id="x", name="run", arguments='{"a":1}'), RawCall(id="y", name="look", arguments='{"b":2}')],
    ),
    "arguments before the name": (
        [call_delta(0, arguments='{"a"'), call_delta(0, "x", "run", ":1}")],
        [RawCall(id="x", name="run", arguments='{"a":1}')],
    ),
    "every call at index 0": (
        [call_delta(0, "x", "run", "{}"), call_delta(0, "y", "look", "{}")],
        [RawCall(id="x", name="run", arguments="{}"), RawCall(id="y", name="look", arguments="{}")],
    ),
    "a name in pieces": (
        [call_delta(0, "x", "write_", ""), call_delta(0, name="file", arguments="{}")],
        [RawCall(id="x", name="write_file", arguments="{}")],
    ),
    "arguments as an object": (
        [{"index": 0, "id": "x", "function": {"name": "run", "arguments": {"a": 1}}}],
        [RawCall(id="x", name="run", arguments='{"a": 1}')],
    ),
    "a missing id": ([call_delta(0, None, "run", "{}")], [RawCall(id="", name="run", arguments="{}")]),
    "a call that says nothing": ([call_delta(0, "x")], []),
}


@pytest.mark.parametrize(("entries", "expected"), CALL_TABLE.values(), ids=CALL_TABLE)
def test_calls_come_out_whole_however_they_are_cut(entries, expected):
    assert list(calls_of(*entries)) == expected


def test_a_null_finish_reason_does_not_hide_the_calls():
    reply = accumulate(delta(tool_calls=[call_delta(0, "0", "run", "{}")]), {"choices": [], "usage": None})
    assert (reply.calls, reply.finish_reason) == ((RawCall(id="0", name="run", arguments="{}"),), None)


@pytest.mark.parametrize(
    ("deltas", "text", "key"),
    [
        ([{"reasoning": "a"}, {"reasoning": "b"}], "ab", "reasoning"),
        ([{"reasoning_content": "a", "reasoning": "a"}, {"reasoning_content": "b", "reasoning": "b"}], "ab", None),
        ([{"reasoning_content": None, "reasoning": "a"}], "a", "reasoning"),
        ([{"reasoning_content": "", "reasoning": "a"}, {"reasoning_content": ""}], "a", "reasoning"),
        ([{"reasoning_details": [{"type": "reasoning.text", "text": "a"}]}], "a", "reasoning_details"),
        ([{"reasoning_content": ""}], "", None),
        ([{"reasoning_content": None}], None, None),
        ([{"content": "a"}], None, None),
    ],
)
def test_reasoning_is_found_under_any_known_key_and_once(deltas, text, key):
    reply = accumulate(*(delta(**fields) for fields in deltas))
    assert (reply.reasoning, reply.reasoning_key) == (text, key or "reasoning_content")


def test_only_the_first_choice_counts():
    other = {"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "length"}]}
    both = {"choices": [{"index": 0, "delta": {"content": "A"}}, {"index": 1, "delta": {"content": "B"}}]}
    reply = accumulate(both, other, delta("stop", content="a"))
    assert (reply.content, reply.finish_reason) == ("Aa", "stop")


def test_a_whole_message_is_taken_like_a_delta():
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "r",
        "tool_calls": [call_delta(0, "x", "run", "{}")],
    }
    reply = accumulate({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    assert (reply.content, reply.reasoning) == ("Hi", "r")
    assert reply.calls == (RawCall(id="x", name="run", arguments="{}"),)


def test_a_character_cut_in_two_surrogates_is_whole_again():
    assert accumulate(delta(content="a\ud83d"), delta(content="\ude00b\ud83d")).content == "a\U0001f600b\ufffd"


GOOD = {"prompt_tokens": 100, "completion_tokens": 7, "cached_tokens": 60}


@pytest.mark.parametrize(
    "chunks",
    [
        [delta("stop", content="a"), {"choices": [], "usage": GOOD}],
        [delta(content="a"), {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": GOOD}]}],
        [delta(content="a"), delta("stop") | {"usage": GOOD}],
        [delta(content="a"), delta("stop") | {"usage": GOOD}, {"choices": [], "usage": None}],
        [
            delta(content="a"),
            delta("stop")
            | {
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 7,
                    "prompt_tokens_details": {"cached_tokens": 60},
                }
            },
        ],
    ],
)
def test_usage_is_found_wherever_hosts_put_it(chunks):
    assert accumulate(*chunks).usage == Usage(prompt=100, completion=7, cached=60)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        [],
        "100",
        {"prompt_tokens": 100},
        GOOD | {"prompt_tokens": 0},
        GOOD | {"prompt_tokens": -1},
        GOOD | {"prompt_tokens": True},
        GOOD | {"prompt_tokens": 1e308},
        GOOD | {"prompt_tokens": 10**300},
        GOOD | {"completion_tokens": "7"},
        GOOD | {"completion_tokens": None},
        GOOD | {"cached_tokens": -1},
        GOOD | {"cached_tokens": 101},
        GOOD | {"cached_tokens": False},
    ],
)
def test_usage_that_cannot_be_true_is_no_usage(wrong):
    assert read_usage(wrong) is None


@pytest.mark.parametrize(("text", "least"), [("a", 1), ("!", 1), ("It is so, I think.", 7), ("", 0)])
def test_a_reply_of_fewer_tokens_than_it_must_have_was_not_counted(text, least):
    said = {"content": text, "reasoning_content": text, "tool_calls": [call_delta(0, "0", "run", f"[{text}]")]}
    for part in ("content", "reasoning_content", "tool_calls"):
        most = least if part != "tool_calls" else 1 + least_tokens(f"[{text}]")
        for tokens in (most - 1, most):
            told = {"choices": [], "usage": GOOD | {"completion_tokens": tokens}}
            usage = accumulate(delta("stop", **{part: said[part]}), told).usage
            assert usage == (Usage(prompt=100, completion=tokens, cached=60) if tokens == most else None)


def test_usage_without_a_cache_field_counts_nothing_as_cached():
    assert read_usage({"prompt_tokens": 5, "completion_tokens": 1}) == Usage(prompt=5, completion=1)


_KEYS = [
    "choices",
    "index",
    "delta",
    "message",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "content",
    "reasoning_content",
    "reasoning_details",
    "finish_reason",
    "usage",
    "prompt_tokens_details",
    "text",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_no_chunk_of_any_shape_raises_and_the_text_can_be_sent(chunks):
    reply = accumulate(*chunks)
    json.dumps([reply.content, reply.reasoning, [call.arguments for call in reply.calls]], ensure_ascii=False).encode()
