"""What only a project's code declares is had by running it offline, in a sandbox, and nowhere else."""

import os
import uuid

import pytest

from agent.manifests import Project
from agent.metadata import needs_metadata, read_metadata
from agent.recipe import recipe_for
from sandbox import Change, ExecResult, Limits, Setup
from sandbox.engine import connect
from sandbox.images import DEFAULT
from sandbox.setup import DockerEngine
from tests.sandbox.trees import DictTree

SETUP = """
import os
from setuptools import setup

def lines(name):
    return open(os.path.join(os.path.dirname(__file__), name)).read().split()

try:
    import socket
    socket.create_connection(("1.1.1.1", 53), timeout=2)
    raise SystemExit("there is a network")
except OSError:
    pass
tests = lines("t.in")
setup(name="app", version="1", py_modules=[], install_requires=lines("needs.in"), extras_require={"test": tests})
"""
FILES = {"app/setup.py": SETUP, "app/needs.in": "attrs>=1", "app/t.in": "trustme pytest>=8;python_version>'3'"}


def project(files=FILES):
    return Project(read=lambda path: files[path].encode() if path in files else None, paths=files, cwd="app")


@pytest.fixture
def execute(tmp_path):
    """Runs in the image's own Python, which has setuptools, so that no network is needed."""
    client = connect({})
    engine = DockerEngine(client, host=os.environ, cache=tmp_path)
    environment = engine.prepare(Setup(image=DEFAULT, script=f": {uuid.uuid4()}"), lambda line: None)

    def execute(setup, command):
        assert list(setup.files) == [".greenward/build.txt"]
        assert setup.files[".greenward/build.txt"] == b"setuptools\nwheel\n"
        tree = DictTree([Change(path=path, data=text.encode()) for path, text in FILES.items()])
        with engine.open(environment, limits=Limits(), run_id=uuid.uuid4().hex) as sandbox:
            return sandbox.execute_fresh(tree, command)

    yield execute
    client.remove_image(environment.id)
    client.close()


@pytest.mark.docker
def test_requirements_that_setup_py_computes_are_installed(execute):
    assert needs_metadata(project())
    recipe = recipe_for(project(), metadata=read_metadata(project(), execute))
    assert recipe.setup.files[".greenward/requirements.txt"].decode().splitlines() == [
        "attrs>=1",
        "trustme",
        'pytest>=8; python_version > "3"',
    ]
    assert recipe.notes == ()


def result(exit_code, metadata):
    return ExecResult(exit_code=exit_code, output=b"", seconds=0.1, files={"METADATA": metadata} if metadata else {})


@pytest.mark.parametrize("came", [result(1, b"Name: x\n"), result(0, None)])
def test_a_backend_that_fails_leaves_the_recipe_with_what_can_be_read(came):
    metadata = read_metadata(project(), lambda setup, command: came)
    assert metadata is None
    assert recipe_for(project(), metadata=metadata).notes == (
        "some dependencies are only known to the project's own code, and are not installed",
    )


def test_conditions_beside_the_extra_are_kept():
    lines = (
        b"Name: x\nRequires-Dist: a ; extra == 'test'\n"
        b"Requires-Dist: b<2; (sys_platform == 'linux') and extra == \"test\"\n"
        b"Requires-Dist: c; extra == 'test' and python_version >= '3'\nRequires-Dist: d; extra == 'docs'\n"
        b"Requires-Dist: --index-url https://evil.invalid\n"
    )
    metadata = read_metadata(project(), lambda setup, command: result(0, lines))
    assert {name: needs.requirements for name, needs in metadata.extras.items()} == {
        "test": ("a", 'b<2; sys_platform == "linux"', 'c; python_version >= "3"'),
        "docs": ("d",),
    }
    assert metadata.needs.requirements == ()
