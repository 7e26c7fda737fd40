"""A proof says what was run; whatever of it is changed shows, and it can be run again."""

import json
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from agent.errors import UsageProblem
from agent.proof import PROOF, Tested, Unreadable, dump, load
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
