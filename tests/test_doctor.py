"""What the doctor finds on real machines, engines, servers and repositories, well and unwell ones."""

import json
import os

import pytest

from agent.config import load_settings
from agent.doctor import Context, Report, Row, Verdict, ok, problem, skipped, warning
from agent.doctor.examining import CHECKS, Check, examine
from agent.doctor.machine import (
    GIB,
    check_git,
    check_place,
    check_python,
    check_runs_disk,
    check_settings,
    room,
    version_in,
)
from agent.doctor.project import check_repository, check_tests
from agent.doctor.rendering import as_json, as_text
from agent.errors import DamagedRun
from sandbox import MIB, SandboxError
from sandbox.contained import container_mark
from tests.gitrepo import git, put, repository
from tests.sandbox.test_images import NO_REGISTRY, filesystem, host_with, mmdebstrap  # noqa: F401  (a fixture)

KEY = "sk-of-the-doctor-0123456789"
HOST = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}


def context(**more):
    return Context(**{"environ": HOST} | more)


def verdict(finding):
    return finding.verdict.value, finding.exit_code


# The examination


def test_a_check_that_breaks_is_a_problem_and_the_others_are_made():
    def raising(error):
        def check(_context):
            raise error

        return check

    checks = {
        "damaged": raising(DamagedRun("line 3 is damaged", hint="begin anew")),
        "sandbox": raising(SandboxError("no container", hint="wait")),
        "bug": raising(ZeroDivisionError("by zero")),
        "fine": lambda _context: ok("well"),
    }
    report = examine(context(), tuple(Check(name=name, look=look) for name, look in checks.items()))

    assert report.rows == (
        Row(name="damaged", finding=problem("line 3 is damaged", "begin anew", 6)),
        Row(name="sandbox", finding=problem("no container", "wait", 4)),
        Row(name="bug", finding=problem("the check broke: ZeroDivisionError: by zero", "please report it as a bug", 1)),
        Row(name="fine", finding=ok("well")),
    )
    assert report.exit_code == 6


def test_only_a_problem_makes_it_fail_and_the_first_one_says_how():
    rows = [ok("a"), warning("b", "h"), skipped("c"), problem("d", "h", 5), problem("e", "h", 2)]
    codes = [
        Report(rows=tuple(Row(name="x", finding=each) for each in rows[:end]), settings={}).exit_code
        for end in (0, 3, 4, 5)
    ]
    assert codes == [0, 0, 5, 5]


def test_slow_checks_are_announced_if_they_are_made(tmp_path):
    said = []
    repo = repository(tmp_path / "r")
    examine(context(say=said.append, flags={"sandbox": "local"}, repo=repo, offline=True))
    assert said == ["reading the repository"]


def test_every_finding_that_is_not_well_has_a_hint(tmp_path):
    nowhere = {**HOST, "DOCKER_HOST": f"unix://{tmp_path}/none.sock", "GREENWARD_MODLE": "x"}
    report = examine(context(environ=nowhere, repo=tmp_path, named=True, offline=True))
    bad = [row for row in report.rows if row.finding.verdict in (Verdict.PROBLEM, Verdict.WARNING)]

    assert {row.name for row in bad} >= {"settings", "repository", "engine", "key"}
    assert [row.name for row in bad if not row.finding.hint] == []
    assert report.exit_code == 2
    assert report.settings == {}
    assert len(report.rows) == len(CHECKS)


# The report


def report_of(*findings, **settings):
    rows = tuple(Row(name=f"check {number}", finding=each) for number, each in enumerate(findings))
    return Report(rows=rows, settings=load_settings(settings, {}, key=None).layer())


def test_the_text_has_a_row_for_each_check_and_sums_up():
    long = "a word and " * 12
    text = as_text(report_of(ok("fine"), warning(long, "mend it"), problem("bad", "do this", 4), skipped("off")))
    assert text.splitlines() == [
        "ok       check 0  fine",
        "warning  check 1  a word and a word and a word and a word and a word and a word and a word and a",
        "                  word and a word and a word and a word and a word and",
        "                  hint: mend it",
        "problem  check 2  bad",
        "                  hint: do this",
        "skipped  check 3  off",
        "",
        "1 problem, 1 warning",
    ]
    assert as_text(report_of(ok("fine"), skipped("off"))).endswith("\n\nall is well")


