"""The seal: the tests that judge a run, and what makes machines run code, stay as they are."""

from dataclasses import replace

import pytest

from agent.seal import Seal

BASE = [
    "app/__init__.py",
    "app/core.py",
    "app/test_inline.py",
    "conftest.py",
    "docs/conftest.py",
    "pyproject.toml",
    "setup.cfg",
    "tests/conftest.py",
    "tests/data/in.json",
    "tests/helpers.py",
    "tests/test_core.py",
    "tox.ini",
]
TESTS = ["tests/test_core.py", "app/test_inline.py"]


def seal(policy="additive", files=BASE, tests=TESTS, **options):
    return Seal.of(files, test_files=tests, policy=policy, **options)


LOCKED, ADDITIVE, FREE = (seal(policy) for policy in ("locked", "additive", "free"))


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_core.py",
        "app/test_inline.py",
        "conftest.py",
        "tests/conftest.py",
        "docs/conftest.py",
        "TESTS/Test_Core.py",
    ],
)
@pytest.mark.parametrize("new", [b"", None])
def test_old_tests_neither_change_nor_vanish_unless_all_is_free(path, new):
    assert "sealed" in LOCKED.refusal(path, b"old", new)
    assert "sealed" in ADDITIVE.refusal(path, b"old", new)
    assert FREE.refusal(path, b"old", new) is None


def test_what_lies_beside_tests_is_sealed_with_them():
    for one in (LOCKED, ADDITIVE):
        assert one.refusal("tests/data/in.json", b"old", b"new")
        assert one.refusal("tests/helpers.py", b"old", None)
    assert ADDITIVE.refusal("app/core.py", b"old", b"new") is None


def test_code_beside_inline_tests_stays_open():
    assert LOCKED.refusal("app/core.py", b"old", b"new") is None
    assert LOCKED.refusal("app/new.py", None, b"new") is None


def test_tests_in_the_root_do_not_seal_the_whole_project():
    one = seal("locked", ["app.py", "test_app.py"], ["test_app.py"])
    assert one.refusal("app.py", b"old", b"new") is None
    assert one.refusal("test_app.py", b"old", b"new")


@pytest.mark.parametrize(
    "path", ["tests/test_new.py", "tests/unit/test_new.py", "tests/data/out.json", "tests/unit/conftest.py"]
)
def test_new_tests_may_be_added_unless_tests_are_locked(path):
    assert LOCKED.refusal(path, None, b"new") == "lies in a sealed directory of tests"
    assert ADDITIVE.refusal(path, None, b"new") is None


@pytest.mark.parametrize("path", ["app/conftest.py", "app/__init__.py", "tests/__init__.py", "tests/CONFTEST.py"])
@pytest.mark.parametrize("policy", ["locked", "additive"])
def test_nothing_is_added_that_changes_how_existing_tests_run(path, policy):
    without = [name for name in BASE if name != path.lower()]
    assert "would change how existing tests run" in seal(policy, without).refusal(path, None, b"new")


def test_a_conftest_in_the_root_is_above_all_tests():
    assert seal("additive", ["tests/test_core.py"], ["tests/test_core.py"]).refusal("conftest.py", None, b"")


def test_without_tests_at_the_base_all_test_files_may_be_made():
    empty = seal("additive", [], [])
    for path in (
        "conftest.py",
        "tests/conftest.py",
        "tests/test_a.py",
        "pytest.ini",
        "pyproject.toml",
        "tests/__init__.py",
    ):
        assert empty.refusal(path, None, b"[tool.pytest.ini_options]\naddopts = '-q'\n") is None


@pytest.mark.parametrize("path", ["tests/app.py", "tests/app/x.py", "tests/json.py", "tests/Json.py"])
def test_nothing_beside_tests_shadows_a_module(path):
    assert "shadows the module" in ADDITIVE.refusal(path, None, b"new")


def test_other_modules_may_stand_beside_tests():
    assert ADDITIVE.refusal("tests/factories.py", None, b"new") is None


@pytest.mark.parametrize("policy", ["locked", "additive", "free"])
@pytest.mark.parametrize(
    "path",
    [
        "sitecustomize.py", "a/usercustomize.py", "x.pth", "SiteCustomize.py", "pytest.py", "src/_pytest.py",
        "_pytest/__init__.py", "src/pytest/__init__.py", "pluggy.py", "unittest.py",
        ".github/workflows/ci.yml", ".GitHub/x", ".gitlab-ci.yml", ".gitattributes", "sub/.gitattributes",
        ".gitmodules", ".envrc", "sub/.envrc", ".vscode/tasks.json", "sub/.idea/x.xml", ".husky/pre-commit",
        ".pre-commit-config.yaml",
        ".devcontainer/devcontainer.json", "Jenkinsfile",
    ],
)  # fmt: skip
def test_what_machines_run_by_themselves_is_never_touched(policy, path):
    for one in (seal(policy), seal(policy, unsealed=["*"]), seal(policy, [], [])):
        assert one.refusal(path, None, b"new")
        assert one.refusal(path, b"old", None) or path.lower() not in one.base


