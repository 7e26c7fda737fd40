"""The process under attack: the real loop, journal, ledger and client at work on one run, until it ends or is killed.

    python -m tests.e2e.attacked

reads jobs as lines of JSON, and forks itself for each: what takes long to import is there already. It answers with the
process's id, and once that has ended with how. Only when the next line comes is the process reaped, so that until then
no other one can have its id.
"""

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import NoReturn

from agent import events as e
from agent.asking import Asker
from agent.compaction import Compactor
from agent.errors import GreenwardError, ModelProblem, UsageProblem
from agent.journal import Journal
from agent.ledger import estimate
from agent.loop import Kit, run
from agent.messages import Message, Usage
from agent.models import ModelError, Request, ToolSpec
from agent.models.openai import Endpoint, OpenAIModel
from agent.state import RunState
from agent.task import Limits, Prices
from agent.text import tokens
from tests.kits import World, compactor, report, started

FINISHED, GAVE_UP, BROKEN = 0, 5, 1
"""How it ends: with its run, in an error after which a user would resume, or in one of ours."""
ATTEMPTS = 4
WAIT = 0.002
"""Seconds between two of them."""
PATIENCE = 20.0
IDLE = 0.4
"""Seconds after which a reply that stands still is given up."""
RED, GREEN = report(a="failed", b="passed"), report(a="passed", b="passed")
WORDS = ("sum", "def", "return", "self.total", "café", "x = 1", "the", "test_add failed:", "日本", "assert", "{", "}\n")


def offered(name: str, about: str, **fields: str) -> ToolSpec:
    """A tool with fields of text."""
    properties = {field: {"type": "string", "description": text} for field, text in fields.items()}
    return ToolSpec(name=name, description=about, parameters={"type": "object", "properties": properties})


