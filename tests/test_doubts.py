"""Usage that cannot be true settles nothing, honest usage always does, and a resumed run decides the same."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import events as e
from agent.called import called
from agent.doubts import doubted, least_of
from agent.ledger import Refused, reserve
from agent.messages import Message, ToolCall, Usage
from agent.models import Request, ToolSpec
from agent.models.tokens import count_tokens
from agent.state import RunState
from agent.task import Limits
from agent.text import least_tokens
from tests.kits import PRICES, folded, started, told

SYSTEM = Message(role="system", content="You mend what is broken, and nothing else. " * 10)
ASKED = Message(role="user", content="The sum of two numbers is wrong; please mend it. " * 5)
ROOMY = Limits(dollars=50.0, tokens=50_000_000)
SOURCES = [path.read_text() for path in sorted(Path(__file__).parents[1].glob("agent/*.py"))]
CAP = 2_048


def said(*messages: Message) -> e.Prompted:
    return e.Prompted(about=e.Say.PLAN, messages=messages)


def replied(usage: Usage | None, text: str = "I will see to that.", *calls: str, form: str = "tools") -> e.ModelReplied:
    made = tuple(ToolCall(id=call, name="read_file", arguments='{"path": "sums.py"}') for call in calls)
    message = Message(role="assistant", content=text, reasoning="Hm, a sum.", tool_calls=made)
    return e.ModelReplied(message=message, usage=usage, stop_reason="stop", form=form)


def answered(call: str, text: str) -> e.ToolReturned:
    return e.ToolReturned(call_id=call, name="read_file", content=text, is_error=False, tree="base")


def reserving(state: RunState, form: str = "tools") -> RunState:
    """The state once the worst case of its next call is set aside."""
    reserved = reserve(state, Request(messages=state.messages, max_tokens=CAP), form)
    assert isinstance(reserved, e.CallReserved), reserved
    return called(state, reserved)


def begun(*events: e.Event) -> RunState:
    return folded(started(limits=ROOMY), said(SYSTEM, ASKED), *events)


FIRST = reserving(begun())
TRUE = Usage(prompt=200, cached=50, completion=20)
AFTER = reserving(
    folded(
        started(limits=ROOMY),
        said(SYSTEM, ASKED),
        FIRST.reserved,
        replied(TRUE, "I look", "a"),
        answered("a", "def add(a, b):\n    return a - b\n"),
    )
)
"""After one reply that was counted and believed, with the next call reserved."""
MOST = AFTER.reserved.tokens - CAP
LEAST = int(0.9 * TRUE.prompt) + least_of(Request(messages=AFTER.messages[2:]))
SPOKEN = least_tokens("I will see to that.") + least_tokens("Hm, a sum.")


# What cannot be true

WRONG = {
    "a prompt of nothing": replace(TRUE, prompt=0, cached=0),
    "a negative prompt": replace(TRUE, prompt=-5, cached=0),
    "a negative reply": replace(TRUE, prompt=220, completion=-1),
    "a negative cache": replace(TRUE, prompt=220, cached=-1),
    "a cache larger than the prompt": replace(TRUE, prompt=220, cached=221),
    "a reply of nothing": replace(TRUE, prompt=220, completion=0),
    "fewer tokens than words in the reply": replace(TRUE, prompt=220, completion=SPOKEN - 1),
    "half of what was counted before": replace(TRUE, prompt=110),
    "less than was counted before": replace(TRUE, prompt=LEAST - 1),
    "more than is reserved for the prompt": replace(TRUE, prompt=MOST + 1),
    "a reply beyond its cap": replace(TRUE, prompt=220, completion=CAP + 1),
    "millions": Usage(prompt=9_000_000, completion=9_000_000),
}


@pytest.mark.parametrize("usage", WRONG.values(), ids=WRONG)
def test_what_cannot_be_true_settles_nothing_and_nothing_is_learned_from_it(usage):
    reply = replied(usage)
    assert doubted(AFTER, usage, reply.form, reply.message)
    after = called(AFTER, reply)
    assert after.spent == AFTER.spent
    assert after.density == AFTER.density
    assert after.prefix in (AFTER.prefix, (0, 0))
    assert after.reserved is None


POSSIBLE = {
    "as few as can be": replace(TRUE, prompt=LEAST, completion=SPOKEN),
    "as many as are reserved": Usage(prompt=MOST, cached=MOST, completion=CAP),
    "something between": Usage(prompt=230, cached=200, completion=12),
}


@pytest.mark.parametrize("usage", POSSIBLE.values(), ids=POSSIBLE)
def test_what_can_be_true_is_believed(usage):
    after = called(AFTER, replied(usage))
    assert after.spent.dollars == pytest.approx(PRICES.cost(TRUE) + PRICES.cost(usage))
    assert after.spent.tokens == 220 + usage.prompt + usage.completion
    assert (after.prefix, after.least) == ((4, usage.prompt), usage.prompt)


@pytest.mark.parametrize(
    "name", ["half of what was counted before", "more than is reserved for the prompt", "millions"]
)
def test_a_reply_that_cannot_be_used_is_not_settled_by_such_a_figure_either(name):
    usage = replace(WRONG[name], prompt=WRONG[name].prompt if name != "half of what was counted before" else 9)
    failed = e.CallFailed(error="empty", message="", billed=True, usage=usage, wait=1.0)
    assert called(AFTER, failed).spent == AFTER.spent
    settled = called(AFTER, replace(failed, usage=replace(TRUE, prompt=220)))
    assert settled.spent.tokens == 220 + 220 + TRUE.completion


def test_an_early_figure_is_held_to_the_words_of_the_conversation():
    least = FIRST.reserved.least
    assert least == least_tokens(SYSTEM.content) + least_tokens(ASKED.content)
    for prompt, believed in ((least, True), (least - 1, False)):
        usage = replace(TRUE, prompt=prompt)
        assert (called(FIRST, replied(usage)).prefix == (2, prompt)) is believed


def test_the_tools_are_a_part_of_the_prompt_and_so_are_the_arguments_of_calls():
    file = "def add(a, b):\n    return a + b\n"
    arguments = json.dumps({"path": "sums.py", "content": file, "lines": [1, 2], "more": {"text": "not counted"}})
    call = ToolCall(id="c", name="write_file", arguments=arguments)
    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "Where it is."}}}
    tool = ToolSpec(name="write_file", description="Write a file.", parameters=schema)
    broken = replace(call, arguments="the file as discussed")
    messages = (ASKED, Message(role="assistant", reasoning="Hm, a sum.", tool_calls=(call, broken)))
    texts = (ASKED.content, "sums.py", file, "write_file", "Write a file.", "path", "string", "Where it is.")
    assert least_of(Request(messages=messages, tools=(tool,))) == sum(map(least_tokens, texts))


def test_no_less_is_reserved_than_there_must_be():
    state = replace(AFTER, prefix=(2, 5), reserved=None)
    reserved = reserving(state).reserved
    rest = sum(message.size + 32 for message in state.messages[2:])
    assert 5 + rest < reserved.least == reserved.tokens - CAP


# What a doubt leads to


def test_a_provider_that_was_truthful_once_is_not_believed_when_it_tells_half():
    """Each call is booked as reserved, which bounds the whole bill, however long it goes on."""
    state, bill = AFTER, TRUE.prompt + TRUE.completion
    for number in range(10):
        true = Usage(prompt=240 + 30 * number, completion=20)
        bill += true.prompt + true.completion
        state = called(state, replied(Usage(prompt=true.prompt // 2, completion=10), "I look", f"b{number}"))
        state = replace(state, messages=(*state.messages, Message(role="tool", content="x = 1", tool_call_id="b")))
        assert state.spent.tokens >= bill
        assert state.prefix == AFTER.prefix
        state = reserving(state)


def test_after_more_than_can_be_nothing_rests_on_what_was_told_before():
    """One of the two figures is false, and the bound must not hang on it: from here on all bytes count."""
    state = called(AFTER, replied(replace(TRUE, prompt=MOST + 1)))
    assert (state.prefix, state.least) == ((0, 0), 0)
    again = reserving(state)
    assert again.reserved.tokens - again.reserved.max_tokens >= sum(message.size for message in state.messages)


def test_what_is_put_aside_may_be_counted_as_less():
    shorter = e.Compacted(
        shortened=(e.Shortened(index=1, message=replace(ASKED, content="put aside")),), before=1, after=1
    )
    events = [started(limits=ROOMY), said(SYSTEM, ASKED), FIRST.reserved, replied(TRUE, "I look", "a")]
    state = reserving(folded(*events, answered("a", "ok"), shorter))
    usage = replace(TRUE, prompt=150)
    assert called(AFTER, replied(usage)).spent == AFTER.spent
    assert called(state, replied(usage)).prefix == (4, 150)


def test_another_form_of_the_prompt_may_be_counted_as_less():
    state = reserving(replace(AFTER, reserved=None), form="text")
    usage = replace(TRUE, prompt=LEAST - 5)
    assert called(state, replied(usage)).spent == state.spent
    assert called(state, replied(usage, form="text")).prefix == (4, usage.prompt)


@pytest.mark.parametrize(("next_one", "kept"), [(answered("a", "ok"), True), (said(ASKED), False)])
def test_reasoning_may_be_left_out_once_something_else_is_said_than_calls_and_answers(next_one, kept):
    thinking = replied(TRUE, "I look", "a")
    thinking = replace(thinking, message=replace(thinking.message, reasoning="so " * 100))
    longer = Usage(prompt=500, completion=120)
    events = [
        *(started(limits=ROOMY), said(SYSTEM, ASKED), FIRST.reserved, thinking, answered("a", "ok")),
        *(e.CallReserved(dollars=1.0, tokens=9_000, max_tokens=CAP), replied(longer, "I look", "a"), next_one),
    ]
    state = reserving(folded(*events))
    without = replace(TRUE, prompt=300)
    assert (called(state, replied(without)).spent == state.spent) is kept


# Whoever is honest is believed

LETTERS = "abcxyz AZ019 _-.,:;/\\'\"(){}[]<>|\n\té日本\N{COMBINING ACUTE ACCENT}"
TEXTS = st.text(alphabet=LETTERS, max_size=60)
TURNS = st.lists(
    st.tuples(st.lists(TEXTS, max_size=2), TEXTS, st.none() | TEXTS, st.booleans(), st.floats(0, 1), st.booleans()),
    min_size=1,
    max_size=6,
)


def tokens_of(text: str, share: float) -> int:
    """Some tokenizer's count: between a token a word and a token a byte."""
    return least_tokens(text) + int(share * (len(text.encode()) - least_tokens(text)))


