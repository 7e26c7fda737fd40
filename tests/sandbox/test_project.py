"""A plain project is set up, built offline and tested in containers, with nothing but its recipe."""

import os
import uuid

import pytest

from agent.build import backend_of, build_script
from agent.manifests import Project
from agent.recipe import Settings, recipe_for
from sandbox import Change, Command, Limits, Setup
from sandbox.engine import connect
from sandbox.images import DEFAULT
from sandbox.localengine import LocalEngine
from sandbox.setup import DockerEngine
from tests.sandbox.trees import DictTree

SETUP = """
from setuptools import setup
setup(name="greeter", version="1.2", package_dir={"": "src"}, packages=["greeter"], include_package_data=True,
      entry_points={"console_scripts": ["greet=greeter:main", "python=greeter:main"]})
"""
TEST = """
import subprocess
import unittest
from importlib.metadata import version


class Greeting(unittest.TestCase):
    def test_the_installed_command_runs_the_code_of_the_tree(self):
        self.assertEqual(subprocess.run(["greet"], capture_output=True, text=True).stdout, "hello\\n")
        self.assertEqual(version("greeter"), "1.2")
"""
FILES = {
    "setup.py": SETUP,
    "src/greeter/__init__.py": "def main():\n    print('hello')\n",
    "test_greeter.py": TEST,
}


def tree_of(files):
    return DictTree([Change(path=path, data=text.encode()) for path, text in files.items()])


def recipe():
    project = Project(read=lambda path: FILES[path].encode() if path in FILES else None, paths=FILES)
    return recipe_for(project, settings=Settings(test="python -m unittest -v"))


@pytest.fixture(scope="module")
def sandboxed(tmp_path_factory):
    """Opens sandboxes in an environment with the image's own setuptools, so that no network is needed."""
    client = connect({})
    engine = DockerEngine(client, host=os.environ, cache=tmp_path_factory.mktemp("cache"))
    environment = engine.prepare(Setup(image=DEFAULT, script=f": {uuid.uuid4()}"), lambda line: None)
    yield lambda: engine.open(environment, limits=Limits(), run_id=uuid.uuid4().hex)
    client.remove_image(environment.id)
    client.close()


def told(result):
    return result.exit_code, result.output.decode()


@pytest.mark.docker
def test_a_package_is_built_offline_and_tested_and_its_tree_stays_clean(sandboxed):
    tree, command = tree_of(FILES), Command(script=recipe().script())
    with sandboxed() as sandbox:
        execution = sandbox.execute(tree, command)
        fresh = sandbox.execute_fresh(tree, command)
    assert told(execution.result)[0] == 0, told(execution.result)
    assert told(fresh)[0] == 0, told(fresh)
    assert sorted(execution.tree.paths()) == sorted(FILES)


@pytest.mark.docker
def test_a_build_is_only_done_again_when_something_changed_that_it_depends_on(sandboxed):
    when = Command(script=recipe().script("stat -c %y /build/lib/python*/site-packages/*.dist-info/METADATA"))
    with sandboxed() as sandbox:

        def built(**changed):
            return sandbox.execute(tree_of(FILES | changed), when).result.output

        first = built()
        assert first.startswith(b"20")
        assert built(**{"src/greeter/__init__.py": "def main(): pass\n"}) == first
        assert built(**{"src/greeter/part/__init__.py": ""}) != first
        assert built(**{"setup.py": SETUP + "# changed"}) != first


@pytest.mark.docker
def test_a_build_that_fails_fails_the_command(sandboxed):
    with sandboxed() as sandbox:
        script = recipe().script("echo went on")
        result = sandbox.execute(
            tree_of(FILES | {"setup.py": "raise SystemExit('broken')"}), Command(script=script)
        ).result
    assert result.exit_code != 0
    assert b"broken" in result.output
    assert b"went on" not in result.output


