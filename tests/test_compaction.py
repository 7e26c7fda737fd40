"""Room in a conversation: what is bulky and old is put aside and can be read again; what a run rests on stays."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import events as e
from agent.events import Outcome, Say
from agent.folding import apply, fold
from agent.journal import Entry
from agent.ledger import reserve
from agent.loop import run
from agent.messages import Message, ToolCall
from agent.models import ModelError, Request
from agent.state import Due, due
from agent.task import Limits
from tests.kits import (
    PLAN,
    TESTS,
    TOOLS,
    QueuedModel,
    World,
    call,
    compactor,
    edit,
    folded,
    open_journal,
    report,
    started,
    turn,
)

LONG = "x = 1  # a line of a file\n" * 200
RED, GREEN = report(a="failed"), report(a="passed")


def asked(*calls, reasoning=None):
    return Message(role="assistant", reasoning=reasoning, tool_calls=calls)


def answered(call, content):
    return Message(role="tool", content=content, tool_call_id=call.id)


def a_call(number, name="read_file", **arguments):
    return ToolCall(id=f"functions.{name}:{number}", name=name, arguments=json.dumps(arguments or {"path": "x"}))


def conversation(turns, *, context=20_000, reasoning=None):
    """A state whose model read as many long files, each in a turn of its own."""
    messages = [Message(role="system", content="You mend."), Message(role="user", content="Mend it.")]
    for number in range(turns):
        read = a_call(number)
        messages += [asked(read, reasoning=reasoning), answered(read, f"file {number}\n{LONG}")]
    return replace(folded(started(context=context)), messages=tuple(messages))


def after(state, event):
    return apply(state, Entry(seq=1, at=state.at, event=event))


def test_nothing_is_put_aside_while_there_is_room():
    assert not compactor().due(conversation(3, context=262_144))
    assert compactor().due(conversation(20))


def test_the_oldest_outputs_give_way_to_pointers_and_can_be_read_again():
    kept = {}
    state = conversation(16)
    event = compactor(kept).compact(state)
    made = after(state, event)

    changed = [each.index for each in event.shortened]
    assert changed == sorted(changed)
    assert changed[0] == 3, "the first answer"
    assert event.after <= 0.5 * 20_000 < event.before
    first = made.messages[3].content
    assert first == f"file 0 [… {len(LONG) + 7:,} characters put aside to save room: read_output with id=a0]"
    assert kept["a0"].decode() == f"file 0\n{LONG}"
    assert made.messages[-1] == state.messages[-1], "the newest stays"
    assert made.messages[:2] == state.messages[:2], "and so does what the user said"
    assert made.remarks == (Say.COMPACTED,)
    assert [message.tool_call_id for message in made.messages] == [m.tool_call_id for m in state.messages]


def test_what_was_written_is_put_aside_within_its_arguments():
    write = a_call(0, "write_file", path="a.py", content=LONG, nested={"deep": [LONG, 1]})
    state = conversation(16)
    state = replace(state, messages=(*state.messages[:2], asked(write), answered(write, "ok"), *state.messages[2:]))
    made = after(state, compactor().compact(state))

    arguments = json.loads(made.messages[2].tool_calls[0].arguments)
    assert arguments["path"] == "a.py"
    assert arguments["content"].startswith("x = 1  # a line of a file [… ")
    assert arguments["nested"]["deep"][1] == 1


def test_the_plan_and_the_last_test_result_stay():
    plan, tests = a_call(0, "submit_plan", summary=LONG), a_call(1, "run_tests", tests=[])
    state = conversation(20)
    opening = (asked(plan), answered(plan, "taken"), asked(tests), answered(tests, f"Tests: 1 failed\n{LONG}"))
    state = replace(state, messages=(*state.messages[:2], *opening, *state.messages[2:]))
    made = after(state, compactor().compact(state))

    assert made.messages[2:6] == opening


def test_reasoning_goes_last_and_its_field_stays():
    state = conversation(40, reasoning="because " * 400, context=8_000)
    made = after(state, compactor().compact(state))

    assert made.messages[2].reasoning == ""
    assert made.messages[-2].reasoning == state.messages[-2].reasoning


def test_where_there_is_nothing_to_gain_nothing_is_broken():
    small = tuple(Message(role="user", content="word " * 100) for _ in range(400))
    assert compactor().compact(replace(conversation(0), messages=small)) is None


def test_what_was_billed_bounds_what_is_left_of_it():
    state = replace(conversation(16), prefix=(20, 9_000))
    event = compactor().compact(state)
    made = after(state, event)
    pointers = sum(each.message.size for each in event.shortened if each.index < 20)

    assert made.prefix == (20, 9_000 + pointers)
    request = Request(messages=made.messages, tools=TOOLS, max_tokens=2_048)
    rest = sum(message.size for message in made.messages[20:])
    assert reserve(made, request).tokens >= 9_000 + pointers + rest + 1_024


def test_after_it_what_was_answered_before_may_be_asked_again():
    state = conversation(16)
    read = a_call(0)
    state = replace(state, habits=replace(state.habits, made=(), answers=frozenset({"x"})))
    made = after(state, compactor().compact(state))
    assert (made.habits.answers, made.habits.answered_by(read, state.tree)) == (frozenset(), "")


@given(sizes=st.lists(st.tuples(st.integers(0, 6_000), st.integers(0, 6_000)), min_size=4, max_size=25))
def test_no_call_is_parted_from_its_answer_and_the_conversation_only_shrinks(sizes):
    messages = [Message(role="system", content="s"), Message(role="user", content="u")]
    for number, (written, told) in enumerate(sizes):
        made = a_call(number, "write_file", content="w" * written)
        messages += [asked(made, reasoning="r" * told), answered(made, "t" * told)]
    state = replace(folded(started(context=9_000)), messages=tuple(messages))
    event = compactor().compact(state)
    if event is None:
        return
    shrunk = after(state, event).messages

    assert event.after < event.before
    assert [(m.role, m.tool_call_id, [c.id for c in m.tool_calls]) for m in shrunk] == [
        (m.role, m.tool_call_id, [c.id for c in m.tool_calls]) for m in messages
    ]
    assert all(json.loads(c.arguments) for m in shrunk for c in m.tool_calls)
    assert all((m.reasoning is None) == (n.reasoning is None) for m, n in zip(shrunk, messages, strict=True))


# In a run


class Overflowing:
    """Refuses a conversation that is longer than `most` characters, as a server with a smaller context does."""

    name = "overflowing"

    def __init__(self, most, *replies):
        self.most, self.replies, self.refused = most, replies, 0

    def complete(self, request):
        if sum(len(message.text) for message in request.messages) > self.most:
            self.refused += 1
            raise ModelError("overflow", "Your request exceeded model token limit", billed=False)
        said = sum(message.role == "assistant" for message in request.messages)
        return self.replies[said]


def driven(path, world, model, first):
    kit = world.kit()
    asker = replace(asker_of(kit), model=model)
    with open_journal(path) as journal:
        journal.append(first)
        run(journal, replace(kit, ask=asker.ask))
        return fold(journal.entries), [entry.event for entry in journal.entries]


def asker_of(kit):
    return kit.ask.__self__


READS = tuple(turn(call("look", at=str(number))) for number in range(12))


def test_an_overflow_makes_room_once_and_the_run_goes_on(tmp_path):
    world = World(reports={"base": RED, "good": GREEN}, answers={"look": f"file\n{LONG}"})
    model = Overflowing(40_000, turn(PLAN), *READS, turn(edit("good"), TESTS))
    state, events = driven(tmp_path / "j", world, model, started())

    assert state.outcome is Outcome.PASSED
    assert model.refused >= 1
    refusals = [n for n, event in enumerate(events) if isinstance(event, e.CallFailed)]
    assert all(isinstance(events[n + 1], e.Compacted) for n in refusals)
    assert state.spent.dollars < 1


def test_an_overflow_that_nothing_helps_ends_the_run_cleanly(tmp_path):
    model = Overflowing(10, turn(PLAN))
    state, _ = driven(tmp_path / "j", World(reports={"base": RED}), model, started())

    assert state.outcome is Outcome.OUT_OF_BUDGET
    assert "does not fit the model's context" in state.reason
    assert model.refused == 1


def test_a_second_overflow_in_a_row_is_the_end(tmp_path):
    world = World(reports={"base": RED}, answers={"look": f"file\n{LONG}"})

    class Shrinking(Overflowing):
        def complete(self, request):
            if self.refused:
                self.most = 10
            return super().complete(request)

    model = Shrinking(30_000, turn(PLAN), *READS)
    state, events = driven(tmp_path / "j", world, model, started())

    assert (state.outcome, model.refused) == (Outcome.OUT_OF_BUDGET, 2)
    assert sum(isinstance(event, e.Compacted) for event in events) == 1


def test_room_is_made_before_the_context_is_full_and_the_prefix_is_broken_seldom(tmp_path):
    world = World(reports={"base": RED, "good": GREEN}, answers={"look": f"file\n{LONG}"})
    outcomes = [turn(PLAN, usage=None), *[turn(call("look", at=str(n)), usage=None) for n in range(40)]]
    model = QueuedModel([*outcomes, turn(edit("good"), TESTS)])
    state, events = driven(tmp_path / "j", world, model, started(context=24_000, limits=Limits(dollars=9.0)))

    assert state.outcome is Outcome.PASSED
    compactions = [event for event in events if isinstance(event, e.Compacted)]
    assert 2 <= len(compactions) <= 5
    breaks = 0
    for earlier, later in zip(model.requests, model.requests[1:], strict=False):
        breaks += later.messages[: len(earlier.messages)] != earlier.messages
    assert breaks == len(compactions)
    measure = compactor().measure
    assert max(measure(request.messages) for request in model.requests) <= 0.85 * 24_000


def test_the_remark_is_said_with_the_next_prompt():
    state = conversation(16)
    made = after(replace(state, say=None), compactor().compact(state))
    assert due(replace(made, environment=object(), baseline=RED)) is Due.PROMPT


@pytest.mark.parametrize("arguments", ["not json", "[1]"])
def test_arguments_that_are_no_object_are_left_alone(arguments):
    odd = ToolCall(id="o", name="write_file", arguments=arguments + " " * 1_000)
    state = conversation(16)
    state = replace(state, messages=(*state.messages[:2], asked(odd), answered(odd, "bad"), *state.messages[2:]))
    assert after(state, compactor().compact(state)).messages[2].tool_calls == (odd,)
