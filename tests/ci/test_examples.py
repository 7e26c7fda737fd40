"""The example jobs, executed step by step as their files say, against a scripted model and a forge on loopback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from agent.commitmessage import compose
from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from tests.ci.inputs import NotTaken, jobs_of
from tests.ci.runner import ROOT, GitHub, GitLab, clean
from tests.e2e.harness import KEY, PRICES, PYTEST, RED, RIGHT, greenward, plan, writes
from tests.gitrepo import git, repository
from tests.publishing.forge import PROJECT, Forge, bare_of, serving, variables_of

BIN = Path(sys.executable).parent
EXAMPLES = ROOT / "examples" / "ci"
COMPONENT = EXAMPLES / "gitlab-component"
TEMPLATE = COMPONENT / "templates" / "greenward.yml"
TOKEN = "token-of-the-tests-0123456789abcdef"
MENDS = Script(replies=(plan(), writes("It has to add.", RIGHT, expect=("The plan is accepted",))))
ROW = re.compile(r"^\| `tests/test_sums\.py::test_add` \| `failed` \| `passed` \|$", re.MULTILINE)
OWN_NAMES = dict.fromkeys(
    ("agent/__init__.py", "sandbox/__init__.py", "venv.py", "ensurepip.py", "pip.py", "sysconfig.py", "typer.py"),
    "raise SystemExit('code of the repository')\n",
)
"""What modules of greenward and of Python are called, too: none of it may be imported by a job."""


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


@pytest.fixture(scope="module")
def temp(tmp_path_factory):
    """What a runner keeps of a job, greenward's own installation among it: it is installed once."""
    return tmp_path_factory.mktemp("runner")


def on_github(forge, server, quick):
    told = variables_of("github", forge) | {"GITHUB_EVENT_NAME": "push"}
    return clean(**quick | {"PYTHONPATH": ""}, **PRICES, **told, GREENWARD_BASE_URL=server.base_url)


def on_gitlab(forge, server, quick):
    return clean(**quick, **PRICES, **variables_of("gitlab", forge), GREENWARD_BASE_URL=server.base_url)


def shown(done):
    return "\n".join(f"{name}: exit code {job.code}\n{job.out}" for name, job in done.items())


@pytest.mark.docker
def test_on_github_a_red_repository_ends_as_one_draft_until_the_counter_stops_it(forge, tmp_path, quick, temp):
    with ScriptedServer(MENDS) as server:
        runner = GitHub(
            workflow=EXAMPLES / "github.yml", remote=forge.remote, space=tmp_path / "runs",
            secrets={"RUNAPI_KEY": KEY}, environment=on_github(forge, server, quick), token=TOKEN, temp=temp,
            more={"arguments": "--max-proposals\n2\n"},
        )  # fmt: skip
        first = runner.run()
        assert [job.code for job in first.values()] == [0, 0], shown(first)
        (request,) = forge.requests
        assert request["draft"] is True
        assert ROW.search(request["body"]), request["body"]
        assert first["propose"].outputs == {"outcome": "passed", "changed": "true"}
        assert "; where the token is, `greenward publish proposal --to ...` takes it up\n" in first["propose"].out
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


def test_on_github_a_commit_of_greenwards_own_starts_nothing(forge, tmp_path, temp):
    message = compose("Mend it", "", (("Assisted-by", "greenward:a-model"),))
    runner = GitHub(
        workflow=EXAMPLES / "github.yml", remote=forge.remote, space=tmp_path / "runs", secrets={}, environment={},
        token="", temp=temp, event={"head_commit": {"message": message}},
    )  # fmt: skip
    assert runner.run() == {}