@pytest.mark.parametrize(
    "path", [".gitignore", "sub/.gitignore", "Makefile", "setup.py", "uv.lock", "tests_of.py", "a.github/x"]
)
def test_ordinary_project_files_may_be_made(path):
    assert ADDITIVE.refusal(path, None, b"new") is None


def test_a_project_about_testing_may_keep_its_modules():
    one = seal("additive", ["src/plugin/pytest/hooks.py", "src/plugin/pytest.py"], [])
    assert one.refusal("src/plugin/pytest/hooks.py", b"old", b"new") is None
    assert one.refusal("src/plugin/pytest/more.py", None, b"new") is None
    assert one.refusal("src/plugin/pytest.py", b"old", b"new") is None


@pytest.mark.parametrize("name", ["pytest.ini", ".pytest.ini", "pytest.toml", ".coveragerc"])
def test_runner_configuration_is_sealed_and_not_added_above_tests(name):
    assert ADDITIVE.refusal(name, None, b"new") == "configures the test runner, so it may not be added"
    assert ADDITIVE.refusal(f"tests/{name}", None, b"new")
    assert ADDITIVE.refusal(f"examples/{name}", None, b"new") is None
    there = seal("additive", [*BASE, name, f"examples/{name}"])
    assert there.refusal(name, b"old", b"new")
    assert there.refusal(f"examples/{name}", b"old", b"new")


TABLES = {
    "pyproject.toml": (
        b"[project]\nversion='1'\n[tool.pytest.ini_options]\naddopts='-q'\n",
        b"version='1'",
        b"version='2'",
    ),
    "setup.cfg": (b"[metadata]\nversion = 1\n[tool:pytest]\naddopts = -q\n", b"version = 1", b"version = 2"),
    "tox.ini": (b"[tox]\nenvlist = a\n[pytest]\naddopts = -q\n", b"envlist = a", b"envlist = b"),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("policy", ["locked", "additive"])
def test_of_shared_files_only_the_runners_tables_are_sealed(name, policy):
    old, before, after = TABLES[name]
    one = seal(policy)
    assert one.refusal(name, old, old.replace(before, after)) is None
    assert one.refusal(name, old, b"# comment\n" + old) is None
    changed = "may change, but not its tables that configure the test runner"
    assert one.refusal(name, old, old.replace(b"-q", b"--co")) == changed
    assert one.refusal(name, old, None) == changed
    assert one.refusal(name, None, old) == changed
    assert "cannot be parsed" in one.refusal(name, old, b"[[[")
    assert "cannot be parsed" in one.refusal(name, old, b"\xff")
    assert seal("free").refusal(name, old, None) is None


@pytest.mark.parametrize(
    ("name", "added"),
    [
        ("pyproject.toml", b"[tool.pytest]\nx=1\n"),
        ("pyproject.toml", b"[project.entry-points.pytest11]\nx='y'\n"),
        ("pyproject.toml", b"[tool.poetry.plugins.pytest11]\nx='y'\n"),
        ("pyproject.toml", b"tool.pytest.ini_options.addopts='--co'\n"),
        ("setup.cfg", b"[options.entry_points]\npytest11 = x = y\n"),
        ("SETUP.CFG", b"[tool:pytest]\naddopts = --co\n"),
    ],
)
def test_configuration_by_any_door_is_refused(name, added):
    assert "tables" in ADDITIVE.refusal(name, b"", added)


def test_a_broken_file_can_be_repaired():
    assert ADDITIVE.refusal("pyproject.toml", b"[[[", b"[project]\n") is None


def test_paths_can_be_sealed_and_unsealed():
    one = seal("additive", sealed=["app/core.py", "vendored/"], unsealed=["tests/test_core.py", "pyproject.toml"])
    assert one.refusal("app/CORE.py", b"old", b"new") == "is sealed by the settings"
    assert one.refusal("vendored/deep/x", None, b"new") == "is sealed by the settings"
    assert one.refusal("tests/test_core.py", b"old", b"new") is None
    assert one.refusal("pyproject.toml", b"", b"[tool.pytest]\nx=1\n") is None
    assert replace(ADDITIVE, unsealed=("tests/*",)).refusal("tests/conftest.py", b"old", b"new") is None


def test_what_does_not_change_breaks_nothing():
    assert LOCKED.refusal("tests/test_core.py", b"same", b"same") is None
    assert LOCKED.violations([("app/core.py", b"a", b"b"), ("tests/test_core.py", b"a", b"b")]) == (
        "`tests/test_core.py` is sealed: it is part of the tests that judge the run",
    )
