"""Doubles to run the real loop with: scripted models, and a world whose every effect follows from the state alone.

Trees are words: a tool call `edit` leaves the tree that it names, and the world says what the suite shows on each. As
nothing is counted outside the journal, a run that is cut anywhere and taken up again meets the same world.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent import events as e
from agent.approving import Approver
from agent.asking import Asker
from agent.best import best_of
from agent.compaction import Compactor
from agent.folding import fold
from agent.journal import Entry, Journal
from agent.ledger import estimate
from agent.live import Notice, Said
from agent.loop import Kit
from agent.messages import Message, ToolCall, Usage
from agent.models import Completion, ModelError, Request, ToolSpec
from agent.state import RunState, ending
from agent.task import Criterion, Limits, Mode, Plan, PlannedFile, Prices, Task
from agent.testreport import Status, TestCase, TestReport
from agent.verdict import CaseResult, Verdict, VerdictKind, Witness
from agent.watching import Silent

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
PRICES = Prices(input=0.5, cached=0.125, output=2.0)
USAGE = Usage(prompt=100, cached=20, completion=40)
TOOLS = (ToolSpec(name="edit", description="Leave a tree.", parameters={"type": "object"}),)


def started(
    mode: Mode = "fix",
    *,
    limits: Limits | None = None,
    prices: Prices = PRICES,
    context: int = 262_144,
    max_output: int = 2048,
) -> e.RunStarted:
    """The first event of a run from the tree `base`."""
    return e.RunStarted(
        run_id="r1",
        branch="greenward/work-r1",
        task=Task(mode=mode, request="Make it work.", base_commit="c0", base_tree="base"),
        limits=limits or Limits(),
        prices=prices,
        model="scripted",
        context=context,
        max_output=max_output,
        sandbox="none",
    )


def report(*, exit_code: int | None = None, problem: str = "", seconds: float = 0.0, **cases: str) -> TestReport:
    """What a suite showed: `report(a="passed", b="failed")`, with the exit code that belongs to it."""
    listed = tuple(TestCase(id=f"tests/test_x.py::{name}", status=Status(status)) for name, status in cases.items())
    red = any(case.status in (Status.FAILED, Status.ERROR) for case in listed)
    return TestReport(
        cases=listed, exit_code=int(red) if exit_code is None else exit_code, problem=problem, seconds=seconds
    )


def call(name: str, **arguments: str) -> ToolCall:
    """A tool call; its id is given by `turn`."""
    return ToolCall(id="", name=name, arguments=json.dumps(arguments))


def turn(*calls: ToolCall, text: str = "", stop: str | None = None, usage: Usage | None = USAGE) -> Completion:
    """A reply of the model."""
    numbered = tuple(
        ToolCall(id=f"{call.name}:{number}", name=call.name, arguments=call.arguments)
        for number, call in enumerate(calls)
    )
    message = Message(role="assistant", content=text, tool_calls=numbered)
    return Completion(message=message, usage=usage, stop_reason=stop or ("tool_calls" if calls else "stop"))


PLAN = call("submit_plan")
TESTS = call("run_tests")
DONE = call("finish", status="done", reason="")


def edit(tree: str) -> ToolCall:
    return call("edit", tree=tree)


def blocked(reason: str) -> ToolCall:
    return call("finish", status="blocked", reason=reason)


@dataclass(frozen=True, slots=True)
class ScriptedModel:
    """Answers the nth time with the nth reply, as the conversation has it: also after a crash."""

    replies: tuple[Completion, ...]
    name: str = "scripted"

    def complete(self, request: Request) -> Completion:
        said = sum(message.role == "assistant" for message in request.messages)
        return self.replies[said]


@dataclass(slots=True)
class QueuedModel:
    """Answers each request with the next of `outcomes`, and keeps the requests."""

    outcomes: list[Completion | ModelError]
    requests: list[Request] = field(default_factory=list)
    name: str = "queued"

    def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, ModelError):
            raise outcome
        return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the suite shows and the judge finds on each tree; a tree that is not named is green, and passes."""

    reports: Mapping[str, TestReport] = field(default_factory=dict)
    verdicts: Mapping[str, VerdictKind] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    """What tools always answer; others say something new each time."""

    def kit(self, *replies: Completion) -> Kit:
        asker = Asker(
            model=ScriptedModel(replies),
            tools=TOOLS,
            delay=lambda _error, _count, _left: None,
            sleep=lambda _seconds: None,
            compactor=compactor(),
        )
        return Kit(
            approve=Approver().approve,
            prepare=_prepare,
            measure=lambda state: iter([e.BaselineMeasured(report=self.report_on(state.base))]),
            prompt=_prompt,
            ask=asker.ask,
            call_tool=self._call_tool,
            test=lambda state: iter([e.TestsFinished(report=self.report_on(state.tree), tree=state.tree)]),
            judge=self._judge,
            commit=_commit,
            finish=_finish,
        )

    def report_on(self, tree: str) -> TestReport:
        return self.reports.get(tree, report(a="passed"))

    def _judge(self, state: RunState) -> Iterator[e.Event]:
        kind = self.verdicts.get(state.tested_tree, VerdictKind.PASSED)
        yield e.VerdictReached(verdict=Verdict(kind=kind, tree=state.tested_tree, reasons=(f"it is {kind}",)))

    def _call_tool(self, state: RunState) -> Iterator[e.Event]:
        call, tree = state.pending[0], state.tree
        arguments: dict[str, str] = json.loads(call.arguments)
        effect: e.Effect | None = None
        match call.name:
            case "edit":
                tree = arguments["tree"]
            case "submit_plan":
                effect = e.Planned(plan=Plan(summary="Do it.", steps=("Do it.",)))
            case "run_tests":
                effect = e.TestRun(report=self.report_on(tree), full=True)
            case "run_one_test":
                effect = e.TestRun(report=self.report_on(tree), full=False)
            case "unseal":
                effect = e.Unsealed(path=arguments["path"], reason=arguments["reason"])
            case "finish":
                done = arguments["status"] == "done"
                effect = e.Finish(status="done" if done else "blocked", reason=arguments["reason"])
        answer = self.answers.get(call.name, f"answer {len(state.messages)}")
        yield e.ToolReturned(call_id=call.id, name=call.name, content=answer, is_error=False, tree=tree, effect=effect)


