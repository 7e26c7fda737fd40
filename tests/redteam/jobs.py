"""The two jobs of continuous integration, by the steps of the files that are handed out, on a hostile repository.

All that they leave, print and send is kept, for somebody to look through.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from agent.models.script import Script
from agent.models.server import ScriptedServer
from tests.ci.runner import ROOT, clean
from tests.e2e.harness import PATIENCE, PRICES
from tests.gitrepo import git
from tests.publishing.forge import PROJECT, Forge, serving, variables_of
from tests.redteam.canaries import canary
from tests.redteam.repository import ISSUE, Checkout, build, check_out, state

KEY, TOKEN = canary("Key"), canary("Token").replace("&", "-")
BESIDE = {
    name: canary(name.replace("_", ""))
    for name in (
        "GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "AWS_SECRET_ACCESS_KEY", "NPM_TOKEN", "CI_JOB_TOKEN",
        "DATABASE_PASSWORD", "SSH_PRIVATE_KEY",
    )
}  # fmt: skip
"""What else a careless job has in its environment beside the key."""
AT_HOME = (".aws/credentials", ".netrc", ".ssh/id_rsa", ".git-credentials", ".config/gh/hosts.yml")
CANARIES: Mapping[str, str] = {
    "the model's key": KEY,
    "the token that writes": TOKEN,
    **BESIDE,
    **{path: canary(f"Home{number}") for number, path in enumerate(AT_HOME)},
    "a file outside": canary("Outside"),
    "a file that is not tracked": canary("Untracked"),
    "git's own configuration": canary("Header"),
}
_STEP = "run"
_OBJECTS = ("cat-file", "--batch-all-objects", "--batch", "--unordered")


@dataclass(kw_only=True)
class Evidence:
    """What came of both jobs, and all that can be searched."""

    proposed: int = -1
    published: int = -1
    out: Path = Path()
    """The proposal's directory, as it was handed over."""
    checkout: Checkout | None = None
    publisher: Checkout | None = None
    forge: Forge | None = None
    places: dict[str, bytes] = field(default_factory=dict)
    authorised: list[str] = field(default_factory=list)
    """Headers that have to hold the key or the token."""
    containers: list[dict] = field(default_factory=list)
    changed: dict[str, set[str]] = field(default_factory=dict)
    """Which files of either checkout are not as they were."""
    refs: tuple[str, str] = ("", "")
    """Of the remote, before publishing and afterwards."""

    def text(self, place: str) -> str:
        return self.places[place].decode("utf-8", "surrogateescape")

    @property
    def hunts(self) -> list[dict]:
        """What each hunt in a container reported, out of what the run keeps and sends."""
        found = {}
        for place, data in self.places.items():
            if not place.startswith(("journal", "model")):
                continue
            for text in re.findall(rb"HUNT (\{.*?\}) TNUH", data.replace(b'\\"', b'"').replace(b"\\\\", b"\\")):
                try:
                    found[text] = json.loads(text)
                except ValueError:
                    continue
        return list(found.values())


