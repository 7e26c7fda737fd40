"""A conversation's digest tells it from every other one, today and in later versions."""

from dataclasses import replace

import pytest

from agent.messages import Message, ToolCall, digest_of

CALL = ToolCall(id="a:0", name="read_file", arguments='{"path": "a.py"}')
SAID = (
    Message(role="user", content="Mend it."),
    Message(role="assistant", content="So.", reasoning="Hm.", tool_calls=(CALL, replace(CALL, id="a:1"))),
    Message(role="tool", content="1\tx = 1", tool_call_id="a:0"),
)


def changed(place, **change):
    return (*SAID[:place], replace(SAID[place], **change), *SAID[place + 1 :])


@pytest.mark.parametrize(
    "other",
    [
        SAID[:2],
        (SAID[1], SAID[0], SAID[2]),
        changed(0, content="Mend it!"),
        changed(0, role="system"),
        changed(1, reasoning=None),
        changed(1, reasoning=""),
        changed(1, reasoning_key="reasoning"),
        changed(1, tool_calls=(CALL,)),
        changed(1, tool_calls=(replace(CALL, arguments='{"path":"a.py"}'), SAID[1].tool_calls[1])),
        changed(2, tool_call_id="a:1"),
        changed(2, content="1\tx = 1\ud800"),
    ],
)
def test_whatever_differs_in_a_conversation_its_digest_does(other):
    assert digest_of(other) != digest_of(SAID)


def test_the_digest_of_a_conversation_is_the_same_in_every_version():
    assert digest_of(SAID) == "7ab160ed5a0285ccc26c9a4ef543124f8b794cc2cb38141bc20e556c8e054df1"
    assert digest_of(()) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