@pytest.mark.docker
def test_a_command_of_the_project_does_not_take_the_place_of_the_environments_own(sandboxed):
    with sandboxed() as sandbox:
        result = sandbox.execute(tree_of(FILES), Command(script=recipe().script("ls /build/bin; which python"))).result
    assert result.output.decode().split() == ["greet", "python", "/opt/greenward/bin/python"]


EVERYTHING = """
cd /build && find lib bin -type f ! -name '*.pyc' | sort | while read -r file; do
    echo "=== $file $(stat -c %a "$file")"
    case $file in */RECORD) grep -v '[.]pyc,' "$file" | sed 's/,.*//' | sort ;; *) cat "$file" ;; esac
done
"""
PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "Greeter.One"
version = "2.0"
description = "Ünïcode"
dependencies = ["click>=8"]
[project.optional-dependencies]
loud = ["colorama"]
[project.scripts]
greet = "greeter:main"
Greet-Loud = "greeter.loud:Loud.main"
[project.gui-scripts]
window = "greeter:main"
[project.entry-points."greeter.plugins"]
one = "greeter:main"
"""
LAYOUTS = {
    "setup.py": FILES,
    "src": {"pyproject.toml": PYPROJECT, "src/greeter/__init__.py": "", "src/greeter/data.txt": "data"},
    "flat": {"pyproject.toml": PYPROJECT, "greeter/__init__.py": "", "greeter/loud.py": "class Loud: main = print\n"},
    "data": FILES | {"setup.py": SETUP.replace("include_package_data=True", "data_files=[('share', ['setup.py'])]")},
    "scripts": FILES | {"setup.py": SETUP.replace("include_package_data=True", "scripts=['test_greeter.py']")},
    "no backend": {
        "pyproject.toml": PYPROJECT.replace('build-backend = "setuptools.build_meta"', ""),
        "greeter.py": "",
    },
}


def builds(files):
    """The project's build as it is, and by pip alone."""
    project = Project(read=lambda path: files[path].encode() if path in files else None, paths=files)
    build = recipe_for(project, settings=Settings(test="true")).build
    backend = backend_of(project)[0]
    return build, build_script("0.0.0", (backend, ("within",)))


@pytest.mark.docker
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_build_at_once_leaves_what_pip_leaves(sandboxed, layout):
    at_once, by_pip = builds(LAYOUTS[layout])
    with sandboxed() as sandbox:
        tree = tree_of(LAYOUTS[layout])
        ours = sandbox.execute_fresh(tree, Command(script=f"{at_once} || exit\n{EVERYTHING}"))
        marked = sandbox.execute_fresh(tree, Command(script=f"{at_once} || exit\ntest -e /build/egg/installed"))
        pips = sandbox.execute_fresh(tree, Command(script=f"{by_pip} || exit\n{EVERYTHING}"))

    assert told(ours) == told(pips)
    assert ours.output.count(b"===") > 5
    assert "inplace.py" not in by_pip
    assert (marked.exit_code == 0) == (layout != "scripts"), "pip is asked for what is out of the ordinary"


@pytest.mark.docker
def test_a_build_that_ends_the_process_has_not_succeeded(sandboxed):
    files = FILES | {"setup.py": "import os\nos._exit(0)\n"}
    with sandboxed() as sandbox:
        result = sandbox.execute_fresh(tree_of(files), Command(script=recipe().script("echo went on")))

    assert result.exit_code != 0
    assert b"went on" not in result.output


def test_a_local_sandbox_builds_into_a_directory_of_its_own_that_python_sees(tmp_path):
    engine = LocalEngine(host=os.environ, cache=tmp_path)
    environment = engine.prepare(Setup(), lambda line: None)
    script = """
        site=$GREENWARD_BUILD/lib/python$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')/site-packages
        mkdir -p "$site"; echo 'x = 5' > "$site/direct.py"; python -c 'import direct; print(direct.x)'
    """
    with engine.open(environment, limits=Limits(), run_id="local") as sandbox:
        assert told(sandbox.execute(tree_of({}), Command(script=script)).result) == (0, "5\n")
