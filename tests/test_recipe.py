"""A recipe is a pure function of what a project's manifests say."""

import json
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement

from agent.build import pretend_version
from agent.manifests import Project
from agent.poetry import specifier
from agent.recipe import Settings, read_settings, recipe_for
from agent.requirements import KEPT_OPTIONS


def project(files=None, cwd="", **more):
    texts = {name: dedent(text) for name, text in {**(files or {}), **more}.items()}
    return Project(
        read=lambda path: texts[path].encode() if path in texts else None,
        paths=frozenset(texts),
        cwd=cwd,
    )


def installed(recipe, name="requirements.txt"):
    return recipe.setup.files.get(f".greenward/{name}", b"").decode().split("\n")[:-1]


def test_an_empty_tree_is_tested_with_pytest_and_not_built():
    recipe = recipe_for(project())
    assert (installed(recipe), recipe.build, recipe.test) == (["pytest"], "", "python -m pytest")


def test_the_standard_table_gives_dependencies_and_the_extra_for_tests():
    recipe = recipe_for(
        project(
            {
                "pyproject.toml": """
                [build-system]
                requires = ["hatchling>=1.20"]
                build-backend = "hatchling.build"
                [project]
                name = "demo"
                dependencies = ["httpx>=0.27", "rich; python_version < '3.12'"]
                [project.optional-dependencies]
                docs = ["sphinx"]
                cli = ["click"]
                test = ["pytest>=8", "Demo[cli]"]
            """
            }
        )
    )
    assert installed(recipe) == ["httpx>=0.27", "rich; python_version < '3.12'", "pytest>=8", "click"]
    assert installed(recipe, "build.txt") == ["hatchling>=1.20", "editables"]


def test_groups_are_resolved_with_the_groups_that_they_include_and_without_cycles():
    recipe = recipe_for(
        project(
            {
                "pyproject.toml": """
                [dependency-groups]
                Core_Test = ["pytest", {include-group = "tests"}]
                tests = ["hypothesis", {include-group = "core-test"}]
                dev = ["ruff"]
            """
            }
        )
    )
    assert installed(recipe) == ["hypothesis", "pytest"]


def test_the_group_for_development_serves_where_none_is_for_tests():
    recipe = recipe_for(project({"pyproject.toml": '[dependency-groups]\ndev = ["pytest<9"]\ndocs = ["furo"]'}))
    assert installed(recipe) == ["pytest<9"]


def test_requirements_files_include_each_other_and_drop_local_paths():
    recipe = recipe_for(
        project({
            "app/requirements.txt": """
                -r ../shared/base.txt   # what all services need
                -c constraints.txt
                --index-url https://index.example/simple
                --find-links ./wheels
                -e .
                ./vendored
                other @ file:///srv/other
                -e git+https://git.example/lib@v1#egg=lib
                requests[socks] >= 2 ; python_version > "3.8"
                not a requirement
            """,
            "app/constraints.txt": "idna==3.4\n",
            "shared/base.txt": "attrs \\\n  ==23.1\n-r missing.txt\n",
        }, cwd="app")
    )  # fmt: skip
    assert installed(recipe) == [
        "attrs    ==23.1",
        "--index-url https://index.example/simple",
        "lib @ git+https://git.example/lib@v1",
        'requests[socks] >= 2 ; python_version > "3.8"',
        "pytest",
    ]
    assert installed(recipe, "constraints.txt") == ["idna==3.4"]
    assert recipe.notes == (
        "shared/missing.txt is included, but there is no such file",
        "app/requirements.txt: the option `--find-links` is left out",
        "app/requirements.txt: `not a requirement` is no requirement that can be installed, and is left out",
    )


def test_requirements_files_that_include_themselves_end():
    assert installed(recipe_for(project({"requirements.txt": "-r requirements.txt\nattrs\n"}))) == ["attrs", "pytest"]


def test_a_requirements_file_with_hashes_is_used_as_it_is_in_a_call_of_its_own():
    text = "attrs==23.1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\npytest==8.0 --hash=sha256:cc\n"
    recipe = recipe_for(project({"requirements.txt": text}))
    assert [line.split() for line in installed(recipe, "locked-1.txt")] == [
        ["attrs==23.1", "--hash=sha256:aa", "--hash=sha256:bb"],
        ["pytest==8.0", "--hash=sha256:cc"],
    ]
    assert installed(recipe) == []
    assert 'install -r "$here/locked-1.txt"' in recipe.setup.files[".greenward/install.sh"].decode()


