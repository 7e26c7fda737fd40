"""A plan is taken when it can be carried out; else all that is wrong with it is told at once."""

import json

import pytest

from agent.task import Criterion, LeftFile, Plan, PlannedFile
from agent.tools import Finish
from agent.tools.plan import is_test, slug, unportable

ADDRESS = "https://example.org/x.whl"
NO_REQUIREMENT = "is no requirement"
PLAN = {
    "summary": "Add a `total` command that prints the sum.",
    "steps": ["Write tests", "Write the command"],
    "files": [
        {"path": "src/shop/cli.py", "purpose": "the command"},
        {"path": "tests/test_cli.py", "purpose": "its tests"},
    ],
    "criteria": [{"behaviour": "prints the sum", "command": "shop total 1 2", "output": "3"}],
    "dependencies": ["click>=8", "pytest"],
    "setup": "",
    "test": " python -m pytest ",
}


def test_a_good_plan_is_taken(desk):
    outcome = desk().at(mode="new").outcome("submit_plan", **PLAN)

    assert outcome.result.content == "The plan is taken."
    assert outcome.effect == Plan(
        summary="Add a `total` command that prints the sum.",
        steps=("Write tests", "Write the command"),
        files=(
            PlannedFile(path="src/shop/cli.py", purpose="the command"),
            PlannedFile(path="tests/test_cli.py", purpose="its tests"),
        ),
        criteria=(Criterion(behaviour="prints the sum", command="shop total 1 2", exit_code=0, output="3"),),
        dependencies=("click>=8", "pytest"),
        setup=None,
        test="python -m pytest",
        slug="add-a-total-command-that-prints-the-sum",
    )


def test_all_faults_are_told_at_once(desk):
    plan = {
        "summary": " ",
        "steps": ["", "x" * 501],
        "files": [
            {"path": "../x", "purpose": ""},
            {"path": "a.py", "purpose": ""},
            {"path": "a.py", "purpose": ""},
            {"path": "A.py", "purpose": "x" * 501},
        ],
        "criteria": [
            {"behaviour": "", "command": " ", "exit_code": 256},
            {"behaviour": "b", "command": "c"},
            {"behaviour": "again", "command": "c"},
            {"behaviour": "b", "command": "c\0", "output": "x" * 2_001},
        ],
        "dependencies": ["click>=8", "Click >= 8", "not a requirement", f"x @ {ADDRESS}", "-e ."],
        "setup": "x" * 1_001,
        "test": "a\0",
    }

    told = desk().at(mode="new").fail("submit_plan", **plan).splitlines()
    assert [line.partition(NO_REQUIREMENT + ":")[0] for line in told] == [
        "The plan is not taken. Submit it again, whole, with this put right:",
        "- the summary is empty",
        "- step 1 is empty",
        "- step 2 has more than 500 characters",
        "- the setup command has more than 1,000 characters",
        "- the test command holds a NUL",
        "- the path `../x` holds an empty part, `.` or `..`",
        "- the path `a.py` is listed twice",
        "- the path `A.py` differs from `a.py` only in case or accents",
        "- the purpose of `A.py` has more than 500 characters",
        "- the files include no test, such as `tests/test_cli.py`",
        "- criterion 1 does not say what it is about",
        "- the command of criterion 1 is empty",
        "- the exit code of criterion 1 is not between 0 and 255",
        "- criterion 3 checks the same as one before it",
        "- the command of criterion 4 holds a NUL",
        "- criterion 4 has a text of more than 2,000 characters",
        "- the dependency `Click >= 8` is listed twice",
        "- the dependency `not a requirement` ",
        f"- the dependency `x @ {ADDRESS}` names an address: only releases by name and version are installed",
        "- the dependency `-e .` ",
    ]


def test_sizes_are_capped(desk):
    plan = {
        "summary": "x" * 2_001,
        "steps": ["x"] * 31,
        "files": [{"path": f"{n}.py", "purpose": ""} for n in range(101)],
        "criteria": [{"behaviour": "b", "command": f"c {n}"} for n in range(31)],
        "dependencies": [f"p{n}" for n in range(51)],
    }

    assert desk().fail("submit_plan", **plan).splitlines()[1:] == [
        "- the summary has more than 2,000 characters",
        "- there are more than 30 steps",
        "- there are more than 100 files",
        "- there are more than 30 criteria",
        "- there are more than 50 dependencies",
    ]


def test_a_flood_of_faults_stays_within_bounds(desk):
    plan = PLAN | {"dependencies": ["?" * 1_000] * 5_000, "steps": [""] * 5_000}

    assert len(desk().fail("submit_plan", **plan)) <= 4_000


