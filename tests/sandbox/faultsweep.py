"""Faults at every stage of an exchange with the engine, and what came of each: tests take a few, `bench` takes many.

An exchange is made once undisturbed, so that its stages are known by their bytes. Then it is made again for each fault,
which strikes at one of them. `Came.wrong` is what must never be: another result than that of the undisturbed exchange.
"""

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from agent.testreport import TestReport
from sandbox import Change, Command, Limits, SandboxError
from sandbox.docker import DockerSandbox
from sandbox.engine import Client, connect
from sandbox.owner import Owner
from sandbox.patience import Patience
from sandbox.setup import DockerEngine
from tests.lab import Lab
from tests.sandbox.proxy import FROM, TO, Direction, Fault, Kind, Proxy
from tests.sandbox.trees import DictTree

__all__ = ["COMMAND", "PATIENCE", "TREE", "Came", "Exchange", "Strike", "of_a_command", "of_a_suite", "stages", "sweep"]

PATIENCE = Patience(prompt=2.0, creation=2.0, first_answer=2.0, transfer=2.0, stop=0.5, end=2.0)
"""Short enough for what is swallowed to be given up on soon, and long enough for what is only slow."""
DELAY = 0.3
FLIPS = (0x01, 0x01, 0x02, 0x04, 0x10, 0x20, 0x80)
STAGE = re.compile(
    rb"(?:GET|POST|DELETE) /\S*?(?P<call>/version|/images/|/create|/json|/attach|/start|/kill|\?)\S* HTTP"
    rb"|(?:^|(?<=\n))(?P<verb>probe|facts|ping|unpack|list|mend|run|pack|stop|leave) [0-9a-f]{32}"
)
NAMES = {
    "/version": "connect", "/images/": "image", "/create": "create", "/json": "inspect", "/attach": "attach",
    "/start": "start", "/kill": "remove", "?": "remove", "probe": "handshake", "facts": "handshake",
    "ping": "handshake", "list": "list the files", "mend": "list the files", "pack": "harvest", "leave": "end",
    "stop": "run",
}  # fmt: skip

TREE = DictTree(
    [Change(path="a.py", data=b"A" * 900), Change(path="tests/test_a.py", data=b"B" * 400), Change(path="c", data=b"C")]
)
COMMAND = Command(
    script="""cat a.py; printf 'D%.0s' $(seq 300); printf 'J%.0s' $(seq 400) >"$GREENWARD_OUT/junit.xml"
        printf 'N%.0s' $(seq 300) >new; rm c; exit 3""",
    timeout=5,
    collect=("junit.xml",),
)
"""Reads what it is given, prints, leaves a report, and changes the tree."""
SUITE = {
    "sums.py": "def add(a, b):\n    return a - b\n",
    "tests/test_sums.py": "from sums import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n\n\n"
    "def test_add_nothing():\n    assert add(4, 0) == 4\n",
    "pytest.ini": "[pytest]\npythonpath = .\n",
}
"""One test fails, and one passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What an exchange came to, without what is by chance, and after how many attempts."""

    result: object
    attempts: int = 1


Exchange = Callable[[Client], Ended]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A fault, and the stage of the exchange at which it strikes."""

    stage: str
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came of an exchange under a fault."""

    strike: Strike
    struck: bool
    ended: Ended | None = None
    error: SandboxError | None = None
    wrong: bool = False


def of_a_command(image: str, method: str) -> Exchange:
    """Run `COMMAND` on `TREE` in a sandbox of its own, once."""

    def exchange(client: Client) -> Ended:
        owner = Owner.current()
        with DockerSandbox(client, image, limits=Limits(), run_id="faults", owner=owner) as sandbox:
            if method == "execute_fresh":
                return Ended(result=replace(sandbox.execute_fresh(TREE, COMMAND), seconds=0.0))
            execution = sandbox.execute(TREE, COMMAND)
        return Ended(result=(replace(execution.result, seconds=0.0), execution.tree.id, execution.refused))

    return exchange