@pytest.mark.docker
def test_a_label_has_a_forks_commit_worked_on_and_a_branch_of_ones_own_gets_a_draft(forge, tmp_path, quick, temp):
    work = tmp_path / "contributor"
    git(tmp_path, "clone", "-q", str(forge.remote), str(work))
    git(work, "commit", "-q", "--allow-empty", "-m", "what the maintainer has read")
    read = git(work, "rev-parse", "HEAD")
    git(work, "commit", "-q", "--allow-empty", "-m", "what was pushed after the label")
    git(work, "push", "-q", "origin", "HEAD:refs/pull/5/head")
    event = {
        "action": "labeled", "label": {"name": "greenward"}, "sender": {"type": "User"},
        "repository": {"full_name": PROJECT},
        "pull_request": {"number": 5, "head": {"sha": read, "ref": "mend", "repo": {"full_name": "them/sums"}}},
    }  # fmt: skip
    job = {"GITHUB_EVENT_NAME": "pull_request_target", "GITHUB_HEAD_REF": "mend"}
    with ScriptedServer(MENDS) as server:
        runner = GitHub(
            workflow=EXAMPLES / "github-label.yml", remote=forge.remote, space=tmp_path / "runs",
            secrets={"RUNAPI_KEY": KEY}, environment=on_github(forge, server, quick) | job, token=TOKEN, temp=temp,
            event=event,
        )  # fmt: skip
        done = runner.run()
    assert {name: each.code for name, each in done.items()} == {"propose": 0, "patch": 0}, shown(done)
    assert "+    return a + b" in (tmp_path / "runs/run-1/artifact/checked-patch/checked.patch").read_text()
    assert forge.written == []
    assert [name for name in forge.branches() if "greenward" in name] == []

    event["pull_request"]["head"]["repo"] = {"full_name": PROJECT}
    done = runner.run("publish", "patch")
    assert {name: each.code for name, each in done.items()} == {"publish": 0}, shown(done)
    (request,) = forge.requests
    assert (request["base"]["ref"], request["draft"]) == ("mend", True)
    assert git(forge.remote, "rev-parse", f"{request['head']['ref']}~1") == read

    runner.environment = {**runner.environment, "GITHUB_HEAD_REF": request["head"]["ref"]}
    assert runner.run() == {}
    event["label"] = {"name": "bug"}
    runner.environment = {**runner.environment, "GITHUB_HEAD_REF": "mend"}
    assert runner.run() == {}


