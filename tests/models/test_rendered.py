"""What is reserved for is what is sent, to the byte, and what was counted for one kind of prompt bounds no other."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import events as e
from agent.called import called
from agent.ledger import reserve
from agent.messages import Message, ToolCall, Usage
from agent.models import Request, ToolSpec
from agent.models.capabilities import Capabilities
from agent.models.openai import Endpoint, OpenAIModel
from agent.models.tokens import prompt_units
from agent.task import Limits
from agent.tools.toolbox import SPECS
from tests.kits import folded, started
from tests.models.fakes import WRITE_FILE

ENDPOINT = Endpoint(base_url="http://127.0.0.1:1/v1", model="kimi-k2.6")
ROOMY = Limits(dollars=99.0, tokens=90_000_000)


def talk(known=None, **settings):
    model = OpenAIModel(replace(ENDPOINT, **settings))
    model._known = known or model.known
    return model


def sent(model, request):
    """Tokens of what goes out, if each of its bytes is one."""
    return sum(tokens for _, tokens in prompt_units(model._body(request), "bytes"))


def bound(model, request, state=None):
    """Tokens that are reserved for the prompt of `request`."""
    state = state or folded(started(limits=ROOMY), e.Prompted(about=e.Say.PLAN, messages=request.messages))
    rendered = model.rendered(request)
    reserved = reserve(state, rendered.request, rendered.form)
    return reserved.tokens - reserved.max_tokens


TEXT = st.text(alphabet='abé日😀\n\t\r"\\{}:, \x01', max_size=40)
ARGUMENTS = TEXT | TEXT.map(lambda text: '{"path": "' + text.replace("\\", "").replace('"', "") + '"}')
NAMES = st.sampled_from(["write_file", "x", "odd name!", "日本", "n" * 70])


@st.composite
def conversations(draw):
    messages = [Message(role="system", content=draw(TEXT)), Message(role="user", content=draw(TEXT) or "x")]
    for turn in range(draw(st.integers(0, 4))):
        calls = tuple(
            ToolCall(id=f"functions.write_file:{turn}-{number}", name=draw(NAMES), arguments=draw(ARGUMENTS))
            for number in range(draw(st.integers(0, 3)))
        )
        messages.append(
            Message(role="assistant", content=draw(TEXT), reasoning=draw(st.none() | TEXT), tool_calls=calls)
        )
        messages += [Message(role="tool", tool_call_id=call.id, content=draw(TEXT)) for call in calls]
        messages.append(Message(role="user", content=draw(TEXT)))
    return tuple(messages)


@settings(max_examples=200, deadline=None)
@given(
    messages=conversations(),
    protocol=st.sampled_from(["tools", "text"]),
    filler=st.sampled_from([None, "", " "]),
    tools=st.sampled_from([(), (WRITE_FILE,), SPECS]),
)
def test_each_byte_that_is_sent_is_reserved_for(messages, protocol, filler, tools):
    model = talk(Capabilities(filler=filler), protocol=protocol)
    request = Request(messages=messages, tools=tools, max_tokens=2_048)
    assert sent(model, request) <= bound(model, request)


def test_arguments_that_are_longer_once_they_are_mended_are_reserved_for_as_they_are_sent():
    """Raw line ends are escaped, and with them every character that is not ASCII."""
    call = ToolCall(id="functions.write_file:0", name="write_file", arguments='{"content": "' + "日\n" * 500 + '"}')
    messages = (
        Message(role="user", content="Write."),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id=call.id, content=""),
    )
    model, request = talk(), Request(messages=messages)
    assert sum(message.size for message in messages) < sent(model, request) / 1.5
    assert sent(model, request) <= bound(model, request)


def test_a_schema_that_is_longer_once_it_is_inlined_is_reserved_for_as_it_is_sent():
    word = {"type": "string", "description": "A word of the language. " * 40}
    fields = {f"field{number}": {"$ref": "#/$defs/word"} for number in range(20)}
    tool = ToolSpec(
        name="write", description="", parameters={"type": "object", "properties": fields, "$defs": {"word": word}}
    )
    model, request = talk(), Request(messages=(Message(role="user", content="Write."),), tools=(tool,))
    assert sent(model, request) <= bound(model, request)


# What else the tokens of the same messages depend on

ASK = Request(messages=(Message(role="user", content="Write."),), tools=(WRITE_FILE,))
OTHERS = {
    "another tool": (talk(), replace(ASK, tools=SPECS)),
    "another endpoint": (talk(base_url="http://127.0.0.1:2/v1"), ASK),
    "another model": (talk(model="kimi-k2.7"), ASK),
    "no thinking": (talk(), replace(ASK, think=False)),
    "thinking, and said so": (talk(thinking={"type": "enabled"}), ASK),
    "text": (talk(protocol="text"), ASK),
    "made-up reasoning": (talk(Capabilities(filler=" ")), ASK),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_was_counted_for_one_kind_of_prompt_bounds_no_other(name):
    model, request = OTHERS[name]
    state = folded(started(limits=ROOMY), e.Prompted(about=e.Say.PLAN, messages=ASK.messages))
    first = talk().rendered(ASK)
    state = called(state, reserve(state, first.request, first.form))
    said = Message(role="assistant", content="So.")
    reply = e.ModelReplied(message=said, usage=Usage(prompt=20, completion=5), stop_reason="stop", form=first.form)
    state = called(state, reply)
    longer = [replace(each, messages=state.messages) for each in (ASK, request)]
    assert bound(talk(), longer[0], state) < 100 < sent(talk(), longer[0])
    assert bound(model, longer[1], state) >= sent(model, longer[1])


def test_a_form_is_the_same_in_another_process():
    assert talk().rendered(ASK).form == talk(total=5.0, idle=1.0, context=9_000).rendered(ASK).form
    assert talk().rendered(ASK).form.startswith("tools, ")
