"""What tests run is recorded beside the run, once, and only where that is apart from everything else."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.recorder import Recorder, recording_script
from agent.touched.contexts import read_contexts
from sandbox.contexts import RECORD
from sandbox.engine import connect
from sandbox.setup import DockerEngine
from tests.lab import QUICK, IsolatedEngine

FILES = {
    "pytest.ini": "[pytest]\npythonpath = .\n",
    "app.py": "X = 1\n\n\ndef f(a):\n    if a:\n        return 1\n    return 2\n",
    "tests/test_app.py": "import app\n\n\ndef test_yes():\n    assert app.f(1) == 1\n\n\n"
    "class TestNo:\n    def test_no(self):\n        assert app.f(0) == 2\n",
}
YES, NO = "tests/test_app.py::test_yes", "tests/test_app.py::TestNo::test_no"
PATIENCE = 120.0


def recorder(at, tmp_path, kind="local"):
    found = Recorder(place=at.place, kind=kind, host=dict(os.environ), directory=tmp_path / "contexts", long=0.0)
    at.events += found.following(at.measuring.measure)(at.state)
    return found


def wait_for(condition):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.05)


@pytest.mark.parametrize("workers", ["", " -p xdist.plugin -n 2"])
def test_the_record_says_which_test_ran_which_line(tmp_path, workers):
    root, out = tmp_path / "project", tmp_path / "out"
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    out.mkdir()
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": paths, "GREENWARD_OUT": str(out)}
    script = recording_script(f"{QUICK} -q -p no:cacheprovider{workers}")
    subprocess.run(["sh", "-c", script], cwd=root, env=environment, check=True, capture_output=True)
    found = read_contexts((out / RECORD).read_bytes(), FILES.keys())

    assert set(found.tests) == {YES, NO}
    assert found.tests_of("app.py", 1 << 6) == ({YES}, {YES, NO})
    assert found.tests_of("app.py", 1 << 7)[0] == {NO}
    assert found.tests_of("app.py", 1 << 1)[0] == frozenset(), "that ran when the file was imported"


def test_nothing_is_recorded_where_nothing_isolates(lab, tmp_path):
    at = lab(FILES)
    found = recorder(at, tmp_path)

    assert found.known(at.state) is None
    assert not (tmp_path / "contexts").exists()


def test_a_record_that_is_none_and_an_engine_that_isolates_nothing_do_no_harm(lab, tmp_path):
    at = lab(FILES, engine=IsolatedEngine())
    found = recorder(at, tmp_path)
    (tmp_path / "contexts").mkdir()

    wait_for(lambda: found.known(at.state) is None)
    found.close()
    assert list((tmp_path / "contexts").iterdir()) == []


@pytest.fixture
def docker():
    client = connect(os.environ)
    yield client
    client.close()


@pytest.mark.docker
def test_what_was_recorded_once_is_known_from_then_on(lab, tmp_path, docker):
    engine = DockerEngine(docker, host=os.environ, cache=tmp_path)
    at = lab({**FILES, "requirements-test.txt": "pytest\ncoverage\n"}, engine=engine, test="python -m pytest")
    first = recorder(at, tmp_path, "docker")
    try:
        wait_for(lambda: first.known(at.state))
    finally:
        first.close()
    assert first.known(at.state).tests_of("app.py", 1 << 7)[0] == {NO}
    assert at.place.meter.take() > 0

    second = Recorder(place=at.place, kind="docker", host={}, directory=tmp_path / "contexts", long=0.0)
    assert second.known(at.state) == first.known(at.state), "without an engine: it is read"


@pytest.mark.docker
def test_a_recording_that_is_not_wanted_any_more_leaves_nothing_behind(lab, tmp_path, docker):
    """The test waits where it is recorded, and only there."""
    waits = "import sys\nimport time\n\n\ndef test_it():\n    time.sleep(1000 if 'coverage' in sys.modules else 0)\n"
    engine = DockerEngine(docker, host=os.environ, cache=tmp_path)
    more = {"requirements-test.txt": "pytest\ncoverage\n", "tests/test_wait.py": waits}
    at = lab(FILES | more, engine=engine, test="python -m pytest")
    found = recorder(at, tmp_path, "docker")
    label = "greenward.run=r1-aside"

    wait_for(lambda: docker.containers(label))
    found.close()
    assert docker.containers(label) == ()