def compactor(kept: dict[str, bytes] | None = None) -> Compactor:
    """What makes room in conversations, and keeps in `kept` what it puts aside."""
    store = kept if kept is not None else {}

    def keep(content: bytes) -> str:
        artifact = f"a{len(store)}"
        store[artifact] = content
        return artifact

    return Compactor(keep=keep, measure=lambda said: estimate(Request(messages=said, tools=TOOLS)))


def _prepare(_state: RunState) -> Iterator[e.Event]:
    yield e.EnvironmentPrepared(id="env", origin="present", cached=True, seconds=0.0, build="", test="pytest")


def _prompt(state: RunState) -> Iterator[e.Event]:
    due = [*([state.say] if state.say else []), *([e.Say.HINT] if state.hint else []), *state.remarks]
    best = best_of(state)
    yield e.Prompted(
        about=due[0],
        messages=(Message(role="user", content=" ".join(f"[{each}]" for each in due)),),
        tree=(best.tree if best else state.base) if e.Say.RETURNED in due else "",
    )


def _commit(state: RunState) -> Iterator[e.Event]:
    commit = f"c{len(state.iterations) + 1}"
    yield e.Committed(commit=commit, tree=state.tested_tree, subject=f"Leave {state.tested_tree}")


def _finish(state: RunState) -> Iterator[e.Event]:
    end = ending(state)
    assert end is not None
    yield e.RunFinished(outcome=end[0], reason=end[1], commit=state.tip, tree=state.tree)


@dataclass
class Recorder(Silent):
    """A watcher that keeps what it was told of what is not journaled."""

    noticed: list[Notice] = field(default_factory=list)

    def notice(self, notice: Notice) -> None:
        self.noticed.append(notice)

    @property
    def said(self) -> list[str]:
        """What was worth a line that stays."""
        return [notice.text for notice in self.noticed if isinstance(notice, Said)]


def open_journal(path: Path, *, tick: float = 1.0, scrub: Callable[[str], str] = lambda text: text) -> Journal:
    """The journal at `path`, by a clock that is `tick` seconds further at each entry, whichever process writes it."""
    journal = Journal(path, clock=lambda: EPOCH + timedelta(seconds=tick * len(journal.entries)), scrub=scrub)
    return journal


def folded(*events: e.Event, tick: float = 0.0) -> RunState:
    """The state after `events`, each `tick` seconds after the one before."""
    return fold(
        Entry(seq=seq, at=EPOCH + timedelta(seconds=tick * seq), event=event) for seq, event in enumerate(events)
    )


def told(say: e.Say) -> e.Prompted:
    return e.Prompted(about=say, messages=(Message(role="user", content=say),))


