"""What is reserved bounds what is billed, and what is spent never passes the budget."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import events as e
from agent.ledger import CONTEXT_MARGIN, FLOOR, Refused, estimate, reserve
from agent.messages import Message, ToolCall, Usage
from agent.models import Request, ToolSpec
from agent.state import RunState
from agent.task import Limits, Prices
from tests.kits import PRICES, TOOLS, folded, started

USER = Message(role="user", content="x" * 100)
RESERVED = e.CallReserved(dollars=0.25, tokens=1_000, max_tokens=500)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


def said(*messages: Message) -> e.Prompted:
    return e.Prompted(about=e.Say.PLAN, messages=messages)


def replied(usage: Usage | None, **message) -> e.ModelReplied:
    return e.ModelReplied(message=Message(role="assistant", **message), usage=usage, stop_reason="stop")


def request_of(state: RunState, tools: tuple[ToolSpec, ...] = (), max_tokens: int | None = None) -> Request:
    return Request(messages=state.messages, tools=tools, max_tokens=max_tokens or state.started.max_output)


# The bound


def tokens_of(message: Message) -> int:
    """Billed by the greediest tokenizer: a token for each byte, and the template's for each message and each call."""
    calls = [call.id + call.name + call.arguments for call in message.tool_calls]
    texts = [message.role, message.content, message.reasoning or "", message.tool_call_id or "", *calls]
    return sum(len(text.encode()) for text in texts) + 16 + 16 * len(calls)


def tokens_of_tools(tools: tuple[ToolSpec, ...]) -> int:
    return len(json.dumps([tool_of(tool) for tool in tools], ensure_ascii=False).encode()) if tools else 0


def tool_of(tool: ToolSpec) -> dict[str, object]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


CALLS = st.builds(ToolCall, id=TEXT, name=TEXT, arguments=TEXT)
SPECS = st.builds(ToolSpec, name=TEXT, description=TEXT, parameters=st.dictionaries(TEXT, TEXT, max_size=2))
TURNS = st.tuples(
    st.lists(st.builds(Message, role=st.sampled_from(["user", "tool"]), content=TEXT, tool_call_id=TEXT), max_size=3),
    st.builds(
        Message,
        role=st.just("assistant"),
        content=TEXT,
        reasoning=st.none() | TEXT,
        tool_calls=st.lists(CALLS, max_size=4).map(tuple),
    ),
    st.sampled_from(["usage", "no usage", "crash", "billed failure", "free failure"]),
    st.floats(0, 1),
)
PRICE = st.floats(0, 20)


@settings(max_examples=200, deadline=None)
@given(
    turns=st.lists(TURNS, max_size=6),
    tools=st.lists(SPECS, max_size=2).map(tuple),
    prices=st.builds(Prices, input=PRICE, cached=PRICE, output=PRICE),
    limits=st.builds(Limits, dollars=st.floats(1e-4, 0.05), tokens=st.integers(1_000, 20_000)),
    max_output=st.integers(1, 4_096),
)
def test_no_bill_passes_its_reservation_and_no_sum_of_bills_the_budget(turns, tools, prices, limits, max_output):
    events: list[e.Event] = [started(limits=limits, prices=prices, max_output=max_output)]
    for prompts, answer, end, share in turns:
        events.append(said(*prompts))
        state = folded(*events)
        reserved = reserve(state, request_of(state, tools))
        if isinstance(reserved, Refused):
            break
        billed = Usage(
            prompt=sum(map(tokens_of, state.messages)) + tokens_of_tools(tools), completion=reserved.max_tokens
        )
        billed = replace(billed, cached=int(billed.prompt * share))
        assert billed.prompt + billed.completion <= reserved.tokens
        assert prices.cost(billed) <= reserved.dollars + 1e-9
        events.append(reserved)
        if end.endswith("failure"):
            events.append(e.CallFailed(error="transport", message="", billed=end.startswith("billed"), wait=1.0))
        elif end != "crash":
            used = billed if end == "usage" else None
            events.append(e.ModelReplied(message=answer, usage=used, stop_reason="stop"))
        spent = folded(*events).spent
        assert spent.dollars <= limits.dollars + 1e-9
        assert spent.tokens <= limits.tokens


