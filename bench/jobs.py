"""The job that proposes, as a forge runs it: what it takes on a bare runner, and once a runner has it all.

    python -m bench.jobs

Each row is what `action.yml` does in the job `propose`: a virtual environment with greenward in it, then
`greenward fix --ci --out`, on a repository of 200 tests, one of which fails, with one dependency. The model is scripted
and answers at once, in four calls: what a real one thinks comes on top. Checking the code out, and taking the proposal
to the next job, are the forge's and left out.

The base image is made under a name of the bench's own and removed again, so that nothing that others use is touched.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from agent.events import (
    BaselineMeasured,
    EnvironmentPrepared,
    Event,
    ModelReplied,
    RunStarted,
    SessionStarted,
    TestRun,
    ToolReturned,
    VerdictReached,
)
from agent.journal import Entry, read_entries
from agent.models.script import Script, call, say
from agent.models.server import ScriptedServer
from bench.costs import FAULT, PATH, TEST
from bench.longsuites import project
from bench.runs import DEVELOPING, PRICES, ROOT, repository
from sandbox.engine import connect
from sandbox.images import Names, base_image

__all__ = ["HEAD", "Job", "jobs", "line", "phases"]

TESTS, TIMES = 200, 3
INSTALLS: str = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"][0]["run"]
HEAD = (
    "| job | install greenward | base image | environment | baseline | model | its tests | verdict | rest | whole |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)
MENDS = Script(
    replies=(
        say("I look around.", call("list_files"), call("search", pattern="def value")),
        say("", call("read_file", path=PATH), call("read_file", path="tests/test_fault.py")),
        say("", call("submit_plan", summary="Return what the test wants", steps=["Mend the value"])),
        say(
            "It has to be two.",
            call("edit_file", path=PATH, replacements=[{"search": "return 1", "replace": "return 2"}]),
            call("run_tests"),
        ),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Seconds of each part of a job."""

    install: float
    image: float
    environment: float
    """What the project's suite needs, made or found, and the start before it."""
    baseline: float
    model: float
    """From each request to the end of its answer."""
    tests: float
    """Tool calls in which the suite ran."""
    verdict: float
    """The suite in a fresh container, the looks at the change, and the control run."""
    whole: float

    @property
    def rest(self) -> float:
        """Commits, other tool calls, and writing the proposal."""
        parts = (self.install, self.image, self.environment, self.baseline, self.model, self.tests, self.verdict)
        return self.whole - sum(parts)


def unseen() -> dict[str, str]:
    """A repository for which no engine has an environment yet."""
    files = {**project(TESTS - 1), PATH: FAULT, "tests/test_fault.py": TEST}
    return files | {"requirements.txt": f"attrs!=0.0.{time.time_ns()}\n"}


@dataclass(slots=True)
class Runner:
    """A machine that runs the jobs of one repository, and keeps what a runner of one's own keeps."""

    space: Path
    files: dict[str, str] = field(default_factory=unseen)

    def commit(self) -> None:
        """Make a new commit, that changes nothing of the suite."""
        self.files["notes.txt"] = f"{time.time_ns()}\n"

    def job(self, image: float = 0.0) -> Job:
        """Run the job on what is committed; making the base image took `image` seconds.

        Raises:
            RuntimeError: it did not end green.
        """
        with tempfile.TemporaryDirectory(dir=self.space) as directory:
            place = Path(directory)
            root = repository(place / "work", self.files)
            began = time.monotonic()
            ours = {"RUNNER_TEMP": str(place), "GITHUB_ACTION_PATH": str(ROOT)}
            self._run(root, "bash", "-eo", "pipefail", "-c", INSTALLS, **ours)
            installed, moment = time.monotonic(), time.time()
            with ScriptedServer(MENDS) as server:
                python, out = str(place / "greenward" / "bin" / "python"), str(place / "proposal")
                command = (python, "-P", "-m", "agent", "fix", "--ci", "--out", out, "--prices", PRICES)
                self._run(root, *command, RUNAPI_KEY="sk-bench-0123456789", GREENWARD_BASE_URL=server.base_url)
            ended = time.monotonic()
            (journal,) = (root / ".git" / "greenward" / "runs").glob("*/journal.jsonl")
            found = phases(list(read_entries(journal)), moment)
        return Job(install=installed - began, image=image, **found, whole=ended - began + image)

    def _run(self, root: Path, *command: str, **more: str) -> None:
        own = {"XDG_CACHE_HOME": str(self.space / "cache"), "PIP_CACHE_DIR": str(self.space / "pip")}
        environment = {name: value for name, value in os.environ.items() if name not in DEVELOPING} | own | more
        done = subprocess.run(
            command, cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise RuntimeError(f"`{' '.join(command)}` ended with {done.returncode}:\n{said}")


def phases(entries: Sequence[Entry], began: float) -> dict[str, float]:
    """Seconds of the parts of a run that was `began` at that time of the system's clock.

    Each event is written when what it tells of is done, so the time since the one before is what that took.
    """
    took = dict.fromkeys(("environment", "baseline", "model", "tests", "verdict"), 0.0)
    for entry in entries:
        at = entry.at.timestamp()
        if part := _part(entry.event):
            took[part] += at - began
        began = at
    return took


def _part(event: Event) -> str | None:
    match event:
        case RunStarted() | SessionStarted() | EnvironmentPrepared():
            return "environment"
        case BaselineMeasured():
            return "baseline"
        case ModelReplied():
            return "model"
        case ToolReturned(effect=TestRun()):
            return "tests"
        case VerdictReached():
            return "verdict"
        case _:
            return None


def jobs() -> None:
    """Print the table."""
    print(HEAD)
    with tempfile.TemporaryDirectory(prefix="greenward-bench-") as directory:
        bare, kept, again = [], [], []
        for number in range(TIMES):
            space = Path(directory) / f"runner-{number}"
            space.mkdir()
            runner = Runner(space=space)
            bare.append(runner.job(bootstrapped(space)))
            runner.commit()
            kept.append(runner.job())
            again.append(runner.job())
    for name, measured in (("a bare runner", bare), ("the same runner, next commit", kept), ("... same commit", again)):
        print(line(name, measured), flush=True)


def bootstrapped(space: Path) -> float:
    """The seconds that it takes until there is a base image, if there is none."""
    names = Names(default=f"greenward-base:bench-{os.getpid()}")
    client = connect(os.environ)
    try:
        if client.image(names.pulled):
            raise RuntimeError(f"{names.pulled} is on the engine, and would be taken as it is")
        began = time.monotonic()
        made = base_image(client, None, host=os.environ, cache=space, say=_say, names=names)
        took = time.monotonic() - began
        if made.origin == "bootstrapped":
            client.remove_image(names.default)
    finally:
        client.close()
    return took


def line(name: str, measured: Sequence[Job]) -> str:
    """The table's line: medians."""
    parts = ("install", "image", "environment", "baseline", "model", "tests", "verdict", "rest", "whole")
    middle = (statistics.median(getattr(job, part) for job in measured) for part in parts)
    return f"| {name} | {' | '.join(f'{seconds:.1f} s' for seconds in middle)} |"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    jobs()
