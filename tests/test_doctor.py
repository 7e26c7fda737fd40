"""What the doctor finds on real machines, engines, servers and repositories, well and unwell ones."""

import dataclasses
import io
import json
import os
import socket
import subprocess
import uuid

import pytest

from agent.config import load_settings
from agent.doctor import Context, Report, Row, Verdict, ok, problem, skipped, warning
from agent.doctor.engine import (
    check_disk,
    check_engine,
    check_image,
    check_leftovers,
    check_limits,
    of_engine,
    of_limits,
)
from agent.doctor.examining import CHECKS, Check, examine
from agent.doctor.machine import GIB, check_git, check_python, check_runs_disk, check_settings, room, version_in
from agent.doctor.project import check_repository, check_tests
from agent.doctor.provider import check_endpoint, check_key, of_error, of_models
from agent.doctor.rendering import as_json, as_text
from agent.errors import DamagedRun
from agent.models import ModelError
from agent.models.script import Script, say
from agent.models.server import ScriptedServer
from sandbox import MIB, SandboxError
from sandbox.engine import EngineInfo, connect
from sandbox.hardening import Owner, harden
from sandbox.images import Names
from sandbox.probe import LIMITS, Probed
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
        "18 settings, of which chosen: context = 99000 (command line), limits.calls = 7 (GREENWARD_LIMITS_CALLS)"
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


# The engine


INFO = EngineInfo(
    name="Engine", version="29.5.1", api="1.52", product="", system="Debian", storage_driver="overlay2",
    cgroup_version="2", runc="1.2.8", rootless=False, root="/var/lib/docker",
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected", "says"),
    [
        ({}, "ok", "unix:///x: Docker 29.5.1, API 1.52, overlay2, cgroups v2, runc 1.2.8, Debian"),
        ({"version": "20.10.24+dfsg1"}, "warning", "engine before 29.5.1"),
        ({"runc": "1.1.5+ds1"}, "warning", "runc before 1.2.8"),
        ({"product": "Docker Desktop 4.44.2 (1)"}, "warning", "Docker Desktop before 4.44.3"),
        ({"product": "Docker Desktop 4.44.3 (202357)"}, "ok", "Docker Desktop 4.44.3"),
        ({"name": "Podman Engine", "version": "4.3.1", "runc": ""}, "ok", "Podman Engine 4.3.1"),
        ({"rootless": True}, "ok", "rootless"),
        ({"rootless": True, "cgroup_version": "1"}, "warning", "its limits may not be kept"),
    ],
)
def test_an_engine_is_judged_by_what_it_says(change, expected, says):
    found = of_engine(dataclasses.replace(INFO, **change), "unix:///x")
    assert found.verdict == expected
    assert says in found.found


@pytest.mark.docker
def test_the_engine_that_answers_is_named():
    found = check_engine(context())
    assert found.verdict in (Verdict.OK, Verdict.WARNING)
    assert "unix:///var/run/docker.sock: Docker " in found.found
    assert "cgroups v" in found.found


