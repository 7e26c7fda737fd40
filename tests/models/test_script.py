"""Scripts as people write them, in TOML and in Python."""

import pytest

from agent.errors import UsageProblem
from agent.models.script import Script, ScriptedCall, ScriptedReply, call, load_script, parse_script, say

TEXT = """
model = "kimi-k2.7-code"
match = "in-order"

[[reply]]
expect = ["1 failed", "assert"]
reasoning = "The sum is off by one."
say = "I will fix it."

[[reply.call]]
name = "write_file"
[reply.call.arguments]
path = "sum.py"
content = '''
def add(a, b):
    return "a\\n" + b
'''

[[reply.call]]
name = "run_tests"
raw_arguments = '{"only": '

[[reply]]
status = 429
headers = { Retry-After = "1" }

[[reply]]
say = "Done."
finish_reason = "length"
cut_after = 100
delay = 0.5
usage = false
"""


def test_a_script_is_read_from_toml():
    assert parse_script(TEXT) == Script(
        model="kimi-k2.7-code",
        match="in-order",
        replies=(
            ScriptedReply(
                expect=("1 failed", "assert"),
                reasoning="The sum is off by one.",
                say="I will fix it.",
                calls=(
                    call("write_file", path="sum.py", content='def add(a, b):\n    return "a\\n" + b\n'),
                    ScriptedCall(name="run_tests", raw_arguments='{"only": '),
                ),
            ),
            ScriptedReply(status=429, headers={"Retry-After": "1"}),
            ScriptedReply(say="Done.", finish_reason="length", cut_after=100, delay=0.5, usage=False),
        ),
    )


def test_replies_are_built_in_python_too():
    built = say("Hi", call("write_file", path="a"), reasoning="r", expect=("x",))
    calls = (ScriptedCall(name="write_file", arguments={"path": "a"}),)
    assert built == ScriptedReply(say="Hi", calls=calls, reasoning="r", expect=("x",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reply = ", "not TOML"),
        ("", "reply: Field required"),
        ("reply = []", "reply: Tuple should have at least 1 item"),
        ("[[reply]]\nsays = 'x'", "reply.1.says: Unexpected"),
        ("[[reply]]\nsay = 1", "reply.1.say: Input should be a valid string"),
        ("[[reply]]\n[[reply.call]]\narguments = {}", "reply.1.call.1.name: Field required"),
        ("match = 'any'\n[[reply]]", "match: Input should be 'by-history' or 'in-order'"),
    ],
)
def test_a_mistake_is_named_with_its_place(text, message):
    with pytest.raises(UsageProblem) as caught:
        parse_script(text)
    assert caught.value.message.startswith(message)


def test_a_file_that_cannot_be_read_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(UsageProblem, match="cannot read"):
        load_script(tmp_path / "missing.toml")
    path = tmp_path / "script.toml"
    path.write_text("reply = 1")
    with pytest.raises(UsageProblem, match=r"script\.toml: reply"):
        load_script(path)


def test_faults_share_the_place_of_the_reply_behind_them():
    busy, cut, first, last = ScriptedReply(status=429), ScriptedReply(say="x", cut_after=1), say("1"), say("2")
    empty, kept = ScriptedReply(reasoning="only"), ScriptedReply(status=429, once=False)
    script = Script(replies=(busy, cut, first, empty, last, kept, busy))
    assert script.places() == ((busy, cut, first), (empty, last), (kept,), (busy,))
