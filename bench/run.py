"""`make bench`: what the parts cost, on this machine, as medians. Zero-latency scripted model; real Docker and git."""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from agent.edits import Edit
from agent.journal import Journal
from agent.seal import Seal
from agent.workspace import Workspace
from sandbox import Command, Limits, Setup
from sandbox.engines import open_engine

ROOT = Path(__file__).parents[1]
FILES = 1000
FREE = Seal.of((), test_files=(), policy="free")


def main() -> None:
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores\n")
    print("| figure | median | best | runs |\n|---|---|---|---|")
    row("`greenward --help`", lambda: run(sys.executable, "-m", "agent", "--help"), 10)
    with tempfile.TemporaryDirectory() as directory:
        repository = a_repository(Path(directory))
        with Workspace.open(repository, environment=dict(os.environ)) as workspace:
            on_git(workspace)
            in_docker(workspace)
    demo()


def on_git(workspace: Workspace) -> None:
    snapshot = workspace.snapshot(at=datetime.now(UTC))
    row(f"snapshot of {FILES} files", lambda: workspace.snapshot(at=datetime.now(UTC)), 10)
    numbers = iter(range(10_000))
    row(
        f"one edit in a tree of {FILES} files",
        lambda: workspace.edit(snapshot.tree, [Edit(path="src/new.py", data=b"%d\n" % next(numbers))], FREE),
        20,
    )
    row("reading a file of a tree", lambda: workspace.read(snapshot.tree, "src/file_7.py"), 50)
    with Journal(workspace.run_directory("bench") / "journal.jsonl") as journal:
        from agent.events import SessionStarted

        row("appending an event, fsynced", lambda: journal.append(SessionStarted(pid=1, version="0")), 50)


def in_docker(workspace: Workspace) -> None:
    snapshot = workspace.snapshot(at=datetime.now(UTC))
    tree = workspace.tree(snapshot.tree, seal=FREE, ignore_base=snapshot.tree)
    with open_engine("docker", dict(os.environ)) as engine:
        environment = engine.prepare(Setup(), say=str)
        with engine.open(environment, limits=Limits(), run_id="bench") as sandbox:
            row(
                "a fresh container: tree in, command, removed",
                lambda: sandbox.execute_fresh(tree, Command(script="true")),
                8,
            )
            sandbox.execute(tree, Command(script="true"))
            row("a command in the warm container", lambda: sandbox.execute(tree, Command(script="true")), 30)
            numbers = iter(range(10_000))
            row(
                "... that changes a file, which is taken back",
                lambda: sandbox.execute(tree, Command(script=f"echo {next(numbers)} >src/made.py")),
                20,
            )


def demo() -> None:
    with tempfile.TemporaryDirectory() as directory:
        numbers = iter(range(100))
        run_demo = lambda: run(sys.executable, "-m", "agent", "demo", f"{directory}/{next(numbers)}")  # noqa: E731
        run_demo()
        row("the demo, environments cached", run_demo, 3)


def row(name: str, what: Callable[[], object], times: int) -> None:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - began)
    print(f"| {name} | {shown(statistics.median(seconds))} | {shown(min(seconds))} | {times} |", flush=True)


def shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def a_repository(directory: Path) -> Path:
    (directory / "src").mkdir()
    for number in range(FILES):
        (directory / "src" / f"file_{number}.py").write_text(f"value = {number}\n" * 20)
    git = ("git", "-C", str(directory), "-c", "user.name=bench", "-c", "user.email=bench@localhost")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "files")):
        subprocess.run([*git, *arguments], check=True)
    return directory


if __name__ == "__main__":
    main()
