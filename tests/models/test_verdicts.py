"""Which replies may be used, and in what form."""

from dataclasses import replace

import pytest

from agent.messages import Message, ToolCall, Usage
from agent.models import ModelError
from agent.models.accumulate import RawCall, Reply
from agent.models.verdicts import to_completion
from tests.models.fakes import ASK

CALL = RawCall(id="0", name="write_file", arguments='{"path": "a"}')
USAGE = Usage(prompt=9, completion=3)


def judge(request=ASK, **fields):
    return to_completion(Reply(chunks=1, usage=USAGE, **fields), request, request_id="req-1")


def refusal(**fields):
    with pytest.raises(ModelError) as caught:
        judge(**fields)
    return caught.value


def test_a_reply_becomes_a_completion():
    completion = judge(content="Hi", reasoning="r", reasoning_key="reasoning", finish_reason="stop")
    assert completion.message == Message(role="assistant", content="Hi", reasoning="r", reasoning_key="reasoning")
    assert (completion.usage, completion.stop_reason, completion.request_id) == (USAGE, "stop", "req-1")
    assert completion.note == ""


def test_ids_are_counted_over_the_whole_conversation():
    first = judge(calls=(CALL, replace(CALL, name="look up"))).message
    assert [call.id for call in first.tool_calls] == ["functions.write_file:0", "functions.look_up:1"]
    longer = replace(ASK, messages=(*ASK.messages, first))
    assert [call.id for call in judge(longer, calls=(CALL, CALL)).message.tool_calls] == [
        "functions.write_file:2",
        "functions.write_file:3",
    ]


def test_an_id_that_is_taken_is_not_given_again():
    taken = Message(
        role="assistant", tool_calls=(ToolCall(id="functions.write_file:1", name="write_file", arguments="{}"),)
    )
    longer = replace(ASK, messages=(*ASK.messages, taken))
    assert judge(longer, calls=(CALL,)).message.tool_calls[0].id == "functions.write_file:2"


@pytest.mark.parametrize("finish_reason", [None, "stop", "tool_calls", "repetition_truncation"])
def test_calls_decide_the_stop_reason(finish_reason):
    completion = judge(calls=(CALL,), finish_reason=finish_reason)
    assert completion.stop_reason == "tool_calls"
    assert completion.message.tool_calls[0].arguments == '{"path": "a"}'


@pytest.mark.parametrize(
    ("finish_reason", "note"),
    [
        ("repetition_truncation", "the reply ended for `repetition_truncation`"),
        ("a\x1b[2Jb\n" + "x" * 99, f"the reply ended for `a\\u{{1b}}[2Jb {'x' * 47}…`"),
        ("stop", ""),
        (None, ""),
    ],
)
def test_an_odd_reason_is_noted_whatever_becomes_of_the_reply(finish_reason, note):
    assert judge(calls=(CALL,), finish_reason=finish_reason).note == note
    assert judge(content="Hi", finish_reason=finish_reason).note == note


@pytest.mark.parametrize("finish_reason", ["length", "MAX_TOKENS", "max_output_tokens", "model_length"])
def test_a_reply_that_was_cut_is_cut_in_any_words(finish_reason):
    completion = judge(content="Writing", calls=(CALL,), finish_reason=finish_reason)
    assert (completion.stop_reason, completion.message.tool_calls) == ("length", ())


def test_a_reply_without_a_reason_that_fills_the_cap_was_cut():
    full = replace(ASK, max_tokens=USAGE.completion)
    assert judge(full, content="Writing", calls=(CALL,)).stop_reason == "length"
    assert judge(replace(full, max_tokens=USAGE.completion + 1), calls=(CALL,)).stop_reason == "tool_calls"
    assert judge(full, calls=(CALL,), finish_reason="tool_calls").stop_reason == "tool_calls"


def test_missing_arguments_are_an_empty_object():
    assert judge(calls=(replace(CALL, arguments=""),)).message.tool_calls[0].arguments == "{}"