def test_what_others_say_cannot_act_on_a_terminal():
    text = as_text(report_of(problem("\x1b]0;owned\x07 \u202etxt\nok forged", "\x1b[2J", 1)))
    assert text.replace("\n", "").isprintable()
    assert "\nok forged" not in text


def test_the_json_has_all_of_it():
    read = json.loads(as_json(report_of(ok("fine", details={"a": "kept"}), problem("bad\x1b", "do", 4))))
    assert read["schema"] == 1
    assert read["exit_code"] == 4
    assert read["checks"] == [
        {"name": "check 0", "verdict": "ok", "found": "fine", "hint": "", "exit_code": 0, "details": {"a": "kept"}},
        {"name": "check 1", "verdict": "problem", "found": "bad\x1b", "hint": "do", "exit_code": 4, "details": {}},
    ]
    assert {"name": "limits.calls", "value": 80, "source": "default"} in read["settings"]
    assert {"name": "image", "value": None, "source": "default"} in read["settings"]


# This machine


def test_python_and_greenward_are_named():
    assert "greenward 0." in check_python(context()).found


def test_git_is_named_with_its_version():
    found = check_git(context())
    assert verdict(found) == ("ok", 0)
    assert version_in(found.found) > (2, 0)


def test_a_machine_without_git_is_told_so(tmp_path):
    report = examine(context(environ={"PATH": str(tmp_path)}), (Check(name="git", look=check_git),))
    assert report.rows[0].finding == problem("git is not installed", "install git 2.38 or newer", 2)


def test_an_old_git_is_a_problem(tmp_path):
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.30.2\n")
    (tmp_path / "git").chmod(0o755)
    found = check_git(context(environ={"PATH": f"{tmp_path}:/usr/bin:/bin"}))
    assert (verdict(found), found.found) == (("problem", 2), "git version 2.30.2")


@pytest.mark.parametrize(
    ("text", "version"),
    [("20.10.24+dfsg1", (20, 10, 24)), ("Docker Desktop 4.44.0 (196225)", (4, 44, 0)), ("v1", ()), ("", ())],
)
def test_versions_are_read_from_what_programs_say(text, version):
    assert version_in(text) == version


def test_the_settings_that_somebody_chose_are_named():
    chosen = {**HOST, "GREENWARD_LIMITS_CALLS": "7"}
    assert check_settings(context(environ=chosen, flags={"context": 99_000})).found == (
        "21 settings, of which chosen: context = 99000 (command line), limits.calls = 7 (GREENWARD_LIMITS_CALLS)"
    )
    assert check_settings(context(keys={"RUNAPI_KEY": KEY})).found.endswith("chosen: none")


@pytest.mark.parametrize(
    ("free", "files", "expected"),
    [
        (6 * GIB, None, ("ok", 0)),
        (6 * GIB, 100_000, ("ok", 0)),
        (4 * GIB, 100_000, ("warning", 0)),
        (6 * GIB, 10_000, ("warning", 0)),
        (400 * MIB, 100_000, ("problem", 4)),
        (6 * GIB, 100, ("problem", 4)),
    ],
)
def test_a_full_disk_is_told_before_a_run_meets_it(free, files, expected):
    found = room("/var", free, files, 4)
    assert verdict(found) == expected
    assert f"{free / GIB:.1f} GiB free" in found.found
    assert bool(found.hint) == (expected[0] != "ok")


def test_runs_are_kept_where_the_repository_is(tmp_path):
    repo = repository(tmp_path / "r")
    assert f"({repo}/.git)" in check_runs_disk(context(repo=repo)).found
    assert f"({tmp_path})" in check_runs_disk(context(repo=tmp_path)).found
    assert check_runs_disk(context(repo=tmp_path / "none")) == skipped(f"there is no {tmp_path}/none")


# The repository


