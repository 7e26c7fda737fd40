"""What a scripted server bills, what it says of it, and that the two are kept apart."""

import contextlib
import http.client
import json
from dataclasses import replace

import pytest

from agent.messages import Usage
from agent.models.billing import DEFAULT_CAP, cap_of
from agent.models.gateway import Gateway
from agent.models.script import ScriptedReply, call, say
from agent.models.tokens import count_tokens, first_tokens, prompt_units
from tests.models.served import TOOL, USER, chunks_of, post, refused, said, serve, spoken, stream

WRITES = say("I do é.", call("write_file", path="a.py", content="x" * 40), reasoning="Let me think.")
BYTES = len((WRITES.reasoning + WRITES.say + "write_file" + WRITES.calls[0].text).encode())
ASKED = {"stream_options": {"include_usage": True}}


def test_the_ledger_counts_what_was_new_and_what_was_known():
    with serve(say("one two three"), say("four")) as server:
        post(server, tools=[TOOL])
        post(server, [USER, said("one two three"), USER], tools=[TOOL])
        post(server, [{"role": "user", "content": "else"}], tools=[TOOL])
    first, second, third = server.ledger
    assert (first.cached, second.cached) == (0, first.prompt)
    assert 0 < third.cached < first.prompt, "the tools alone are known"
    assert first.completion == count_tokens("one two three") == 6
    assert server.billed == first + second + third


def test_a_reply_without_usage_is_billed_all_the_same():
    with serve(ScriptedReply(say="one", usage=False)) as server:
        assert "usage" not in json.loads(post(server)[1])
    assert server.ledger != [Usage()]
    assert server.bills[0].told is None


def broken_off(server):
    with contextlib.suppress(http.client.HTTPException, OSError):
        stream(server)


@pytest.mark.parametrize("fault", ["cut", "early-end", "stream-error", "broken-event", "hang-up", "reset"])
def test_a_reply_that_does_not_arrive_whole_is_billed_in_full_or_is_free(fault):
    spoiled = replace(WRITES, fault=fault)
    with serve(WRITES, WRITES) as whole:
        stream(whole)
    with serve(spoiled, WRITES) as server:
        broken_off(server)
    with serve(spoiled, WRITES, gateway=Gateway(bill_broken=False)) as free:
        broken_off(free)
    assert server.ledger == whole.ledger
    assert [bill.whole for bill in (*whole.bills, *server.bills, *free.bills)] == [True, False, False]
    assert (free.ledger, free.billed) == ([], Usage())


@pytest.mark.parametrize("fault", ["rate-limit", "bad-gateway", "no-credits", "html-in-200", "error-in-200"])
def test_what_is_not_generated_is_not_billed(fault):
    with serve(ScriptedReply(fault=fault), WRITES) as server:
        post(server)
        assert server.bills == []
        post(server)
        assert [bill.request for bill in server.bills] == [2]


@pytest.mark.parametrize(
    "fault", ["bad-gateway", "html-in-200", "error-in-200", "request-timeout", "rate-limit", "no-credits"]
)
def test_what_may_have_been_generated_is_billed_where_all_is_that_may_be(fault):
    with serve(WRITES, WRITES) as whole:
        stream(whole)
    with serve(replace(WRITES, fault=fault), WRITES, gateway=Gateway(bill_failed=True)) as server:
        stream(server)
    refused = fault in ("rate-limit", "no-credits")
    assert server.ledger == ([] if refused else whole.ledger)
    assert [bill.whole for bill in server.bills] == ([] if refused else [False])


@pytest.mark.parametrize("fault", ["think-only", "think-only-length", "exclamations", "empty-reply"])
def test_a_reply_that_says_nothing_is_billed(fault):
    with serve(replace(WRITES, fault=fault), WRITES) as server:
        stream(server)
    thought = {"exclamations": "!" * 64, "empty-reply": ""}.get(fault, "Let me think.")
    assert server.ledger[0].completion == max(1, count_tokens(thought))


PLACES = {
    "both": (True, False, True),
    "choice": (True, False, False),
    "last": (False, True, False),
    "chunk": (False, False, True),
    "none": (False, False, False),
}


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_usage_stands_where_it_is_wanted(place, asked):
    with serve(WRITES, usage_in=place) as server:
        chunks = chunks_of(stream(server, **ASKED if asked else {}))
    last = [chunk for chunk in chunks if chunk["choices"]][-1]
    own = [chunk for chunk in chunks if not chunk["choices"]]
    in_choice, at_top, in_chunk = PLACES[place]
    assert ("usage" in last["choices"][0], "usage" in last, bool(own)) == (in_choice, at_top, in_chunk and asked)


@pytest.mark.parametrize(
    ("cached_in", "told"),
    [("usage", (True, False)), ("details", (False, True)), ("both", (True, True)), ("none", (False, False))],
)
def test_the_prefix_cache_is_told_in_either_place(cached_in, told):
    with serve(say("one"), gateway=Gateway(cached_in=cached_in)) as server:
        post(server)
        usage = json.loads(post(server)[1])["usage"]
    known = server.ledger[1].cached
    assert known > 0
    assert (usage.get("cached_tokens"), usage.get("prompt_tokens_details")) == (
        known if told[0] else None,
        {"cached_tokens": known} if told[1] else None,
    )


