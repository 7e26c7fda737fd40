"""The example jobs, executed step by step as their files say, against a scripted model and a forge on loopback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from tests.ci.runner import ROOT, GitHub, GitLab, clean
from tests.e2e.harness import KEY, PYTEST, RED, RIGHT, greenward, plan, writes
from tests.gitrepo import repository
from tests.publishing.forge import PROJECT, Forge, bare_of, serving

BIN = Path(sys.executable).parent
EXAMPLES = ROOT / "examples" / "ci"
TOKEN = "token-of-the-tests-0123456789abcdef"
MENDS = Script(replies=(plan(), writes("It has to add.", RIGHT, expect=("The plan is accepted",))))
ROW = re.compile(r"^\| `tests/test_sums\.py::test_add` \| `failed` \| `passed` \|$", re.MULTILINE)
OWN_NAMES = dict.fromkeys(
    ("agent/__init__.py", "sandbox/__init__.py", "venv.py", "ensurepip.py", "pip.py", "sysconfig.py", "typer.py"),
    "raise SystemExit('code of the repository')\n",
)
"""What modules of greenward and of Python are called, too: none of it may be imported by a job."""
PRICES = {"GREENWARD_PRICES_INPUT": "0.48", "GREENWARD_PRICES_CACHED": "0.08", "GREENWARD_PRICES_OUTPUT": "2.0"}


@pytest.fixture
def forge(tmp_path):
    """A forge whose one project is red."""
    root = repository(tmp_path / "origin", RED | OWN_NAMES)
    remote = bare_of(root, tmp_path / "git" / f"{PROJECT}.git")
    (tmp_path / "git" / "remote.git").symlink_to(remote)
    with serving(Forge(remote=tmp_path / "git" / "remote.git", token=TOKEN)) as served:
        yield served


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """What greenward needs besides itself, where the jobs' own environments find it."""
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    return {"PYTHONPATH": packages, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


def on_github(forge, server, quick):
    return clean(
        **quick | {"PYTHONPATH": ""}, **PRICES, GREENWARD_BASE_URL=server.base_url, GITHUB_REPOSITORY=PROJECT,
        GITHUB_SERVER_URL=f"{forge.url}/git", GITHUB_API_URL=f"{forge.url}/api/v3", GITHUB_REF_NAME="main",
        GITHUB_REF_TYPE="branch", GITHUB_EVENT_NAME="push",
    )  # fmt: skip


def on_gitlab(forge, server, quick):
    return clean(
        **quick, **PRICES, GREENWARD_BASE_URL=server.base_url, CI_PROJECT_ID="42", CI_PROJECT_PATH=PROJECT,
        CI_SERVER_URL=f"{forge.url}/git", CI_PROJECT_URL=f"{forge.url}/git/{PROJECT}",
        CI_API_V4_URL=f"{forge.url}/api/v4", CI_DEFAULT_BRANCH="main", CI_COMMIT_BRANCH="main",
    )  # fmt: skip


def shown(done):
    return "\n".join(f"{name}: exit code {job.code}\n{job.out}" for name, job in done.items())


@pytest.mark.docker
def test_on_github_a_red_repository_ends_as_one_draft_until_the_counter_stops_it(forge, tmp_path, quick):
    with ScriptedServer(MENDS) as server:
        runner = GitHub(
            workflow=EXAMPLES / "github.yml", remote=forge.remote, space=tmp_path / "runs",
            secrets={"RUNAPI_KEY": KEY}, environment=on_github(forge, server, quick), token=TOKEN,
            more={"arguments": "--max-proposals\n2\n"},
        )  # fmt: skip
        first = runner.run()
        assert [job.code for job in first.values()] == [0, 0], shown(first)
        (request,) = forge.requests
        assert request["draft"] is True
        assert ROW.search(request["body"]), request["body"]
        assert first["propose"].outputs == {"outcome": "passed", "changed": "true"}
        assert "checked: 1 commit on " in first["publish"].out

        second = runner.run()
        assert [job.code for job in second.values()] == [0, 0], shown(second)
        assert len(forge.requests) == 1
        assert forge.written == ["POST", "PATCH"]

        last = runner.run()
        assert (last["propose"].code, last["publish"].code) == (0, 10), shown(last)
        assert len(forge.requests) == 1
    for job in (*first.values(), *second.values(), *last.values()):
        assert KEY not in job.out
        assert TOKEN not in job.out
    assert KEY.encode() not in forge.raw


@pytest.mark.docker
def test_on_gitlab_a_red_repository_ends_as_a_draft(forge, tmp_path, quick):
    with ScriptedServer(MENDS) as server:
        runner = GitLab(
            component=EXAMPLES / "gitlab.yml", remote=forge.remote, space=tmp_path / "runs",
            inputs={"package": str(ROOT)}, environment=on_gitlab(forge, server, quick),
            variables={"greenward-model": {"RUNAPI_KEY": KEY}, "greenward-publish": {"GREENWARD_TOKEN": TOKEN}},
        )  # fmt: skip
        done = runner.run()

    assert [job.code for job in done.values()] == [0, 0], shown(done)
    (request,) = forge.requests
    assert request["title"].startswith("Draft: ")
    assert ROW.search(request["description"]), request["description"]


def test_on_github_a_job_without_an_engine_leaves_what_nobody_publishes(tmp_path, quick):
    done = say("", call("finish", status="done"), expect=("nothing isolated them",))
    settings = f"setup = 'true'\ntest = '{PYTEST}'\n"
    remote = bare_of(repository(tmp_path / "origin", RED | {"greenward.toml": settings}), tmp_path / "remote.git")
    with ScriptedServer(Script(replies=(*MENDS.replies, done))) as server:
        runner = GitHub(
            workflow=EXAMPLES / "github-local.yml", remote=remote, space=tmp_path / "runs",
            secrets={"RUNAPI_KEY": KEY}, token=TOKEN,
            environment=clean(**quick | {"PYTHONPATH": ""}, **PRICES, GREENWARD_BASE_URL=server.base_url),
        )  # fmt: skip
        jobs = runner.run()
    left = tmp_path / "runs" / "run-1" / "artifact" / "proposal"
    refused = greenward(
        "publish", left, "--repo", tmp_path / "runs/run-1/propose/work", "--to", "patch", environment=clean()
    )

    assert {name: job.code for name, job in jobs.items()} == {"propose": 0}, shown(jobs)
    assert "nothing isolated them: a local sandbox proves nothing" in jobs["propose"].out
    assert "**Nothing isolated the tests (`--sandbox local`)" in (left / "summary.md").read_text()
    assert not (left / "proof.json").exists()
    assert (refused.code, "nothing is proven" in refused.err) == (9, True)


@pytest.mark.parametrize("name", ["github", "github-container"])
def test_no_job_has_both_the_key_and_a_token_that_may_write(name):
    jobs = yaml.safe_load((EXAMPLES / f"{name}.yml").read_text())["jobs"]
    keys = {name for name, job in jobs.items() if "RUNAPI_KEY" in str(job)}
    writing = {name for name, job in jobs.items() if "write" in job["permissions"].values()}

    assert (keys, writing) == ({"propose"}, {"publish"})


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("action.yml", "vendor.github-actions"),
        *(
            (f"examples/ci/{name}.yml", "vendor.github-workflows")
            for name in ("github", "github-container", "github-local")
        ),
    ],
)
def test_files_for_github_are_as_its_schemas_say(path, schema):
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", schema, str(ROOT / path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["gitlab", "gitlab-socket"])
def test_the_jobs_for_gitlab_are_as_its_schema_says(tmp_path, name):
    jobs = (EXAMPLES / f"{name}.yml").read_text().rpartition("\n---\n")[2]
    (tmp_path / "jobs.yml").write_text(jobs)
    done = subprocess.run(
        [
            BIN / "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform",
            "gitlab-ci", str(tmp_path / "jobs.yml"),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_an_auditor_of_workflows_finds_nothing():
    done = subprocess.run(
        [
            BIN / "zizmor", "--offline", "--persona", "pedantic", "--no-config",
            str(ROOT / "action.yml"), *map(str, sorted(EXAMPLES.glob("github*.yml"))),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No findings to report" in done.stdout + done.stderr


def test_the_guide_shows_what_the_examples_say():
    files = {path.name: path.read_text() for path in EXAMPLES.iterdir()}
    guide = (ROOT / "docs" / "ci.md").read_text()
    shown = re.findall(r"<!-- of examples/ci/([\w.-]+) -->\n```yaml\n(.*?)```", guide, re.DOTALL)

    assert {name for name, _ in shown} == {
        "gitlab.yml",
        "gitlab-socket.yml",
        "github-container.yml",
        "github-local.yml",
    }
    for name, snippet in shown:
        assert snippet in files[name]
    assert guide.count("```yaml") == len(shown)