@pytest.mark.parametrize(
    "name",
    [
        "requirements-test.txt",
        "requirements/tests.txt",
        "test-requirements.txt",
        "tests/requirements.txt",
        "dev-requirements.txt",
    ],
)
def test_files_named_for_testing_are_taken(name):
    assert installed(recipe_for(project({name: "pytest-mock\npytest\n"}))) == ["pytest-mock", "pytest"]


def test_setup_cfg_gives_requirements_extras_and_what_tox_names():
    recipe = recipe_for(
        project(
            {
                "setup.cfg": """
                [metadata]
                name = demo
                [options]
                install_requires =
                    attrs>=20
                    tomli; python_version<"3.11"
                [options.extras_require]
                checks = pytest>7
                docs = sphinx
            """,
                "tox.ini": """
                [testenv]
                extras = checks
                deps =
                    -r more.txt
                    pytest-randomly
                    py38: old-thing
                    {[base]deps}
                commands = pytest -q {posargs:tests}
            """,
                "more.txt": "trustme",
            }
        )
    )
    assert installed(recipe) == ["attrs>=20", 'tomli; python_version<"3.11"', "pytest>7", "trustme", "pytest-randomly"]
    assert installed(recipe, "build.txt") == ["setuptools", "wheel"]
    assert recipe.test == "pytest -q tests"


def test_literal_arguments_of_setup_py_are_read_without_running_it():
    recipe = recipe_for(
        project(
            {
                "setup.py": """
                from setuptools import setup
                raise SystemExit("this must not run")
                BASE = ["attrs"]
                TESTS = ["pytest"]
                setup(name="x", install_requires=BASE + ["idna"], extras_require={"test": TESTS, "all": BASE + TESTS})
            """
            }
        )
    )
    assert installed(recipe) == ["attrs", "idna", "pytest"]
    assert recipe.notes == ()


@pytest.mark.parametrize(
    "call", ["setup(install_requires=read('r.txt'))", "setup(**arguments)", "setup(extras_require=dict(a=['b']))"]
)
def test_what_only_code_knows_is_said_to_be_left_out(call):
    recipe = recipe_for(project({"setup.py": f"from setuptools import setup\n{call}\n"}))
    assert recipe.notes == ("some dependencies are only known to the project's own code, and are not installed",)


def test_poetrys_tables_are_translated_and_its_lock_constrains():
    recipe = recipe_for(
        project(
            {
                "pyproject.toml": """
                [build-system]
                requires = ["poetry-core"]
                build-backend = "poetry.core.masonry.api"
                [tool.poetry]
                name = "demo"
                [tool.poetry.dependencies]
                python = "^3.8"
                attrs = "^23.1"
                rich = {version = "~13.2", extras = ["jupyter"], python = "<3.12"}
                local = {path = "../local"}
                lib = {git = "https://git.example/lib.git", tag = "v1"}
                click = {version = "*", optional = true}
                [tool.poetry.group.test.dependencies]
                pytest = ">=7,<9"
                [tool.poetry.group.docs.dependencies]
                sphinx = "*"
            """,
                "poetry.lock": """
                [[package]]
                name = "attrs"
                version = "23.2.0"
                [[package]]
                name = "numpy"
                version = "1.24.0"
                [[package]]
                name = "numpy"
                version = "2.0.0"
                [[package]]
                name = "lib"
                version = "1.0"
                [package.source]
                type = "git"
            """,
            }
        )
    )
    assert installed(recipe) == [
        "attrs>=23.1,<24",
        "rich[jupyter]>=13.2,<13.3 ; python_version < '3.12'",
        "lib @ git+https://git.example/lib.git@v1",
        "pytest>=7,<9",
    ]
    assert installed(recipe, "constraints.txt") == ["attrs==23.2.0"]


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"),
        ("^1.0b1", ">=1.0b1,<2"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("1.2.3", "==1.2.3"),
        ("= 1.2", "==1.2"),
        ("1.2.*", "==1.2.*"),
        (">=1 <2", ">=1,<2"),
        (">=1, !=1.5", ">=1,!=1.5"),
        ("*", ""),
        ("^1 || ^2", ""),
    ],
)
def test_poetrys_constraints_mean_the_same_in_the_standards_words(constraint, expected):
    assert specifier(constraint) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("uv.lock", '[[package]]\nname="a"\nversion="1"\n[[package]]\nname="m"\nversion="0"\nsource.git=""', ["a==1"]),
        ("pdm.lock", '[[package]]\nname="A.b"\nversion="1.0"\n[[package]]\nname="a-b"\nversion="1.0"', ["a-b==1.0"]),
        ("pylock.toml", '[[packages]]\nname="a"\nversion="2"', ["a==2"]),
        ("Pipfile.lock", '{"default": {"a": {"version": "==1"}}, "develop": {"b": {"git": "x"}}}', ["a==1"]),
        ("poetry.lock", "not [ toml", []),
        ("Pipfile.lock", "[]", []),
    ],
)  # fmt: skip
def test_lock_files_become_constraints(name, text, expected):
    assert installed(recipe_for(project({name: text})), "constraints.txt") == expected