def test_an_unknown_reason_is_passed_on():
    assert judge(content="Hi", finish_reason="repetition_truncation").stop_reason == "repetition_truncation"
    assert judge(content="Hi").stop_reason == "stop"


def test_calls_of_a_cut_reply_are_dropped_and_said_to_be():
    completion = judge(content="Writing", calls=(CALL, CALL), finish_reason="length")
    assert (completion.message.tool_calls, completion.message.content) == ((), "Writing")
    assert completion.stop_reason == "length"
    assert completion.note == "the reply was cut at its cap of output tokens; 2 tool calls dropped"


def test_a_cut_reply_of_nothing_but_calls_is_still_a_reply():
    assert judge(calls=(CALL,), finish_reason="length").stop_reason == "length"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"content": " \n", "finish_reason": "stop"},
        {"reasoning": "I think and think", "finish_reason": "stop"},
        {"content": "!" * 50},
        {"content": "! " * 50},
        {"reasoning": "!" * 50},
    ],
)
def test_a_reply_that_says_nothing_is_worth_another_try(fields):
    error = refusal(**fields)
    assert (error.kind, error.retryable, error.usage) == ("empty", True, USAGE)


@pytest.mark.parametrize("reasoning", ["I think and think", None])
def test_a_reply_whose_cap_was_used_up_before_it_said_anything_is_starved(reasoning):
    error = refusal(reasoning=reasoning, finish_reason="length")
    assert (error.kind, error.retryable, error.usage) == ("starved", True, USAGE)
    assert "--max-output" in error.hint


def test_a_short_answer_is_an_answer():
    assert judge(content="!!!").message.content == "!!!"


def test_a_filtered_reply_is_not_used():
    error = refusal(content="half", calls=(CALL,), finish_reason="content_filter")
    assert (error.kind, error.retryable, error.usage) == ("filtered", False, USAGE)


SECTION = (
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.write_file:0<|tool_call_argument_begin|>"
    '{"path": "a"}<|tool_call_end|><|tool_call_begin|>functions.write_file:1<|tool_call_argument_begin|>'
    '{"path": "b"}<|tool_call_end|><|tool_calls_section_end|>'
)
HEADLESS = 'write_file:0<|tool_call_argument_begin|>{"path": "a"}<|tool_calls_section_end|>'


def test_calls_left_in_the_content_are_recovered():
    completion = judge(content=f"I write. {SECTION}", finish_reason="stop")
    assert completion.message.content == "I write."
    assert [call.arguments for call in completion.message.tool_calls] == ['{"path": "a"}', '{"path": "b"}']
    assert completion.stop_reason == "tool_calls"
    assert completion.note == "2 tool calls recovered from control tokens in the text"


def test_calls_without_their_beginning_are_recovered():
    message = judge(content=f"Now {HEADLESS}").message
    assert (message.content, [call.name for call in message.tool_calls]) == ("Now", ["write_file"])


def test_calls_left_in_the_reasoning_are_recovered_if_nothing_was_said():
    message = judge(reasoning=f"I write. {SECTION}").message
    assert (message.reasoning, len(message.tool_calls)) == ("I write.", 2)
    spoken = judge(content="Done.", reasoning=f"I write. {SECTION}")
    assert (spoken.message.content, spoken.message.tool_calls) == ("Done.", ())


@pytest.mark.parametrize(
    "content",
    [
        SECTION.replace('{"path": "b"}', '{"path": '),
        SECTION.replace("write_file", "rm_rf"),
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.write_file:0",
        '<|tool_call_argument_begin|>{"path": "a"}<|tool_call_end|>',
        "x <|tool_calls_section_end|>",
    ],
)
def test_broken_tokens_are_never_shown_as_an_answer(content):
    assert refusal(content=content, finish_reason="stop").kind == "empty"


def test_tokens_in_a_cut_reply_are_neither_recovered_nor_shown():
    assert refusal(content=SECTION, finish_reason="length").kind == "empty"
