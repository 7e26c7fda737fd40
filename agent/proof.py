"""What was run and shown for a green result: bound to its tree, and complete enough to be run again. Pure."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter, ValidationError

from agent import __version__
from agent.baseline import Standings, family
from agent.events import Unsealed
from agent.retrial import Rules
from agent.state import RunState
from agent.task import Limits, Plan, Task
from agent.testreport import Again, Status, TestCase, TestReport
from agent.verdict import Verdict, VerdictKind, Witness, targets_of

__all__ = [
    "PROOF",
    "Chance",
    "Place",
    "Proof",
    "Tested",
    "Unreadable",
    "chance_of",
    "dump",
    "load",
    "proof_of",
    "report_before",
    "schema",
]

PROOF = "proof.json"
"""The file's name in the directory of a run."""
SCHEMA: Literal[1] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A commit and its tree."""

    commit: str
    tree: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """How one test ended on the base and on the result; None where there is no such test."""

    __test__: ClassVar[bool] = False

    before: Status | None
    after: Status | None
    target: bool = False
    """Whether it was to be mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What was done to tell faults from chance, and what it showed. A test that is named here may end otherwise."""

    base_runs: int
    """How many times the failures of the base were run, in each of which they failed."""
    base_runs_whole: int
    """How many of those runs were of the whole suite, in each of which the passes passed."""
    rules: Rules
    """How many runs of a test in doubt, on the result and on the base, decided what it is; each of them counts."""
    flaky: tuple[str, ...]
    """Tests that were seen both ways on the base: they decide nothing."""
    wavering: tuple[str, ...]
    """Tests that were seen both ways on trees of the work."""
    environmental: dict[str, str]
    """What tests lack that no code can give them, by their ids: whether they pass decides nothing."""
    unstable: tuple[str, ...]
    """Ids that are others in each run: only how many they are decides."""
    again: tuple[Again, ...]
    """Each test that was in doubt, and how it ended each further time on the result, and each time on the base."""

    @property
    def standings(self) -> Standings:
        """The same, as a judge goes by it."""
        known = Standings(
            flaky=frozenset(self.flaky),
            environmental=self.environmental,
            unstable=frozenset(self.unstable),
            runs=self.base_runs,
            whole=self.base_runs_whole,
        )
        return known.learning(self.again)

    def names(self, case_id: str) -> bool:
        """Whether that test may end in more than one way, or may have another id next time."""
        return case_id in {*self.flaky, *self.wavering} or family(case_id) in {family(each) for each in self.unstable}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the run had booked by then."""

    dollars: float
    calls: int
    prompt_tokens: int
    completion_tokens: int
    iterations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The journal up to the proof: how many entries, and the last link of their chain."""

    entries: int
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A verdict and the tree that it is on. It is not signed: it says what was run, and can be run again."""

    schema: Literal[1] = SCHEMA
    id: str = ""
    """The SHA-256 of all the rest, in hexadecimal."""
    greenward: str = __version__
    run: str
    at: datetime
    model: str
    task: Task
    plan: Plan | None
    base: Place
    witness_tree: str
    """Where criteria had to fail: the base, or under `new` the commit of the tests alone."""
    result: Place
    environment: str
    """The digest of the image in which it was run."""
    build: str
    test: str
    tests: dict[str, Tested]
    chance: Chance
    exit_codes: tuple[int, int]
    """Of the suite before and after."""
    witnesses: tuple[Witness, ...]
    opened: tuple[Unsealed, ...]
    """Test files that were opened for changes."""
    control: str
    notes: tuple[str, ...]
    verdict: VerdictKind
    cost: Cost
    limits: Limits
    journal: Link


class Unreadable(ValueError):
    """What is said to be a proof is none, or is not as it was made."""


_PROOF: TypeAdapter[Proof] = TypeAdapter(Proof)


