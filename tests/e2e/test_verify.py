"""A green commit carries its proof; anybody who has it can check it, and run it again."""

import json

import pytest

from agent.models.server import ScriptedServer
from tests.e2e.harness import LOCAL, branch, greenward, journals, mended_at_once, variables
from tests.gitrepo import git, put, repository


@pytest.mark.docker
def test_a_green_run_is_proven_and_its_proof_is_verified_where_it_goes(red, tmp_path):
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", red, environment=variables(server))
    assert ran.code == 0, ran.said
    proof = json.loads(journals(red)[0].with_name("proof.json").read_text())
    result = json.loads(journals(red)[0].with_name("result.json").read_text())["result"]
    assert proof["id"] == result["proof_id"]
    assert f"proof:   {proof['id'][:12]}; `greenward verify {proof['result']['commit'][:12]}" in ran.out

    verified = greenward("verify", branch(red), "--repo", red, environment=variables(key=None))
    assert verified.code == 0, verified.said
    assert "run again in fresh containers: 3 passed" in verified.out
    assert "before the work: 2 failed, 1 passed" in verified.out
    assert verified.out.rstrip().endswith("as proven")

    accepted = greenward("accept", "--repo", red, environment=variables())
    assert accepted.code == 0, accepted.said
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(red), str(clone))
    git(clone, "fetch", "-q", "origin", "refs/notes/greenward:refs/notes/greenward")
    verified = greenward("verify", "--json", "--repo", clone, environment=variables(key=None))
    assert verified.code == 0, verified.said
    told = json.loads(verified.out)
    assert (told["verified"], told["proof"], told["commit"]) == (True, proof["id"], git(clone, "rev-parse", "HEAD"))


@pytest.mark.docker
def test_a_proof_that_does_not_hold_is_told_with_what_differs(red):
    with ScriptedServer(mended_at_once()) as server:
        assert greenward("fix", red, environment=variables(server)).code == 0
    path = journals(red)[0].with_name("proof.json")
    path.write_bytes(path.read_bytes().replace(b'"calls": 2', b'"calls": 1'))
    for options in ([], ["--no-run"], ["--json"]):
        ran = greenward("verify", branch(red), "--repo", red, *options, environment=variables())
        assert ran.code == 1, ran.said
        assert "proof.json is not what the note says" in ran.out


def test_without_isolation_there_is_no_proof_and_nothing_is_called_green(tmp_path):
    fine = repository(tmp_path / "fine", {"tests/test_a.py": "def test_a():\n    assert len('a') == 1\n"})
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", fine, *LOCAL, environment=variables(server))
    assert ran.code == 8, ran.said
    assert ran.out.strip().startswith("unproven: the suite passes already: there is nothing to fix")
    assert not journals(fine)[0].with_name("proof.json").exists()


@pytest.mark.parametrize(("commit", "words"), [("HEAD", "there is no proof on the commit"), ("nowhere", "no commit")])
def test_what_has_no_proof_says_so(red, commit, words):
    ran = greenward("verify", commit, "--repo", red, environment=variables())
    assert ran.code == 2, ran.said
    assert words in ran.err
    assert "hint: " in ran.err


def test_an_accepted_commit_with_changes_of_the_user_carries_no_proof(red):
    put(red, {"notes.txt": "mine\n"})
    with ScriptedServer(mended_at_once()) as server:
        greenward("fix", red, *LOCAL, environment=variables(server))
    git(red, "stash", "-u", "-q")
    greenward("accept", "--repo", red, environment=variables())
    assert greenward("verify", "--repo", red, environment=variables()).code == 2