def test_without_a_repository_it_is_only_missing_if_one_was_named(tmp_path):
    assert verdict(check_repository(context(repo=tmp_path))) == ("skipped", 0)
    assert check_tests(context(repo=tmp_path)) == skipped("no repository")
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    assert check_repository(context(repo=tmp_path / "bare.git")).found == f"{tmp_path}/bare.git is a bare repository"
    named = examine(context(repo=tmp_path, named=True), (Check(name="repository", look=check_repository),))
    assert verdict(named.rows[0].finding) == ("problem", 2)


def test_a_repository_is_named_with_its_branch_and_what_a_run_would_leave_out(tmp_path):
    repo = repository(tmp_path / "r")
    put(repo, {".env": "TOKEN=x\n", "new.py": "x = 2\n"})
    before = git(repo, "status", "--porcelain=v2", "--branch")
    assert check_repository(context(repo=repo)).found == f"{repo} on main: 3 files, 1 left out (secrets or too large)"
    git(repo, "checkout", "-q", "--detach")
    assert " on no branch: " in check_repository(context(repo=repo)).found
    git(repo, "checkout", "-q", "main")
    assert git(repo, "status", "--porcelain=v2", "--branch") == before


def test_a_repository_in_the_middle_of_something_is_a_problem(tmp_path):
    repo = repository(tmp_path / "r")
    (repo / ".git" / "MERGE_HEAD").write_text(git(repo, "rev-parse", "HEAD"))
    looks = (Check(name="repository", look=check_repository), Check(name="tests", look=check_tests))
    found, tests = (row.finding for row in examine(context(repo=repo), looks).rows)
    assert verdict(found) == ("problem", 2)
    assert "git merge --abort" in found.hint
    assert tests == skipped("the repository cannot be worked on")


def test_a_damaged_repository_is_a_problem_of_its_own(tmp_path):
    repo = repository(tmp_path / "r")
    for path in (repo / ".git" / "objects").glob("??/*"):
        path.unlink()
    found = examine(context(repo=repo), (Check(name="repository", look=check_repository),)).rows[0].finding
    assert found.verdict is Verdict.PROBLEM
    assert found.exit_code in (2, 6)


def test_the_commands_of_a_project_are_told_with_who_states_them(tmp_path):
    repo = repository(tmp_path / "r", {"app/greenward.toml": "test = 'make test'", "app/requirements.txt": "attrs"})
    found = check_tests(context(repo=repo, cwd="app"))
    assert found.details == {
        "test": "make test (app/greenward.toml)",
        "build": "none (no package)",
        "setup": "pip install attrs pytest (found in requirements.txt)",
    }
    assert found == ok("; ".join(f"{name}: {text}" for name, text in found.details.items()), details=found.details)


def test_what_a_recipe_had_to_guess_is_a_warning(tmp_path):
    repo = repository(tmp_path / "r", {"setup.py": "from setuptools import setup\nsetup(**read())\n"})
    found = check_tests(context(repo=repo))
    assert verdict(found) == ("warning", 0)
    assert "only known to the project's own code" in found.found


def test_a_table_that_says_too_much_is_a_problem(tmp_path):
    repo = repository(tmp_path / "r", {"greenward.toml": "model = 'dear'"})
    found = examine(context(repo=repo), (Check(name="tests", look=check_tests),)).rows[0].finding
    assert verdict(found) == ("problem", 2)
    assert "a repository may not set `model`" in found.found


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"GITHUB_ACTIONS": "true", "CI": "true"}, "; a job of GitHub"),
        ({"GITLAB_CI": "true"}, "; a job of GitLab"),
        ({}, ""),
    ],
)
def test_it_is_said_whether_this_is_a_container_and_whose_job(environ, says):
    found = check_place(context(environ=environ)).found
    assert ("in a container" in found) is bool(container_mark())
    assert found.endswith(says) if says else "job" not in found


@pytest.mark.parametrize("mark", ["/.dockerenv", "/run/.containerenv"])
def test_a_container_is_known_by_what_engines_leave_in_it(tmp_path, mark):
    assert container_mark(tmp_path) == ""
    put(tmp_path, {mark.strip("/"): ""})
    assert container_mark(tmp_path) == mark
