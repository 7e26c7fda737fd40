"""Faults by chance: the same ones for a seed, never more than a client gets through, and what the real client does."""

from collections import Counter
from dataclasses import replace

import pytest

from agent.errors import UsageProblem
from agent.messages import Message
from agent.models import ModelError
from agent.models.chaos import ALL_KINDS, KINDS, Chaos, Dealer
from agent.models.openai import Endpoint, OpenAIModel
from agent.models.retry import delay
from agent.models.scenario import FAULTS, spoiled
from agent.models.script import Script, ScriptedReply, call, parse_script, say
from agent.models.server import ScriptedServer
from tests.models.fakes import ASK
from tests.models.served import TOOL, USER, post, said, spoken

FILES = ("a.py", "b.py")
WRITES = say(
    "I write two files.",
    *(call("write_file", path=path, content="x = 1\ny = 'é'\n") for path in FILES),
    reasoning="Two files are wanted.",
)
TURNS = 4
LAST = say("All is written.")
SCRIPT = Script(replies=(*(replace(WRITES, say=f"Turn {n}.") for n in range(TURNS)), LAST))
FIELDS = ("stream_options", "prompt_cache_key", "thinking", "max_completion_tokens", "tools")
ENDING = tuple(name for name, fault in FAULTS.items() if fault.effect == "end")


def dealt(chaos, replies=500, reply=WRITES):
    dealer = Dealer(chaos)
    return [dealer.deal(number, reply, FIELDS) for number in range(1, replies + 1)]


def leads_nowhere(name):
    return name is not None and FAULTS[name].effect != "whole"


def longest_row(names):
    row = longest = 0
    for name in names:
        row = row + 1 if leads_nowhere(name) else 0
        longest = max(longest, row)
    return longest


def test_a_seed_deals_the_same_and_another_one_does_not():
    assert dealt(Chaos(seed=1)) == dealt(Chaos(seed=1)) != dealt(Chaos(seed=2))


def test_the_share_of_faults_is_about_the_rate():
    assert 0.25 < sum(name is not None for name in dealt(Chaos(seed=3), 2000)) / 2000 < 0.32
    assert set(dealt(Chaos(seed=3, rate=0.0))) == {None}


def test_every_kind_is_dealt_but_those_that_end_a_run_and_those_that_wait():
    names = Counter(dealt(Chaos(seed=4, rate=1.0), 5000))
    assert set(names) - {None} == set(KINDS)
    assert not set(names) & {*ENDING, "stall", "no-tools"}
    assert set(KINDS) | {*ENDING, "stall", "no-tools"} == set(ALL_KINDS)
    assert set(dealt(Chaos(seed=4, kinds=("no-credits",)))) == {None, "no-credits"}


@pytest.mark.parametrize("in_a_row", [1, 2, 5])
def test_no_more_than_so_many_in_a_row_lead_nowhere(in_a_row):
    names = dealt(Chaos(seed=5, rate=1.0, in_a_row=in_a_row), 3000)
    assert longest_row(names) == in_a_row


def test_a_fault_is_dealt_only_where_it_makes_a_difference():
    names = set(dealt(Chaos(seed=6, rate=1.0), 5000, say("Done."))) - {None}
    assert names == {name for name in KINDS if FAULTS[name].fits(say("Done."), FIELDS)}


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="there is no fault 'nonsense'"):
        Chaos(seed=1, kinds=("nonsense",))


@pytest.mark.parametrize("numbers", [{"rate": -0.1}, {"rate": 1.1}, {"in_a_row": 0}])
def test_numbers_out_of_their_range_are_refused(numbers):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Chaos(seed=1, **numbers)


def test_a_script_has_its_chaos_in_a_table():
    text = "[chaos]\nseed = 7\nrate = 0.5\nkinds = ['cut']\nin_a_row = 1\n[[reply]]\nsay = 'x'"
    assert parse_script(text).chaos == Chaos(seed=7, rate=0.5, kinds=("cut",), in_a_row=1)
    with pytest.raises(UsageProblem, match="chaos: there is no fault 'cot'"):
        parse_script(text.replace("'cut'", "'cot'"))
    with pytest.raises(UsageProblem, match="chaos: a rate is between 0 and 1"):
        parse_script(text.replace("0.5", "2"))


def answered(request, message):
    results = tuple(
        Message(role="tool", tool_call_id=made.id, content=f"result of {made.name}") for made in message.tool_calls
    )
    return replace(request, messages=(*request.messages, message, *results, Message(role="user", content="Go on.")))


OPTIONAL = {"prompt_cache_key": "run-1", "thinking": {"type": "enabled"}}


class Conversation:
    """A client that asks again as the retry policy has it, without the waits, until the script is at its end."""

    def __init__(self, server, **settings):
        self.request = ASK
        self.failures = []
        self.given_up = None
        settings = {
            "base_url": server.base_url,
            "model": "kimi-k2.6",
            "key": "sk-a",
            "idle": 0.5,
            **OPTIONAL,
        } | settings
        self._endpoint = Endpoint(**settings)

    def run(self):
        """All replies as they were taken."""
        messages = []
        with OpenAIModel(self._endpoint) as model:
            while not messages or messages[-1].content != "All is written.":
                message = self._reply(model)
                if message is None:
                    return messages
                messages.append(message)
                self.request = answered(self.request, message)
        return messages

    def _reply(self, model):
        for attempt in range(1, 100):
            try:
                return model.complete(self.request).message
            except ModelError as error:
                self.failures.append(error)
                if delay(error, attempt, random=lambda: 0.0) is None:
                    self.given_up = error
                    return None
        raise AssertionError("the retry policy has no end")