TOOLS = (
    offered("submit_plan", "Hand in what is to be done, step by step.", summary="In one line.", steps="One a line."),
    offered("edit", "Leave another tree.", tree="Its name.", note="What was done to it, in so many words as it takes."),
    offered("run_tests", "Run all tests, which ends an iteration."),
    offered("finish", "Say that it is done, or what is in the way.", status="`done` or `blocked`.", reason="Why."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that the process is told."""

    seed: int
    journal: str
    base_url: str
    asker: str
    """`Asker`, or the one that looks at the budget afterwards."""
    limits: Limits
    prices: Prices
    context: int
    max_output: int
    tries: int
    """Trees that are left before the one that mends."""

    def line(self) -> str:
        """The job as it is sent."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def parse(cls, line: str) -> "Job":
        """The job that was sent."""
        told = json.loads(line)
        return cls(**told | {"limits": Limits(**told["limits"]), "prices": Prices(**told["prices"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Afterwards:
    """Asks as other tools do: the budget is looked at before a call, and what it cost is booked once it is known.

    It is not made weaker than those: what usage does not say is estimated, and each call is counted.
    """

    model: OpenAIModel
    compactor: Compactor

    def ask(self, state: RunState) -> Iterator[e.Event]:
        """Send, if something is left; then book what came back."""
        if self.compactor.due(state) and (compacted := self.compactor.compact(state)):
            yield compacted
            return
        if over := state.spent.exceeds(state.started.limits):
            yield e.BudgetExhausted(reason=over)
            return
        time.sleep(state.wait)
        request = Request(messages=state.messages, tools=TOOLS, max_tokens=state.started.max_output)
        try:
            reply = self.model.complete(request)
        except ModelError as error:
            wait = patience(error, state.failures + 1, 0.0)
            yield self._booked(state, error.usage or Usage())
            yield e.CallFailed(error=error.kind, message=error.message, billed=True, wait=wait)
            if wait is None:
                raise ModelProblem(error.message) from error
            return
        said = Message(role="assistant", content=reply.message.text)
        yield self._booked(state, reply.usage or Usage(prompt=estimate(request), completion=tokens(said.content)))
        yield e.ModelReplied(message=reply.message, usage=None, stop_reason=reply.stop_reason)

    def _booked(self, state: RunState, usage: Usage) -> e.CallReserved:
        dollars = state.started.prices.cost(usage)
        return e.CallReserved(dollars=dollars, tokens=usage.prompt + usage.completion, max_tokens=usage.completion)


def patience(error: ModelError, failures: int, _left: float) -> float | None:
    """When to ask again: soon, and not for ever."""
    if error.again:
        return 0.0
    return WAIT if error.retryable and failures < ATTEMPTS else None


def work(job: Job) -> int:
    """Drive the run of a job on, from wherever its journal left off, and return how that ended."""
    with opened(Path(job.journal)) as journal:
        if not journal.entries:
            first = started(limits=job.limits, prices=job.prices, context=job.context, max_output=job.max_output)
            journal.append(replace(first, model="kimi-k2.6"))
        journal.append(e.SessionStarted(pid=os.getpid(), version="0"))
        endpoint = Endpoint(
            base_url=job.base_url, model="kimi-k2.6", key="sk-attacked", context=job.context, idle=IDLE, total=5.0
        )
        with OpenAIModel(endpoint, new_id=lambda: f"{len(journal.entries)}") as model:
            try:
                run(journal, kit(job, model))
            except GreenwardError:
                return GAVE_UP
    return FINISHED


def opened(path: Path) -> Journal:
    """The journal, once the process before has let go of it: whoever looks into a dead one may hold its files on."""
    patience = time.monotonic() + PATIENCE
    while True:
        try:
            return Journal(path)
        except UsageProblem:
            if time.monotonic() > patience:
                raise
            time.sleep(WAIT)


def kit(job: Job, model: OpenAIModel) -> Kit:
    """The real asker over tools and a suite that follow from the state alone, and talk at length."""
    reports = {"base": RED, "good": GREEN} | {f"t{number}": RED for number in range(job.tries)}
    world = World(reports=reports).kit()
    room = replace(compactor(), measure=lambda said: estimate(Request(messages=said, tools=TOOLS)))
    careful = Asker(model=model, tools=TOOLS, delay=patience, sleep=time.sleep, rendered=model.rendered, compactor=room)
    asker = {"Asker": careful, "Afterwards": Afterwards(model=model, compactor=room)}[job.asker]

    def prompt(state: RunState) -> Iterator[e.Event]:
        for event in world.prompt(state):
            (message,) = event.messages
            told = f"{message.content} {chatter(job.seed, state, 60)}"
            yield replace(event, messages=(replace(message, content=told),))

    def call_tool(state: RunState) -> Iterator[e.Event]:
        try:
            (event,) = world.call_tool(state)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            call = state.pending[0]
            event = e.ToolReturned(call_id=call.id, name=call.name, content=f"{error}", is_error=True, tree=state.tree)
        yield replace(event, content=f"{event.content} {chatter(job.seed, state, 300)}")

    return replace(world, ask=asker.ask, prompt=prompt, call_tool=call_tool)


def chatter(seed: int, state: RunState, most: int) -> str:
    """Text of some length; the same one at the same place of a conversation."""
    random = Random(f"{seed}:{len(state.messages)}")
    return " ".join(random.choice(WORDS) for _ in range(random.randint(1, most)))


def serve() -> None:
    """Do jobs until there are no more."""
    with OpenAIModel(Endpoint(base_url="http://127.0.0.1:1/v1", model="kimi-k2.6")) as model:
        _ = model._client().chat.completions
    gc.freeze()
    for line in sys.stdin:
        job = Job.parse(line)
        if (pid := os.fork()) == 0:
            end_with(job)
        print(pid, flush=True)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        print(ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status, flush=True)
        sys.stdin.readline()
        os.waitpid(pid, 0)


def end_with(job: Job) -> NoReturn:
    """Do a job, and end the process as that ended; an error of ours is told with its trace."""
    code = BROKEN
    try:
        code = work(job)
    finally:
        if code == BROKEN:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
