"""The demonstration, as the first thing that a newcomer runs."""

import os
import subprocess
import sys

import pytest

from tests.e2e.harness import greenward, subjects, trailers, variables
from tests.gitrepo import git
from tests.readme import block_after, masked


@pytest.mark.docker
def test_the_demonstration_leaves_a_proven_project(tmp_path):
    project = tmp_path / "tally"
    ran = greenward("demo", project, environment=variables(key=None))
    assert ran.code == 0, ran.said
    assert "come from a script" in ran.err
    assert masked(ran.err + ran.out) == masked(block_after("the output of `greenward demo`"))
    assert "green: judged in a fresh container" in ran.out
    assert "3 of 3 acceptance criteria failed before and hold after" in ran.out

    start, tests_only, failing, passing = git(project, "log", "--reverse", "--format=%H", "main").split()
    assert subjects(project, "main")[1:] == [
        "Add failing tests: Scaffold tally, a CLI that counts words in files",
        "Iteration 2: 2 failed, 5 passed",
        "Scaffold tally, a CLI that counts words in files",
    ]
    assert "src/tally/counting.py" not in git(project, "ls-tree", "-r", "--name-only", tests_only)
    assert git(project, "diff", "--name-only", tests_only, passing, "--", "tests") == ""
    verdicts = [trailers(project, commit)["Verdict"] for commit in (tests_only, failing, passing)]
    assert verdicts == ["not judged", "not judged", "passed"]
    assert trailers(project, passing)["Tests-Before"] == "7 failed"
    assert trailers(project, passing)["Tests-After"] == "7 passed"
    assert trailers(project, start) == {}

    assert git(project, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "fsck", "--strict", "--no-dangling") == ""
    by_hand = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert by_hand.returncode == 0, by_hand.stdout
    assert "7 passed" in by_hand.stdout
