"""Settings, and the machine that they are for, as a user meets them on the command line."""

import json
import re

import pytest

from agent.models.server import ScriptedServer
from tests.e2e.harness import KEY, RED, ROOT, greenward, mended_at_once, variables
from tests.gitrepo import repository


def test_a_repository_that_sets_what_it_may_not_is_refused_before_a_run_begins(tmp_path):
    repo = repository(tmp_path / "repo", {**RED, "greenward.toml": "image = 'evil'\n"})
    ran = greenward("fix", repo, environment=variables())

    assert ran.code == 2, ran.said
    assert ran.err.startswith("error: a repository may not set `image` (greenward.toml)\n\nhint: it belongs to whoever")
    assert not (repo / ".git" / "greenward").exists()


# Showing them


def test_every_setting_is_shown_with_where_it_comes_from(tmp_path, private_home):
    repo = repository(tmp_path / "repo", {"pyproject.toml": "[tool.greenward]\ntest = 'make test'\n"})
    place = private_home / ".config" / "greenward" / "config.toml"
    place.parent.mkdir(parents=True)
    place.write_text("context = 99000\n")
    environment = variables(GREENWARD_LIMITS_CALLS="7")
    ran = greenward("config", "show", "--repo", repo, "--max-cost", "2", environment=environment)
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in ran.out.splitlines()}

    assert ran.code == 0, ran.said
    assert lines["context"] == ["99000", str(place)]
    assert lines["limits.calls"] == ["7", "GREENWARD_LIMITS_CALLS"]
    assert lines["limits.dollars"] == ["2", "command line"]
    assert lines["limits.iterations"] == ["8", "default"]
    assert lines["key"] == ["present", "RUNAPI_KEY"]
    assert "make test" in ran.out
    assert "[tool.greenward] in pyproject.toml" in ran.out
    assert KEY not in ran.said
    starts = {line.rindex("  GREENWARD_LIMITS_CALLS") for line in ran.out.splitlines() if "LIMITS_CALLS" in line}
    assert starts == {line.rindex("  default") for line in ran.out.splitlines() if line.endswith("  default")}


def test_a_flag_goes_before_the_repositorys_table_and_json_has_values(tmp_path):
    repo = repository(tmp_path / "repo", {"app/greenward.toml": "test = 'make test'\nsealed = ['data/**']\n"})
    ran = greenward(
        "config", "show", "--json", "--repo", repo, "--cwd", "app", "--test", "tox", environment=variables(key=None)
    )
    read = json.loads(ran.out)
    rows = {row["name"]: (row["value"], row["source"]) for row in read["settings"]}

    assert (ran.code, read["schema"]) == (0, 1)
    assert rows["test"] == ("tox", "command line")
    assert rows["sealed"] == (["data/**"], "app/greenward.toml")
    assert rows["setup"] == ("pip install pytest", "default")
    assert rows["limits.seconds"] == (1800, "default")
    assert rows["image"] == (None, "default")
    assert rows["key"] == ("absent", "not set")


def test_outside_of_a_repository_only_the_users_settings_are_shown(tmp_path):
    ran = greenward("config", "show", environment=variables(), cwd=tmp_path)
    assert ran.code == 0
    assert "no repository here" in ran.err
    assert "\ntest " not in ran.out
    named = greenward("config", "show", "--repo", tmp_path, environment=variables())
    assert (named.code, "is not inside a git repository" in named.err) == (2, True)


def test_the_place_of_the_users_file_is_printed(private_home):
    ran = greenward("config", "path", environment=variables())
    place = private_home / ".config" / "greenward" / "config.toml"
    assert (ran.code, ran.out, ran.err) == (0, f"{place}\n", "there is no such file yet\n")
    nowhere = greenward("config", "path", environment=variables(HOME="relative"))
    assert (nowhere.code, nowhere.out) == (2, "")
    assert "hint: set `HOME`" in nowhere.err


def test_a_file_that_is_no_toml_is_2_with_its_line(private_home):
    place = private_home / ".config" / "greenward" / "config.toml"
    place.parent.mkdir(parents=True)
    place.write_text("context = 99000\nmodel = kimi\n")
    ran = greenward("config", "show", environment=variables())
    assert ran.code == 2
    assert f"error: {place} cannot be read: Invalid value (at line 2, column 9)\n\nhint: mend the file" in ran.err


# The doctor


def test_a_machine_that_has_what_it_takes_is_0(tmp_path):
    repo = repository(tmp_path / "repo", dict(RED))
    with ScriptedServer(mended_at_once(), key=KEY) as server:
        ran = greenward("doctor", "--sandbox", "local", "--repo", repo, environment=variables(server))

    assert ran.code == 0, ran.said
    assert "ok       key              present, from RUNAPI_KEY" in ran.out
    assert ", takes the key, and serves kimi-k2.6" in ran.out
    assert ran.out.endswith("\n0 problems, 2 warnings\n"), (
        "this model plays a script, and calls no tool that it is asked to"
    )
    told = [f"asking {server.base_url} for its models", "trying kimi-k2.6 with a few tiny requests"]
    assert ran.err.splitlines()[-2:] == told
    assert KEY not in ran.said


def test_the_doctor_says_all_of_it_as_json(tmp_path):
    repo = repository(tmp_path / "repo", dict(RED))
    environment = variables(GREENWARD_SANDBOX="local")
    ran = greenward("doctor", "--json", "--offline", "--repo", repo, environment=environment)
    read = json.loads(ran.out)

    assert (ran.code, read["exit_code"], read["schema"]) == (0, 0, 1)
    assert {"name": "sandbox", "value": "local", "source": "GREENWARD_SANDBOX"} in read["settings"]
    assert {"name": "key", "value": "present", "source": "RUNAPI_KEY"} in read["settings"]
    assert {check["name"]: check["verdict"] for check in read["checks"]}["endpoint"] == "skipped"
    named = re.search(r"`checks\[\]\.name` \| text \| (.*) \|", (ROOT / "docs" / "json.md").read_text())
    assert [check["name"] for check in read["checks"]] == re.findall("`([^`]+)`", named[1])
    assert KEY not in ran.said


@pytest.mark.parametrize(
    ("more", "code", "names"),
    [
        ({"key": ""}, 2, "key"),
        ({"key": "two words"}, 2, "key"),
        ({"GREENWARD_MODLE": "x"}, 2, "settings"),
        ({"DOCKER_HOST": "unix:///nowhere/docker.sock", "GREENWARD_SANDBOX": "docker"}, 4, "engine"),
        ({"GREENWARD_BASE_URL": "http://127.0.0.1:9/v1"}, 5, "endpoint"),
    ],
)
def test_the_exit_code_is_that_of_the_first_problem(tmp_path, more, code, names):
    repo = repository(tmp_path / "repo", dict(RED))
    offline = () if code == 5 else ("--offline",)
    environment = variables(**{"GREENWARD_SANDBOX": "local"} | more)
    ran = greenward("doctor", *offline, "--repo", repo, environment=environment)
    problems = [line.split(maxsplit=1)[1] for line in ran.out.splitlines() if line.startswith("problem ")]

    assert ran.code == code, ran.said
    assert problems[0].startswith(names)
    assert "Traceback" not in ran.err