@dataclass(kw_only=True)
class Jobs:
    """Runs them in a room of its own."""

    room: Path
    kind: str
    """`github`, or `gitlab`, where Azure's runner reads along, too."""
    command: str = "fix"
    evidence: Evidence = field(default_factory=Evidence)

    def run(self, script: Script) -> Evidence:
        """Both jobs, one after the other; the second one gets what the first one left."""
        served = self.room / "git" / "remote.git"
        origin = Forge(remote=served, token=TOKEN)
        with ScriptedServer(script, key=KEY) as server, serving(origin) as forge:
            ports = [int(address.rpartition(":")[2].partition("/")[0]) for address in (server.base_url, forge.url)]
            remote = build(self.room, PROJECT, ports)
            served.symlink_to(remote)
            self.evidence.forge = forge
            (self.room / "issue.txt").write_text(ISSUE * 30)
            self.evidence.checkout = check_out(remote, self.room / "propose")
            self._propose(server)
            self.evidence.publisher = check_out(remote, self.room / "publish")
            self._publish(forge)
        self._collect(server, forge)
        return self.evidence

    def _propose(self, server: ScriptedServer) -> None:
        place = self.room / "propose"
        environment = self._environment(place) | {
            "GREENWARD_BASE_URL": server.base_url,
            **PRICES,
            **BESIDE,
            "RUNAPI_KEY": KEY,
        }
        inputs = {"job": "propose", "command": self.command, "request-file": str(self.room / "issue.txt")}
        before = state(place / "work")
        if self.kind == "github":
            script, variables = _action(inputs)
        else:
            script, variables = _gitlab("greenward-propose", self.command)
            script += f" --request-file {inputs['request-file']}"
        self.evidence.proposed = self._run(place, script, variables | environment)
        self.evidence.changed["propose"] = _differing(before, state(place / "work"), without="proposal/")
        self.evidence.out = place / "work" / "proposal"

    def _publish(self, forge: Forge) -> None:
        place = self.room / "publish"
        if self.evidence.out.is_dir():
            subprocess.run(["cp", "-r", self.evidence.out, place / "work" / "proposal"], check=True)
        before = state(place / "work")
        environment = self._environment(place) | variables_of(self.kind, forge)
        environment |= {"GREENWARD_TOKEN": TOKEN} if self.kind == "gitlab" else {}
        inputs = {"job": "publish", "token": TOKEN}
        github = self.kind == "github"
        script, variables = _action(inputs) if github else _gitlab("greenward-publish", self.command)
        seen = git(forge.remote, "for-each-ref")
        self.evidence.published = self._run(place, script, variables | environment)
        self.evidence.refs = seen, git(forge.remote, "for-each-ref")
        self.evidence.changed["publish"] = _differing(before, state(place / "work"))

    def _environment(self, place: Path) -> dict[str, str]:
        """What a runner gives to a step, with a home in which there are secrets, too."""
        home = place / "home"
        for path in AT_HOME:
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(f"machine elsewhere.example login x password {CANARIES[path]}\n")
        (place / "temp").mkdir()
        (place / "greenward" / "bin").mkdir(parents=True)
        for name, arguments in {"python": "", "greenward": " -P -m agent"}.items():
            installed = place / "greenward" / "bin" / name
            installed.write_text(f'#!/bin/sh\nexec {sys.executable}{arguments} "$@"\n')
            installed.chmod(0o755)
        found = clean(
            HOME=str(home), XDG_CONFIG_HOME=str(home / ".config"), XDG_CACHE_HOME=str(self.room / "cache"),
            TMPDIR=str(place / "temp"), PYTHONPATH=str(ROOT), RUNNER_TEMP=str(place),
            GW_PLACE=str(place / "greenward"),
        )  # fmt: skip
        if self.kind == "gitlab":
            return found | {"GITLAB_CI": "true", "CI": "true", "TF_BUILD": "True"}
        files = {name: str(place / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")}
        return found | files | {"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_EVENT_NAME": "push"}

    def _run(self, place: Path, script: str, environment: Mapping[str, str]) -> int:
        """Run a step; both of its streams go to one file, in their order, as a runner reads them."""
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=place / "work",
                env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        seen: set[str] = set()
        limit = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < limit:
            self._look(place, seen)
            time.sleep(0.05)
        process.kill()
        return process.wait()

    def _look(self, place: Path, seen: set[str]) -> None:
        """Inspect the containers of the run while they are there."""
        for run in (place / "work" / ".git" / "greenward" / "runs").glob("*"):
            listed = docker("ps", "--quiet", "--no-trunc", "--filter", f"label=greenward.run={run.name}").split()
            for each in sorted({*listed} - seen):
                seen.add(each)
                self.evidence.containers += json.loads(docker("inspect", each) or "[]")

    def _collect(self, server: ScriptedServer, forge: Forge) -> None:
        evidence = self.evidence
        add = evidence.places
        for number, request in enumerate(server.requests):
            headers = dict(request.headers)
            evidence.authorised.append(headers.pop("authorization", ""))
            add[f"model, request {number}"] = _json({"headers": headers, "body": request.body})
        for number, (line, headers) in enumerate(forge.heads):
            kept = {name: text for name, text in headers.items() if name not in ("authorization", "private-token")}
            evidence.authorised += [headers[name] for name in headers.keys() - kept.keys()]
            add[f"forge, head {number}"] = f"{line}\n{kept}".encode()
        add["forge, bodies"] = forge.raw
        add["forge, requests"] = _json([forge.requests, forge.remarks, [each.path for each in forge.asked]])
        add["remote, objects"] = objects(forge.remote)
        add["remote, refs"] = git(forge.remote, "for-each-ref").encode()
        images = sorted({each["Image"] for each in evidence.containers})
        add["containers"] = _json(evidence.containers)
        add["images"] = (
            docker("image", "inspect", *images).encode() + docker("history", "--no-trunc", *images[:1]).encode()
        )
        for job in ("propose", "publish"):
            place = self.room / job
            for name in ("log", "github_output", "github_step_summary", "github_env"):
                if (place / name).exists():
                    add[f"{job}, {name}"] = (place / name).read_bytes()
            add |= files(place / "temp", f"{job}, left in temporary files")
            add[f"{job}, objects"] = objects(place / "work")
            add[f"{job}, refs"] = git(place / "work", "for-each-ref").encode()
        add |= files(self.room / "cache", "cache")
        add |= files(self.room / "propose" / "work" / ".git" / "greenward", "journal")
        add |= files(evidence.out, "proposal")
        if (evidence.out / "fix.bundle").exists():
            add["proposal, objects"] = unbundled(forge.remote, evidence.out / "fix.bundle", self.room / "unbundled")


def _action(given: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The step of the action that runs greenward, and what it makes of the inputs."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = {name: each.get("default", "") for name, each in action["inputs"].items()} | dict(given)
    (step,) = [step for step in action["runs"]["steps"] if step["id"] == _STEP]
    names = {name: re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text) for name, text in step["env"].items()}
    return step["run"], {name: inputs[found[1]] for name, found in names.items() if found}


def _gitlab(job: str, command: str) -> tuple[str, dict[str, str]]:
    """The line of GitLab's job that runs greenward, and the job's own variables."""
    jobs = yaml.safe_load((ROOT / "examples" / "ci" / "gitlab.yml").read_text())
    line = jobs[job]["script"][-1]
    given = {name: each["value"] if isinstance(each, dict) else each for name, each in jobs[job]["variables"].items()}
    variables = {name: str(each) for name, each in given.items() if not name.startswith("DOCKER_")}
    return re.sub('(greenward"?) fix ', rf"\1 {command} ", line), variables


def _differing(before: Mapping, after: Mapping, without: str = "\0") -> set[str]:
    return {
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name) and not name.startswith(without)
    }


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")


def files(top: Path, label: str) -> dict[str, bytes]:
    """Every plain file below `top`."""
    found = sorted(path for path in top.rglob("*") if path.is_file() and not path.is_symlink())
    return {f"{label}, {path.relative_to(top)}": path.read_bytes() for path in found}


def objects(repository: Path) -> bytes:
    """Every object that a repository has, unpacked."""
    done = subprocess.run(["git", *_OBJECTS], cwd=repository, capture_output=True, check=True)
    return done.stdout


def unbundled(remote: Path, bundle: Path, place: Path) -> bytes:
    """Every object in a bundle, on top of those of the remote."""
    git(remote, "clone", "-q", "--mirror", str(remote), str(place))
    (line,) = git(place, "bundle", "list-heads", str(bundle)).splitlines()
    git(place, "fetch", "-q", str(bundle), line.split()[1])
    return objects(place)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False).stdout
