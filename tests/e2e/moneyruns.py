"""Never more than the budget, by attack: runs under random caps, killed at random instants, against a hostile provider.

The provider makes a token of each byte, bills what never came, tells too much, nothing or nonsense of it, refuses,
breaks off and stalls. Its bill is its own: it is counted where replies are made, whatever is told of them. In each case

    the provider's bill <= what the run says it has spent <= its cap

must hold, in dollars, tokens and calls, at each kill and at the end. All of a case follows from its seed but the
instants, which a machine never hits twice. One case alone, told at length:

    python -m tests.e2e.moneyruns SEED [Afterwards]
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import exp, log
from pathlib import Path
from random import Random
from typing import IO, Self

from agent import events as e
from agent.folding import fold
from agent.journal import Entry, read_entries
from agent.messages import Usage
from agent.models.chaos import ALL_KINDS, Chaos
from agent.models.gateway import Gateway
from agent.models.reply import ScriptedReply, Told, call
from agent.models.scenario import FAULTS
from agent.models.script import Script
from agent.models.server import ScriptedServer
from agent.spending import Spent
from agent.state import Due, due
from agent.task import Limits, Prices
from tests.e2e.attacked import BROKEN, FINISHED, Job

ROOT = Path(__file__).parents[2]
NEAR = 1e-9
"""Dollars that sums of floating-point numbers may be off."""
SESSIONS = 12
"""So often a run is taken up at most; if it is not at its end by then, that is no fault."""
KILLS = 6
PATIENCE = 60.0
Sum = tuple[float, int, int]
"""Dollars, tokens and calls."""
UNITS = (("dollars", NEAR), ("tokens", 0), ("calls", 0))
"""And how far sums may be apart."""
PLENTY = Limits(dollars=1e3, tokens=10**9, calls=10_000, iterations=1_000, seconds=1e6, sandbox_seconds=1e6)
KINDS = tuple(name for name in ALL_KINDS if FAULTS[name].effect != "end")
LIES: tuple[Told, ...] = ("inflated", "zero", "negative", "excessive", "overcached", "scant")
"""What usage may tell besides the truth. Half of it is not among them: that cannot always be found out."""
DEAR = (
    "cut",
    "cut",
    "hang-up",
    "reset",
    "early-end",
    "stream-error",
    "stall",
    "server-error",
    "bad-gateway",
    "rate-limit",
)
"""Faults that cost most, or are said to cost nothing: dealt more often than all others."""
BEFORE, RESERVED, SENT, ANSWERED, SETTLED, ELSEWHERE = (
    "before a reservation was durable",
    "reserved, not sent",
    "sent, no reply yet",
    "replied, not settled",
    "settled",
    "elsewhere",
)
"""Where a kill can land."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Caps, and the provider that is to be paid within them; all by the seed."""

    seed: int
    limits: Limits
    prices: Prices
    context: int
    max_output: int
    tries: int
    script: Script


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """Where a kill landed."""

    where: str
    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRun:
    """What came of one case."""

    seed: int
    limits: Limits
    bill: Sum
    """What the provider charged."""
    booked: Sum
    """What the run says it has spent."""
    kills: tuple[Killed, ...]
    sessions: int
    outcome: str
    dealt: Counter[str]
    doubted: int
    """Replies whose usage was not believed."""
    wrong: tuple[str, ...]
    """What must not be; empty if all is well."""

    @property
    def over(self) -> float:
        """By which factor the bill passed the cap that it passed most; at most 1 if it passed none."""
        caps = (self.limits.dollars, self.limits.tokens, self.limits.calls)
        return max(paid / cap if cap else (9e9 if paid else 0.0) for paid, cap in zip(self.bill, caps, strict=True))


def case_of(seed: int) -> Case:
    """The case that a seed stands for."""
    random = Random(f"case {seed}")
    prices = random.choice([
        Prices(input=0.48, cached=0.08, output=2.0),
        Prices(input=0.95, cached=0.16, output=4.0),
        Prices(input=3.0, cached=0.3, output=15.0),
        Prices(input=0.2, cached=0.6, output=1.0),
        Prices(input=1.0, cached=0.0, output=0.0),
    ])  # fmt: skip
    max_output = random.choice([700, 2_048, 8_192])
    context = random.choice([262_144, 262_144, 24_000])
    gateway = Gateway(
        tokenizer=random.choice(["bytes", "bytes", "quarter"]),
        told=random.choice(["exact", "exact", "inflated"]),
        usage_in=random.choice(["both", "both", "chunk", "choice", "none"]),
        cached_in=random.choice(["usage", "details", "none"]),
        thinking=random.choice(["honoured", "ignored"]),
        bill_failed=True,
    )
    kinds = ALL_KINDS if random.random() < 0.2 else KINDS
    chaos = Chaos(seed=seed, rate=random.choice([0.0, 0.2, 0.4, 0.6]), kinds=kinds, in_a_row=3)
    tries = random.randint(0, 6)
    first = 6_000 * max(prices.input, prices.cached) / 1e6 + min(1_024, max_output) * prices.output / 1e6
    limits = replace(
        PLENTY,
        dollars=spread(random, 0.5 * first, 60 * first) if random.random() < 0.6 else PLENTY.dollars,
        tokens=int(spread(random, 3_000, 400_000)) if random.random() < 0.5 else PLENTY.tokens,
        calls=int(spread(random, 0.5, 40)) if random.random() < 0.5 else PLENTY.calls,
    )
    script = Script(replies=tuple(replies(random, tries)), context=context, gateway=gateway, chaos=chaos)
    return Case(
        seed=seed,
        limits=limits,
        prices=prices,
        context=context,
        max_output=max_output,
        tries=tries,
        script=script,
    )


