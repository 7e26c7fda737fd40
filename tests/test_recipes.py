"""A run's trees are set up and built as they say themselves, and tested as the base says."""

from dataclasses import replace
from email.message import Message

import pytest

from agent.build import PRETENDED
from agent.recipes import Recipes
from agent.workspace import Workspace
from sandbox import ExecResult
from tests.gitrepo import AT, git

PACKAGE = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "p"\n'


def requirements(recipe):
    return recipe.setup.files[".greenward/requirements.txt"].decode().split()


def recipe_of(at, tree=None, state=None):
    return at.recipes.for_tree(tree or at.state.base, state or at.state)


def test_an_edited_manifest_brings_its_requirements_and_the_test_command_stays_the_bases(lab):
    at = lab({"requirements.txt": "click\n", "tox.ini": "[testenv]\ncommands = pytest -q\n"}, test=None)
    edited = at.put({"requirements.txt": "click\nrich\n", "tox.ini": "[testenv]\ncommands = pytest --co\n"})

    assert recipe_of(at).test == recipe_of(at, edited).test == "pytest -q"
    assert "rich" not in requirements(recipe_of(at))
    assert "rich" in requirements(recipe_of(at, edited))


def test_what_the_user_says_goes_before_what_the_repository_says(lab):
    own = '[tool.greenward]\ntest = "pytest own"\nbuild = "make own"\nsetup = "own"\n'
    theirs = recipe_of(lab({"pyproject.toml": own}, test=None))
    users = recipe_of(lab({"pyproject.toml": own}, test="pytest mine", build="make mine", setup="mine"))

    assert (theirs.test, theirs.build, theirs.setup.script) == ("pytest own", "make own", "own")
    assert (users.test, users.build, users.setup.script) == ("pytest mine", "make mine", "mine")


def test_the_settings_of_an_edited_tree_count_for_nothing(lab):
    at = lab({"a.py": ""}, test=None)
    edited = at.put({"pyproject.toml": '[tool.greenward]\ntest = "true"\nsetup = "curl evil"\n'})

    assert recipe_of(at, edited).test == "python -m pytest"
    assert "evil" not in recipe_of(at, edited).setup.script


def test_a_plan_brings_dependencies_and_a_preparation_but_tests_only_an_empty_base(lab):
    plan = {"dependencies": ("rich>=13",), "setup": "make data", "test": "pytest -x"}
    change, new = lab({"a.py": ""}, test=None), lab({}, mode="new", test=None)
    of_change, of_new = (recipe_of(at, state=at.planned(**plan)) for at in (change, new))

    assert "rich>=13" in requirements(of_change)
    assert of_change.build.startswith("make data\n")
    assert (of_change.test, of_new.test) == ("python -m pytest", "pytest -x")


def test_a_recipe_is_made_once_for_files_that_do_not_matter_to_it(lab):
    at = lab({"deep/er/a.py": "1"})
    edited = at.put({"deep/er/a.py": "2"})

    assert recipe_of(at) is recipe_of(at, edited)


@pytest.mark.parametrize(("tags", "version"), [(["v1.4.2"], "1.4.2"), (["latest"], "0.0.0"), ([], "0.0.0")])
def test_the_nearest_tag_is_the_version_that_a_build_would_read_from_git(lab, tags, version):
    at = lab({"pyproject.toml": PACKAGE})
    for tag in tags:
        git(at.root, "tag", tag)
    git(at.root, "tag", "other-9.9", git(at.root, "commit-tree", "HEAD^{tree}", "-m", "elsewhere"))

    assert f"{PRETENDED[0]}={version}" in recipe_of(at).build


def test_a_tag_that_is_no_version_hides_none(lab):
    at = lab({"pyproject.toml": PACKAGE})
    git(at.root, "tag", "v1.4.2")
    later = git(at.root, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "later")
    git(at.root, "tag", "latest", later)
    recipes = Recipes(workspace=at.workspace, task=replace(at.task, base_commit=later))

    assert f"{PRETENDED[0]}=1.4.2" in recipes.for_tree(at.state.base, at.state).build


def test_a_tag_counts_below_work_that_is_not_committed(lab, tmp_path):
    at = lab({"pyproject.toml": PACKAGE})
    git(at.root, "tag", "-a", "2.0", "-m", "two")
    (at.root / "pyproject.toml").write_text(PACKAGE + "# more\n")
    with Workspace.open(at.root) as workspace:
        snapshot = workspace.snapshot(at=AT)
        task = replace(at.task, base_commit=snapshot.commit, base_tree=snapshot.tree)
        recipe = Recipes(workspace=workspace, task=task).for_tree(snapshot.tree, at.state)

    assert snapshot.commit != at.task.base_commit
    assert f"{PRETENDED[0]}=2.0" in recipe.build


DYNAMIC = PACKAGE + 'dynamic = ["dependencies", "version"]\n'


def declaring(*names):
    """A sandbox in which the build backend declares `names`; with the setups that it was asked in."""
    asked = []

    def execute(setup, tree, command):
        asked.append((setup, tree, command))
        metadata = Message()
        metadata["Name"] = "p"
        for name in names:
            metadata["Requires-Dist"] = name
        return ExecResult(exit_code=0, output=b"", seconds=0.1, files={"METADATA": bytes(metadata)})

    return execute, asked


def test_what_only_code_declares_is_asked_of_the_build_backend_once(lab):
    at = lab({"pyproject.toml": DYNAMIC, "setup.py": "", "a.py": "1"})
    at.recipes.execute, asked = declaring("attrs>=23")
    edited = at.put({"a.py": "2"})

    assert "attrs>=23" in requirements(recipe_of(at))
    assert "attrs>=23" in requirements(recipe_of(at, edited))
    assert [tree for _, tree, _ in asked] == [at.state.base]


def test_what_is_declared_plainly_or_set_up_by_the_user_asks_nobody(lab):
    for at in (lab({"pyproject.toml": PACKAGE}), lab({"pyproject.toml": DYNAMIC, "setup.py": ""}, setup="mine")):
        at.recipes.execute, asked = declaring("attrs")
        recipe_of(at)
        assert asked == []


def test_a_backend_is_asked_without_the_suite_having_to_run(lab):
    at = lab(
        {"pyproject.toml": DYNAMIC, "setup.py": "from setuptools import setup\nsetup(install_requires=list('a'))\n"}
    )
    at.recipes.execute = at.place.execute_in

    assert requirements(recipe_of(at))
    assert len(at.engine.prepared) == 1
