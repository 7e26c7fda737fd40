"""The program as a process that is killed, met by another one, or runs out of disk."""

import signal
import subprocess
from dataclasses import replace

import pytest

from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from tests.crash.disks import fill, mounted
from tests.e2e.harness import (
    LOCAL,
    LOCALLY,
    RIGHT,
    billed,
    branch,
    ended,
    entries,
    greenward,
    lines_written,
    mended_at_once,
    plan,
    start,
    told,
    variables,
    wait_for,
    writes,
)
from tests.gitrepo import git, state

UNPROVEN = 8


def waiting() -> Script:
    """Says nothing after the plan, until the server is to stop."""
    first, second, *others = mended_at_once().replies
    return Script(replies=(first, replace(second, delay=600.0), *others))


def known(root):
    """The containers of the run, once there is one."""
    return containers(root) if lines_written(root) else []


def containers(root):
    run_id = entries(root)[0].event.run_id
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"label=greenward.run={run_id}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def executed(container):
    """What runs in a container, as `docker top` tells."""
    told = subprocess.run(["docker", "top", container], capture_output=True, text=True, check=False)
    return told.stdout


def test_a_second_process_on_a_run_says_so_and_takes_over_once_the_first_is_killed(red):
    with ScriptedServer(waiting()) as server:
        first = start("fix", red, *LOCAL, environment=variables(server))
        wait_for(lambda: len(server.requests) == 2, first)
        second = greenward("resume", *LOCALLY, "--repo", red, environment=variables(server))
        assert second.code == 2, second.said
        assert "another process is working on the run" in second.err
        assert "\n\nhint: wait for it, or stop it first" in second.err
        first.kill()
        assert ended(first).code == -signal.SIGKILL
        server.stopping.set()
        ran = greenward("resume", *LOCALLY, "--repo", red, environment=variables(server))
        assert ran.code == UNPROVEN, ran.said
        assert billed(server, red) <= told(red)


def test_a_full_disk_is_an_error_with_a_hint_and_no_traceback(red):
    before = state(red)
    with mounted(red / ".git", size="8m") as disk, ScriptedServer(waiting()) as server:
        process = start("fix", red, *LOCAL, environment=variables(server))
        wait_for(lambda: len(server.requests) == 2, process)
        filler = fill(disk)
        server.stopping.set()
        ran = ended(process)
        assert ran.code == 6, ran.said
        assert "Traceback" not in ran.err
        assert "No space left on device" in ran.err or "no room is left on the disk" in ran.err
        assert "\n\nhint: free some disk space, then go on with `greenward resume`" in ran.err
        filler.unlink()
        ran = greenward("resume", *LOCALLY, "--repo", red, environment=variables(server))
        assert ran.code == UNPROVEN, ran.said
        assert git(red, "show", f"{branch(red)}:sums.py").startswith("def add(a, b):\n    return a + b")
        assert {path: data for path, data in state(red).items() if "greenward" not in path} == before


LOOKS = call("run_command", command=f"cat sums.py  # {'x' * 9_000}")
WRITES = call("write_file", path="a.txt", content="a")


@pytest.mark.parametrize("then", [LOOKS, WRITES], ids=["executing", "writing"])
def test_a_full_disk_for_temporary_files_is_one_as_well(red, tmp_path, then):
    script = Script(replies=(plan(), say("", call("run_command", command="true")), replace(say("", then), delay=600.0)))
    with mounted(tmp_path / "temporary", size="8m") as disk, ScriptedServer(script) as server:
        process = start("fix", red, *LOCAL, environment=variables(server, TMPDIR=str(disk)))
        wait_for(lambda: len(server.requests) == 3, process)
        fill(disk)
        server.stopping.set()
        ran = ended(process)
        assert ran.code == 6, ran.said
        assert "Traceback" not in ran.err
        assert "cannot be written: No space left on device" in ran.err
        assert "\n\nhint: free some disk space, then go on with `greenward resume`" in ran.err


@pytest.mark.docker
def test_a_run_that_is_killed_in_the_middle_of_a_command_leaves_no_container_behind_once_it_is_resumed(red):
    slow = say("Let me look.", call("run_command", command="sleep 4; echo seen >seen.txt"))
    with ScriptedServer(Script(replies=(plan(), slow, writes("It has to add.", RIGHT)))) as server:
        process = start("fix", red, environment=variables(server))
        wait_for(lambda: any("sleep 4" in executed(each) for each in known(red)), process)
        process.kill()
        assert ended(process).code == -signal.SIGKILL
        assert containers(red), "what was killed could not clean up"
        ran = greenward("resume", "--repo", red, environment=variables(server))
        assert ran.code == 0, ran.said
        assert containers(red) == []
        assert git(red, "show", f"{branch(red)}:seen.txt") == "seen"
        assert billed(server, red) <= told(red)