def test_without_an_engine_that_is_the_one_problem(tmp_path):
    nowhere = context(environ={**HOST, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    looks = [check_engine, check_image, check_limits, check_disk, check_leftovers]
    rows = examine(nowhere, tuple(Check(name=str(look), look=look) for look in looks)).rows
    assert [verdict(row.finding) for row in rows] == [("problem", 4), *[("skipped", 0)] * 4]
    assert "is the engine running" in rows[0].finding.hint


def test_a_sandbox_that_isolates_nothing_is_warned_of():
    local = context(flags={"sandbox": "local"})
    assert verdict(check_engine(local)) == ("warning", 0)
    assert check_limits(local) == skipped("the sandbox is `local`")


@pytest.fixture
def client():
    made = connect(HOST)
    yield made
    made.close()


@pytest.fixture
def names(client):
    made = Names(default=f"greenward-test-{uuid.uuid4().hex[:12]}:1", pulled=f"{NO_REGISTRY}/python:3.11")
    yield made
    if client.image(made.default):
        client.remove_image(made.default)


@pytest.mark.docker
def test_the_image_that_is_there_is_named():
    found = check_image(context())
    assert verdict(found) == ("ok", 0)
    assert ": present" in found.found


@pytest.mark.docker
def test_an_image_that_is_not_there_is_not_made_unless_asked(client, names, mmdebstrap, tmp_path):  # noqa: F811
    host = {**HOST, **host_with(mmdebstrap), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    found = check_image(context(environ=host, names=names))
    assert verdict(found) == ("warning", 0)
    assert f"a run would pull {names.pulled}, or else " in found.found
    assert client.image(names.default) is None

    if os.geteuid() == 0:
        made = check_image(context(environ=host, names=names, prepare=True))
        assert (made.verdict, "bootstrapped" in made.found) == (Verdict.OK, True)
        assert check_image(context(environ=host, names=names)).verdict is Verdict.OK


@pytest.mark.docker
def test_an_image_that_was_named_and_cannot_be_had_is_a_problem_once_asked_for():
    named = {"flags": {"image": f"{NO_REGISTRY}/nothing:1"}}
    assert check_image(context(**named)).found == f"not there yet; a run would pull {NO_REGISTRY}/nothing:1"
    row = examine(context(**named, prepare=True), (Check(name="image", look=check_image),)).rows[0]
    assert verdict(row.finding) == ("problem", 4)
    assert check_limits(context(**named)) == skipped("there is no base image to try them in")


@pytest.mark.docker
def test_the_limits_are_tried_in_a_real_container():
    found = check_limits(context())
    assert (verdict(found), set(found.details.values())) == (("ok", 0), {"kept"})
    assert {"memory", "pids", "nofile", "network", "user", "read-only parts of /proc"} <= found.details.keys()


@pytest.mark.docker
def test_an_image_that_nothing_runs_in_is_a_problem(client, names):
    client.import_image(io.BytesIO(filesystem("doctor")), reference=names.default)
    row = examine(context(names=names), (Check(name="limits", look=check_limits),)).rows[0]
    assert verdict(row.finding) == ("problem", 4)


def probed(name, *, kept, required=True, found="x"):
    return Probed(name=name, kept=kept, required=required, found=found)


@pytest.mark.parametrize(
    ("results", "expected", "says"),
    [
        ([probed("a", kept=True)], ("ok", 0), "all 1 are kept"),
        ([probed("a", kept=False), probed("b", kept=True)], ("problem", 4), "not kept: a (x)"),
        ([probed("a", kept=False, required=False)], ("warning", 0), "not kept or not tried: a (x)"),
        ([probed("a", kept=None, found="no python3")], ("warning", 0), "not kept or not tried: a (no python3)"),
        ([probed("a", kept=False, required=False), probed("b", kept=False)], ("problem", 4), "not kept: a (x), b (x)"),
    ],
)
def test_a_limit_that_is_not_kept_is_a_problem_if_nothing_may_run_without_it(results, expected, says):
    found = of_limits(results)
    assert verdict(found) == expected
    assert says in found.found


@pytest.mark.docker
def test_the_disk_is_measured_where_containers_are(names):
    inside, outside = check_disk(context()), check_disk(context(names=names))
    for found in (inside, outside):
        assert found.verdict is not Verdict.SKIPPED
        assert " GiB free" in found.found


@pytest.mark.docker
def test_containers_of_processes_that_are_gone_are_counted(client):
    gone = subprocess.Popen(["true"])
    gone.wait()
    base = client.image(check_image(context()).found.partition(" ")[0])
    owner = dataclasses.replace(Owner.current(), pid=gone.pid)

    def seen():
        """Another process at work on this machine may remove it before it is counted."""
        container = client.create(harden(base, LIMITS, run_id="left", owner=owner, seconds=1))
        try:
            return check_leftovers(context())
        finally:
            client.remove(container)

    assert any(found.verdict is Verdict.WARNING and "of processes that are gone" in found.found
               for found in (seen() for _ in range(5)))  # fmt: skip


# The key and the server


def test_a_key_is_named_by_its_variable_and_never_shown():
    found = check_key(context(keys={"RUNAPI_TOKEN": KEY}))
    assert found == ok("present, from RUNAPI_TOKEN")
    assert verdict(check_key(context())) == ("problem", 2)
    assert verdict(check_key(context(flags={"base_url": "http://127.0.0.1:1/v1"}))) == ("ok", 0)


@pytest.fixture
def server():
    with ScriptedServer(Script(replies=(say("Hello."),)), key=KEY) as made:
        yield made


def asking(url, *, key=KEY, **flags):
    return context(keys={"RUNAPI_KEY": key}, flags={"base_url": url, **flags})


def test_a_server_that_takes_the_key_and_serves_the_model_is_well(server):
    found = check_endpoint(asking(server.base_url))
    assert found == ok(f"{server.base_url} answers, takes the key, and serves kimi-k2.6")
    assert server.requests == []


def test_a_key_that_is_refused_is_7_and_not_shown(server):
    found = check_endpoint(asking(server.base_url, key="sk-some-other-key"))
    assert verdict(found) == ("problem", 7)
    assert "check the API key" in found.hint
    assert "sk-some-other-key" not in f"{found}"


def test_a_model_that_is_not_served_is_told_with_those_that_are(server):
    found = check_endpoint(asking(server.base_url, model="kimi-k2.5"))
    assert verdict(found) == ("problem", 2)
    assert "does not serve `kimi-k2.5`; it serves kimi-k2.6" in found.found
    assert "such as `kimi-k2.6`" in found.hint


def test_a_base_url_without_its_path_is_told(server):
    found = check_endpoint(asking(server.base_url.removesuffix("/v1")))
    assert verdict(found) == ("problem", 2)
    assert "Most servers answer below /v1" in found.hint


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_does_not_answer_is_5(scheme):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    found = check_endpoint(asking(f"{scheme}://127.0.0.1:{port}/v1"))
    assert verdict(found) == ("problem", 5)
    assert "check the network, the proxy settings and the base URL" in found.hint


def test_nobody_is_asked_offline_or_without_what_it_takes():
    said = []
    looks = [
        context(offline=True, say=said.append),
        context(say=said.append),
        context(say=said.append, keys={"RUNAPI_KEY": "two words"}),
        context(say=said.append, flags={"sandbox": "vm"}),
    ]
    assert [check_endpoint(each).found for each in looks] == [
        "not asked: `--offline`",
        "there is no key to ask with",
        "the key cannot be used",
        "the settings cannot be used",
    ]
    assert said == []


SETTINGS = load_settings({}, {}, key=None)


@pytest.mark.parametrize(
    ("kind", "code"), [("auth", 7), ("quota", 7), ("refused", 2), ("transport", 5), ("overloaded", 5)]
)
def test_each_refusal_has_the_code_that_a_run_would_end_with(kind, code):
    found = of_error(ModelError(kind, "no", hint="h"), SETTINGS, "HTTPS_PROXY")
    assert verdict(found) == ("problem", code)
    assert found.found == "no (through the proxy that `HTTPS_PROXY` names)"
    assert found.hint


def test_a_server_that_lists_nothing_is_not_called_wrong():
    assert verdict(of_models((), SETTINGS)) == ("warning", 0)
    many = tuple(f"m{number}" for number in range(200))
    assert len(of_models(many, SETTINGS).found) < 200
