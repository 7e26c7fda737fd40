"""A proof says what was run; whatever of it is changed shows, and it can be run again."""

import json
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from agent.errors import UsageProblem
from agent.proof import PROOF, Tested, Unreadable, dump, load
from agent.retrial import CALM, WILD, Rules
from agent.runs import JOURNAL
from agent.testreport import Status
from agent.verifying import again, proof_on
from agent.workspace import Workspace
from tests.e2e.harness import ROOT
from tests.gitrepo import git
from tests.lab import IsolatedEngine, Lab
from tests.proofs.proven import FILES, MENDED, flips, prove, put

FLIPS = 100
"""`make bench` does the same with five times as many."""


@pytest.fixture(scope="module")
def proven(tmp_path_factory):
    return prove(tmp_path_factory.mktemp("proven"))


def proof_of(proven):
    return load((proven.directory / PROOF).read_bytes())


def test_a_proof_says_what_was_run_and_shown(proven):
    proof = proof_of(proven)

    assert proof.result.commit == proven.commit
    assert proof.result.tree == git(proven.root, "rev-parse", f"{proven.commit}^{{tree}}")
    assert proof.tests == {
        "tests/test_app.py::test_add": Tested(before=Status.FAILED, after=Status.PASSED, target=True)
    }
    assert proof.exit_codes == (1, 0)
    assert "1 tests made to fail, none of which passed" in proof.control
    assert proof.journal.entries == len((proven.directory / JOURNAL).read_bytes().splitlines()) - 1


