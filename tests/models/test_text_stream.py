"""How a reply with calls in its text is shown while it comes in."""

import pytest

from agent.live import Said, Streamed
from agent.models.text_stream import TextStream

REPLY = """\
I write it.
```python
x = 1
```
```tool
{"name": "write_file", "arguments": {"path": "a", "content": "```\\n"}}
```
Then I test ``it``.
```tool
{"name": "run_tests"}
```
"""


def shown(pieces):
    """What is told, joined by channel and call."""
    told = []
    stream = TextStream(told.append)
    for piece in pieces:
        stream(Streamed(text=piece, channel="answer"))
    joined = []
    for each in told:
        if joined and joined[-1][0] == each.channel:
            joined[-1][1] += each.text
            joined[-1][2] = each.call
        else:
            joined.append([each.channel, each.text, each.call])
    return joined


@pytest.mark.parametrize("size", [1, 2, 3, 7, 12, 1000])
def test_blocks_are_told_as_calls_however_the_reply_is_cut(size):
    joined = shown(REPLY[start : start + size] for start in range(0, len(REPLY), size))
    assert [channel for channel, _, _ in joined[:4]] == ["answer", "call", "answer", "call"]
    assert [text.strip() for _, text, _ in joined[:4]] == [
        "I write it.\n```python\nx = 1\n```",
        '{"name": "write_file", "arguments": {"path": "a", "content": "```\\n"}}',
        "Then I test ``it``.",
        '{"name": "run_tests"}',
    ]
    assert [call for _, _, call in joined[:4]] == ["", "write_file", "", "run_tests"]
    assert "".join(text for _, text, _ in joined[4:]).strip() == ""


def test_what_is_no_answer_is_passed_on():
    told = []
    others = [Streamed(text="```tool\n", channel="reasoning"), Said("```tool")]
    for other in others:
        TextStream(told.append)(other)
    assert told == others
