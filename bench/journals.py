"""Journals as they grow in long runs: what a turn takes in them, how fast they fold, and how soon a run goes on.

The run is `greenward fix` as its users start it, in the local sandbox, against a model that answers at once and then
has no credits left; what is timed is `greenward resume`, from its start to the request that it sends.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, cycle, islice
from pathlib import Path

from agent.events import Compacted, ModelReplied, RunStarted, ToolReturned
from agent.folding import fold
from agent.journal import Entry, Journal, read_entries
from agent.models.reply import ScriptedReply
from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from bench.runs import DEVELOPING, PRICES, ROOT, repository
from bench.table import Figure

__all__ = ["LongRun", "long_run", "on_journals", "resume"]

TURNS, EVENTS, TIMES = 500, 10_000, 5
FILES, CASES = 60, 200
EDIT_EACH, TEST_EACH = 10, 20
"""Turns: how often the model writes something, and how often it runs the tests."""
SECONDS = timedelta(seconds=3)
"""Between two events of the run that is folded."""
REASONING = "The price of a part is what it says, and the total is their sum. " * 16
LIMITS = ("--max-calls", "5000", "--max-iterations", "500", "--max-cost", "5000", "--max-minutes", "600")
BROKE = 7
"""The exit code where the provider refuses for want of credits."""
NO_CREDITS = ScriptedReply(status=429, error_type="exceeded_current_quota_error")


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRun:
    """A run that was cut short after many turns."""

    top: Path
    journal: Path

    @property
    def id(self) -> str:
        return self.journal.parent.name

    @property
    def entries(self) -> list[Entry]:
        return list(read_entries(self.journal))


def on_journals() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="greenward-bench-") as directory:
        run = long_run(Path(directory) / "project", TURNS)
        entries = run.entries
        yield Figure(name="appending a tool's result of 2 kB, fsynced", values=appends(entries, 200), unit="ms")
        yield Figure(name=f"fold of {EVENTS:,} events", values=folds(entries, EVENTS, TIMES), unit="s")
        turns = sum(isinstance(entry.event, ModelReplied) for entry in entries)
        size = run.journal.stat().st_size / turns
        yield Figure(name=f"journal per turn, of {turns} turns", values=[size], unit="kB")
        name = f"`resume` to first model request, after {turns} turns"
        yield Figure(name=name, values=[resume(run) for _ in range(TIMES + 1)][1:], unit="s", target=1.0)


def long_run(top: Path, turns: int) -> LongRun:
    """A run of so many turns on a new repository in `top`: each reasons for 1 kB, and two tools answer with 2 kB."""
    repository(top, project())
    with ScriptedServer(Script(replies=(*replies(turns), NO_CREDITS))) as server:
        _greenward(("fix", str(top), "--setup", "true", "--test", pytest(), *LIMITS), server)
    (journal,) = (top / ".git" / "greenward" / "runs").glob("*/journal.jsonl")
    return LongRun(top=top, journal=journal)


def resume(run: LongRun) -> float:
    """Seconds from the start of `greenward resume` to its first request; the journal is as before then."""
    before = run.journal.read_bytes()
    with ScriptedServer(Script(replies=(NO_CREDITS,), match="in-order")) as server:
        began = time.monotonic()
        _greenward(("resume", run.id, "--repo", str(run.top)), server)
    run.journal.write_bytes(before)
    return server.requests[0].at - began


def appends(entries: Sequence[Entry], times: int) -> list[float]:
    """Seconds of each of so many appends of a tool's result."""
    event = next(entry.event for entry in reversed(entries) if isinstance(entry.event, ToolReturned))
    seconds = []
    with tempfile.TemporaryDirectory(dir=ROOT) as directory, Journal(Path(directory) / "journal.jsonl") as journal:
        for _ in range(times):
            began = time.perf_counter()
            journal.append(event)
            seconds.append(time.perf_counter() - began)
    return seconds


def folds(entries: Sequence[Entry], events: int, times: int) -> list[float]:
    """Seconds of each of so many folds of a run of `events` events, made of those of `entries`."""
    first, *rest = (entry for entry in entries if not isinstance(entry.event, Compacted))
    assert isinstance(first.event, RunStarted)
    numbered = enumerate(islice(chain([first], cycle(rest)), events))
    long = [replace(entry, seq=seq, at=first.at + seq * SECONDS) for seq, entry in numbered]
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        fold(long)
        seconds.append(time.perf_counter() - began)
    return seconds


def project() -> dict[str, str]:
    """Files of 2 kB each, and a suite of which one case fails."""
    text = "".join(f"PRICE_{number} = {number}.0  # as it was agreed upon\n" for number in range(45))
    suite = (
        "import pytest\n\n\n"
        f'@pytest.mark.parametrize("number", range({CASES}))\n'
        "def test_number(number):\n    assert number\n"
    )
    return {f"parts/part{number}.py": text for number in range(FILES)} | {"tests/test_numbers.py": suite}


def replies(turns: int) -> Iterator[ScriptedReply]:
    yield say("", call("submit_plan", summary="Mend the number", steps=["Look", "Mend it"]), reasoning=REASONING)
    for number in range(1, turns):
        calls = [call("read_file", path=f"parts/part{(2 * number + each) % FILES}.py") for each in (0, 1)]
        if number % EDIT_EACH == 0:
            calls[0] = call("write_file", path="parts/made.py", content=f"made = {number}\n")
        if number % TEST_EACH == 0:
            calls[1] = call("run_tests")
        yield say(f"Turn {number}.", *calls, reasoning=REASONING)


def pytest() -> str:
    return f"env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {shlex.quote(sys.executable)} -m pytest -q -p no:cacheprovider"


def _greenward(arguments: Sequence[str], server: ScriptedServer) -> None:
    """Run the command line until the provider has no credits left.

    Raises:
        RuntimeError: it ended otherwise; what it printed is in the message.
    """
    done = subprocess.run(
        [sys.executable, "-m", "agent", *arguments, "--sandbox", "local"],
        env=_environment(server), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != BROKE:
        said = (done.stderr + done.stdout).decode(errors="replace")[-3_000:]
        raise RuntimeError(f"`greenward {arguments[0]}` ended with {done.returncode}:\n{said}")


def _environment(server: ScriptedServer) -> Mapping[str, str]:
    prices = dict(zip(("INPUT", "CACHED", "OUTPUT"), PRICES.split(","), strict=True))
    return {
        **{name: value for name, value in os.environ.items() if name not in DEVELOPING},
        **{f"GREENWARD_PRICES_{name}": value for name, value in prices.items()},
        "PYTHONPATH": str(ROOT),
        "RUNAPI_KEY": "sk-bench-0123456789",
        "GREENWARD_BASE_URL": server.base_url,
        "GREENWARD_LIMITS_TOKENS": "10000000000",
    }
