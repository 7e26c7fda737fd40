"""Asking: what is sent, what is waited for, and what each failure becomes."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from agent import events as e
from agent.asking import Asker, as_it_is
from agent.errors import ModelProblem, ProviderRefused, UsageProblem
from agent.events import Outcome
from agent.ledger import reserve
from agent.loop import run
from agent.messages import Message, Usage, digest_of
from agent.models import ModelError, Rendered, Request
from agent.models.retry import delay
from agent.task import Limits
from tests.kits import TOOLS, USAGE, QueuedModel, World, blocked, compactor, folded, open_journal, report, started, turn

USER = Message(role="user", content="Make it work.")
BUSY = ModelError("rate_limited", "slow down", retryable=True, billed=False)


@dataclass
class Bench:
    """An asker over a queue of outcomes, with what it waited for and what it asked of the policy of retries."""

    outcomes: list
    delays: list = field(default_factory=list)
    slept: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    left: list = field(default_factory=list)
    rendered: Callable[[Request], Rendered] = as_it_is

    def __post_init__(self):
        self.model = QueuedModel(self.outcomes)
        clock = itertools.count(0, 10)  # each look at it is ten seconds later
        self.asker = Asker(
            model=self.model,
            tools=TOOLS,
            delay=self.delay,
            sleep=self.slept.append,
            rendered=self.rendered,
            clock=lambda: float(next(clock)),
            compactor=compactor(),
        )

    def delay(self, error, failures, left):
        self.asked.append((error.kind, failures))
        self.left.append(left)
        return self.delays.pop(0) if self.delays else None


def ready(*events: e.Event, **setting):
    return folded(started(**setting), e.Prompted(about=e.Say.PLAN, messages=(USER,)), *events)


def test_the_worst_case_is_reserved_before_the_request_is_sent():
    bench = Bench([turn(text="Hm.")])
    events = bench.asker.ask(ready())
    assert isinstance(next(events), e.CallReserved)
    assert bench.model.requests == []
    assert isinstance(next(events), e.ModelReplied)
    assert len(bench.model.requests) == 1


def test_the_reply_is_written_down_whole():
    reply = turn(blocked("no"), text="Hm.", stop="tool_calls")
    *_, event = Bench([reply]).asker.ask(ready())
    assert event == e.ModelReplied(message=reply.message, usage=USAGE, stop_reason="tool_calls", request_id="")


def test_what_the_client_had_to_change_is_written_down():
    *_, event = Bench([replace(turn(text="Hm."), note="1 tool call dropped")]).asker.ask(ready())
    assert event.note == "1 tool call dropped"


def test_usage_that_is_not_believed_is_written_down_with_the_reason():
    lie = Usage(prompt=9_000, completion=40)
    reserved, event = Bench([replace(turn(text="Hm.", usage=lie), note="1 tool call dropped")]).asker.ask(ready())
    most = reserved.tokens - reserved.max_tokens
    assert event.usage == lie
    assert event.note == (
        f"1 tool call dropped; the usage is not believed: a prompt of at most {most} tokens cannot be one of 9,000"
    )
    assert folded(started(), reserved, event).spent.dollars == reserved.dollars


def test_what_goes_out_is_reserved_for_and_its_form_written_down():
    longer = Message(role="user", content="x" * 5_000)
    bench = Bench([turn(text="Hm.")], rendered=lambda r: Rendered(request=replace(r, messages=(longer,)), form="text"))
    reserved, event = bench.asker.ask(ready())
    whole = reserve(ready(), Request(messages=(longer,), tools=TOOLS, max_tokens=2048), "text")
    assert reserved == replace(whole, digest=digest_of((USER,)))
    assert bench.model.requests[0].messages == (USER,)
    assert event.form == "text"


def test_the_whole_conversation_is_sent_with_the_cap_that_was_reserved():
    bench = Bench([turn(text="Hm.")])
    reserved, _ = bench.asker.ask(ready(limits=Limits(tokens=1_500), max_output=32_768))
    (request,) = bench.model.requests
    assert (request.messages, request.tools, request.max_tokens) == ((USER,), TOOLS, reserved.max_tokens)
    assert request.max_tokens < 1_500


def test_the_reservation_names_the_conversation_that_is_sent():
    reserved, reply = Bench([turn(text="Hm.")]).asker.ask(ready())
    assert reserved.digest == digest_of((USER,))
    state = folded(started(), e.Prompted(about=e.Say.PLAN, messages=(USER,)), reserved, reply)
    assert next(Bench([turn()]).asker.ask(state)).digest == digest_of((USER, reply.message))


def test_what_the_budget_does_not_cover_is_not_sent():
    bench = Bench([])
    assert [*bench.asker.ask(ready(limits=Limits(tokens=100)))] == [
        e.BudgetExhausted(reason="the next call could pass the budget of 100 tokens (0 spent)")
    ]
    assert bench.model.requests == []


def test_a_failure_with_a_wait_is_written_down_and_left_to_the_next_step():
    bench = Bench([BUSY], delays=[2.5])
    _, failed = bench.asker.ask(ready())
    assert failed == e.CallFailed(error="rate_limited", message="slow down", billed=False, wait=2.5)
    assert bench.asked == [("rate_limited", 1)]


def test_the_wait_comes_before_the_next_reservation_and_failures_are_counted():
    failed = e.CallFailed(error="rate_limited", message="slow down", billed=False, wait=2.5)
    reserved = e.CallReserved(dollars=0.1, tokens=10, max_tokens=5)
    bench = Bench([BUSY], delays=[5.0])
    events = bench.asker.ask(ready(reserved, failed, reserved, failed))
    assert isinstance(next(events), e.CallReserved)
    assert bench.slept == [2.5]
    next(events)
    assert bench.asked == [("rate_limited", 3)]


@pytest.mark.parametrize("ending", ["reply", "session"])
def test_failures_are_counted_anew_after_a_reply_and_in_a_new_session(ending):
    failed = e.CallFailed(error="rate_limited", message="slow down", billed=False, wait=2.5)
    reserved = e.CallReserved(dollars=0.1, tokens=10, max_tokens=5)
    reply = e.ModelReplied(message=Message(role="assistant", content="Hm."), usage=None, stop_reason="stop")
    fresh = reply if ending == "reply" else e.SessionStarted(pid=1, version="0")
    bench = Bench([BUSY], delays=[5.0])
    list(bench.asker.ask(ready(reserved, failed, fresh)))
    assert bench.slept == [0.0]
    assert bench.asked == [("rate_limited", 1)]


@pytest.mark.parametrize(
    ("kind", "error", "exit_code"),
    [
        ("auth", ProviderRefused, 7),
        ("quota", ProviderRefused, 7),
        ("filtered", ProviderRefused, 7),
        ("refused", UsageProblem, 2),
        ("rate_limited", ModelProblem, 5),
        ("overloaded", ModelProblem, 5),
        ("transport", ModelProblem, 5),
        ("empty", ModelProblem, 5),
        ("starved", ModelProblem, 5),
    ],
)
def test_a_failure_without_another_attempt_is_written_down_and_then_raised(kind, error, exit_code):
    bench = Bench([ModelError(kind, "so it is", hint="do this")])
    events = bench.asker.ask(ready())
    next(events)
    assert next(events) == e.CallFailed(error=kind, message="so it is", billed=True, wait=None)
    with pytest.raises(error, match="so it is") as raised:
        next(events)
    assert type(raised.value) is error
    assert raised.value.hint.startswith("do this")
    assert raised.value.exit_code == exit_code


def test_a_failure_without_a_hint_says_that_the_run_can_be_resumed():
    with pytest.raises(ModelProblem) as raised:
        list(Bench([ModelError("transport", "cut off")]).asker.ask(ready()))
    assert raised.value.hint == "`greenward resume r1` goes on: nothing is lost"


@pytest.mark.parametrize("kind", ["refused", "filtered"])
def test_what_would_be_refused_again_is_not_to_be_resumed(kind):
    with pytest.raises(Exception, match="no") as raised:
        list(Bench([ModelError(kind, "no", hint="do this")]).asker.ask(ready()))
    assert raised.value.hint == "do this"


def test_a_wait_is_measured_by_what_is_left_of_the_wall_clock():
    spent = [e.SessionStarted(pid=1, version="0"), e.Prompted(about=e.Say.HINT, messages=(USER,))]
    bench = Bench([BUSY], delays=[1.0])
    state = folded(
        started(limits=Limits(seconds=100.0)), e.Prompted(about=e.Say.PLAN, messages=(USER,)), *spent, tick=5.0
    )
    assert state.spent.seconds == 10.0
    list(bench.asker.ask(state))
    assert bench.left == [70.0], "100 s, 10 s of them spent before, 10 s until the call, and 10 s in it"


def test_a_wait_that_does_not_fit_into_the_run_ends_it_at_once_and_says_so():
    asked = ModelError("rate_limited", "HTTP 429", retryable=True, billed=False, retry_after=3_600.0)
    bench = Bench([asked])
    policy = replace(bench.asker, delay=lambda error, n, left: delay(error, n, random=lambda: 0.0, remaining=left))
    with pytest.raises(ModelProblem) as raised:
        list(policy.ask(ready(limits=Limits(seconds=100.0))))
    assert raised.value.message == "HTTP 429; it asks to wait 3600 s, and the run has 80 s left"
    assert "`greenward resume r1`" in raised.value.hint
    patient = Bench([asked])
    policy = replace(patient.asker, delay=policy.delay)
    *_, failed = policy.ask(ready(limits=Limits(seconds=4_000.0)))
    assert failed.wait == 3_600.0


def test_a_call_has_only_the_time_that_is_not_kept_for_the_last_verdict():
    bench = Bench([turn(text="Hm.")])
    list(bench.asker.ask(ready(limits=Limits(seconds=100.0))))
    assert bench.model.requests[0].seconds == 80.0, "10 s are kept, and 10 s were gone"


def test_a_call_that_time_ended_ends_the_run_by_its_budget():
    cut = ModelError("transport", "it took longer than its deadline", retryable=True)
    bench = Bench([cut])
    *_, failed, exhausted = bench.asker.ask(ready(limits=Limits(seconds=25.0)))
    assert failed == e.CallFailed(error="transport", message=cut.message, billed=True, usage=None, wait=0.0)
    assert exhausted == e.BudgetExhausted(reason="the budget of 25 seconds is spent")
    assert bench.asked == [], "no other try is thought of"


def test_no_call_begins_when_its_time_went_by_waiting():
    bench = Bench([turn(text="Hm.")])
    events = list(bench.asker.ask(ready(limits=Limits(seconds=12.0))))
    assert events == [e.BudgetExhausted(reason="the budget of 12 seconds is spent")]
    assert bench.model.requests == []


STARVED = e.CallFailed(error="starved", message="cut", billed=True, usage=USAGE, wait=0.5)
EMPTY = replace(STARVED, error="empty")


@pytest.mark.parametrize(
    ("failures", "cap", "think"),
    [
        ([], 2048, True),
        ([EMPTY, EMPTY], 2048, True),
        ([STARVED], 4096, True),
        ([STARVED, EMPTY], 4096, True),
        ([STARVED, STARVED], 4096, False),
        ([STARVED, STARVED, STARVED], 4096, False),
    ],
)
def test_a_reply_that_reasoning_used_up_is_given_more_room_and_then_asked_for_without(failures, cap, think):
    bench = Bench([turn(text="Hm.")])
    reserved, _ = bench.asker.ask(ready(*failures))
    (request,) = bench.model.requests
    assert (request.max_tokens, reserved.max_tokens, request.think) == (cap, cap, think)


def test_after_a_reply_reasoning_is_trusted_again():
    reply = e.ModelReplied(message=Message(role="assistant", content="Hm."), usage=None, stop_reason="stop")
    bench = Bench([turn(text="Hm.")])
    list(bench.asker.ask(ready(STARVED, STARVED, reply)))
    assert (bench.model.requests[0].max_tokens, bench.model.requests[0].think) == (2048, True)


def test_a_conversation_that_overflows_the_context_ends_the_run_without_an_error():
    bench = Bench([ModelError("overflow", "300000 tokens", billed=False)])
    *_, failed, exhausted = bench.asker.ask(ready())
    assert failed.error == "overflow"
    assert exhausted == e.BudgetExhausted(reason="the conversation does not fit the model's context: 300000 tokens")


def test_an_error_of_ours_is_not_taken_for_the_models():
    class Broken:
        name = "broken"

        def complete(self, request):
            raise ZeroDivisionError

    asker = Asker(
        model=Broken(), tools=(), delay=lambda _e, _n, _left: 1.0, sleep=lambda _s: None, compactor=compactor()
    )
    with pytest.raises(ZeroDivisionError):
        list(asker.ask(ready()))


# In the loop


RED = World(reports={"base": report(a="failed")})


def ask_in_the_loop(path, bench, **setting):
    with open_journal(path) as journal:
        if not journal.entries:
            journal.append(started(**setting))
        outcome = run(journal, replace(RED.kit(), ask=bench.asker.ask))
        return outcome, journal.entries


def test_a_run_waits_out_a_busy_provider_and_pays_for_the_reply_alone(tmp_path):
    bench = Bench([BUSY, BUSY, turn(blocked("no"))], delays=[1.0, 2.0])
    outcome, entries = ask_in_the_loop(tmp_path / "journal.jsonl", bench)
    assert outcome is Outcome.BLOCKED
    assert bench.slept == [0.0, 1.0, 2.0]
    spent = folded(*[entry.event for entry in entries]).spent
    assert (spent.calls, spent.tokens, spent.usage) == (3, USAGE.prompt + USAGE.completion, USAGE)


def test_a_run_that_gave_up_is_taken_up_again_without_waiting(tmp_path):
    path = tmp_path / "journal.jsonl"
    failing = Bench([BUSY, BUSY], delays=[1.0])
    with pytest.raises(ModelProblem):
        ask_in_the_loop(path, failing)
    bench = Bench([turn(blocked("no"))])
    assert ask_in_the_loop(path, bench)[0] is Outcome.BLOCKED
    assert bench.slept == [0.0]


def test_calls_that_are_billed_and_fail_spend_the_budget_until_it_ends(tmp_path):
    bench = Bench([ModelError("transport", "cut off") for _ in range(50)], delays=[0.0] * 50)
    outcome, entries = ask_in_the_loop(tmp_path / "journal.jsonl", bench, limits=Limits(dollars=0.02))
    assert outcome is Outcome.OUT_OF_BUDGET
    spent = folded(*[entry.event for entry in entries]).spent
    assert 0.015 < spent.dollars <= 0.02
    assert spent.usage == Usage()
    assert len(bench.model.requests) == spent.calls


def test_an_overflow_is_the_end_of_the_run(tmp_path):
    bench = Bench([ModelError("overflow", "300000 tokens", billed=False)])
    assert ask_in_the_loop(tmp_path / "journal.jsonl", bench)[0] is Outcome.OUT_OF_BUDGET
