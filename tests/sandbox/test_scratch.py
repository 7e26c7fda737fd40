"""Temporary directories of processes that were killed are removed, and nothing else is."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import scratch
from sandbox.engines import open_engine
from sandbox.owner import Owner
from sandbox.scratch import left_directories, make_directory, remove_directory, sweep

ROOT = Path(__file__).parents[2]
WEEKS = 30 * 24 * 3600


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where temporary files belong, for this process and all that it starts."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr("tempfile.tempdir", None)
    return made


KILLED = """
import os, signal, sys
from agent.git import Git
from sandbox import Command, Limits
from sandbox.local import LocalSandbox
from tests.sandbox.trees import DictTree
git = Git(__import__("pathlib").Path("nowhere"), environment=os.environ)
sandbox = LocalSandbox(path=os.environ["PATH"], limits=Limits())
sandbox.execute(DictTree(()), Command(script="mkdir closed; touch closed/file; chmod 000 closed"))
sandbox.execute(DictTree(()), Command(script="true"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def left(place):
    """The directories of a process that was killed."""
    ran = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, check=False)
    assert ran.returncode == -signal.SIGKILL
    found = set(place.iterdir())
    assert len(found) == 2, "that of git, and that of the local sandbox"
    return found


def named(*, pid=None, started=None, **elsewhere):
    """The name of a directory of another process."""
    here = replace(Owner.current(), **elsewhere)
    return f"greenward-{pid or here.pid}-{here.started if started is None else started}-{scratch._place(here)}-abcdefgh"


@pytest.fixture
def dead():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_a_killed_process_left_is_removed_when_an_engine_is_opened(place, left):
    own = make_directory()
    assert set(left_directories()) == left
    with open_engine("local", {"HOME": str(place)}):
        assert set(place.iterdir()) == {own}
    remove_directory(own)


def test_a_directory_of_a_living_process_stays(place):
    with scratch.scratch() as own:
        (place / named(pid=os.getppid(), started="")).mkdir()
        assert sweep() == ()
        assert own.is_dir()
    assert not own.exists()


def test_a_directory_whose_number_is_another_processs_by_now_is_removed(place):
    reused = place / named(started=str(int(Owner.current().started) - 1))
    reused.mkdir()
    assert sweep() == (reused,)
    assert not reused.exists()


@pytest.mark.parametrize("elsewhere", [{"boot": "another"}, {"namespace": "pid:[1]"}])
def test_of_an_owner_that_cannot_be_seen_only_age_tells(place, dead, elsewhere):
    directory = place / named(pid=dead, **elsewhere)
    directory.mkdir()
    assert sweep() == ()
    os.utime(directory, (time.time() - WEEKS,) * 2)
    assert sweep() == (directory,)


def test_links_and_files_and_all_that_is_not_named_just_so_stay(place, dead, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "kept").touch()
    name = named(pid=dead)
    (place / name).symlink_to(target)
    (place / name.replace("abcdefgh", "ijklmnop")).touch()
    for other in ("greenward-", f"{name}x", f"x{name}", "greenward-local-abcdefgh", name.replace(f"-{dead}-", "-0-")):
        (place / other.replace("abcdefgh", "qrstuvwx")).mkdir()
    before = sorted(place.iterdir())
    assert sweep() == ()
    assert (sorted(place.iterdir()), sorted(target.iterdir())) == (before, [target / "kept"])


def test_links_in_what_is_removed_are_not_followed(place, dead, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "kept").touch()
    directory = place / named(pid=dead)
    directory.mkdir()
    (directory / "link").symlink_to(target)
    assert sweep() == (directory,)
    assert (target / "kept").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_stays(place, dead):
    directory = place / named(pid=dead)
    directory.mkdir()
    os.chown(directory, 12_345, 12_345)
    assert sweep() == ()
    assert directory.is_dir()