def test_plugins_that_pytests_configuration_needs_are_added_when_no_runner_is_declared():
    recipe = recipe_for(project({"pytest.ini": "[pytest]\naddopts = --cov=demo -n auto\nasyncio_mode = auto\n"}))
    assert installed(recipe) == ["pytest", "pytest-cov", "pytest-xdist", "pytest-asyncio"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tox.ini": "[testenv]\ncommands =\n  python -m pytest {posargs} tests\n"}, "python -m pytest tests"),
        ({"tox.ini": "[testenv]\ncommands = pytest --cov={envsitepackagesdir}\n"}, "python -m pytest"),
        ({"tox.ini": "[testenv]\ncommands =\n  python make.py\n  pytest\n"}, "python -m pytest"),
        ({"tox.ini": "[testenv]\ncommands = coverage run -m pytest\n"}, "python -m pytest"),
        ({"Makefile": "test: build\n\t@uv run pytest -x tests\n"}, "pytest -x tests"),
        ({"Makefile": "test:\n\tpytest $(ARGS)\n"}, "python -m pytest"),
        ({"Makefile": "test:\n\tpytest && rm -rf /\n"}, "python -m pytest"),
        ({"noxfile.py": "def tests(session):\n    session.run('pytest', 'tests', *session.posargs)\n"}, "pytest tests"),
        ({"noxfile.py": "def tests(session):\n    session.run('pytest', PATH)\n"}, "python -m pytest"),
        ({"pyproject.toml": '[tool.greenward]\ntest = "make"\n', "tox.ini": "[testenv]\ncommands = pytest\n"}, "make"),
    ],
)  # fmt: skip
def test_the_test_command_is_the_projects_own_where_it_is_plain(files, expected):
    tree = project(files)
    assert recipe_for(tree, settings=read_settings(tree)).test == expected


def test_the_repositorys_table_becomes_settings():
    tree = project({"greenward.toml": 'test = "make test"\nbuild = ""\nsealed = ["data/**"]\n'})
    assert read_settings(tree) == Settings(test="make test", build="", sealed=("data/**",))


def test_the_users_settings_go_before_the_repositorys():
    base = Settings(test="make test", build="make")
    assert Settings(test="tox", image="python:3.12").over(base) == Settings(
        test="tox", build="make", image="python:3.12"
    )


def test_a_setup_command_gets_the_manifests_but_no_code():
    tree = project({"pyproject.toml": "", "setup.py": "import os", "requirements/ci.txt": "attrs", "a/conftest.py": ""})
    setup = recipe_for(tree, settings=Settings(setup="apt-get install -y make")).setup
    assert setup.script == "apt-get install -y make"
    assert {name for name in setup.files if not name.startswith(".greenward/")} == {
        "pyproject.toml",
        "requirements/ci.txt",
    }


@pytest.mark.parametrize(
    "text",
    [
        "[tool.ruff]\nline-length = 100",
        '[project]\nname = "an-application"',
        "[build-system]\nrequires = []\n[tool.uv]\npackage = false",
        "[build-system]\nrequires = []\n[tool.poetry]\npackage-mode = false",
    ],
)  # fmt: skip
def test_what_is_no_package_is_not_built(text):
    assert recipe_for(project({"pyproject.toml": text})).build == ""


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("v1.2.3", "1.2.3"),
        ("release-2.0rc1", "2.0rc1"),
        ("1.0; rm -rf /", "0.0.0"),
        ("nightly", "0.0.0"),
        ("", "0.0.0"),
    ],
)
def test_a_tag_is_a_version_or_counts_for_nothing(tag, expected):
    assert pretend_version(tag) == expected


