"""Tests that nothing isolates look for the key of the model where the process that started them keeps it."""

import json
import os
import subprocess
import sys

import pytest

from agent.models.server import ScriptedServer
from tests.e2e.harness import KEY, LOCAL, ROOT, mended_at_once, variables
from tests.gitrepo import git, put

LOOKS = """\
import json, os, pathlib, re

def parent(pid):
    return re.search(r"PPid:\\t(\\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]

def read(path):
    try:
        return path.read_bytes()
    except OSError as error:
        return type(error).__name__.encode()

def memory(process):
    found = set()
    try:
        with open(process / "mem", "rb", buffering=0) as held:
            for line in (process / "maps").read_text().splitlines():
                begin, end = (int(each, 16) for each in line.split()[0].split("-"))
                if "rw" in line.split()[1]:
                    held.seek(begin)
                    found |= set(re.findall(rb"sk-of-[a-z-]+-[0-9a-f]{16}", held.read(end - begin)))
    except OSError as error:
        return type(error).__name__
    return sorted(each.decode() for each in found)

pid = str(os.getpid())
while b"\\0-m\\0agent\\0" not in read(pathlib.Path(f"/proc/{pid}/cmdline")):
    pid = parent(pid)
process = pathlib.Path(f"/proc/{pid}")
own = {name: value for name, value in os.environ.items()}
found = {"own": own, "block": read(process / "environ").decode(), "memory": memory(process) if %r else "not looked at"}
pathlib.Path(%r).write_text(json.dumps(found))
"""
UNTRACING = ("setpriv", "--bounding-set=-sys_ptrace,-perfmon,-sys_admin")
"""As root is in an ordinary container: without the capabilities to look into other processes."""
CANARY = "canary-77c0e1"


def looked(red, tmp_path, *wrapped, into_memory=False):
    """What a `conftest.py` finds of the environment and the memory of greenward's process."""
    put(red, {"conftest.py": LOOKS % (into_memory, str(tmp_path / "found.json"))})
    git(red, "add", "-A")
    git(red, "commit", "--quiet", "--message", "Look around")
    with ScriptedServer(mended_at_once(), key=KEY) as server:
        command = [*wrapped, sys.executable, "-m", "agent", "fix", red, "--ci", "--out", tmp_path / "p", *LOCAL]
        ran = subprocess.run(
            command,
            env=variables(server, HOST_SECRET=CANARY),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    assert ran.returncode == 8, ran.stderr.decode()
    return json.loads((tmp_path / "found.json").read_text())


def test_the_key_stands_in_no_environment_not_even_in_what_the_kernel_keeps_of_it(red, tmp_path):
    found = looked(red, tmp_path)

    assert KEY not in json.dumps([found["own"], found["block"]])
    assert CANARY not in json.dumps(found["own"])
    if os.geteuid() == 0:  # nobody else may look at all
        assert f"HOST_SECRET={CANARY}" in found["block"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
def test_who_may_not_trace_sees_neither_the_environment_nor_the_memory_of_the_process(red, tmp_path):
    found = looked(red, tmp_path, *UNTRACING, into_memory=True)

    assert (found["block"], found["memory"]) == ("PermissionError", "PermissionError")