def test_of_a_labelled_pull_request_only_the_commit_that_was_labelled_is_checked_out():
    workflow = yaml.safe_load((EXAMPLES / "github-label.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    checkouts = [step["with"] for step in steps if step["uses"].startswith("actions/checkout@")]
    assert workflow[True] == {"pull_request_target": {"types": ["labeled"]}}
    assert len(checkouts) == 3
    assert {each["ref"] for each in checkouts} == {"${{ github.event.pull_request.head.sha }}"}
    assert {each["persist-credentials"] for each in checkouts} == {False}
    assert not [step for step in steps if "run" in step]


@pytest.mark.docker
def test_on_gitlab_a_red_repository_ends_as_a_draft_by_the_api_or_by_the_push(forge, tmp_path, quick, temp):
    inputs = {"package": str(ROOT)}
    with ScriptedServer(MENDS) as server:
        runner = GitLab(
            jobs=jobs_of(TEMPLATE, inputs), remote=forge.remote, space=tmp_path / "runs", place=temp / "gitlab",
            environment=on_gitlab(forge, server, quick),
            variables={"greenward-model": {"RUNAPI_KEY": KEY}, "greenward-publish": {"GREENWARD_TOKEN": TOKEN}},
        )  # fmt: skip
        done = runner.run()

    assert [job.code for job in done.values()] == [0, 0], shown(done)
    (request,) = forge.requests
    assert request["title"].startswith("Draft: ")
    assert ROW.search(request["description"]), request["description"]

    asked = len(forge.asked)
    git(forge.remote, "update-ref", "-d", f"refs/heads/{request['source_branch']}")
    git(forge.remote, "config", "receive.advertisePushOptions", "true")
    runner.jobs = jobs_of(TEMPLATE, {**inputs, "merge-request": "push"})
    done = runner.run("greenward-publish")
    assert [job.code for job in done.values()] == [0], shown(done)
    assert f"refs/heads/{request['source_branch']}" in forge.branches()
    assert len(forge.asked) == asked


def test_on_github_a_job_without_an_engine_leaves_what_nobody_publishes(tmp_path, quick, temp):
    done = say("", call("finish", status="done"), expect=("nothing isolated them",))
    settings = f"setup = 'true'\ntest = '{PYTEST}'\n"
    remote = bare_of(repository(tmp_path / "origin", RED | {"greenward.toml": settings}), tmp_path / "remote.git")
    with ScriptedServer(Script(replies=(*MENDS.replies, done))) as server:
        runner = GitHub(
            workflow=EXAMPLES / "github-local.yml", remote=remote, space=tmp_path / "runs",
            secrets={"RUNAPI_KEY": KEY}, token=TOKEN, temp=temp, event={"head_commit": {"message": "Change it"}},
            environment=clean(**quick | {"PYTHONPATH": ""}, **PRICES, GREENWARD_BASE_URL=server.base_url),
        )  # fmt: skip
        jobs = runner.run()
    left = tmp_path / "runs" / "run-1" / "artifact" / "proposal"
    refused = greenward(
        "publish", left, "--repo", tmp_path / "runs" / "run-1" / "propose", "--to", "patch", environment=clean()
    )

    assert {name: job.code for name, job in jobs.items()} == {"propose": 0}, shown(jobs)
    assert "nothing isolated them: a local sandbox proves nothing" in jobs["propose"].out
    assert "**Nothing isolated the tests (`--sandbox local`)" in (left / "summary.md").read_text()
    assert not (left / "proof.json").exists()
    assert (refused.code, "nothing is proven" in refused.err) == (9, True), refused.said


def test_the_jobs_to_copy_are_those_of_the_component():
    assert yaml.safe_load((EXAMPLES / "gitlab.yml").read_text()) == jobs_of(TEMPLATE, {})


def test_the_component_is_included_as_its_readme_says():
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", (COMPONENT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (include,) = yaml.safe_load(block)["include"]
    jobs = jobs_of(TEMPLATE, include["inputs"])
    assert re.fullmatch(r"\$CI_SERVER_FQDN/[\w/-]+/greenward@\d+\.\d+\.\d+", include["component"])
    assert jobs["greenward-propose"]["variables"]["GW_MAX_COST"] == 2
    assert jobs["greenward-propose"]["variables"]["GW_PACKAGE"]["value"] == "greenward==0.1.0"
    assert jobs["greenward-publish"]["variables"]["GW_MERGE_REQUEST"] == "push"


@pytest.mark.parametrize(
    "inputs",
    [
        {"max-cost": "1; true"},
        {"package": "--index-url=https://evil.example"},
        {"package": "greenward; true"},
        {"package": "$RUNAPI_KEY"},
        {"package": "greenward\n"},
        {"merge-request": "none"},
        {"other": "x"},
    ],
)
def test_inputs_that_are_none_make_no_pipeline(inputs):
    with pytest.raises(NotTaken):
        jobs_of(TEMPLATE, inputs)


def test_on_gitlab_a_commit_of_greenwards_own_starts_nothing():
    message = compose("Mend it", "", (("Assisted-by", "greenward:a-model"),))
    for job in jobs_of(TEMPLATE, {}).values():
        (rule,) = job["rules"]
        branch, own = rule["if"].split(" && ")
        assert branch == "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
        pattern = re.fullmatch(r"\$CI_COMMIT_MESSAGE !~ /(.+)/m", own)[1]
        assert re.search(pattern, message, re.MULTILINE)
        assert not re.search(pattern, "Mend it\n\nAs greenward says.\n", re.MULTILINE)


def test_no_input_is_part_of_a_command():
    _, jobs = yaml.safe_load_all(TEMPLATE.read_text())
    for job in jobs.values():
        assert "$[[" not in "".join(job["script"])
        assert not re.search(r"""(?<!")\$(?![A-Z_]+(?:/bin/\w+)?")""", "".join(job["script"]))


@pytest.mark.parametrize("name", ["github.yml", "github-label.yml", "github-container.yml"])
def test_no_job_has_both_the_key_and_a_token_that_may_write(name):
    jobs = yaml.safe_load((EXAMPLES / name).read_text())["jobs"]
    keys = {name for name, job in jobs.items() if "RUNAPI_KEY" in str(job)}
    writing = {name for name, job in jobs.items() if "write" in job["permissions"].values()}

    assert (keys, writing) == ({"propose"}, {"publish"})


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("action.yml", "vendor.github-actions"),
        *((f"examples/ci/{path.name}", "vendor.github-workflows") for path in sorted(EXAMPLES.glob("github*.yml"))),
    ],
)
def test_files_for_github_are_as_its_schemas_say(path, schema):
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", schema, str(ROOT / path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_files_for_gitlab_are_as_its_schema_says(tmp_path):
    head, _ = yaml.safe_load_all(TEMPLATE.read_text())
    (tmp_path / "spec.yml").write_text(yaml.safe_dump(head))
    (tmp_path / "jobs.yml").write_text(yaml.safe_dump(jobs_of(TEMPLATE, {"merge-request": "push"})))
    done = subprocess.run(
        [
            BIN / "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform",
            "gitlab-ci", str(tmp_path / "spec.yml"), str(tmp_path / "jobs.yml"), str(EXAMPLES / "gitlab.yml"),
            str(EXAMPLES / "gitlab-socket.yml"),
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
    files = {path.name: path.read_text() for path in EXAMPLES.glob("*.yml")}
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