def test_it_is_in_the_runs_directory_and_a_note_on_its_commit_and_fits_its_schema(proven):
    with Workspace.open(proven.root) as workspace:
        _, note = proof_on(workspace, proven.commit)

    assert note == (proven.directory / PROOF).read_bytes()
    schema = json.loads((ROOT / "docs" / "proof.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(json.loads(note))


def test_what_was_not_changed_is_as_it_was(proven):
    found = proven.checked()
    assert found.differs == ()
    assert len(found.agrees) == 3


def test_whatever_byte_is_changed_is_named(proven):
    made = list(flips(proven, FLIPS))
    assert [flip.what for flip in made if not flip.found] == []
    assert proven.checked().differs == ()


def test_a_proof_alone_is_enough(proven, tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(proven.root), str(clone))
    git(clone, "fetch", "-q", "origin", "refs/notes/greenward:refs/notes/greenward", proven.commit)
    found = replace(proven, root=clone).checked()

    assert found.differs == ()
    assert "the run's own files are not here; the note stands alone" in found.agrees


def test_a_commit_without_a_proof_says_how_to_come_by_one(proven):
    with Workspace.open(proven.root) as workspace, pytest.raises(UsageProblem) as caught:
        proof_on(workspace, "main")
    assert "there is no proof on the commit" in caught.value.message
    assert "refs/notes/greenward" in caught.value.hint


def test_a_proof_that_was_taken_to_another_commit_differs_in_its_tree(proven):
    with Workspace.open(proven.root) as workspace:
        _, note = proof_on(workspace, proven.commit)
        base = git(proven.root, "rev-parse", "main")
        put(workspace, base, note)
    found = replace(proven, commit=base).checked()
    git(proven.root, "notes", "--ref=greenward", "remove", base)
    assert any("that was proven" in each for each in found.differs)


@pytest.mark.parametrize(
    "forged",
    [
        lambda proof: replace(proof, tests={}),
        lambda proof: replace(proof, cost=replace(proof.cost, dollars=0.0, calls=7)),
        lambda proof: replace(proof, control="everything was made to fail"),
    ],
)
def test_another_proof_with_an_id_of_its_own_does_not_fit_the_journal_or_the_file(proven, forged):
    from agent.proof import _digest

    made = forged(proof_of(proven))
    made = replace(made, id=_digest(made))
    with Workspace.open(proven.root) as workspace:
        _, note = proof_on(workspace, proven.commit)
        put(workspace, proven.commit, dump(made))
        found = proven.checked()
        put(workspace, proven.commit, note)
    assert any("is not what the note says" in each for each in found.differs)


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"schema": 1}'])
def test_what_is_no_proof_is_said_to_be_none(data):
    with pytest.raises(Unreadable):
        load(data)


# Where tests pass by chance

TURNS = """\
from pathlib import Path

COUNT = Path({path!r})


def test_turns():
    count = int(COUNT.read_text())
    COUNT.write_text(str(count + 1))
    assert count % 2 == 1
"""
"""A test that passes every other time."""
TURNING = "tests/test_turns.py::test_turns"


@pytest.fixture(scope="module")
def turning(tmp_path_factory):
    """The proof of a run with such a test, and a repository with the same files, where it can be had again."""
    tmp_path = tmp_path_factory.mktemp("turning")
    count = tmp_path / "count"
    count.write_text("0")
    further = {"tests/test_turns.py": TURNS.format(path=str(count))}
    proven = prove(tmp_path / "proven", further)
    elsewhere = Lab(tmp_path / "judge", {**FILES, **further}, mode="fix", engine=IsolatedEngine())
    elsewhere.put(MENDED)
    yield proven, elsewhere
    elsewhere.close()


def test_a_proof_says_what_decided_where_a_test_passes_by_chance(turning):
    proven, _ = turning
    proof = proof_of(proven)

    assert proof.chance.flaky == (TURNING,)
    assert proof.chance.rules == Rules(here=WILD, base=WILD)
    assert proof.chance.base_runs > CALM
    assert [name for name, tested in proof.tests.items() if tested.target] == ["tests/test_app.py::test_add"]
    assert proven.checked().differs == ()


def test_what_passes_by_chance_may_end_otherwise_when_it_is_run_again(turning):
    proven, elsewhere = turning
    proof = proof_of(proven)
    assert again(proof, elsewhere.judge).differs == ()
    ended = proof.tests[TURNING]
    swapped = replace(ended, before=OTHER[ended.before], after=OTHER[ended.after])
    other = replace(proof, tests={**proof.tests, TURNING: swapped})
    assert again(other, elsewhere.judge).differs == ()


OTHER = {Status.PASSED: Status.FAILED, Status.FAILED: Status.PASSED}


def test_what_the_sandbox_lacks_may_go_on_failing_when_it_is_run_again(tmp_path):
    wanting = {"tests/test_net.py": "import socket\n\n\ndef test_net():\n    raise socket.gaierror(-2, 'no name')\n"}
    proof = proof_of(prove(tmp_path / "proven", wanting))
    elsewhere = Lab(tmp_path / "judge", {**FILES, **wanting}, mode="fix", engine=IsolatedEngine())
    elsewhere.put(MENDED)
    found = again(proof, elsewhere.judge)
    elsewhere.close()

    assert proof.chance.environmental == {"tests/test_net.py::test_net": "name resolution"}
    assert found.differs == ()


def test_a_proof_that_calls_another_test_flaky_does_not_fit_the_journal(proven):
    from agent.proof import _digest

    made = proof_of(proven)
    made = replace(made, chance=replace(made.chance, flaky=("tests/test_app.py::test_add",)))
    made = replace(made, id=_digest(made))
    with Workspace.open(proven.root) as workspace:
        _, note = proof_on(workspace, proven.commit)
        put(workspace, proven.commit, dump(made))
        found = proven.checked()
        put(workspace, proven.commit, note)
    assert "the journal, of tests that do not end alike each time, says something else than the proof" in found.differs


# Run again


@pytest.fixture
def judge(tmp_path):
    made = Lab(tmp_path / "judge", FILES, mode="fix", engine=IsolatedEngine())
    yield made
    made.close()


def test_what_can_be_had_again_agrees(proven, judge):
    """Another repository with the same files: nothing but the proof says what is to be run."""
    tree = judge.put(MENDED)
    proof = proof_of(proven)
    assert (judge.state.base, tree) == (proof.base.tree, proof.result.tree)
    assert again(proof, judge.judge).differs == ()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            Tested(before=Status.FAILED, after=Status.SKIPPED, target=True),
            "run again tests/test_app.py::test_add is passed",
        ),
        (
            Tested(before=Status.PASSED, after=Status.PASSED),
            "run again, before the work, tests/test_app.py::test_add is",
        ),
    ],
)
def test_what_comes_out_otherwise_is_named(proven, judge, status, words):
    judge.put(MENDED)
    claimed = replace(proof_of(proven), tests={"tests/test_app.py::test_add": status})
    assert any(each.startswith(words) for each in again(claimed, judge.judge).differs)