@settings(max_examples=150, deadline=None)
@given(turns=TURNS, overhead=st.integers(0, 12), keeps=st.booleans())
def test_an_honest_provider_is_always_believed(turns, overhead, keeps):
    """With any tokenizer, and a template that keeps reasoning for good or until calls have ended."""
    state, counts, bill = folded(started(limits=ROOMY), told(e.Say.PLAN)), {}, 0.0
    for prompts, text, reasoning, calls, share, tells in turns:
        asked = tuple(Message(role="user", content=prompt) for prompt in prompts)
        state = reserving(replace(state, messages=(*state.messages, *asked)))
        plain = [n for n, each in enumerate(state.messages) if each.role == "user" or not (each.tool_calls or keeps)]
        prompt = 0
        for number, message in enumerate(state.messages):
            shown = message.content + ((message.reasoning or "") if keeps or number > plain[-1] else "")
            counts.setdefault((number, shown), tokens_of(shown, share) + overhead)
            prompt += counts[number, shown] + sum(len(call.arguments) for call in message.tool_calls)
        made = (ToolCall(id=f"c{len(counts)}", name="look", arguments="{}"),) if calls else ()
        reply = Message(role="assistant", content=text, reasoning=reasoning, tool_calls=made)
        spoken = tokens_of(text, share) + tokens_of(reasoning or "", share) + 6 * len(made) + 1
        usage = Usage(prompt=max(1, prompt), completion=min(spoken, CAP))
        bill += PRICES.cost(usage)
        state = called(state, e.ModelReplied(message=reply, usage=usage if tells else None, stop_reason="stop"))
        assert not tells or state.prefix == (len(state.messages) - 1, usage.prompt)
        answers = tuple(Message(role="tool", content="ok", tool_call_id=call.id) for call in made)
        state = replace(state, messages=(*state.messages, *answers))
    assert state.spent.dollars >= bill - 1e-9
    if all(tells for *_, tells in turns):
        assert state.spent.dollars == pytest.approx(bill)