def usage_told(told, cap=1000):
    with serve(WRITES, WRITES, gateway=Gateway(told=told)) as server:
        usage = json.loads(post(server, tools=[TOOL], max_completion_tokens=cap)[1])["usage"]
    true, said_so = server.bills[0].usage, server.bills[0].told
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (said_so.prompt, said_so.completion)
    return true, said_so


def test_usage_can_be_less_than_the_bill():
    true, told = usage_told("deflated")
    assert told == Usage(prompt=true.prompt // 2, completion=true.completion // 2)


@pytest.mark.parametrize(
    ("told", "prompt", "cached", "completion"),
    [
        ("zero", 0, 0, 0),
        ("negative", -1, 0, -1),
        ("excessive", 100, 0, 100),
        ("overcached", 1, None, 1),
        ("scant", None, 0, None),
    ],
)
def test_usage_can_be_what_cannot_be_true(told, prompt, cached, completion):
    """Of each figure how many times the true one is told; None: something else."""
    true, said_so = usage_told(told)
    wrong = Usage(prompt=1, completion=1) if told == "scant" else replace(true, cached=true.prompt + 1)
    if None not in (prompt, cached):
        wrong = Usage(prompt=prompt * true.prompt, cached=cached, completion=completion * true.completion)
    assert said_so == wrong
    with serve(replace(WRITES, told=told), WRITES) as server:
        post(server, tools=[TOOL])
    assert server.bills[0].told == wrong
    assert server.bills[0].usage == true


@pytest.mark.parametrize("cap", [1000, BYTES - 20])
def test_usage_can_be_more_than_the_bill_but_no_more_than_a_token_a_byte_and_the_cap(cap):
    true, told = usage_told("inflated", cap)
    assert true.prompt < told.prompt == sum(n for _, n in prompt_units({"tools": [TOOL], "messages": [USER]}, "bytes"))
    assert true.completion < told.completion == min(BYTES, cap)
    assert usage_told("exact") == (true, true)


def test_a_reply_is_cut_at_the_cap_that_was_asked_for():
    with serve(WRITES, gateway=Gateway(tokenizer="bytes")) as server:
        for cap in range(1, BYTES + 3):
            choice = json.loads(post(server, tools=[TOOL], max_completion_tokens=cap)[1])["choices"][0]
            message, used = choice["message"], server.ledger[-1].completion
            assert used <= cap
            assert choice["finish_reason"] == ("length" if cap < BYTES else "tool_calls")
            assert WRITES.reasoning.startswith(message["reasoning_content"])
            assert WRITES.say.startswith(message["content"] or "")
            for made in message.get("tool_calls", ()):
                assert WRITES.calls[0].text.startswith(made["function"]["arguments"])
    with serve(WRITES) as server:
        assert spoken(post(server, tools=[TOOL], max_completion_tokens=4))["reasoning_content"] == "Let me "


def test_the_cap_goes_by_either_name_and_there_is_one_without():
    assert (cap_of({}), cap_of({"max_tokens": 5}), cap_of({"max_completion_tokens": 6})) == (DEFAULT_CAP, 5, 6)


def test_a_hostile_tokenizer_makes_a_token_of_each_byte_and_overflows_sooner():
    gateway = Gateway(tokenizer="bytes")
    with serve(say("é" * 10), gateway=gateway) as server:
        post(server, [{"role": "user", "content": "ü" * 50}])
        assert server.ledger == [Usage(prompt=len("user") + 100 + 4, completion=20)]
        long = {"role": "user", "content": "x" * 262_100}
        assert "exceeded model token limit" in refused(post(server, [long]))
    with serve(say("é" * 10)) as server:
        assert spoken(post(server, [long]))


def test_each_byte_that_a_model_reads_of_a_conversation_is_a_token_to_a_hostile_tokenizer():
    made = {"id": "a:0", "type": "function", "function": {"name": "write_file", "arguments": '{"path": "ä"}'}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "é"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "reasoning_content": "Hm\n", "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "a:0", "content": "ok"},
    ]
    read = ["useréb", 'assistantHm\na:0write_file{"path": "ä"}', "toola:0ok"]
    units = prompt_units({"tools": [TOOL], "messages": messages}, "bytes")
    offered = len(json.dumps([TOOL], separators=(",", ":")))
    assert [tokens for _, tokens in units] == [offered + 4, *(len(text.encode()) + 4 for text in read)]


@pytest.mark.parametrize("text", ["", "one two  three", "é" * 5, "a_b-c\n\n x", "\U0001f600!"])
@pytest.mark.parametrize("tokenizer", ["quarter", "bytes"])
def test_the_first_tokens_are_as_many_as_fit(text, tokenizer):
    assert count_tokens(text, tokenizer) <= len(text.encode())
    for limit in range(20):
        first = first_tokens(text, limit, tokenizer)
        assert text.startswith(first)
        assert count_tokens(first, tokenizer) <= limit
    assert first_tokens(text, 1000, tokenizer) == text