def made_of(message):
    return message.content, tuple((made.name, made.arguments) for made in message.tool_calls)


def forms(reply):
    """What a client may make of a reply of the script, as it is and with each fault that leaves something to use."""
    for name in (None, *KINDS):
        if name is None or (FAULTS[name].effect in ("whole", "detour") and FAULTS[name].fits(reply)):
            form = spoiled(replace(reply, fault=name))
            content = "" if (name or "").startswith("leaked-into-reasoning") else form.say
            yield content, tuple((made.name, made.text or "{}") for made in form.calls)


RIGHT = {form for reply in SCRIPT.replies for form in forms(reply)}


@pytest.mark.parametrize("seed", range(30))
def test_the_client_gets_through_chaos_with_whole_replies_or_typed_errors(seed):
    chaos = Chaos(seed=seed, rate=0.4, kinds=(*KINDS, "stall") if seed % 10 == 0 else KINDS)
    with ScriptedServer(SCRIPT, chaos=chaos) as server:
        talk = Conversation(server)
        messages = talk.run()
    assert talk.given_up is None
    kinds = Counter(dict.fromkeys(("retry", "less", "whole", "detour"), 0))
    for name, count in server.dealt.items():
        kinds[FAULTS[name].effect] += count
    assert len(talk.failures) == kinds["retry"], server.dealt
    assert len(messages) == TURNS + 1 + kinds["detour"], server.dealt
    assert len(server.requests) == len(messages) + len(talk.failures) + kinds["less"]
    assert [made for made in map(made_of, messages) if made not in RIGHT] == []
    assert messages[-1].content == "All is written."
    ids = [made.id for message in messages for made in message.tool_calls]
    assert len(ids) == len(set(ids)), "ids are unique over the conversation"


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_replies_in_an_odd_form_are_the_replies_of_the_script(seed):
    kinds = tuple(name for name in KINDS if FAULTS[name].effect != "detour")
    spoils = {"leaked-into-reasoning", "leaked-into-reasoning-bare", "raw-controls", "repeated-calls"}
    chaos = Chaos(seed=seed, rate=0.6, kinds=tuple(name for name in kinds if name not in spoils))
    with ScriptedServer(SCRIPT, chaos=chaos) as server:
        messages = Conversation(server).run()
    assert server.dealt.total() > 0
    assert [message.content for message in messages] == [reply.say for reply in SCRIPT.replies]
    assert [[(made.name, made.arguments) for made in message.tool_calls] for message in messages] == [
        [(made.name, made.text) for made in reply.calls] for reply in SCRIPT.replies
    ]


@pytest.mark.parametrize("name", ENDING)
def test_what_ends_a_run_ends_it_at_once(name):
    with ScriptedServer(SCRIPT, chaos=Chaos(seed=1, rate=1.0, kinds=(name,), in_a_row=100)) as server:
        talk = Conversation(server)
        assert talk.run() == []
    assert (talk.given_up is not None, len(server.requests)) == (True, 6 if name == "rate-limit-hours" else 1)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_client_meets_the_same_faults(seed):
    def met():
        with ScriptedServer(SCRIPT, chaos=Chaos(seed=seed, rate=0.5)) as server:
            return Conversation(server).run(), server.dealt, len(server.requests)

    assert met() == met()


def test_faults_of_the_script_are_served_as_they_are_and_a_detour_is_not_counted():
    chaos = Chaos(seed=1, rate=1.0, kinds=("malformed-arguments",), in_a_row=1)
    script = Script(replies=(ScriptedReply(fault="bad-gateway"), *SCRIPT.replies), chaos=chaos)
    with ScriptedServer(script) as server:
        talk = Conversation(server)
        messages = talk.run()
    assert [error.kind for error in talk.failures] == ["overloaded"]
    assert [message.content for message in messages[:4]] == ["Turn 0.", "Turn 0.", "Turn 1.", "Turn 1."]
    assert server.dealt == {"malformed-arguments": TURNS}


def test_a_detour_that_a_client_does_not_take_is_none():
    chaos = Chaos(seed=1, rate=1.0, kinds=("malformed-arguments",), in_a_row=1)
    with ScriptedServer(SCRIPT, chaos=chaos) as server:
        wrong, right = (spoken(post(server, tools=[TOOL]))["tool_calls"][0] for _ in range(2))
        assert (wrong["function"]["arguments"] + "}", server.dealt.total()) == (right["function"]["arguments"], 1)
        assert spoken(post(server, [USER, said("x"), USER], tools=[TOOL]))["content"] == "Turn 1."


def test_a_fault_of_the_script_has_no_other_one_laid_over_it():
    script = Script(
        replies=(ScriptedReply(fault="bad-gateway"), LAST), chaos=Chaos(seed=1, kinds=("forbidden",), rate=1.0)
    )
    with ScriptedServer(script) as server:
        assert [post(server)[0] for _ in range(3)] == [502, 403, 403]
        assert server.dealt == {"forbidden": 2}


def test_what_a_reply_expects_is_looked_for_behind_a_detour():
    first, second = replace(WRITES, say="Turn 0."), replace(WRITES, say="All is written.", expect=("result of write",))
    chaos = Chaos(seed=2, rate=1.0, kinds=("cut-by-length",), in_a_row=1)
    with ScriptedServer(Script(replies=(first, second), chaos=chaos)) as server:
        contents = [message.content for message in Conversation(server).run()]
    assert contents == ["Tur", "Turn 0.", "All is ", "All is written."]
