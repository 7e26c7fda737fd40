"""A repair in a repository some of whose tests pass by chance: by real chance, with real pytest."""

import json

import pytest

from agent import events as e
from agent.folding import fold
from agent.models.server import ScriptedServer
from agent.retrial import WILD
from tests.e2e.harness import RED, branch, entries, events, greenward, journals, mended_at_once, variables
from tests.gitrepo import repository

pytestmark = pytest.mark.untraced

CHANCE = """\
import os

import pytest


@pytest.mark.parametrize("below", [110, 128, 150])
def test_draw(below):
    assert os.urandom(1)[0] < below
"""
DRAWS = tuple(f"tests/test_chance.py::test_draw[{below}]" for below in (110, 128, 150))


@pytest.mark.docker
def test_tests_that_pass_by_chance_are_told_apart_and_the_proof_says_what_decided(tmp_path):
    root = repository(tmp_path / "red", {**RED, "tests/test_chance.py": CHANCE})
    with ScriptedServer(mended_at_once()) as server:
        ran = greenward("fix", root, environment=variables(server))
    assert ran.code == 0, ran.said

    (measured,) = events(root, e.BaselineMeasured)
    assert measured.flaky == DRAWS
    assert "3 flaky tests seen to pass and to fail on the same files" in ran.err + ran.out
    assert not any("test_draw" in message.content for message in fold(entries(root)).messages)

    proof = json.loads(journals(root)[0].with_name("proof.json").read_text())
    chance = proof["chance"]
    assert tuple(chance["flaky"]) == DRAWS
    assert (chance["rules"]["here"], chance["rules"]["base"]) == (WILD, WILD)
    assert {name for name, test in proof["tests"].items() if test["target"]} == {
        "tests/test_sums.py::test_add",
        "tests/test_sums.py::test_add_nothing",
    }
    verified = greenward("verify", branch(root), "--repo", root, environment=variables(key=None))
    assert verified.code == 0, verified.said