def of_a_suite(directory: Path, *, judged: bool = False) -> Exchange:
    """Run the suite of a repository in a fresh container and in the warm one, and come to a verdict, as a run does."""
    numbers = iter(range(1_000_000))

    def exchange(client: Client) -> Ended:
        with contextlib.closing(DockerEngine(client, host=os.environ, cache=directory / "cache")) as engine:
            lab = Lab(directory / str(next(numbers)), SUITE, mode="fix", engine=engine)
            lab.place.sleep = lambda _: None
            with contextlib.closing(lab):
                lab.measured()
                lab.planned()
                tree = lab.put({"sums.py": "def add(a, b):\n    return a + b\n"})
                lab.tested(tree)
                verdict = lab.verdict() if judged else None
                found = lab.state.baseline, lab.state.report, verdict.report if verdict else None
                said = [line for line in lab.watcher.said if "trying again" in line]
            kind = (verdict.kind, verdict.reasons, verdict.control) if verdict else None
            return Ended(result=([_shown(report) for report in found], kind), attempts=1 + len(said))

    return exchange


def _shown(report: TestReport | None) -> object:
    """A report without what differs from run to run: the time that all of it took."""
    if report is None:
        return None
    cases = sorted((case.id, case.status, case.detail) for case in report.cases)
    return report.exit_code, report.problem, cases


def stages(record: Sequence[tuple[Direction, bytes]]) -> Iterator[tuple[str, Direction, range]]:
    """The stages of an exchange as it was recorded, and which bytes of a direction belong to each."""
    sent = b"".join(data for where, data in record if where == TO)
    begins = [(found.start(), _name(found)) for found in STAGE.finditer(sent)]
    for (start, name), (end, _) in zip(begins, [*begins[1:], (len(sent), "")], strict=True):
        yield name, TO, range(start, end)
    passed: dict[Direction, int] = {TO: 0, FROM: 0}
    for where, data in record:
        if where == FROM:
            name = next((name for start, name in reversed(begins) if start < passed[TO]), "connect")
            yield name, FROM, range(passed[FROM], passed[FROM] + len(data))
        passed[where] += len(data)


def _name(found: re.Match[bytes]) -> str:
    word = (found["call"] or found["verb"]).decode()
    return NAMES.get(word, word)


def strikes(record: Sequence[tuple[Direction, bytes]], kinds: Sequence[Kind], each: int, seed: int) -> list[Strike]:
    """For each kind, `each` faults in either direction of each stage, at bytes that `seed` chooses."""
    chance = Random(seed)
    found: dict[tuple[str, Direction], list[range]] = {}
    for name, where, span in stages(record):
        if span:
            found.setdefault((name, where), []).append(span)
    made = []
    for kind in kinds:
        for (name, where), spans in found.items():
            for number in range(each):
                at = _at(spans, (number + chance.random()) / each)
                fault = Fault(where=where, at=at, what=kind, seconds=DELAY, flip=chance.choice(FLIPS))
                made.append(Strike(stage=name, fault=fault))
    return made


def _at(spans: Sequence[range], share: float) -> int:
    """The byte that lies at this share of all that the spans hold."""
    left = int(sum(map(len, spans)) * share)
    for span in spans:
        if left < len(span):
            return span[left]
        left -= len(span)
    return spans[-1][-1]


def sweep(
    directory: Path,
    exchange: Exchange,
    kinds: Sequence[Kind],
    *,
    each: int = 1,
    most: int | None = None,
    seed: int = 1,
    workers: int = 1,
    patience: Patience = PATIENCE,
) -> list[Came]:
    """Make the exchange under faults of all kinds, `workers` at a time.

    There are `each` in either direction of each stage, or `most` of those, by chance.
    """
    with Proxy(directory / "first.sock") as proxy:
        proxy.arm(None)
        with contextlib.closing(connect(proxy.host)) as client:
            wanted = exchange(client)
        made = strikes(proxy.record, kinds, each, seed)
        made = made if most is None else Random(seed).sample(made, most)
    own = threading.local()
    with contextlib.ExitStack() as stack:
        numbers = iter(range(workers))

        def begin() -> None:
            own.proxy = stack.enter_context(Proxy(directory / f"{next(numbers)}.sock"))

        with ThreadPoolExecutor(max_workers=workers, initializer=begin) as pool:
            return list(pool.map(lambda strike: _came_of(own.proxy, exchange, strike, wanted, patience), made))


def _came_of(proxy: Proxy, exchange: Exchange, strike: Strike, wanted: Ended, patience: Patience) -> Came:
    proxy.arm(strike.fault)
    try:
        with contextlib.closing(connect(proxy.host, patience)) as client:
            ended = exchange(client)
    except SandboxError as error:
        return Came(strike=strike, struck=proxy.struck > 0, error=error)
    finally:
        proxy.cut()
    return Came(strike=strike, struck=proxy.struck > 0, ended=ended, wrong=ended.result != wanted.result)
