"""The conversation is shown word for word, up to a size, and whatever the model sent as arguments."""

import pytest

from agent import events as e
from agent.messages import Message, ToolCall
from agent.timeline import Exchange
from agent.transcript import FIRST, LAST, LEAST, ROOM, TEXT, Argument, transcript_of


def exchange(*calls, turn=1, told=(), text="So.", answers=None, reasoning=None):
    made = tuple(ToolCall(id=str(n), name="tool", arguments=arguments) for n, arguments in enumerate(calls))
    reply = Message(role="assistant", content=text, reasoning=reasoning, tool_calls=made)
    given = ["ok"] * len(made) if answers is None else answers
    back = tuple(
        e.ToolReturned(call_id=str(n), name="tool", content=content, is_error=content == "no", tree="t")
        for n, content in enumerate(given)
    )
    return Exchange(turn=turn, told=tuple(Message(role="user", content=one) for one in told), reply=reply, answers=back)


def shown(*exchanges):
    return transcript_of(exchanges).first


def test_an_exchange_is_what_was_told_replied_and_answered():
    (each,) = shown(exchange('{"path": "a.py"}', "{}", told=("Go on.",), answers=["ok", "no"], reasoning="Hm."))

    assert ([one.text for one in each.told], each.reasoning, each.said) == (["Go on."], "Hm.", "So.")
    assert [(call.tool, call.subject, call.answer, call.is_error) for call in each.calls] == [
        ("tool", "a.py", "ok", False), ("tool", "", "no", True),
    ]  # fmt: skip


def test_a_call_without_an_answer_has_none():
    (each,) = shown(exchange("{}", "{}", answers=["ok"]))
    assert [call.answer for call in each.calls] == ["ok", None]


def test_a_turn_without_a_reply_is_shown_as_far_as_it_went():
    (each,) = shown(Exchange(turn=3, told=(Message(role="user", content="Go on."),)))
    assert (each.turn, each.replied, each.calls, each.said) == (3, False, (), "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"content": "a\\n\\"b\\"", "n": 1}', [("content", 'a\n"b"'), ("n", "1")]),
        ('{"files": [{"path": "é"}]}', [("files", '[\n  {\n    "path": "é"\n  }\n]')]),
        ('{"a": "\\ud800\\u202e"}', [("a", "\\u{d800}\\u{202e}")]),
        ('{"a', [("", '{"a')]),
        ("[1]", [("", "[1]")]),
        ("", [("", "")]),
        ("[" * 3_000, [("", "[" * 3_000)]),
        ('{"a": ' + "9" * 5_000 + "}", [("", '{"a": ' + "9" * 5_000 + "}")]),
    ],
)
def test_arguments_are_taken_apart_if_they_can_be(arguments, expected):
    (each,) = shown(exchange(arguments))
    assert each.calls[0].arguments == tuple(Argument(name=name, value=value) for name, value in expected)


def test_a_text_is_cut_with_a_note_also_where_it_grows_by_being_made_visible():
    (each,) = shown(exchange(text="\x1b" * 1_000_000, told=("x" * 1_000_000,)))
    assert len(each.said) <= TEXT
    assert len(each.told[0].text) <= TEXT
    assert "left out" in each.said


def test_the_more_is_said_the_less_is_shown_of_each():
    many = transcript_of(tuple(exchange("{}", turn=n, text="x" * TEXT, answers=["y" * TEXT]) for n in range(400)))
    sizes = [len(each.said) for each in many.first]

    assert max(sizes) < TEXT / 10
    assert min(sizes) >= LEAST
    assert sum(len(each.said) + len(each.calls[0].answer) for each in many.first) < ROOM


def test_a_very_long_conversation_leaves_out_its_middle():
    long = transcript_of(tuple(exchange(turn=n) for n in range(1, FIRST + LAST + 43)))

    assert long.left_out == 42
    assert [each.turn for each in (*long.first, *long.last)] == [
        *range(1, FIRST + 1), *range(FIRST + 43, FIRST + LAST + 43),
    ]  # fmt: skip