def test_the_build_pretends_the_tags_version_or_that_of_the_source_distribution():
    files = {"setup.py": "", "PKG-INFO": "Metadata-Version: 2.1\nName: x\nVersion: 3.1\n"}
    assert "SETUPTOOLS_SCM_PRETEND_VERSION=1.5\n" in recipe_for(project(files), version="v1.5").build
    assert "SETUPTOOLS_SCM_PRETEND_VERSION=3.1\n" in recipe_for(project(files)).build


def test_a_release_of_the_project_that_a_dependency_brings_is_removed_again():
    recipe = recipe_for(project({"pyproject.toml": '[build-system]\nrequires = []\n[project]\nname = "My.Package"\n'}))
    assert recipe.setup.files[".greenward/install.sh"].endswith(b"\npython -m pip uninstall -y my-package\n")


def test_a_build_that_fails_ends_the_script_before_the_tests():
    recipe = recipe_for(project({"setup.py": ""}))
    assert recipe.script() == f"{recipe.build} || exit\npython -m pytest"
    assert recipe.script("ls") == f"{recipe.build} || exit\nls"
    assert recipe_for(project()).script("ls") == "ls"


def test_the_plans_dependencies_are_added_and_nonsense_is_named():
    recipe = recipe_for(project(), extra=["typer>=0.12", "--index-url https://evil.example"])
    assert installed(recipe) == ["typer>=0.12", "pytest"]
    assert recipe.notes == (
        "`--index-url https://evil.example` is no requirement that can be installed, and is left out",
    )


def test_an_edited_manifest_changes_the_requirements_and_the_key_and_nothing_else():
    base = recipe_for(project({"requirements.txt": "attrs\n"}), settings=Settings(setup=None, test="make test"))
    same = base.for_tree(project({"requirements.txt": "attrs\n", "app.py": "x = 1"}))
    files = {
        "requirements.txt": "attrs\nidna\n",
        "pyproject.toml": '[tool.greenward]\nsetup = "curl evil"\n',
        "tox.ini": "[testenv]\ncommands = pytest none",
    }
    edited = base.for_tree(project(files))
    assert same == base
    assert installed(edited) == ["attrs", "idna", "pytest"]
    assert edited.key != base.key
    assert (edited.test, edited.setup.script) == (base.test, base.setup.script)


def test_an_edit_that_touches_no_requirement_keeps_the_key():
    one = recipe_for(project({"pyproject.toml": '[project]\nname="a"\nversion="1"\ndependencies=["attrs"]'}))
    two = recipe_for(project({"pyproject.toml": '[project]\nname="a"\nversion="2"\ndependencies=["attrs"]'}))
    assert one.key == two.key


def test_a_python_that_the_default_image_lacks_is_named():
    recipe = recipe_for(project({"pyproject.toml": '[project]\nname="a"\nrequires-python=">=3.13"'}))
    assert recipe.notes == ("the project wants Python >=3.13, the default image has 3.11: see `--image`",)


MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "requirements.txt", "poetry.lock", "noxfile.py")


@given(st.dictionaries(st.sampled_from(MANIFESTS), st.text()))
def test_no_manifest_is_so_broken_that_there_is_no_recipe(files):
    read = {name: text.encode(errors="replace") for name, text in files.items()}.get
    check(recipe_for(Project(read=read, paths=files)))


@given(
    st.text(alphabet=st.sampled_from("-abe @:/.;[]<>=~#'\n\\ ")),
    st.sampled_from(["pyproject", "poetry", "setup", "file"]),
)
def test_only_requirements_get_into_what_is_installed(line, where):
    quoted = json.dumps(line)
    files = {
        "pyproject": {"pyproject.toml": f"[project]\ndependencies = [{quoted}]\n"},
        "poetry": {"pyproject.toml": f"[tool.poetry.dependencies]\nx = {quoted}\n{quoted} = '1'\n"},
        "setup": {"setup.py": f"setup(install_requires=[{quoted}])\n"},
        "file": {"requirements.txt": line},
    }[where]
    check(recipe_for(project(files)))


def check(recipe):
    for line in installed(recipe):
        assert _is_requirement(line) or line.startswith(KEPT_OPTIONS), line


def _is_requirement(line):
    try:
        Requirement(line)
    except InvalidRequirement:
        return "://" in line
    return True
