"""`make bench`: what greenward takes on this machine, as medians, beside its targets and what others take.

The model answers at once, from a script and over real HTTP; Docker, git and pytest are real. The others' figures are of
the same kind of machine, without a container but where one is named.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from agent.edits import Edit
from agent.models.script import Script
from agent.seal import Seal
from agent.workspace import Workspace
from bench.attacks import attack
from bench.chaos import chaos, told
from bench.costs import costs
from bench.innerloop import inner_loop
from bench.jobs import jobs
from bench.journals import on_journals
from bench.runs import (
    DEVELOPING,
    ROOT,
    Run,
    most_share,
    packaged,
    plain,
    prefix_share,
    prompt_size,
    repository,
    run_fix,
    runs_of,
    six,
    text_prompt_size,
    thirty,
)
from bench.table import HEAD, Figure, line
from sandbox import Command, Limits, Setup
from sandbox.engines import open_engine

FILES = 1000
FREE = Seal.of((), test_files=(), policy="free")
LAZY = ("openai", "docker", "git")
HELP = (sys.executable, "-m", "agent", "--help")
EDITS, COMMAND = ("read_file", "edit_file"), ("read_file", "run_command")


def main() -> None:
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores\n\n{HEAD}")
    for measured in (on_start, on_runs, on_packages, on_parts, on_journals, on_demo):
        for figure in measured():
            print(line(figure), flush=True)
    for title, table in (
        ("what the promises cost", costs),
        ("what the model waits for", inner_loop),
        ("the job that proposes", jobs),
    ):
        print(f"\n{title}:\n", flush=True)
        table()
    print(f"\n{told(chaos())}", flush=True)
    attack()


def on_start() -> Iterator[Figure]:
    trace = subprocess.run([HELP[0], "-X", "importtime", *HELP[1:]], cwd=ROOT, capture_output=True, check=True).stderr
    imported = {line.rpartition(b"|")[2].strip().decode() for line in trace.splitlines()}
    name = f"`--help`; of {', '.join(LAZY)} it imports {', '.join(imported.intersection(LAZY)) or 'none'}"
    others = "codex 0.04, mini-swe-agent 0.26, aider 0.69"
    yield Figure(name=name, values=timed(lambda: run(*HELP), 10), unit="s", target=0.15, others=others)


def on_runs() -> Iterator[Figure]:
    short, long = runs_of(plain(1), six(), 5), runs_of(plain(), thirty(), 5)
    others = "codex 0.18, claude 0.39, kimi-code 1.1, mini-swe-agent 3.1, openhands 4.2"
    name = "command to first model request, environment and baseline cached"
    yield Figure(name=name, values=[each.first_request for each in short], unit="s", target=0.7, others=others)
    name = "... in a repository that it has not seen before"
    yield Figure(name=name, values=[newcomer(plain(1), six()).first_request for _ in range(3)], unit="s")
    others = "mini-swe-agent 40, claude 65, codex 78"
    yield Figure(name="reply to next request, a read and an edit", values=turns(long, EDITS), unit="ms", target=0.03,
                 others=others)  # fmt: skip
    others = "mini-swe-agent in Docker 112"
    yield Figure(name="... a read and a command", values=turns(long, COMMAND), unit="ms", target=0.06, others=others)
    yield from ends(
        "six turns", short, (1.3, 2.1), "codex 0.9 without container or verdict, mini-swe-agent in Docker 5.2"
    )
    yield from ends("thirty turns", long, (4.0, 4.9), "codex 4.2, mini-swe-agent in Docker 9.7")
    others = "codex 151, mini-swe-agent 229, claude 270, kimi-code 442"
    yield Figure(name="peak memory", values=[each.peak for each in long], unit="MB", target=120e6, others=others)
    bodies = [[request.body for request in each.requests] for each in long]
    others = "mini-swe-agent 80, openhands 8,085, codex 9,320, kimi-code 20,651"
    name = "system prompt and tools, characters/4"
    yield Figure(name=name, values=[prompt_size(each[0]) for each in bodies], unit="tokens", target=2500, others=others)
    yield Figure(name="... in the text protocol", values=[text_prompt_size()], unit="tokens", target=2500)
    name = f"prompt tokens in a stable prefix, thirty turns (append-only: {most_share(bodies[0]):.1%})"
    others = "94.8 to 96.0 %, aider 67 %"
    yield Figure(name=name, values=[prefix_share(each) for each in bodies], unit="%", target=0.955, others=others)


def on_packages() -> Iterator[Figure]:
    """The same runs on a package that is built in each container."""
    yield from ends("six turns on a package", runs_of(packaged(1), six("src/"), 3))
    yield from ends("thirty turns on a package", runs_of(packaged(), thirty("src/"), 3))


def newcomer(files: Mapping[str, str], script: Script) -> Run:
    """A run on a repository at a place of its own, the suite of which was never run."""
    files = {**files, "made.txt": f"{time.time_ns()}\n"}
    with tempfile.TemporaryDirectory() as directory:
        return run_fix(Path(directory) / "project", files, script)


def ends(
    name: str, runs: Sequence[Run], targets: tuple[float | None, float | None] = (None, None), others: str = ""
) -> Iterator[Figure]:
    last, whole = targets
    yield Figure(name=f"{name}, to the last test run", values=[each.last_test for each in runs], unit="s", target=last,
                 others=others)  # fmt: skip
    yield Figure(name="... to the end, with verdict", values=[each.end for each in runs], unit="s", target=whole)


def turns(runs: Sequence[Run], kinds: tuple[str, ...]) -> list[float]:
    """Seconds of the turns that call just these tools."""
    found = [(tuple(call.name for call in reply.calls), seconds) for each in runs for reply, seconds in each.turns]
    return [seconds for called, seconds in found if called == kinds]


def on_parts() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as directory:
        files = {f"src/file_{number}.py": f"value = {number}\n" * 20 for number in range(FILES)}
        with Workspace.open(repository(Path(directory), files), environment=dict(os.environ)) as workspace:
            yield from on_git(workspace)
            yield from in_docker(workspace)


def on_git(workspace: Workspace) -> Iterator[Figure]:
    tree = workspace.snapshot(at=datetime.now(UTC)).tree
    numbers = iter(range(10_000))
    snapshot = timed(lambda: workspace.snapshot(at=datetime.now(UTC)), 10)
    yield Figure(name=f"snapshot of {FILES} files", values=snapshot, unit="ms")
    edit = timed(lambda: workspace.edit(tree, [Edit(path="src/new.py", data=b"%d\n" % next(numbers))], FREE), 20)
    yield Figure(name=f"one edit in a tree of {FILES} files", values=edit, unit="ms")
    read = timed(lambda: workspace.read(tree, "src/file_7.py"), 50)
    yield Figure(name="reading a file of a tree", values=read, unit="ms")


def in_docker(workspace: Workspace) -> Iterator[Figure]:
    snapshot = workspace.snapshot(at=datetime.now(UTC))
    tree = workspace.tree(snapshot.tree, seal=FREE, ignore_base=snapshot.tree)
    with open_engine("docker", dict(os.environ)) as engine:
        environment = engine.prepare(Setup(), say=str)
        with engine.open(environment, limits=Limits(), run_id="bench") as sandbox:
            fresh = timed(lambda: sandbox.execute_fresh(tree, Command(script="true")), 8)
            yield Figure(name="a fresh container: tree in, command, removed", values=fresh, unit="ms")
            sandbox.execute(tree, Command(script="true"))
            warm = timed(lambda: sandbox.execute(tree, Command(script="true")), 30)
            yield Figure(name="a command in the warm container", values=warm, unit="ms")
            numbers = iter(range(10_000))
            changing = timed(lambda: sandbox.execute(tree, Command(script=f"echo {next(numbers)} >src/made.py")), 20)
            yield Figure(name="... that changes a file, which is taken back", values=changing, unit="ms")


def on_demo() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as directory:
        numbers = iter(range(100))
        run_demo = lambda: run(sys.executable, "-m", "agent", "demo", f"{directory}/{next(numbers)}")  # noqa: E731
        run_demo()
        yield Figure(name="the demo, environments cached", values=timed(run_demo, 3), unit="s")


def timed(what: Callable[[], object], times: int) -> list[float]:
    """Seconds that `what` took, each time."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - began)
    return seconds


def run(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in DEVELOPING}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


if __name__ == "__main__":
    main()