def replied(*names: str, stop: str = "stop") -> e.ModelReplied:
    calls = tuple(ToolCall(id=name, name=name, arguments="{}") for name in names)
    return e.ModelReplied(message=Message(role="assistant", tool_calls=calls), usage=None, stop_reason=stop)


def returned(name: str, tree: str = "base", effect: e.Effect | None = None) -> e.ToolReturned:
    return e.ToolReturned(call_id=name, name=name, content="ok", is_error=False, tree=tree, effect=effect)


def committed(tree: str) -> e.Committed:
    return e.Committed(commit=f"c-{tree}", tree=tree, subject=tree)


PREPARED = e.EnvironmentPrepared(id="env", origin="present", cached=True, seconds=0.0, build="", test="pytest")
PLANNED = returned("plan", effect=e.Planned(plan=Plan(summary="Do it.", steps=())))


def every_event() -> list[e.Event]:
    """A run in which everything happens that can happen."""
    red, green = report(a="passed", b="failed", seconds=1.5), report(a="passed", b="passed", seconds=1.5)
    shown = CaseResult(exit_code=0, output="2\n", holds=True)
    witness = Witness(
        behaviour="it adds", command="add 1 1", base=CaseResult(exit_code=1, output="", holds=False), result=shown
    )
    plan = Plan(
        summary="Mend the sum.",
        steps=("Find it.", "Mend it."),
        files=(PlannedFile(path="sum.py", purpose="add"),),
        criteria=(Criterion(behaviour="it adds", command="add 1 1", output="2"),),
        dependencies=("click>=8",),
        setup="pip install .",
        test="pytest",
        slug="mend-sum",
    )
    reserved = e.CallReserved(dollars=0.01, tokens=3_000, max_tokens=2_048)
    calls = tuple(ToolCall(id=f"edit:{number}", name="edit", arguments='{"path": "é"}') for number in range(3))

    def replied(*calls: ToolCall, usage: Usage | None) -> e.ModelReplied:
        said = Message(role="assistant", content="So.", reasoning="Hm…", reasoning_key="reasoning", tool_calls=calls)
        return e.ModelReplied(message=said, usage=usage, stop_reason="tool_calls", request_id="q1")

    def returned(call: str, tree: str, effect: e.Effect | None = None) -> e.ToolReturned:
        return e.ToolReturned(call_id=call, name="edit", content="☑", is_error=False, tree=tree, effect=effect)

    system, user = Message(role="system", content="You mend."), Message(role="user", content="Mend it.\n")
    one, two = Usage(prompt=100, cached=20, completion=10), Usage(prompt=130, cached=80, completion=20)
    return [
        started(),
        e.SessionStarted(pid=7, version="0.1.0"),
        e.EnvironmentPrepared(
            id="sha256:1", origin="pulled", cached=False, seconds=2.5, build="", test="pytest", notes=("slow",)
        ),
        e.BaselineMeasured(report=red),
        e.Prompted(about=e.Say.PLAN, messages=(system, user)),
        reserved,
        e.CallFailed(error="rate_limited", message="slow down", billed=False, wait=0.5),
        reserved,
        replied(ToolCall(id="plan:0", name="submit_plan", arguments="{}"), usage=one),
        returned("plan:0", "base", e.Planned(plan=plan)),
        e.Prompted(about=e.Say.CODE, messages=(user,)),
        reserved,
        e.SessionStarted(pid=8, version="0.1.0"),
        reserved,
        replied(*calls, usage=None),
        returned("edit:0", "edited"),
        returned("edit:1", "bad", e.TestRun(report=red, full=False)),
        returned("edit:2", "bad", e.Unsealed(path="tests/test_new.py", reason="a typo")),
        e.TestsFinished(report=red, tree="bad"),
        e.Committed(commit="c1", tree="bad", subject="Try"),
        e.Prompted(about=e.Say.RESULTS, messages=(user,)),
        reserved,
        replied(ToolCall(id="done:0", name="finish", arguments="{}"), usage=two),
        returned("done:0", "good", e.Finish(status="done")),
        e.TestsFinished(report=green, tree="good"),
        e.VerdictReached(
            verdict=Verdict(
                kind=VerdictKind.PASSED,
                tree="good",
                reasons=("all is well",),
                report=green,
                witnesses=(witness,),
                environment="sha256:1",
                test="pytest",
                seconds=3.25,
            )
        ),
        e.Committed(commit="c2", tree="good", subject="Mend the sum"),
        e.BudgetExhausted(reason="the budget of 80 calls is spent"),
        e.RunFinished(outcome=e.Outcome.PASSED, reason="judged in a fresh container", commit="c2", tree="good"),
    ]