def proof_of(state: RunState, *, commit: str, tree: str, chain: str) -> Proof:
    """The proof of a run whose result, in `commit`, passed; `chain` is the journal's last link.

    A suite that passed before anything was done is its own result.
    """
    before = state.baseline or TestReport()
    verdict = state.verdict or Verdict(kind=VerdictKind.PASSED, tree=tree, report=before)
    after, spent = verdict.report or before, state.spent
    environment = state.environment
    proof = Proof(
        run=state.started.run_id,
        at=state.worked_at,
        model=state.started.model,
        task=state.started.task,
        plan=state.plan,
        base=Place(commit=state.started.task.base_commit, tree=state.base),
        witness_tree=state.witness_tree,
        result=Place(commit=commit, tree=tree),
        environment=verdict.environment or (environment.id if environment else ""),
        build=environment.build if environment else "",
        test=verdict.test or (environment.test if environment else ""),
        tests=_tested(state, before, after),
        chance=chance_of(state),
        exit_codes=(before.exit_code, after.exit_code),
        witnesses=verdict.witnesses,
        opened=state.unsealed,
        control=verdict.control,
        notes=verdict.notes,
        verdict=verdict.kind,
        cost=Cost(
            dollars=spent.dollars,
            calls=spent.calls,
            prompt_tokens=spent.usage.prompt,
            completion_tokens=spent.usage.completion,
            iterations=spent.iterations,
        ),
        limits=state.started.limits,
        journal=Link(entries=state.entries, chain=chain),
    )
    return replace(proof, id=_digest(proof))


def chance_of(state: RunState) -> Chance:
    """What a verdict on `state` goes by where tests do not end alike each time."""
    standings, report = state.standings, state.verdict.report if state.verdict else None
    return Chance(
        base_runs=standings.runs,
        base_runs_whole=standings.whole,
        rules=Rules.to_judge(wild=bool(state.hidden)),
        flaky=tuple(sorted(standings.flaky)),
        wavering=tuple(sorted(state.sightings.flaky - standings.flaky)),
        environmental=dict(sorted(standings.environmental.items())),
        unstable=tuple(sorted(standings.unstable)),
        again=report.again if report else (),
    )


def dump(proof: Proof) -> bytes:
    """The proof as it stands in `proof.json` and in the note: one object, always written alike."""
    return json.dumps(_PROOF.dump_python(proof, mode="json"), indent=1, sort_keys=True).encode() + b"\n"


def load(data: bytes) -> Proof:
    """The proof that `dump` wrote.

    Raises:
        Unreadable: it did not write this, byte for byte; the message says what is wrong.
    """
    try:
        proof = _PROOF.validate_json(data)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "the whole of it"
        raise Unreadable(f"it cannot be read ({where}: {error.errors()[0]['msg']})") from None
    if _digest(proof) != proof.id:
        raise Unreadable("its content is not what its id says")
    if dump(proof) != data:
        raise Unreadable("it is not written as a proof is")
    return proof


def report_before(proof: Proof) -> TestReport:
    """What the suite showed before, as far as a proof keeps it."""
    cases = tuple(
        TestCase(id=case_id, status=tested.before)
        for case_id, tested in proof.tests.items()
        if tested.before is not None
    )
    return TestReport(cases=cases, exit_code=proof.exit_codes[0])


def schema() -> dict[str, Any]:
    """The JSON schema of `proof.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "`proof.json` of a run, and the note on its commit",
        **_PROOF.json_schema(mode="serialization"),
    }


def _tested(state: RunState, before: TestReport, after: TestReport) -> dict[str, Tested]:
    first, then = ({case.id: case.status for case in report.cases} for report in (before, after))
    targets = frozenset(targets_of(state.started.task.mode, before, state.standings))
    return {
        case_id: Tested(before=first.get(case_id), after=then.get(case_id), target=case_id in targets)
        for case_id in sorted(first.keys() | then.keys())
    }


def _digest(proof: Proof) -> str:
    return hashlib.sha256(dump(replace(proof, id=""))).hexdigest()
