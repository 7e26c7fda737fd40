"""Whole runs of `greenward fix` as its users start it, against a model that answers at once, and when what happened.

A run is a process of its own; the model is `agent.models.server` on loopback, whose log says when each request came in
and each answer was out. Tests, commits and the verdict are timed by the run's journal.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.events import TestRun, ToolReturned, VerdictReached
from agent.journal import Entry, read_entries
from agent.messages import Message
from agent.models import Request
from agent.models.script import Script, ScriptedReply, call, say
from agent.models.server import Received, ScriptedServer
from agent.models.text_protocol import as_text
from agent.models.tokens import PrefixCache, prompt_units
from agent.tools.toolbox import SPECS
from prompts import render

__all__ = [
    "MODULES",
    "ROOT",
    "Run",
    "gaps",
    "most_share",
    "packaged",
    "plain",
    "prefix_share",
    "prompt_size",
    "repository",
    "run_fix",
    "runs_of",
    "six",
    "text_prompt_size",
    "thirty",
]

ROOT = Path(__file__).parents[1]
PRICES = "0.48,0.08,2.0"
DEVELOPING = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONDEVMODE")
"""Variables of a developer's shell that users do not have: what is installed comes with its bytecode."""
MODULES = 9
PACKAGE = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "shop"
version = "1.0"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run took, in seconds since it was started, and its peak memory in bytes."""

    first_request: float
    last_test: float
    verdict: float
    end: float
    peak: int
    turns: tuple[tuple[ScriptedReply, float], ...]
    """Each reply but the last, and the seconds from its end to the next request."""
    requests: tuple[Received, ...]


def plain(count: int = MODULES) -> dict[str, str]:
    """A repository of a few small modules, each with a test that fails."""
    files = {"shop/__init__.py": "", ".gitignore": "__pycache__/\n"}
    for number in range(count):
        files[f"shop/part{number}.py"] = _module(number, "-")
        files[f"tests/test_part{number}.py"] = (
            f"from shop.part{number} import total\n\n\n"
            f"def test_total():\n    assert total([1, 2], {number}) == {number} + 3\n\n\n"
            f"def test_nothing():\n    assert total([], 0) == 0\n"
        )
    return files


def packaged(count: int = MODULES) -> dict[str, str]:
    """The same as a package that has to be built."""
    moved = {f"src/{path}" if path.startswith("shop/") else path: text for path, text in plain(count).items()}
    return moved | {"pyproject.toml": PACKAGE}


def _module(number: int, sign: str) -> str:
    lines = "\n".join(f"RATE_{each} = {each}.0" for each in range(30))
    return (
        f'"""Totals of part {number}."""\n\n{lines}\n\n\n'
        f"def total(prices, fee):\n    result = fee\n    for price in prices:\n        result {sign}= price\n"
        "    return result\n"
    )


def _mend(path: str, new: str = "result += price") -> Any:
    return call("edit_file", path=path, replacements=[{"search": "result -= price", "replace": new}])


def _plan() -> ScriptedReply:
    return say("", call("submit_plan", summary="Add the prices up", steps=["Mend each total"]))


def six(prefix: str = "") -> Script:
    """Six turns with two test runs: the first change is wrong."""
    path = f"{prefix}shop/part0.py"
    right = call("edit_file", path=path, replacements=[{"search": "result = price", "replace": "result += price"}])
    return Script(
        replies=(
            say("I look around.", call("list_files"), call("search", pattern="def total")),
            say("", call("read_file", path=path), call("read_file", path="tests/test_part0.py")),
            _plan(),
            say("A first try.", _mend(path, "result = price"), call("run_tests")),
            say("That was wrong.", call("read_file", path=path)),
            say("It has to add.", right, call("run_tests")),
        )
    )


def thirty(prefix: str = "") -> Script:
    """Thirty turns with nine test runs and as many commands: each cycle of three mends one module."""
    replies = [
        say("I look around.", call("list_files")),
        say("", call("search", pattern="def total"), call("read_file", path="tests/test_part0.py")),
        _plan(),
    ]
    for number in range(MODULES):
        path = f"{prefix}shop/part{number}.py"
        worded = [{"search": f"Totals of part {number}.", "replace": f"What part {number} comes to."}]
        replies += [
            say("", call("read_file", path=path), call("edit_file", path=path, replacements=worded)),
            say("", call("read_file", path=path), call("run_command", command=f"wc -l {path}")),
            say(f"Part {number} has to add.", _mend(path), call("run_tests")),
        ]
    return Script(replies=tuple(replies))


def runs_of(files: Mapping[str, str], script: Script, count: int) -> list[Run]:
    """Measure `count` runs, each on a new repository at the same place, after one that is not counted."""
    with tempfile.TemporaryDirectory(prefix="greenward-bench-") as directory:
        return [run_fix(Path(directory) / "project", files, script) for _ in range(count + 1)][1:]


def run_fix(top: Path, files: Mapping[str, str], script: Script) -> Run:
    """Run `greenward fix` on a new repository of `files` in `top`, in the place of what is there; it has to end green.

    Raises:
        RuntimeError: it did not; what it printed is in the message.
    """
    shutil.rmtree(top, ignore_errors=True)
    repository(top, files)
    with ScriptedServer(script) as server:
        began, moment = time.monotonic(), time.time()
        peak = _greenward(("fix", str(top), "--max-iterations", "12"), server)
        end = time.monotonic() - began
    (journal,) = (top / ".git" / "greenward" / "runs").glob("*/journal.jsonl")
    entries = list(read_entries(journal))
    tests = [entry for entry in entries if _is_test(entry)]
    verdicts = [entry for entry in entries if isinstance(entry.event, VerdictReached)]
    return Run(
        first_request=server.requests[0].at - began,
        last_test=tests[-1].at.timestamp() - moment,
        verdict=verdicts[-1].at.timestamp() - moment,
        end=end,
        peak=peak,
        turns=tuple(gaps(script.replies, server.requests, server.answered)),
        requests=tuple(server.requests),
    )


def gaps(
    replies: Sequence[ScriptedReply], requests: Sequence[Received], answered: Sequence[float]
) -> Iterator[tuple[ScriptedReply, float]]:
    """Each reply that another request followed, and the seconds from its end to that request."""
    for reply, out, following in zip(replies, answered, requests[1:], strict=False):
        yield reply, following.at - out


def prefix_share(bodies: Sequence[Mapping[str, Any]]) -> float:
    """The share of all prompt tokens that stand in a beginning that some earlier prompt had, too."""
    cache = PrefixCache()
    cached = total = 0
    for body in bodies:
        units = prompt_units(body)
        cached += cache.cached(units)
        total += sum(tokens for _, tokens in units)
    return cached / total


def most_share(bodies: Sequence[Mapping[str, Any]]) -> float:
    """The share that there would be if each prompt began with all of the one before: the most that there can be."""
    sizes = [sum(tokens for _, tokens in prompt_units(body)) for body in bodies]
    return 1 - sizes[-1] / sum(sizes)


def text_prompt_size() -> float:
    """Tokens of system prompt and tools where tools are told and called in text, by four characters each."""
    opening = Message(role="system", content=render("system"))
    return sum(len(each.content) for each in as_text(Request(messages=(opening,), tools=SPECS)).messages) / 4


def prompt_size(body: Mapping[str, Any]) -> float:
    """Characters of the system prompt and the tools' schemas, by four: about their tokens."""
    (schemas,) = (text for text, _ in prompt_units({"tools": body["tools"], "messages": []}))
    return (len(schemas) + len(body["messages"][0]["content"])) / 4


def _is_test(entry: Entry) -> bool:
    return isinstance(entry.event, ToolReturned) and isinstance(entry.event.effect, TestRun)


def _greenward(arguments: Sequence[str], server: ScriptedServer) -> int:
    """Run the command line to its end, and return the bytes that its largest process held."""
    environment = {name: value for name, value in os.environ.items() if name not in DEVELOPING}
    environment |= {"PYTHONPATH": str(ROOT), "RUNAPI_KEY": "sk-bench-0123456789", "GREENWARD_BASE_URL": server.base_url}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", *arguments, "--prices", PRICES],
            env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"`greenward fix` ended with {process.returncode}:\n{said.read().decode()}")
    return usage.ru_maxrss * 1024


def repository(directory: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    git = ("git", "-C", str(directory), "-c", "user.name=bench", "-c", "user.email=bench@localhost")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "files")):
        subprocess.run([*git, *arguments], check=True)
    return directory