FIGURES = st.integers(-10, 10_000_000) | st.integers(0, 5_000)


@settings(max_examples=150, deadline=None)
@given(
    told_as=st.lists(st.none() | st.builds(Usage, prompt=FIGURES, cached=FIGURES, completion=FIGURES), max_size=8),
    limits=st.builds(Limits, dollars=st.floats(1e-4, 0.05), tokens=st.integers(1_000, 40_000)),
)
def test_whatever_is_told_no_more_is_booked_than_the_budget_and_no_less_than_words(told_as, limits):
    events: list[e.Event] = [started(limits=limits), said(SYSTEM, ASKED)]
    for number, usage in enumerate(told_as):
        state = folded(*events)
        reserved = reserve(state, Request(messages=state.messages, max_tokens=CAP))
        if isinstance(reserved, Refused):
            break
        events += [reserved, replied(usage, "So.", f"c{number}"), answered(f"c{number}", "It is so.")]
        spent = folded(*events).spent
        assert spent.dollars <= limits.dollars + 1e-9
        assert spent.tokens <= limits.tokens
        assert spent.tokens - state.spent.tokens >= reserved.least > 0
        assert 0 <= spent.usage.cached <= spent.usage.prompt


# As few tokens as can be

SPLIT = (
    r"""'(?:[sdmt]|ll|ve|re)|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]{1,3}| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"""
)
"""How the tokenizers of GPT, Qwen, Llama, DeepSeek and Kimi cut ASCII before anything is merged, nearly."""


