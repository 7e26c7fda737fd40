"""`fix` on a repository in use: the user's work stays as it is, whatever becomes of the process."""

import signal
import subprocess
from dataclasses import replace

import pytest

from agent.folding import fold
from agent.models.script import Script, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from tests.e2e.harness import (
    LOCAL,
    LOCALLY,
    RED,
    billed,
    branch,
    ended,
    entries,
    greenward,
    lines_written,
    mending,
    plan,
    start,
    subjects,
    told,
    trailers,
    variables,
    wait_for,
)
from tests.gitrepo import git, put, repository, state


def in_use(root):
    """A red repository with a stash, and with staged, unstaged and untracked changes."""
    repository(root, {**RED, "notes.txt": "one\n", "old.txt": "old\n"})
    put(root, {"notes.txt": "stashed\n"})
    git(root, "stash", "--quiet")
    put(root, {"notes.txt": "staged\n"})
    git(root, "add", "notes.txt")
    git(root, "rm", "--quiet", "old.txt")
    put(root, {"notes.txt": "unstaged\n", "untracked.txt": "mine\n", ".env": "PASSWORD=1\n"})
    git(root, "update-index", "--refresh", check=False)
    return root


def seen(root):
    """All that the user has, as bytes, and as git tells it."""
    refs = git(root, "for-each-ref", "--format=%(refname) %(objectname)")
    ours = ("refs/heads/greenward/", "refs/greenward/", "refs/notes/greenward ")
    own = [line for line in refs.splitlines() if not line.startswith(ours)]
    before = state(root)
    return before, own, git(root, "--no-optional-locks", "status", "--porcelain"), git(root, "stash", "list")


def described(root):
    """What a run came to: tree, subjects and trailers, without what differs between any two runs."""
    tip = branch(root)
    base = entries(root)[0].event.task.base_commit
    commits = git(root, "log", "--reverse", "--format=%H", f"{base}..{tip}").split()
    varying = {"Greenward-Run", "Cost-USD"}
    told = [{k: v for k, v in trailers(root, commit).items() if k not in varying} for commit in commits]
    return git(root, "rev-parse", f"{tip}^{{tree}}"), subjects(root, f"{base}..{tip}"), told


def containers(root):
    run_id = entries(root)[0].event.run_id
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"label=greenward.run={run_id}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.docker
def test_a_run_leaves_the_users_work_alone_also_when_it_is_killed_and_taken_up(tmp_path):
    quiet, killed = in_use(tmp_path / "quiet"), in_use(tmp_path / "killed")
    before = seen(quiet)
    with ScriptedServer(mending()) as server:
        ran = greenward("fix", quiet, environment=variables(server))
    assert ran.code == 0, ran.said
    assert seen(quiet) == before
    assert "left out: .env" in ran.err
    assert containers(quiet) == []

    before = seen(killed)
    first, second, *others = mending().replies
    with ScriptedServer(Script(replies=(first, replace(second, delay=0.3), *others))) as server:
        arguments = ["fix", killed]
        for condition in (
            lambda: lines_written(killed) >= 3,
            lambda: len(server.requests) == 2,  # while the model is asked: nobody knows whether that call is billed
            lambda: lines_written(killed) >= 15,
            lambda: lines_written(killed) >= 19,
            lambda: lines_written(killed) >= 24,
        ):
            process = start(*arguments, environment=variables(server))
            wait_for(condition, process)
            process.kill()
            assert ended(process).code == -signal.SIGKILL
            assert seen(killed) == before
            arguments = ["resume", "--repo", killed]
        ran = greenward(*arguments, environment=variables(server))
        assert ran.code == 0, ran.said
        assert seen(killed) == before
        assert described(killed) == described(quiet)
        assert len(server.requests) >= 4, "no call was cut off"
        assert fold(entries(killed)).spent.calls >= len(server.requests)
        assert billed(server, killed) <= told(killed)
    assert containers(killed) == []


def test_an_interrupted_run_says_so_and_can_be_resumed(red):
    plan, *others = mending().replies
    with ScriptedServer(Script(replies=(plan, ScriptedReply(say="Let me think.", stall=True), *others))) as server:
        process = start("fix", red, *LOCAL, environment=variables(server))
        wait_for(lambda: len(server.requests) == 2, process)
        process.send_signal(signal.SIGINT)
        ran = ended(process)
        assert ran.code == 130, ran.said
        assert "\nhint: in the repository, `greenward resume` goes on from here" in ran.err
        assert "Traceback" not in ran.err
        ran = greenward("resume", *LOCALLY, "--repo", red, "--allow-unproven", environment=variables(server))
        assert ran.code == 0, ran.said
        assert billed(server, red) <= told(red)
    assert git(red, "show", f"{branch(red)}:sums.py").startswith("def add(a, b):\n    return a + b")


def test_tests_are_free_only_by_an_option_and_every_report_says_so(red):
    weaker = RED["tests/test_sums.py"].replace("== 5", "== -1").replace("== 4", "== -4")
    opened = say(
        "The tests are wrong.", call("write_file", path="tests/test_sums.py", content=weaker), call("run_tests"),
    )  # fmt: skip
    with ScriptedServer(Script(replies=(plan(), opened, say("", call("finish", status="done"))))) as server:
        ran = greenward("fix", red, *LOCAL, "--free-tests", "--allow-unproven", environment=variables(server))
    assert ran.code == 0, ran.said
    assert "isolated by nothing, tests that were free to change)" in ran.err
    assert ran.out.strip().startswith("unproven, with tests that were free to change: ")
    assert trailers(red, branch(red))["Tests"] == "were free to change"
    listed = greenward("runs", "--repo", red, environment=variables()).out
    assert "(tests were free to change)" in listed
    shown = greenward("show", "--json", "--repo", red, environment=variables()).out
    assert "free to change" in shown