@pytest.mark.parametrize(("billed_as", "sent_as"), [("tools", "text"), ("text", "tools"), ("tools", "tools, x")])
def test_what_was_billed_in_another_form_bounds_nothing(billed_as, sent_as):
    answer = replace(replied(Usage(prompt=37, cached=0, completion=5), content="abc"), form=billed_as)
    state = folded(started(), said(USER), RESERVED, answer, said(USER))
    request = request_of(state)
    same, other = (reserve(state, request, form) for form in (billed_as, sent_as))
    assert same.tokens - same.max_tokens < other.tokens - other.max_tokens
    assert other.tokens - other.max_tokens >= sum(map(tokens_of, state.messages))


def test_what_was_billed_bounds_nothing_if_other_messages_are_sent():
    answer = replied(Usage(prompt=37, cached=0, completion=5), content="abc")
    state = folded(started(), said(USER), RESERVED, answer, said(USER))
    more = Request(messages=(*state.messages, USER), max_tokens=100)
    reserved = reserve(state, more)
    assert reserved.tokens - reserved.max_tokens >= sum(map(tokens_of, more.messages))


def test_an_unchanged_prefix_is_bounded_by_what_was_billed_for_it():
    answer = replied(Usage(prompt=37, cached=0, completion=5), content="abc")
    state = folded(started(prices=PRICES), said(USER), RESERVED, answer, said(USER))
    rest = len("assistantabc") + 16 + len("user") + 100 + 16
    request = request_of(state, TOOLS)
    assert reserve(state, request) == e.CallReserved(
        dollars=pytest.approx(((37 + rest) * 0.5 + 2048 * 2.0) / 1e6),
        tokens=37 + rest + 2048,
        max_tokens=2048,
        estimate=estimate(request),
        least=8,
    )


# The cap


def test_the_cap_is_the_models_own_when_there_is_plenty():
    state = folded(started(max_output=32_768), said(USER))
    reserved = reserve(state, request_of(state))
    assert isinstance(reserved, e.CallReserved)
    assert reserved.max_tokens == 32_768


def bound_of(state: RunState) -> int:
    """Tokens that the prompt of `state` is reserved as, without tools."""
    reserved = reserve(state, request_of(state, max_tokens=1))
    assert isinstance(reserved, e.CallReserved)
    return reserved.tokens - 1


def test_the_cap_is_clamped_to_what_the_context_leaves():
    state = folded(started(context=4_000, max_output=32_768), said(USER))
    room = 4_000 - CONTEXT_MARGIN - estimate(request_of(state))
    reserved = reserve(state, request_of(state))
    assert isinstance(reserved, e.CallReserved)
    assert reserved.max_tokens == room


def test_the_cap_is_clamped_to_the_dollars_that_are_left():
    state = folded(started(limits=Limits(dollars=0.005), max_output=32_768), said(USER))
    reserved = reserve(state, request_of(state))
    assert isinstance(reserved, e.CallReserved)
    assert reserved.max_tokens == int((0.005 - bound_of(state) * 0.5 / 1e6) * 1e6 / 2.0)
    assert 0.005 - 2.0 / 1e6 < reserved.dollars <= 0.005


def test_the_cap_is_clamped_to_the_tokens_that_are_left():
    state = folded(started(limits=Limits(tokens=3_000), max_output=32_768), said(USER))
    reserved = reserve(state, request_of(state))
    assert isinstance(reserved, e.CallReserved)
    assert reserved.tokens == 3_000
    assert reserved.max_tokens == 3_000 - bound_of(state)


def test_a_cap_below_the_floor_is_refused_and_one_at_the_floor_is_not():
    state = folded(started(), said(USER))
    bound = bound_of(state)
    for left, sent in ((FLOOR, True), (FLOOR - 1, False)):
        state = folded(started(limits=Limits(tokens=bound + left)), said(USER))
        assert isinstance(reserve(state, request_of(state)), e.CallReserved) is sent