def spread(random: Random, least: float, most: float) -> float:
    """A number between the two, each order of magnitude as likely as the next."""
    return exp(random.uniform(log(least), log(most)))


def replies(random: Random, tries: int) -> Iterator[ScriptedReply]:
    """A plan, trees that are red still, and one that is green; then whatever is asked for."""

    def said(text: str, *calls) -> Iterator[ScriptedReply]:
        thought = "Let me see what is there. " * random.choice([0, 1, 5, 20, 20, 120])
        reply = ScriptedReply(
            reasoning=thought or None,
            say=text * random.randint(0, 8),
            calls=calls,
            usage=random.random() < 0.9,
            told=random.choice(LIES) if random.random() < 0.25 else None,
            delay=random.choice([0.0, 0.002, 0.01]),
            gap=random.choice([0.0, 0.0, 0.01]),
        )
        if random.random() < 0.3:
            yield replace(reply, fault=random.choice(DEAR))
        yield reply

    yield from said("I plan it. ", call("submit_plan", summary="Mend it.", steps="Find it; mend it; test it."))
    for tree in (*(f"t{number}" for number in range(tries)), "good"):
        note = "This is what I changed, and why. " * random.randint(1, 30)
        yield from said("I try it. ", call("edit", tree=tree, note=note), call("run_tests"))
    yield ScriptedReply(calls=(call("finish", status="done"),), times=60)