PIECES = st.sampled_from(
    ["a", " the", "self", "x9", "'s", "n't", "//", "://", "</", "==", "\r\n", "  ", "1234", "http"]
)
MARKS = st.sampled_from("_-.,:;/'\"()[]{}<>|\n\t é日—…=0!#*")


@given(text=st.lists(PIECES | MARKS, max_size=30).map("".join))
def test_no_tokenizer_makes_fewer_tokens_than_that(text):
    assert least_tokens(text) <= len(re.findall(SPLIT, text))
    assert least_tokens(text) <= count_tokens(text) or not text.strip()


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("", 0),
        (" \n ", 0),
        ("!?", 1),
        ("don't do that", 3),
        ("So it is, he said.", 7),
        ("a_b = c.d(e)\n", 5),
        ("f(g(x))[0]", 6),
        ("_, x = y", 2),
        ("caf\u00e9s, cafe\u0301s", 3),
        ("日本語の文、です", 1),
        ("<|tool_calls_section_begin|>x<|tool_call_end|>", 1),
    ],
)
def test_only_what_no_token_spans_is_counted_apart(text, least):
    assert least_tokens(text) == least


@pytest.mark.parametrize("character", "_é'!a<|")
def test_it_is_counted_in_a_time_that_grows_with_the_text_alone(character):
    """A quadratic search would take minutes."""
    assert least_tokens(character * 300_000 + "!") <= 2
    assert least_tokens(f"a{character}" * 150_000) <= 150_001


def test_most_of_what_is_cut_apart_is_counted():
    """So that a provider which tells half is found out, from the start, by what it was sent and what it said."""
    for source in SOURCES:
        assert least_tokens(source) > 0.5 * len(re.findall(SPLIT, source))