def test_a_model_with_a_small_output_is_asked_for_all_of_it_or_not_at_all():
    bound = bound_of(folded(started(), said(USER)))
    for left, sent in ((50, True), (49, False)):
        state = folded(started(limits=Limits(tokens=bound + left), max_output=50), said(USER))
        assert isinstance(reserve(state, request_of(state)), e.CallReserved) is sent


# What is refused


@pytest.mark.parametrize("cents", range(10, 20))
def test_a_call_that_the_dollars_do_not_cover_is_refused_for_them(cents):
    limits = Limits(dollars=cents / 10_000 + 0.00003)
    state = folded(started(limits=limits), said(USER))
    assert reserve(state, request_of(state)) == Refused(
        reason=f"the next call could pass the budget of ${limits.dollars:g} ($0.0000 spent)"
    )


def test_a_prompt_that_the_dollars_do_not_cover_is_refused_for_them():
    state = folded(started(limits=Limits(dollars=0.00001)), said(USER))
    assert reserve(state, request_of(state)) == Refused(
        reason="the next call could pass the budget of $1e-05 ($0.0000 spent)"
    )


def test_a_prompt_that_costs_all_that_is_left_is_refused():
    bound = bound_of(folded(started(), said(USER)))
    state = folded(started(limits=Limits(dollars=bound * PRICES.input / 1e6)), said(USER))
    assert isinstance(reserve(state, request_of(state)), Refused)


def test_a_prompt_that_costs_too_much_is_refused_although_output_is_free():
    prices = Prices(input=20.0, cached=0.0, output=0.0)
    state = folded(started(limits=Limits(dollars=0.001), prices=prices), said(USER))
    assert reserve(state, request_of(state)) == Refused(
        reason="the next call could pass the budget of $0.001 ($0.0000 spent)"
    )


def test_a_call_that_the_tokens_do_not_cover_is_refused_for_them():
    state = folded(started(limits=Limits(tokens=1_100)), said(USER), RESERVED)
    assert reserve(state, request_of(state)) == Refused(
        reason="the next call could pass the budget of 1,100 tokens (1,000 spent)"
    )


def test_a_conversation_that_fills_the_context_is_refused_for_it():
    state = folded(started(context=2_050), said(USER))
    assert reserve(state, request_of(state)) == Refused(
        reason="the conversation has grown to the model's context of 2,050 tokens"
    )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(dollars=0.25), "$0.25"),
        (Limits(tokens=1_000), "1,000 tokens"),
        (Limits(calls=1), "1 calls"),
        (Limits(iterations=0), "0 iterations"),
        (Limits(seconds=0.0), "0 seconds"),
    ],
    ids=["dollars", "tokens", "calls", "iterations", "seconds"],
)
def test_a_limit_that_is_reached_is_named(limits, words):
    state = folded(started(limits=limits), said(USER), RESERVED)
    assert reserve(state, request_of(state)) == Refused(reason=f"the budget of {words} is spent")


# Prices


def test_a_free_model_is_bounded_by_tokens_and_context_alone():
    state = folded(started(prices=Prices(input=0.0, cached=0.0, output=0.0)), said(USER))
    request = request_of(state)
    assert reserve(state, request) == e.CallReserved(
        dollars=0.0, tokens=bound_of(state) + 2048, max_tokens=2048, estimate=estimate(request), least=1
    )


def test_what_the_provider_counts_puts_the_estimate_right():
    first = folded(started(context=10_000), said(USER))
    reserved = reserve(first, request_of(first))
    counted = Usage(prompt=2 * reserved.estimate, cached=0, completion=1)
    state = folded(started(context=10_000), said(USER), reserved, replied(counted, content="so"), said(USER))

    assert state.density == 2.0
    room = 10_000 - 2 * estimate(request_of(state)) - 1024
    assert reserve(state, replace(request_of(state), max_tokens=9_000)).max_tokens == room


def test_a_cache_that_costs_more_than_fresh_tokens_is_reserved_at_its_price():
    prices = Prices(input=1.0, cached=3.0, output=0.0)
    state = folded(started(prices=prices), said(USER))
    reserved = reserve(state, request_of(state))
    assert isinstance(reserved, e.CallReserved)
    assert reserved.dollars == pytest.approx(bound_of(state) * 3.0 / 1e6)


