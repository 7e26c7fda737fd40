"""How near tests are to a change: what they ran counts more than what they import, and the last change the most."""

import pytest

from agent.nearness import FAR, MAY_USE_IT, RAN_IT, RAN_ITS_FILE, Nearness
from agent.testreport import Status, TestCase, TestReport
from agent.touched.contexts import Contexts
from agent.touched.suite import Suite
from agent.trees import Blob
from agent.workspace import Workspace
from tests.gitrepo import AT, repository

FILES = {
    "core.py": "def f():\n    return 1\n\n\ndef g():\n    return 2\n",
    "leaf.py": "x = 1\n",
    "pyproject.toml": "[project]\nname = 'it'\n[project.scripts]\ntool = 'leaf:main'\n",
    "setup.cfg": "[options.entry_points]\npytest11 =\n    it = plugin\n",
    "plugin.py": "",
    "tests/test_f.py": "import core",
    "tests/test_g.py": "import core",
    "tests/test_leaf.py": "import leaf",
    "tests/test_tool.py": "run(['tool'])",
}
TESTS = [path for path in FILES if path.startswith("tests/")]


@pytest.fixture
def near(tmp_path):
    """Says how near the tests are once `files` are written, of which `recent` changed last; by default all did."""
    with Workspace.open(repository(tmp_path / "repo", FILES)) as workspace:
        base = workspace.snapshot(at=AT).tree
        cases = tuple(TestCase(id=f"{path}::test", status=Status.PASSED) for path in TESTS)
        report = TestReport(cases=cases, seconds=60.0)
        suite = Suite.of(report, base, workspace.trees.entries(base).keys(), base=base, cwd="")

        def say(files, recent=None, contexts=None, seconds=60.0):
            blobs = {
                path: None if text is None else Blob(mode="100644", data=text.encode()) for path, text in files.items()
            }
            tree = workspace.trees.build(base, blobs)
            known = Suite(report=TestReport(cases=cases, seconds=seconds), tree=base, base=base, files=suite.files)
            nearness = Nearness(workspace=workspace)
            return nearness.of(tree, known, files.keys(), files if recent is None else recent, contexts)

        yield say


def test_who_imports_it_is_near_and_nobody_else(near):
    assert near({"leaf.py": "x = 2\n"}).keys() == {"tests/test_leaf.py", "tests/test_tool.py"}


def test_who_ran_the_lines_that_changed_comes_first_then_who_ran_the_file(near):
    ran = {"core.py": ((1 << 2, (0,)), (1 << 6, (1,)))}
    contexts = Contexts(tests=("tests/test_f.py::test", "tests/test_g.py::test", "gone.py::test"), ran=ran)
    found = near({"core.py": FILES["core.py"].replace("return 2", "return 3")}, contexts=contexts)

    assert {path: how[1] for path, how in found.items()} == {"tests/test_f.py": RAN_ITS_FILE, "tests/test_g.py": RAN_IT}
    assert sorted(found, key=found.__getitem__) == ["tests/test_g.py", "tests/test_f.py"]


def test_who_ran_a_file_without_importing_it_is_near_to_it(near):
    contexts = Contexts(tests=("tests/test_f.py::test",), ran={"leaf.py": ((1 << 1, (0,)),)})
    found = near({"leaf.py": "x = 2\n"}, contexts=contexts)

    assert found["tests/test_f.py"] == (0, RAN_IT, FAR)
    assert found["tests/test_leaf.py"][1] == MAY_USE_IT


def test_what_changed_last_counts_more_than_what_changed_before(near):
    found = near({"leaf.py": "x = 2\n", "core.py": "x = 3\n"}, recent=["core.py"])

    assert max(found["tests/test_f.py"], found["tests/test_g.py"]) < found["tests/test_leaf.py"]


def test_plugins_and_configuration_are_near_to_every_test(near):
    assert near({"plugin.py": "x = 1\n"}).keys() == set(TESTS)
    assert near({"setup.cfg": "", "leaf.py": ""}) is None


def test_a_file_that_nobody_names_may_matter_for_any_test_but_for_prose(near):
    assert near({"data.bin": "x"}) is None
    assert near({"README.md": "x"}) == {}


def test_a_module_that_is_gone_is_near_to_who_imports_it_still(near):
    assert "tests/test_leaf.py" in near({"leaf.py": None})


def test_more_sources_than_the_suites_time_is_worth_are_not_read(near):
    contexts = Contexts(tests=("tests/test_f.py::test",), ran={"leaf.py": ((1 << 1, (0,)),)})

    assert near({"leaf.py": "x = 2\n"}, seconds=0.001) is None
    assert near({"leaf.py": "x = 2\n"}, seconds=0.001, contexts=contexts) == {"tests/test_f.py": (0, RAN_IT, FAR)}
