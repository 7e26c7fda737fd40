"""Conversations that were interrupted, doubled or mixed up, brought into order."""

from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Message, ToolCall
from agent.models.history import INTERRUPTED, call_count, next_id, repaired


def user(text):
    return Message(role="user", content=text)


def asks(*ids, name="run_tests", content=""):
    calls = tuple(ToolCall(id=call_id, name=name, arguments="{}") for call_id in ids)
    return Message(role="assistant", content=content, tool_calls=calls)


def tells(call_id, text="ok"):
    return Message(role="tool", tool_call_id=call_id, content=text)


def shape(messages):
    """Each message in short: a result with its id and text, calls with theirs, else the text."""
    return [
        (message.tool_call_id, message.content)
        if message.role == "tool"
        else [call.id for call in message.tool_calls] or message.content
        for message in repaired(messages)
    ]


def test_each_call_has_one_result_right_behind_it():
    messages = [
        tells("stray"),
        asks("a", "b", "c"),
        user("go on"),
        tells("b", "B"),
        tells("a", "A"),
        tells("a", "again"),
    ]
    assert shape(messages) == [["a", "b", "c"], ("a", "A"), ("b", "B"), ("c", INTERRUPTED), "go on"]


def test_a_result_that_comes_before_its_call_is_none():
    assert shape([tells("a", "early"), asks("a")]) == [["a"], ("a", INTERRUPTED)]


def test_hosts_that_begin_to_count_anew_get_other_ids_and_the_results_follow():
    messages = [asks("0", "1"), tells("0", "A"), tells("1", "B"), asks("0"), tells("0", "C")]
    assert shape(messages) == [
        ["0", "1"],
        ("0", "A"),
        ("1", "B"),
        ["functions.run_tests:2"],
        ("functions.run_tests:2", "C"),
    ]


def test_a_result_answers_the_last_call_of_its_id_even_if_an_earlier_one_was_interrupted():
    assert shape([asks("0"), asks("0"), tells("0", "second")]) == [
        ["0"],
        ("0", INTERRUPTED),
        ["functions.run_tests:1"],
        ("functions.run_tests:1", "second"),
    ]


def test_two_calls_of_one_reply_with_one_id_are_answered_in_their_order():
    assert shape([asks("0", "0"), tells("0", "A"), tells("0", "B")]) == [
        ["0", "functions.run_tests:1"],
        ("0", "A"),
        ("functions.run_tests:1", "B"),
    ]


def test_missing_and_odd_ids_are_replaced():
    assert shape([asks("", "x y")])[0] == ["functions.run_tests:0", "functions.run_tests:1"]


def test_a_made_up_id_never_meets_a_real_one():
    first, *_, second = shape([asks("", "functions.run_tests:0")])
    assert first == ["functions.run_tests:0", "functions.run_tests:1"]
    assert second == ("functions.run_tests:1", INTERRUPTED)
    assert next_id("ls -l", {"functions.ls_-l:3"}, 3) == "functions.ls_-l:4"


def test_only_the_assistant_calls_tools():
    confused = Message(role="user", content="u", tool_calls=(ToolCall(id="a", name="x", arguments="{}"),))
    assert shape([confused, tells("a")]) == ["u"]


NAMES = st.sampled_from(["run_tests", "edit", ""])
IN_ORDER = st.lists(st.tuples(st.integers(0, 3), NAMES), max_size=6)


@given(IN_ORDER)
def test_a_conversation_in_order_stays_as_it_is_and_grows_at_its_end(turns):
    messages, number = [user("u")], 0
    seen = repaired(messages)
    for count, name in turns:
        ids = [f"functions.{name}:{number + n}" for n in range(count)]
        number += count
        messages += [asks(*ids, name=name, content="So."), *map(tells, ids)]
        assert repaired(messages) == tuple(messages)
        assert repaired(messages)[: len(seen)] == seen
        seen = repaired(messages)
    assert call_count(messages) == number