def test_a_cache_that_costs_more_is_booked_at_its_price_though_nothing_is_told_of_it():
    prices = Prices(input=1.0, cached=3.0, output=0.0)
    state = folded(started(prices=prices), said(USER))
    reserved = reserve(state, request_of(state))
    told = replied(Usage(prompt=100, cached=0, completion=10))
    spent = folded(started(prices=prices), said(USER), reserved, told).spent
    assert spent.dollars == pytest.approx(100 * 3.0 / 1e6)


def test_more_cached_tokens_than_tokens_are_never_paid_back():
    assert PRICES.cost(Usage(prompt=10, cached=1_000, completion=0)) == pytest.approx(1_000 * 0.125 / 1e6)


# Reservations


def test_a_settled_call_costs_what_was_used():
    spent = folded(started(), said(USER), RESERVED, replied(Usage(prompt=100, cached=20, completion=10))).spent
    assert (spent.dollars, spent.tokens, spent.calls) == (
        pytest.approx((80 * 0.5 + 20 * 0.125 + 10 * 2.0) / 1e6),
        110,
        1,
    )
    assert spent.usage == Usage(prompt=100, cached=20, completion=10)


def test_a_reply_that_was_never_reserved_costs_what_was_used():
    spent = folded(started(), said(USER), replied(Usage(prompt=100, cached=0, completion=0))).spent
    assert (spent.dollars, spent.tokens, spent.calls) == (pytest.approx(100 * 0.5 / 1e6), 100, 0)


UNSETTLED = {
    "no usage": [replied(None)],
    "a billed failure": [e.CallFailed(error="transport", message="", billed=True, wait=1.0)],
    "a crash": [e.SessionStarted(pid=1, version="0")],
    "nothing yet": [],
}


@pytest.mark.parametrize("how", UNSETTLED)
def test_a_reservation_that_is_not_settled_stays_spent(how):
    spent = folded(started(), said(USER), RESERVED, *UNSETTLED[how]).spent
    assert (spent.dollars, spent.tokens, spent.calls) == (0.25, 1_000, 1)


@pytest.mark.parametrize("how", UNSETTLED)
def test_a_reservation_that_was_not_settled_is_not_released_by_the_next_call(how):
    settled = [RESERVED, replied(Usage(prompt=100, cached=0, completion=0))]
    spent = folded(started(), said(USER), RESERVED, *UNSETTLED[how], *settled).spent
    assert (spent.dollars, spent.tokens, spent.calls) == (pytest.approx(0.25 + 100 * 0.5 / 1e6), 1_100, 2)


def test_a_failure_that_is_not_billed_releases_the_reservation_but_counts_as_a_call():
    failed = e.CallFailed(error="rate_limited", message="", billed=False, wait=1.0)
    spent = folded(started(), said(USER), RESERVED, failed).spent
    assert (spent.dollars, spent.tokens, spent.calls) == (0.0, 0, 1)


def test_a_reply_without_usage_leaves_the_prefix_that_was_billed_last():
    first = replied(Usage(prompt=37, cached=0, completion=5))
    state = folded(started(), said(USER), RESERVED, first, said(USER), RESERVED, replied(None))
    assert state.prefix == (1, 37)


# The estimate


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("abcd" * 10, 10), ("é" * 10, 10), ("日本", 2), ("ab" * 4 + "ß", 3)]
)
def test_the_estimate_is_a_quarter_of_ascii_and_one_for_each_other_character(text, tokens):
    empty = estimate(Request(messages=(Message(role="user"),)))
    padded = Message(role="user", content=text)
    assert estimate(Request(messages=(padded,))) - empty == tokens


def test_the_estimate_holds_tools_calls_and_reasoning():
    plain = Request(messages=(USER,))
    calling = replace(USER, tool_calls=(ToolCall(id="1", name="edit", arguments="a" * 400),))
    assert estimate(replace(plain, tools=TOOLS)) > estimate(plain)
    assert estimate(Request(messages=(calling,))) >= estimate(plain) + 100
    assert estimate(Request(messages=(replace(USER, reasoning="r" * 400),))) == estimate(plain) + 100
