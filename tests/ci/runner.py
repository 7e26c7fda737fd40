"""A runner of GitHub's and GitLab's jobs, as far as the examples need one: it executes the steps of their files."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_CALL = re.compile(r"(startsWith|contains)\((.+), (.+)\)")
OWN = "greenward-dev/greenward@"
QUICKLY = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
"""What the package needs is here already: only the package itself is installed, as the step says. By `0` pip takes it
that nothing is to be isolated."""


@dataclass
class Job:
    """What came of a job."""

    code: int = 0
    out: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class GitHub:
    """Runs the jobs of one workflow file on a remote repository."""

    workflow: Path
    remote: Path
    space: Path
    secrets: Mapping[str, str]
    environment: Mapping[str, str]
    """Of every step: what a runner gives, and where the model and the forge are."""
    token: str
    temp: Path
    """The runner's own directory, which all jobs share here."""
    event: Mapping[str, Any] = field(default_factory=dict)
    """What GitHub says of what started the workflow."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Inputs of the action that the file leaves as they are by default."""
    jobs: dict[str, Job] = field(default_factory=dict)
    runs: int = 0

    def run(self, *names: str) -> dict[str, Job]:
        """All jobs in turn, or those named after an earlier run; those left out whose condition does not hold."""
        if not names:
            self.runs += 1
            self.jobs = {}
        done: dict[str, Job] = {}
        for name, job in yaml.safe_load(self.workflow.read_text())["jobs"].items():
            wanted = name in names or not names
            if not wanted or not self._is_due(job):
                continue
            self.jobs[name] = done[name] = self._job(name, job)
            if done[name].code:
                break
        return done

    def _is_due(self, job: Mapping[str, Any]) -> bool:
        if "needs" in job and job["needs"] not in self.jobs:
            return False
        return "if" not in job or bool(self._value(str(job["if"]), {}))

    def _job(self, name: str, job: Mapping[str, Any]) -> Job:
        done = Job()
        work = self.space / f"run-{self.runs}" / name
        work.mkdir(parents=True)
        context: dict[str, Any] = {"work": work, "steps": done.steps, "permissions": job["permissions"]}
        for step in job["steps"]:
            if done.code and "always()" not in str(step.get("if", "")):
                continue
            done.code = self._step(step, context, done) or done.code
        done.outputs = {key: self._text(value, context) for key, value in job.get("outputs", {}).items()}
        return done

    def _step(self, step: Mapping[str, Any], context: dict[str, Any], done: Job) -> int:
        uses, given = step.get("uses", ""), {k: self._text(v, context) for k, v in step.get("with", {}).items()}
        artifact = self.space / f"run-{self.runs}" / "artifact"
        if uses.startswith("actions/checkout@"):
            _check_out(self.remote, context["work"], given.get("ref", ""))
            return 0
        if uses.startswith("actions/upload-artifact@"):
            if (context["work"] / given["path"]).exists():
                _copy(context["work"] / given["path"], artifact / given["name"])
            return 0
        if uses.startswith("actions/download-artifact@"):
            _copy(artifact / given["name"], context["work"] / given["path"])
            return 0
        assert uses.startswith(OWN), uses
        action = yaml.safe_load((ROOT / "action.yml").read_text())
        defaults = {name: each.get("default", "") for name, each in action["inputs"].items()}
        more = self.more if given["job"] == "publish" else {}
        inputs = {**defaults, **more, **given}
        variables = {name: self._text(value, context) for name, value in step.get("env", {}).items()}
        return self._composite(action, inputs, variables, context, done, step.get("id", ""))

    def _composite(
        self,
        action: Mapping[str, Any],
        inputs: Mapping[str, str],
        variables: Mapping[str, str],
        context: dict[str, Any],
        done: Job,
        name: str,
    ) -> int:
        inner = context | {"inputs": inputs, "steps": {}}
        for step in action["runs"]["steps"]:
            output = self.temp / f"output-{step['id']}"
            output.unlink(missing_ok=True)
            (event := self.temp / "event.json").write_text(json.dumps(self.event))
            environment = {
                **QUICKLY, **self.environment, **variables,
                **{key: self._text(value, inner) for key, value in step.get("env", {}).items()},
                "GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(self.temp),
                "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output), "GITHUB_EVENT_PATH": str(event),
                "GITHUB_STEP_SUMMARY": str(self.temp / "summary.md"),
            }  # fmt: skip
            if step["id"] == "install" and _is_done(step["run"], self.temp):
                continue
            ran = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=context["work"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            done.out += ran.stdout + ran.stderr
            lines = output.read_text().splitlines() if output.exists() else []
            inner["steps"][step["id"]] = dict(line.split("=", 1) for line in lines)
            if ran.returncode:
                break
        context["steps"][name] = {key: self._text(each["value"], inner) for key, each in action["outputs"].items()}
        return ran.returncode

    def _text(self, value: object, context: Mapping[str, Any]) -> str:
        return _EXPRESSION.sub(lambda found: str(self._value(found[1], context)), str(value))

    def _value(self, expression: str, context: Mapping[str, Any]) -> Any:
        """What an expression of the few kinds that the files use comes to."""
        if " && " in expression:
            return all(self._value(part, context) for part in expression.split(" && "))
        for sign, equal in ((" == ", True), (" != ", False)):
            if sign in expression:
                left, right = expression.split(sign)
                return (self._value(left, context) == self._value(right, context)) is equal
        if expression.startswith("!"):
            return not self._value(expression[1:], context)
        if call := _CALL.fullmatch(expression):
            text, part = (str(self._value(each, context) or "") for each in call.groups()[1:])
            return text.startswith(part) if call[1] == "startsWith" else part in text
        if expression.startswith("'"):
            return expression.strip("'")
        return self._named(expression.split("."), context)

    def _named(self, names: list[str], context: Mapping[str, Any]) -> Any:
        match names:
            case ["inputs", name]:
                return context["inputs"][name]
            case ["secrets", name]:
                return self.secrets[name]
            case ["github", "token"]:
                return self.token
            case ["github", "action_path" | "workspace"] | ["runner", "temp"]:
                return "/a/path/of/the/machine"  # in a job that is a container, it is none of that container's
            case ["github", "event", *names]:
                found: Any = self.event
                for name in names:
                    found = (found or {}).get(name)
                return found
            case ["github", "repository" | "head_ref" as name]:
                return self.environment.get(f"GITHUB_{name.upper()}", "")
            case ["steps", name, "outputs", output]:
                return context["steps"].get(name, {}).get(output, "")
            case ["needs", name, "outputs", output]:
                return self.jobs[name].outputs[output]
            case _:
                raise AssertionError(f"`{names}` is not known here")


def _check_out(remote: Path, work: Path, ref: str) -> None:
    """What `actions/checkout` does with a name or a commit, of a pull request too; by default with the branch."""
    subprocess.run(["git", "clone", "--quiet", str(remote), str(work)], check=True)
    if ref:
        subprocess.run(["git", "fetch", "--quiet", "origin", ref], cwd=work, check=True)
        subprocess.run(["git", "checkout", "--quiet", "--detach", "FETCH_HEAD"], cwd=work, check=True)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.mkdir(parents=True)
        shutil.copy(source, target)


@dataclass
class GitLab:
    """Runs jobs of GitLab's on a remote repository."""

    jobs: Mapping[str, Any]
    """As their file says, or as a component says with its inputs."""
    remote: Path
    space: Path
    place: Path
    """Where the jobs install greenward."""
    variables: Mapping[str, Mapping[str, str]]
    """Those of each environment: a job sees only its own."""
    environment: Mapping[str, str]
    runs: int = 0

    def run(self, *names: str) -> dict[str, Job]:
        """The jobs in turn, or those named, each in a clone of its own with the artifacts of those before."""
        self.runs += 1
        done: dict[str, Job] = {}
        artifacts = self.space / "artifacts"
        for name in names or self.jobs:
            job = self.jobs[name]
            work = self.space / f"run-{self.runs}" / name
            subprocess.run(["git", "clone", "--quiet", str(self.remote), str(work)], check=True)
            if artifacts.exists():
                shutil.copytree(artifacts, work, dirs_exist_ok=True)
            own = {**QUICKLY, **_variables(job), **self.environment, **self.variables[job["environment"]["name"]]}
            own |= {"GITLAB_CI": "true", "GW_PLACE": str(self.place)}
            lines = [line for line in job["script"] if not _is_done(line, self.place, own["GW_PACKAGE"])]
            ran = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", "\n".join(lines)], cwd=work, env=own, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            done[name] = Job(code=ran.returncode, out=ran.stdout + ran.stderr)
            for path in job.get("artifacts", {}).get("paths", ()):
                if (work / path).exists():
                    shutil.copytree(work / path, artifacts / path, dirs_exist_ok=True)
            if ran.returncode:
                break
        return done


def _variables(job: Mapping[str, Any]) -> dict[str, str]:
    """A job's own variables, but for those of its service, which is not there."""
    found = {name: each["value"] if isinstance(each, dict) else each for name, each in job["variables"].items()}
    return {name: str(value) for name, value in found.items() if not name.startswith("DOCKER_")}


_DONE: set[str] = set()


def _is_done(command: str, place: Path, package: str = "") -> bool:
    """Whether a command that installs was carried out already at the same place, from the same package.

    Each job has a machine of its own; here they share one, and what the first of them installed is there.
    """
    if "pip" not in command and "-m venv" not in command:
        return False
    known = f"{command}\0{place}\0{package}"
    seen = known in _DONE
    _DONE.add(known)
    return seen


def clean(**more: str) -> dict[str, str]:
    """The environment of a runner: nothing of a key or a token."""
    kept = ("PATH", "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "PYTHONPATH", "DOCKER_HOST", "PIP_")
    return {name: value for name, value in os.environ.items() if name.startswith(kept)} | more
