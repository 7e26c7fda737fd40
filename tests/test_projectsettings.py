"""What a repository says of itself, what it may not say, and who is heard before whom."""

import pytest

from agent.errors import UsageProblem
from agent.manifests import Project
from agent.projectsettings import project_of, project_settings
from agent.projecttable import read_table
from agent.recipe import read_settings
from agent.sourced import Sourced
from agent.workspace import Workspace
from tests.gitrepo import AT, put, repository

IN_PYPROJECT = "[tool.greenward] in pyproject.toml"


def project(files, cwd=""):
    return Project(read=lambda path: files[path].encode() if path in files else None, paths=files.keys(), cwd=cwd)


def refused(files, cwd=""):
    with pytest.raises(UsageProblem) as caught:
        read_table(project(files, cwd))
    assert caught.value.exit_code == 2
    return f"{caught.value.message}\n{caught.value.hint}"


def test_both_places_take_the_same_keys():
    lines = 'test = "tox"\nbuild = "make"\nsetup = """\napt-get install x\n"""\nsealed = ["data/**"]\n'
    for name, where in (("greenward.toml", "greenward.toml"), ("pyproject.toml", IN_PYPROJECT)):
        text = lines if name == "greenward.toml" else f"[tool.greenward]\n{lines}"
        assert read_table(project({name: text})) == {
            "test": Sourced("tox", where),
            "build": Sourced("make", where),
            "setup": Sourced("apt-get install x\n", where),
            "sealed": Sourced(("data/**",), where),
        }


def test_a_project_below_the_root_says_it_in_its_own_directory():
    files = {"pyproject.toml": "[tool.greenward]\ntest = 'root'", "app/greenward.toml": "test = 'app'"}
    assert read_table(project(files, "app")) == {"test": Sourced("app", "app/greenward.toml")}
    assert read_table(project({"pyproject.toml": "[tool.other]\nx = 1"})) == {}


@pytest.mark.parametrize(
    "line",
    [
        "base_url = 'https://evil.example/v1'",
        "model = 'dear'",
        "image = 'evil'",
        "sandbox = 'local'",
        "key = 'sk-1'",
        "limits = 1",
        "limits.dollars = 1000",
        "prices = {input = 0, cached = 0, output = 0}",
    ],
)
def test_a_repository_cannot_set_what_spends_sends_or_isolates(line):
    for files in ({"greenward.toml": line}, {"pyproject.toml": f"[tool.greenward]\n{line}"}):
        said = refused(files)
        assert "a repository may not set" in said
        assert "take it out; `greenward config path` names your own file" in said


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tset = 'x'", "did you mean `test`?"),
        ("xyzzy = 'x'", "a project may set: test, build, setup, sealed, suspicions.KIND"),
        ("[suspicions]\nnew-skips = 'flag'", "did you mean `suspicions.new-skip`?"),
        ("[suspicions]\nnew-skip = 'maybe'", 'it must be one of "refuse", "review", "flag"'),
        ("[suspicions]\nnew-skip = 'ignore'", 'it must be one of "refuse", "review", "flag"'),
        ("suspicions = 'flag'", "unknown setting `suspicions`"),
        ("test = ['pytest']", "it must be a command, as a text"),
        ("test = ' '", "it must be a command, as a text"),
        ("sealed = 'data'", "it must be a list of patterns"),
        ("sealed = ['']", "it must be a list of patterns"),
        ("build = 1", "it must be a text"),
        ("[test]\ncommand = 'x'", "unknown setting `test.command`"),
        ("a = 1\ntest =", "greenward.toml cannot be read: Invalid value (at end of document)"),
        ("a = 1\ntest = x\n", "(at line 2, column 8)"),
    ],
)
def test_a_mistake_is_refused_with_advice(line, says):
    assert says in refused({"greenward.toml": line})


def test_what_suspicions_lead_to_is_stated_by_kind():
    lines = "machine-file = 'ignore'\nalways-equal = 'review'\n"
    for name, head in (("greenward.toml", "suspicions"), ("pyproject.toml", "tool.greenward.suspicions")):
        stated = project({name: f"[{head}]\n{lines}"})
        assert read_settings(stated).suspicions == {"machine-file": "ignore", "always-equal": "review"}
        shown = project_settings(stated, {})
        assert list(shown)[-2:] == ["suspicions.machine-file", "suspicions.always-equal"]


def test_both_places_at_once_are_refused():
    files = {"app/greenward.toml": "test = 'a'", "app/pyproject.toml": "[tool.greenward]\nsealed = ['x']"}
    assert "there are both app/greenward.toml and [tool.greenward] in app/pyproject.toml" in refused(files, "app")


def test_what_is_no_table_is_refused():
    assert "is no table" in refused({"pyproject.toml": "tool.greenward = 3"})


def test_a_broken_pyproject_matters_if_it_speaks_of_us():
    broken = "[project\nname = 'x'\n"
    assert read_table(project({"pyproject.toml": broken})) == {}
    assert "pyproject.toml cannot be read" in refused({"pyproject.toml": broken + "[tool.greenward]\ntest = 'x'"})


def test_the_command_line_goes_before_the_table_and_the_table_before_what_is_found():
    files = {
        "tox.ini": "[testenv]\ncommands = pytest -x\n",
        "requirements.txt": "attrs\n",
        "greenward.toml": "test = 'make'\nsealed = ['data/**']",
    }
    assert project_settings(project(files), {"test": "tox", "build": None}) == {
        "test": Sourced("tox", "command line"),
        "build": Sourced("none", "no package"),
        "setup": Sourced("pip install attrs pytest", "found in requirements.txt, tox.ini"),
        "sealed": Sourced(("data/**",), "greenward.toml"),
    }
    assert project_settings(project(files), {})["test"] == Sourced("make", "greenward.toml")
    del files["greenward.toml"]
    assert project_settings(project(files), {})["test"] == Sourced("pytest -x", "found in tox.ini")


def test_what_is_found_says_where():
    pyproject = "[build-system]\nrequires = ['hatchling']\n[project]\nname = 'x'\ndependencies = ['idna']\n"
    found = project_settings(project({"pyproject.toml": pyproject, "tests/test_x.py": ""}), {})
    assert found == {
        "test": Sourced("python -m pytest", "default"),
        "build": Sourced("pip install -e .", "found in pyproject.toml"),
        "setup": Sourced("pip install idna pytest", "found in pyproject.toml"),
        "sealed": Sourced((), "the tests that are found"),
    }
    assert project_settings(project({}), {})["setup"] == Sourced("pip install pytest", "default")


def test_requirements_with_hashes_are_mentioned():
    locked = "attrs==1 --hash=sha256:aa\npytest==8 --hash=sha256:bb\n"
    assert project_settings(project({"requirements.txt": locked}), {})["setup"].value == "pip install what is locked"


def test_the_table_is_read_from_the_tree_with_what_is_uncommitted(tmp_path):
    repo = repository(tmp_path / "r", {"greenward.toml": "test = 'old'"})
    put(repo, {"greenward.toml": "test = 'uncommitted'"})
    with Workspace.open(repo) as workspace:
        head, now = workspace.head_tree(), workspace.snapshot(at=AT).tree
        assert [read_table(project_of(workspace, tree))["test"].value for tree in (head, now)] == ["old", "uncommitted"]