class Zygote:
    """A process that forks the attacked one; stopped when left."""

    def __init__(self) -> None:
        self._told = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed when left
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.attacked"],
            cwd=ROOT,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def fork(self, job: Job) -> int:
        """Begin a job in a process of its own; returns its id, which stays its own until `ended` was called."""
        self._write(job.line())
        return int(self._read())

    def ended(self) -> int:
        """Wait for the job: its exit code, or less the signal that ended it."""
        code = int(self._read())
        self._write("reap\n")
        return code

    @property
    def told(self) -> str:
        """What the jobs wrote to their standard error."""
        self._told.seek(0)
        return self._told.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._pipe(self._process.stdin).close()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._pipe(self._process.stdout).close()
            self._told.close()

    def _write(self, line: str) -> None:
        pipe = self._pipe(self._process.stdin)
        pipe.write(line)
        pipe.flush()

    def _read(self) -> str:
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise AssertionError(f"the process that forks has ended:\n{self.told}")
        return line

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@dataclass(slots=True, kw_only=True)
class Attack:
    """One case under way."""

    case: Case
    asker: str
    zygote: Zygote
    journal: Path
    server: ScriptedServer
    random: Random
    kills: list[Killed] = field(default_factory=list)
    sessions: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Take the run up, kill it, and so on, until it has ended or was taken up often enough."""
        while self.sessions < SESSIONS:
            self.sessions += 1
            before = self.entries()
            lethal = len(self.kills) < KILLS and self.random.random() < 0.8
            code = self._session(lethal)
            if code == BROKEN:
                self.wrong.append(f"the process broke: {self.zygote.told}")
                return
            self.wrong += self._wrong(before)
            if code == FINISHED:
                return

    def _session(self, lethal: bool) -> int:
        """One process: how it ended."""
        case, trigger = self.case, self._trigger()
        pid = self.zygote.fork(
            Job(
                seed=case.seed,
                journal=str(self.journal),
                base_url=self.server.base_url,
                asker=self.asker,
                limits=case.limits,
                prices=case.prices,
                context=case.context,
                max_output=case.max_output,
                tries=case.tries,
            )
        )
        if not lethal:
            return self.zygote.ended()
        self._await(pid, *trigger)
        answered = len(self.server.answered)
        os.kill(pid, signal.SIGKILL)
        code = self.zygote.ended()
        if code == -signal.SIGKILL:
            self.kills.append(Killed(where=self._where(answered), trigger=trigger[0]))
        return code

    def _trigger(self) -> tuple[str, int, float]:
        """What to wait for before a kill: so many more lines, requests or answers, and then so many seconds."""
        after = self.random.choice(["time", "entries", "entries", "requests", "answers"])
        pause = self.random.choice([0.0, 0.0, self.random.expovariate(1 / 0.002), self.random.expovariate(1 / 0.01)])
        if after == "time":
            pause = self.random.uniform(0.0, 0.3)
        return after, self.random.randint(1, 12 if after == "entries" else 5), pause

    def _await(self, pid: int, after: str, count: int, pause: float) -> None:
        counts = {
            "time": lambda: count,
            "entries": self._lines,
            "requests": lambda: len(self.server.requests),
            "answers": lambda: len(self.server.answered),
        }
        now = counts[after]
        enough = now() + (0 if after == "time" else count)
        while now() < enough and not _is_over(pid):
            time.sleep(0.0004)
        if pause:
            time.sleep(pause)

    def _lines(self) -> int:
        return self.journal.read_bytes().count(b"\n") if self.journal.exists() else 0

    def _where(self, answered: int) -> str:
        """Where the journal and the provider say that the process was."""
        entries = self.entries()
        if not entries:
            return BEFORE
        state, last = fold(entries), entries[-1].event
        if isinstance(last, e.CallReserved) and self.asker == "Asker":
            sent = any(request.headers["x-client-request-id"] == f"{len(entries)}" for request in self.server.requests)
            return RESERVED if not sent else ANSWERED if answered == len(self.server.requests) else SENT
        if isinstance(last, e.ModelReplied | e.CallFailed):
            return SETTLED
        return BEFORE if due(state) is Due.ASK else ELSEWHERE

    def entries(self) -> list[Entry]:
        """What the journal holds; nothing if its first line was not finished."""
        return list(read_entries(self.journal)) if self.journal.exists() else []

    def bill(self, since: int = 0) -> Sum:
        """What the provider has charged, for requests that were sent when the journal had more than `since` lines."""
        bills = [bill for bill in tuple(self.server.bills) if bill.usage != Usage()]
        sent = [self.server.requests[bill.request - 1].headers["x-client-request-id"] for bill in bills]
        usages = [bill.usage for bill, lines in zip(bills, sent, strict=True) if int(lines) > since]
        total = sum(usages, Usage())
        return sum(map(self.case.prices.cost, usages)), total.prompt + total.completion, len(usages)

    def booked(self) -> Sum:
        """What the run says it has spent."""
        return _spent(self.entries())

    def _wrong(self, before: Sequence[Entry]) -> Iterator[str]:
        """What must not be, by the provider's bill, the run's books and the caps.

        `before` is what the journal held when the session began.
        """
        limits = self.case.limits
        caps: Sum = (limits.dollars, limits.tokens, limits.calls)
        sums = zip(UNITS, self.bill(), self.booked(), caps, self.bill(len(before)), _spent(before), strict=True)
        for (unit, near), billed, booked, cap, since, earlier in sums:
            if billed > booked + near:
                yield f"session {self.sessions}: {billed} {unit} billed, {booked} booked"
            if booked > cap + near:
                yield f"session {self.sessions}: {booked} {unit} booked, {cap} allowed"
            if since > cap - earlier + near:
                yield f"session {self.sessions}: {since} {unit} billed in it, {cap - earlier} were left"


def _spent(entries: Sequence[Entry]) -> Sum:
    spent = fold(entries).spent if entries else Spent()
    return spent.dollars, spent.tokens, spent.calls


def _is_over(pid: int) -> bool:
    """Whether a process has ended, and waits to be reaped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def money_run(seed: int, zygote: Zygote, asker: str = "Asker") -> MoneyRun:
    """Attack the run of a seed, and say what came of it."""
    case = case_of(seed)
    with tempfile.TemporaryDirectory() as directory, ScriptedServer(case.script) as server:
        journal = Path(directory) / "journal.jsonl"
        attack = Attack(
            case=case, asker=asker, zygote=zygote, journal=journal, server=server, random=Random(f"kills {seed}")
        )
        attack.run()
        entries = attack.entries()
        end = entries[-1].event if entries else None
        notes = [each.event.note for each in entries if isinstance(each.event, e.ModelReplied)]
        return MoneyRun(
            seed=seed,
            limits=case.limits,
            bill=attack.bill(),
            booked=attack.booked(),
            kills=tuple(attack.kills),
            sessions=attack.sessions,
            outcome=str(end.outcome) if isinstance(end, e.RunFinished) else "not at its end",
            dealt=server.dealt,
            doubted=sum("not believed" in note for note in notes),
            wrong=tuple(f"seed {seed}, {case.limits}: {wrong}" for wrong in attack.wrong),
        )


def landed(runs: Sequence[MoneyRun]) -> Counter[str]:
    """How many kills landed where."""
    return Counter(kill.where for run in runs for kill in run.kills)


def main() -> None:
    """Attack the run of one seed, and print what it was, what came of it, and what was found wrong."""
    with Zygote() as zygote:
        ran = money_run(int(sys.argv[1]), zygote, *sys.argv[2:3])
    case = case_of(ran.seed)
    print(case.limits, case.prices, case.script.gateway, case.script.chaos, sep="\n", end="\n\n")
    print(replace(ran, wrong=()), *ran.wrong, sep="\n")


if __name__ == "__main__":
    main()
