"""What a refusal teaches."""

import pytest

from agent.models.capabilities import OPTIONAL_FIELDS, Capabilities, told, without_refused
from agent.models.faults import Fault

SENT = frozenset({"model", "messages", "stream", "max_completion_tokens", *OPTIONAL_FIELDS})


def refused(text="", *, known=None, sent=SENT, status=400, needed=frozenset(), **fields):
    """The fields that are left out after a refusal; None if it teaches nothing."""
    fault = Fault(status=status, text=text, **fields)
    after = without_refused(known or Capabilities(), fault, sent, needed=needed)
    return after and set(after.refused)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("tools are not currently accepted for kimi-k2.6", "tools"),
        ("Tool history is not currently accepted", "tools"),
        ("messages[2].tool_calls: unknown field", "tools"),
        ("This model does not support function calling.", "tools"),
        ("`tools` is not supported", "tools"),
        ("explicit cache controls are not currently accepted", "prompt_cache_key"),
        ("Unrecognized request argument supplied: prompt_cache_key", "prompt_cache_key"),
        ("explicit reasoning controls are not currently accepted", "thinking"),
        ("Unknown parameter: 'thinking'", "thinking"),
        ("unknown field: stream_options", "stream_options"),
        ("include_usage is not supported", "stream_options"),
    ],
)
def test_the_field_that_a_refusal_names_is_left_out(text, field):
    assert refused(text) == {field}
    assert refused(text, status=422) == {field}


@pytest.mark.parametrize("param", ["tools", "tools[0].function.parameters", "tools.0.type"])
def test_the_parameter_that_an_error_points_at_is_left_out(param):
    assert refused("is not supported", param=param) == {"tools"}


@pytest.mark.parametrize(
    "text",
    [
        "tool_call_id functions.x:0 is not found",
        "tool_calls must be followed by tool messages responding to each tool_call_id",
        "an assistant message with tool calls must be followed by tool messages",
        "messages with role tool must be a response to a preceding message",
        "insufficient tool messages following tool_calls message",
        "invalid temperature: only 1 is allowed for this model",
        "maximum context length is 9 tokens, 5 in the messages, 5 in the functions",
        "the provider is out of order",
    ],
)
def test_other_refusals_teach_nothing(text):
    assert refused(text) is None


@pytest.mark.parametrize("status", [None, 401, 403, 404, 413, 429, 500])
def test_other_errors_teach_nothing(status):
    assert refused("unknown field: tools", status=status) is None


def test_a_field_that_was_not_sent_or_is_left_out_already_or_is_needed_is_no_lesson():
    assert refused("unknown field: tools", sent=SENT - {"tools"}) is None
    assert refused("unknown field: tools", known=Capabilities(refused=frozenset({"tools"}))) is None
    assert refused("unknown field: tools", needed=frozenset({"tools"})) is None


def test_one_field_is_left_out_at_a_time():
    first = refused("unknown fields: thinking, stream_options")
    assert first == {"stream_options"}
    assert refused("unknown fields: thinking", known=Capabilities(refused=frozenset(first))) == {
        "stream_options",
        "thinking",
    }


def test_what_is_refused_counts_no_longer_as_accepted():
    known = Capabilities(accepted=frozenset({"tools", "thinking"}))
    after = without_refused(known, Fault(status=400, text="unknown field: tools"), SENT)
    assert (after.refused, after.accepted) == ({"tools"}, {"thinking"})


def test_the_cap_changes_its_name_once():
    fault = Fault(status=400, text="unknown field: max_completion_tokens")
    renamed = without_refused(Capabilities(), fault, SENT)
    assert (renamed.cap_field, renamed.refused) == ("max_tokens", frozenset())
    back = Fault(status=400, text="unknown field: max_tokens")
    assert without_refused(renamed, back, SENT | {"max_tokens"}) is None


def test_missing_reasoning_is_made_up_in_steps_and_given_up_in_the_last():
    fault = Fault(status=400, text="thinking is enabled but reasoning_content is missing at index 2")
    known, steps = Capabilities(), []
    while (known := without_refused(known, fault, SENT)) is not None:
        steps.append((known.filler, known.unthinking, known.form))
    assert steps == [
        ("", False, "tools, reasoning ''"),
        (" ", False, "tools, reasoning ' '"),
        (" ", True, "tools, reasoning ' '"),
    ]
    no_thinking = Capabilities(filler=" ", refused=frozenset({"thinking"}))
    assert without_refused(no_thinking, fault, SENT) is None


def test_only_what_changes_something_for_the_user_is_told():
    before = Capabilities()
    assert "in text" in told(before, Capabilities(refused=frozenset({"tools"})))
    assert "`thinking`" in told(before, Capabilities(refused=frozenset({"thinking"})))
    assert told(before, Capabilities(refused=frozenset({"stream_options"}))) == ""
    assert told(Capabilities(refused=frozenset({"tools"})), Capabilities(refused=frozenset({"tools"}))) == ""
