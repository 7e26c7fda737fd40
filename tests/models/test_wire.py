"""The messages of a request, as Moonshot's API takes them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Message, ToolCall
from agent.models.strictness import problem_of_body
from agent.models.wire import NO_OUTPUT, estimate_tokens, messages_to_wire


def user(text):
    return Message(role="user", content=text)


def asks(*ids, content="", reasoning=None, key="reasoning_content", arguments="{}"):
    calls = tuple(ToolCall(id=call_id, name="run_tests", arguments=arguments) for call_id in ids)
    return Message(role="assistant", content=content, tool_calls=calls, reasoning=reasoning, reasoning_key=key)


def tells(call_id, text="ok"):
    return Message(role="tool", tool_call_id=call_id, content=text)


def roles(wire):
    return [(message["role"], message.get("tool_call_id"), message.get("content")) for message in wire]


@pytest.mark.parametrize(
    ("reasoning", "key", "sent"),
    [
        ("I think", "reasoning_content", {"reasoning_content": "I think"}),
        ("", "reasoning_content", {"reasoning_content": ""}),
        ("I think", "reasoning", {"reasoning": "I think"}),
        ("I", "reasoning_details", {"reasoning_details": [{"type": "reasoning.text", "text": "I"}]}),
        (None, "reasoning_content", {}),
    ],
)
def test_reasoning_goes_back_with_tool_calls_under_its_own_key(reasoning, key, sent):
    wire = messages_to_wire([asks("a", reasoning=reasoning, key=key), tells("a")])[0]
    assert {name: wire[name] for name in wire if name.startswith("reasoning")} == sent


def test_a_filler_stands_in_for_reasoning_that_was_never_received():
    assert messages_to_wire([asks("a"), tells("a")], filler="")[0]["reasoning_content"] == ""


def test_reasoning_of_a_message_without_calls_is_not_sent():
    assert messages_to_wire([Message(role="assistant", content="Hi", reasoning="r")]) == [
        {"role": "assistant", "content": "Hi"}
    ]


def test_blank_content_is_left_out_beside_calls_and_blank_messages_altogether():
    wire = messages_to_wire([user("u"), asks("a", content=" \n"), tells("a"), Message(role="assistant", content=" ")])
    assert [message["role"] for message in wire] == ["user", "assistant", "tool"]
    assert "content" not in wire[1]


def test_a_result_without_text_says_so():
    assert messages_to_wire([asks("a"), tells("a", "")])[1]["content"] == NO_OUTPUT


@pytest.mark.parametrize(
    ("received", "sent"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": "tab\there"}', '{"a": "tab\\there"}'),
        ('{"a": 1', "{}"),
        ("[1]", "{}"),
        ("", "{}"),
        ('{"a": NaN}', "{}"),
        ("[" * 100_000, "{}"),
        ('{"a": "\\ud800"}', "{}"),
        ('{"a": 1e999}', "{}"),
        ('{"a": "\\u00e9"}', '{"a": "\\u00e9"}'),
    ],
)
def test_arguments_that_are_no_object_do_not_spoil_the_history(received, sent):
    wire = messages_to_wire([asks("a", arguments=received), tells("a")])
    assert wire[0]["tool_calls"][0]["function"]["arguments"] == sent


def test_a_name_that_no_tool_can_have_is_made_sendable():
    call = ToolCall(id="a", name="ls -l; ü", arguments="{}")
    wire = messages_to_wire([Message(role="assistant", tool_calls=(call,))])
    assert wire[0]["tool_calls"][0]["function"]["name"] == "tool_ls_-l___"


def test_a_key_for_reasoning_that_no_host_uses_is_not_sent():
    wire = messages_to_wire([asks("a", reasoning="I think", key="role"), tells("a")])[0]
    assert (wire["role"], wire["reasoning_content"]) == ("assistant", "I think")


TEXT = st.text(max_size=6) | st.sampled_from(["\udcff", " ", "", "ok"])
IDS = st.sampled_from(["functions.run_tests:0", "functions.run_tests:1", "0", "", "\n"]) | st.text(max_size=3)
ARGUMENTS = TEXT | st.sampled_from(["{}", '{"a": "\\ud800"}', '{"a": "\t"}', "[1]", '{"a": NaN}', '{"a": 1}{'])
CALLS = st.lists(st.builds(ToolCall, id=IDS, name=TEXT | st.just("run_tests"), arguments=ARGUMENTS), max_size=3)
MESSAGES = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["system", "user", "assistant", "tool"]),
        content=TEXT,
        reasoning=st.none() | TEXT,
        reasoning_key=st.sampled_from(["reasoning_content", "reasoning", "reasoning_details", ""]),
        tool_calls=CALLS.map(tuple),
        tool_call_id=st.none() | IDS,
    ),
    max_size=8,
)


@given(MESSAGES, st.sampled_from([None, "", " "]))
def test_whatever_the_conversation_the_request_is_one_that_the_api_takes(messages, filler):
    wire = messages_to_wire([user("u"), *messages], filler=filler)
    json.dumps(wire, ensure_ascii=False).encode()
    assert problem_of_body({"messages": wire}) is None


def test_halves_of_surrogate_pairs_can_be_sent():
    json.dumps(messages_to_wire([user("bad\udcff")]), ensure_ascii=False).encode()


def test_tokens_are_estimated_from_ascii_and_other_characters():
    assert estimate_tokens("é" * 10 + "a" * 38) == 10 + 10