@pytest.mark.parametrize(
    ("mode", "missing", "fault"),
    [
        (
            "change",
            "criteria",
            "there is no acceptance criterion that fails today: name at least one command and what it must print",
        ),
        (
            "new",
            "criteria",
            "there is no acceptance criterion that fails today: name at least one command and what it must print",
        ),
        ("new", "files", "the files include no test, such as `tests/test_cli.py`"),
        ("change", "files", None),
        ("fix", "criteria", None),
        ("change", "steps", "there are no steps"),
    ],
)
def test_what_a_plan_needs_depends_on_the_task(desk, mode, missing, fault):
    at = desk().at(mode=mode)
    plan = PLAN | {missing: []}

    if fault is None:
        at.ask("submit_plan", **plan)
    else:
        assert at.fail("submit_plan", **plan).splitlines()[1:] == [f"- {fault}"]


@pytest.mark.parametrize(
    ("criterion", "fault"),
    [
        (
            {"test": "tests/test_a.py::test_a", "command": "true"},
            "criterion 1 names a command and a test: one of them has to show it",
        ),
        ({"test": "test_a"}, "the test of criterion 1 is no id, such as `tests/test_cli.py::test_json`"),
        (
            {"command": "c", "files": ["../x"]},
            "the file `../x` of criterion 1 holds an empty part, `.` or `..`",
        ),
        ({"command": "c", "files": [f"f{n}" for n in range(6)]}, "criterion 1 looks at more than 5 files"),
        (
            {"command": "c", "files": ["f: " + "x" * 2_001]},
            "criterion 1 expects a text of more than 2,000 characters in a file",
        ),
        (
            {"command": "c", "before": "holds"},
            "there is no acceptance criterion that fails today: name at least one command and what it must print",
        ),
    ],
)
def test_what_is_wrong_with_a_criterion_is_told(desk, criterion, fault):
    told = desk().at(mode="change").fail("submit_plan", **PLAN | {"criteria": [{"behaviour": "b", **criterion}]})
    assert told.splitlines()[1:] == [f"- {fault}"]


def test_a_criterion_may_be_a_test_or_look_at_files(desk):
    criteria = [
        {"behaviour": "a", "test": "tests/test_a.py::test_a"},
        {"behaviour": "b", "command": "c", "files": ["out/f.txt: x"], "before": "holds"},
    ]
    plan = desk().at(mode="change").outcome("submit_plan", **PLAN | {"criteria": criteria}).effect
    assert plan.criteria == (
        Criterion(behaviour="a", test="tests/test_a.py::test_a"),
        Criterion(behaviour="b", command="c", files=(LeftFile(path="out/f.txt", text="x"),), before="holds"),
    )


def test_a_plan_of_the_wrong_shape_is_told(desk):
    assert desk().fail("submit_plan", summary="x") == "bad arguments for `submit_plan`: `steps`: Field required"
    assert "`files.0`" in desk().fail("submit_plan", **PLAN | {"files": ["a.py"]})


@pytest.mark.parametrize("path", ["a", "a/b.py", ".github/x.yml", "tests/test_é.py", "a b/c", ".gitignore", "console"])
def test_portable_paths_are_taken(path):
    assert unportable(path) == ""


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "~/a",
        "a/",
        "a//b",
        ".",
        "./a",
        "../a",
        "a/../b",
        "a\\b",
        "a:b",
        "a*",
        "a\nb",
        "a\x1b",
        "a\u202eb",
        ".git",
        ".git/config",
        "a/.GIT/x",
        ".Git ",
        ".git.",
        "GIT~1/x",
        ".gi\u200ct/x",
        "x\0",
        "a\ud800",
        "con",
        "aux.txt",
        "a/NUL",
        "trail. ",
        "trail.",
        " lead",
        "x" * 201,
        "x/" * 600 + "x",
    ],
)
def test_other_paths_are_not(path):
    assert unportable(path)


@pytest.mark.parametrize(
    "path", ["test_a.py", "tests/test_a.py", "src/a_test.go", "a.test.ts", "b/c.spec.js", "x.bats"]
)
def test_files_of_tests_are_known_by_their_names(path):
    assert is_test(path)


@pytest.mark.parametrize("path", ["tests/conftest.py", "tests/__init__.py", "src/latest.py", "contest_a.py", "a.py"])
def test_other_files_are_no_tests(path):
    assert not is_test(path)


@pytest.mark.parametrize(
    ("summary", "name"),
    [
        ("Füge `--json` hinzu!", "fuge-json-hinzu"),
        ("x" * 100, "x" * 40),
        ("a word " * 20, "a-word-a-word-a-word-a-word-a-word-a"),
        ("漢字 ../..", ""),
    ],
)
def test_a_slug_is_made_of_the_summary(summary, name):
    assert slug(summary) == name


def test_finishing_is_noted(desk):
    assert desk().outcome("finish", status="done").effect == Finish(status="done", reason="")
    assert desk().outcome("finish", status="blocked", reason=" wrong test ").effect == Finish(
        status="blocked", reason="wrong test"
    )


def test_being_blocked_needs_a_reason(desk):
    assert desk().fail("finish", status="blocked", reason=" ") == "say in `reason` what is in the way"
    assert "Input should be 'done' or 'blocked'" in desk().fail("finish", status="maybe")


def test_a_plan_survives_the_trip_through_json(desk):
    assert desk().raw("submit_plan", json.dumps(PLAN, ensure_ascii=False)).effect is not None
