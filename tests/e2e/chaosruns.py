"""Whole runs against a provider that misbehaves by chance: for the tests, and in numbers for `make bench`."""

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from agent import events as e
from agent.models.chaos import ALL_KINDS, Chaos, Dealer
from agent.models.scenario import FAULTS
from agent.models.server import ScriptedServer
from tests.e2e.harness import LOCAL, RED, RIGHT, billed, branch, entries, greenward, mending, told, variables
from tests.gitrepo import git, repository

KINDS = tuple(name for name in ALL_KINDS if FAULTS[name].effect != "end")
"""Every fault but those that end a run by design, as a key that is refused."""
PATIENCE = {"GREENWARD_IDLE_TIMEOUT": "2"}
"""A reply that stands still is given up soon, so that these runs end soon."""
RATE = 0.3
CAP = 0.25
"""Dollars that a run may cost."""
MENDED = (RIGHT + RED["sums.py"][RED["sums.py"].index("\n\ndef double") :]).rstrip()
UNPROVEN, GAVE_UP, SPENT = 8, 5, 3
"""As far as a run gets where nothing isolates the tests; where the provider is down for longer than it waits; and where
replies that never came may have cost all that there was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosRun:
    """What came of one run."""

    seed: int
    code: int
    dealt: Counter[str]
    """How many faults of each kind came."""
    wrong: tuple[str, ...]
    """What must not be; empty if all is well."""


def chaos_run(seed: int, *, rate: float = RATE) -> ChaosRun:
    """Mend a red repository while the provider misbehaves in `rate` of its answers, dealt out by `seed`."""
    with tempfile.TemporaryDirectory() as directory:
        red = repository(Path(directory) / "red", RED)
        with ScriptedServer(replace(mending(), chaos=Chaos(seed=seed, rate=rate, kinds=KINDS))) as server:
            ran = greenward("fix", red, *LOCAL, "--max-cost", CAP, environment=variables(server, **PATIENCE))
            return ChaosRun(seed=seed, code=ran.code, dealt=server.dealt, wrong=tuple(wrong_with(red, server, ran)))


def wrong_with(red, server, ran):
    """Everything about a run that must not be."""
    if "Traceback" in ran.err:
        yield f"a traceback: {ran.err}"
    if ran.code not in (UNPROVEN, GAVE_UP, SPENT):
        yield f"the exit code {ran.code}: {ran.said}"
    bill, ledger = billed(server, red), told(red)
    if not bill <= ledger <= CAP:
        yield f"billed {bill}, booked {ledger}, allowed {CAP}"
    if git(red, "status", "--porcelain") or (red / "sums.py").read_text() != RED["sums.py"]:
        yield "the checkout was touched"
    last = entries(red)[-1].event
    if ran.code == GAVE_UP and not (isinstance(last, e.CallFailed) and last.wait is None):
        yield f"it gave up after {last.kind}"
    if ran.code == SPENT and not any(isinstance(entry.event, e.BudgetExhausted) for entry in entries(red)):
        yield "it ended as out of budget, and no limit was reached"
    if ran.code == UNPROVEN:
        name = branch(red)
        if git(red, "show", f"{name}:sums.py") != MENDED:
            yield "the result is not what the model wrote"
        if git(red, "diff", "--name-only", "main", name).split() != ["sums.py"]:
            yield "other files than the model's are in the result"


def dealt_by(seed):
    """The faults that a run without consequences of them would meet: one chance for each of its replies."""
    dealer = Dealer(Chaos(seed=seed, rate=RATE, kinds=KINDS))
    dealt = (dealer.deal(number, reply) for number, reply in enumerate(mending().replies, 1))
    return [name for name in dealt if name is not None]
