"""What the doctor finds of runs that were killed, and removes if it is told to."""

import json
import re
import subprocess
from dataclasses import replace

import pytest

from agent.doctor import Verdict
from agent.doctor.examining import Check, examine
from agent.doctor.leftovers import check_containers, check_directories, check_environments
from agent.doctor.rendering import as_json
from sandbox.engine import connect
from sandbox.environments import Unused
from sandbox.hardening import harden
from sandbox.images import present_base
from sandbox.owner import Owner
from sandbox.probe import LIMITS
from sandbox.scratch import make_directory, remove_directory
from tests.test_doctor import HOST, context

DAY = 24 * 3600.0


@pytest.fixture
def dead():
    """An owner that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return replace(Owner.current(), pid=process.pid)


@pytest.fixture
def create():
    client = connect(HOST)
    image = client.image(present_base(client, None).id)
    made = []

    def create(owner):
        made.append(client.create(harden(image, LIMITS, run_id="r-left", owner=owner, seconds=60)))
        return made[-1]

    yield create
    for each in made:
        client.remove(each)
    client.close()


def there(container):
    return subprocess.run(["docker", "inspect", container], capture_output=True, check=False).returncode == 0


@pytest.mark.docker
def test_containers_of_processes_that_are_gone_are_told_and_stay(create, dead):
    """Another process at work on this machine may remove one before it is looked for."""
    for _ in range(5):
        left = create(dead)
        found = check_containers(context())
        if there(left):
            break
    assert found.verdict is Verdict.WARNING
    assert found.details[left[:12]] == "its process is gone (run r-left)"
    assert "--prune" in found.hint


@pytest.mark.docker
def test_pruning_removes_the_containers_of_processes_that_are_gone_alone(create, dead):
    left, kept, elsewhere = create(dead), create(Owner.current()), create(replace(dead, namespace="pid:[1]"))
    found = check_containers(context(prune=True))
    assert found.verdict is Verdict.OK
    assert (there(left), there(kept), there(elsewhere)) == (False, True, True)


@pytest.fixture
def place(tmp_path, monkeypatch):
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr("tempfile.tempdir", None)
    return made


def test_temporary_directories_are_told_and_removed_when_that_is_asked_for(place, dead):
    own = make_directory()
    left = own.with_name(own.name.replace(f"greenward-{Owner.current().pid}-", f"greenward-{dead.pid}-"))
    left.mkdir()
    told, removed, after = (check_directories(context(prune=prune)) for prune in (False, True, False))
    assert (told.verdict, told.found) == (Verdict.WARNING, "1 directory of processes that are gone")
    assert (removed.verdict, removed.details) == (Verdict.OK, {str(left): "its process is gone"})
    assert removed.found == "1 directory of processes that are gone: removed"
    assert (after.found, list(place.iterdir())) == ("none", [own])
    remove_directory(own)


def test_what_was_removed_is_told_to_programs_too(place, dead):
    own = make_directory()
    left = own.rename(own.with_name(own.name.replace(f"-{Owner.current().pid}-", f"-{dead.pid}-")))
    report = examine(context(prune=True), (Check(name="temporary files", look=check_directories),))
    (check,) = json.loads(as_json(report))["checks"]
    assert check["details"] == {str(left): "its process is gone"}


@pytest.mark.docker
def test_environments_are_counted_and_those_long_unused_are_told(monkeypatch):
    found = check_environments(context())
    assert re.match(r"\d+ environments? on the engine", found.found)

    left = Unused(id="sha256:" + "7" * 64, key="8" * 64, idle=40 * DAY)
    monkeypatch.setattr("agent.doctor.leftovers.unused", lambda *_: (left,))
    told = check_environments(context())
    assert (told.verdict, told.details) == (Verdict.WARNING, {"7" * 12: "not used for 40 days"})
    assert told.found.endswith(" on the engine, 1 of them not used for 30 days")
    assert "--prune" in told.hint

    monkeypatch.setattr("agent.doctor.leftovers.remove", lambda *_: (left,))
    removed = check_environments(context(prune=True))
    assert (removed.verdict, removed.details) == (Verdict.OK, told.details)
    assert removed.found.endswith("; 1 not used for 30 days: removed")
