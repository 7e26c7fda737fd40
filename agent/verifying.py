"""Whether a proof is what was made, agrees with all that it speaks of, and can be had again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from agent import events as e
from agent.errors import DamagedRun, GreenwardError, UsageProblem
from agent.folding import fold
from agent.gitfailed import GitFailed
from agent.journal import Entry, links_of, read_entries
from agent.judge import Judge
from agent.proof import PROOF, Proof, Unreadable, chance_of, load, report_before
from agent.runs import JOURNAL
from agent.sightings import Sightings
from agent.state import Phase, RunState
from agent.task import Limits, Prices
from agent.testreport import Status, TestReport
from agent.verdict import Verdict, VerdictKind
from agent.workspace import Workspace

__all__ = ["Verified", "again", "check", "proof_on"]

NAMED = 10
"""Tests named of those that came out otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What became of checking a proof: what agrees, and what differs, in sentences."""

    agrees: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()

    def __add__(self, other: "Verified") -> "Verified":
        return Verified(agrees=self.agrees + other.agrees, differs=self.differs + other.differs)


def proof_on(workspace: Workspace, commit: str) -> tuple[str, bytes]:
    """The id of `commit`, and the note on it.

    Raises:
        UsageProblem: there is no such commit, or no proof on it.
    """
    workspace.tree_of(commit)
    name = workspace.git.text("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}")
    try:
        note = workspace.git.run("notes", "--ref=greenward", "list", name).decode().strip()
        return name, workspace.git.run("cat-file", "blob", note)
    except GitFailed as failure:
        if "no note found" not in failure.stderr.lower():
            raise DamagedRun(f"the note on {name} cannot be read: {failure.stderr}", hint="run `git fsck`") from failure
        raise UsageProblem(
            f"there is no proof on the commit {name}",
            hint="the last commit of a green run has one; `git fetch origin refs/notes/greenward:refs/notes/greenward`"
            " brings those of others",
        ) from failure


def check(workspace: Workspace, commit: str, note: bytes, directories: Path) -> tuple[Proof | None, Verified]:
    """Compare a proof with its commit and trees, and with the run's own files below `directories`, if they are there.

    Nothing is executed. The proof is None if it is not one.
    """
    try:
        proof = load(note)
    except Unreadable as problem:
        return None, Verified(differs=(f"the note is not the proof that was made: {problem}",))
    directory = directories / proof.run
    found = _trees(workspace, commit, proof) + _file(directory / PROOF, note)
    return proof, found + _journal(directory / JOURNAL, proof)


def _trees(workspace: Workspace, commit: str, proof: Proof) -> Verified:
    """The trees that a proof speaks of, with every object in them read and hashed."""
    differs = []
    tree = workspace.tree_of(commit)
    if tree != proof.result.tree:
        differs.append(f"the commit holds the tree {tree}, not {proof.result.tree} that was proven")
    parts = {"commit": commit, "result": proof.result.tree, "base": proof.base.tree, "tests alone": proof.witness_tree}
    for what, name in parts.items():
        differs += [f"the {what} is damaged: {problem}" for problem in workspace.trees.damage(name)]
    agrees = () if differs else ("the commit holds the tree that was proven, every object whole",)
    return Verified(agrees=agrees, differs=tuple(differs))


def _file(path: Path, note: bytes) -> Verified:
    if not path.parent.exists():
        return Verified(agrees=("the run's own files are not here; the note stands alone",))
    try:
        data = path.read_bytes()
    except OSError as error:
        return Verified(differs=(f"{path} cannot be read: {error.strerror}",))
    if data != note:
        return Verified(differs=(f"{path} is not what the note says",))
    return Verified(agrees=("`proof.json` and the note are the same",))


def _journal(path: Path, proof: Proof) -> Verified:
    """The run's journal: whole, with the proof's link in its chain, and with the same verdict on the same tree."""
    if not path.parent.exists():
        return Verified()
    try:
        entries, links = list(read_entries(path)), links_of(path)
    except (OSError, DamagedRun) as error:
        return Verified(differs=(f"the journal: {error}",))
    place = proof.journal.entries
    if not 0 < place <= len(links) or links[place - 1] != proof.journal.chain:
        return Verified(differs=(f"the journal is not the one that led to the proof: entry {place - 1} differs",))
    try:
        state = fold(entries[:place])
    except GreenwardError as error:
        return Verified(differs=(f"the journal: {error.message}",))
    differs = tuple(_unlike(state, proof))
    return Verified(agrees=() if differs else ("the journal led to this verdict on this tree",), differs=differs)


def _unlike(state: RunState, proof: Proof) -> Iterator[str]:
    verdict = state.verdict or Verdict(kind=VerdictKind.PASSED, tree=proof.result.tree, report=state.baseline)
    if (verdict.kind, verdict.tree) != (proof.verdict, proof.result.tree):
        yield f"the journal has the verdict {verdict.kind} on the tree {verdict.tree}, not {proof.verdict}"
    if chance_of(state) != proof.chance:
        yield "the journal, of tests that do not end alike each time, says something else than the proof"
    yield from _compared("the journal", verdict.report or TestReport(), {k: t.after for k, t in proof.tests.items()})
    yield from _compared(
        "the journal, before the work,", state.baseline or TestReport(), {k: t.before for k, t in proof.tests.items()}
    )


def again(proof: Proof, judge: Judge) -> Verified:
    """Run what the proof says was run, and compare each test.

    Raises:
        SandboxError: nothing can be executed.
    """
    state = _state(proof)
    base = judge.bench.run_fresh(state, proof.witness_tree)
    (event,) = judge.judge(state)
    verdict = event.verdict if isinstance(event, e.VerdictReached) else None
    report = verdict.report if verdict and verdict.report else TestReport()
    wavers = partial(_wavers, proof, report)
    differs = [
        *_compared("run again, before the work,", base, {k: t.before for k, t in proof.tests.items()}, wavers),
        *_compared("run again", report, {k: t.after for k, t in proof.tests.items()}, wavers),
    ]
    if verdict is None or verdict.kind is not proof.verdict:
        reasons = "; ".join(verdict.reasons[:NAMED]) if verdict else ""
        differs.append(f"judged again, it is {verdict.kind if verdict else 'nothing'}: {reasons}")
    if verdict and proof.environment != verdict.environment:
        agrees = (f"run in another environment: {verdict.environment or 'none'}, not {proof.environment}",)
    else:
        agrees = ("run in the same environment",)
    done = (f"run again in fresh containers: {report}", f"before the work: {base}") if not differs else ()
    return Verified(agrees=agrees + done, differs=tuple(differs))


def _wavers(proof: Proof, report: TestReport, case_id: str) -> bool:
    """Whether a test was seen to end in more than one way on the same files, then or when `report` was made."""
    return proof.chance.names(case_id) or case_id in report.flaky


def _compared(
    where: str, report: TestReport, wanted: dict[str, Status | None], apart: Callable[[str], bool] = lambda _: False
) -> Iterator[str]:
    """The tests that a report shows otherwise than `wanted`, but for those that are `apart`."""
    shown = {case.id: case.status for case in report.cases}
    names = sorted(name for name in shown.keys() | wanted.keys() if not apart(name))
    unlike = [name for name in names if shown.get(name) is not wanted.get(name)]
    for name in unlike[:NAMED]:
        yield f"{where} {name} is {shown.get(name) or 'not there'}, in the proof {wanted.get(name) or 'not there'}"
    if len(unlike) > NAMED:
        yield f"{where} {len(unlike) - NAMED} more tests differ"


def _state(proof: Proof) -> RunState:
    """The run as it was when its result was judged, as far as judging it takes."""
    started = e.RunStarted(
        run_id=proof.run,
        branch="",
        task=proof.task,
        limits=Limits(),
        prices=Prices(input=0.0, cached=0.0, output=0.0),
        model=proof.model,
        context=0,
        max_output=0,
        sandbox="docker",
    )
    return replace(
        fold([Entry(seq=0, at=proof.at, event=started)]),
        phase=Phase.CODE,
        plan=proof.plan,
        baseline=report_before(proof),
        standings=proof.chance.standings,
        sightings=Sightings(flaky=frozenset(proof.chance.wavering)),
        witness_tree=proof.witness_tree,
        unsealed=proof.opened,
        tree=proof.result.tree,
        tested_tree=proof.result.tree,
    )
