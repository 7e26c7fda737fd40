"""The command line as its users meet it: a process of its own, with a scripted model behind real HTTP."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.events import Event
from agent.folding import fold
from agent.journal import Entry, read_entries
from agent.models.script import Script, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from tests.gitrepo import git

ROOT = Path(__file__).parents[2]
KEY = "sk-of-the-tests-0123456789abcdef"
PRICES = {"GREENWARD_PRICES_INPUT": "0.48", "GREENWARD_PRICES_CACHED": "0.08", "GREENWARD_PRICES_OUTPUT": "2.0"}
PYTEST = f"env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -q -p no:cacheprovider"
LOCALLY = ("--sandbox", "local")
"""Said again when such a run is resumed: what isolates nothing is never taken silently."""
LOCAL = (*LOCALLY, "--setup", "true", "--test", PYTEST)
"""Runs in no container, with the pytest of these tests: quick, and needs neither an engine nor a network."""
PATIENCE = 240.0
RED = {
    "sums.py": "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a + a\n",
    "tests/test_sums.py": """\
from sums import add, double


def test_add():
    assert add(2, 3) == 5


def test_add_nothing():
    assert add(0, 4) == 4


def test_double():
    assert double(4) == 8
""",
    ".gitignore": "__pycache__/\n",
}
"""Two tests fail for one reason."""
WORSE, RIGHT = "def add(a, b):\n    return a or b\n", "def add(a, b):\n    return a + b\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All of it, for messages."""
        return f"exit code {self.code}\n{self.err}\n{self.out}"


def variables(server: ScriptedServer | None = None, *, key: str | None = KEY, **more: str) -> dict[str, str]:
    """The environment of a user whose provider is `server`."""
    found = {**os.environ, "PYTHONPATH": str(ROOT), **PRICES, **more}
    if key is not None:
        found["RUNAPI_KEY"] = key
    if server is not None:
        found["GREENWARD_BASE_URL"] = server.base_url
    return found


def start(*arguments: object, environment: Mapping[str, str], cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start `greenward` and leave it to the caller to wait."""
    return subprocess.Popen(
        [sys.executable, "-m", "agent", *map(str, arguments)],
        env=dict(environment),
        cwd=cwd or ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> Ran:
    """What came of a process, waited for."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it did not end:\n{err}\n{out}") from None
    return Ran(code=process.returncode, out=out, err=err)


def plan(summary: str = "Add instead of subtracting", **more: object) -> ScriptedReply:
    """A reply that hands in a plan."""
    return say("", call("submit_plan", summary=summary, steps=["Mend it"], **more))


def writes(text: str, content: str, *, expect: tuple[str, ...] = (), path: str = "sums.py") -> ScriptedReply:
    """A reply that replaces what `add` is, and runs the tests."""
    code = content + RED["sums.py"][RED["sums.py"].index("\n\ndef double") :] if path == "sums.py" else content
    return say(text, call("write_file", path=path, content=code), call("run_tests"), expect=expect)


def mended_at_once() -> Script:
    """Mends `RED`, where nothing isolates the tests."""
    done = say("", call("finish", status="done"), expect=("nothing isolated them",))
    return Script(replies=(plan(), writes("It has to add.", RIGHT, expect=("The plan is accepted",)), done))


def mending() -> Script:
    """Fails once, then mends `RED`; where nothing isolates the tests, that is as far as it gets."""
    return Script(
        replies=(
            plan(),
            writes("A first try.", WORSE, expect=("The plan is accepted",)),
            writes("It has to add.", RIGHT, expect=("Tests: 1 failed, 2 passed", "test_add")),
            say("", call("finish", status="done"), expect=("nothing isolated them",)),
        )
    )


def greenward(*arguments: object, environment: Mapping[str, str], cwd: Path | None = None) -> Ran:
    """Run `greenward` to its end."""
    return ended(start(*arguments, environment=environment, cwd=cwd))


def journals(repository: Path) -> list[Path]:
    """The journals of all runs."""
    return sorted((repository / ".git" / "greenward" / "runs").glob("*/journal.jsonl"))


def entries(repository: Path) -> list[Entry]:
    """What the journal of the one run holds."""
    (path,) = journals(repository)
    return list(read_entries(path))


def events(repository: Path, kind: type[Event]) -> list[Event]:
    """The events of one kind in the one run."""
    return [entry.event for entry in entries(repository) if isinstance(entry.event, kind)]


def branch(repository: Path) -> str:
    """The one branch that a run made."""
    (name,) = git(repository, "for-each-ref", "--format=%(refname:short)", "refs/heads/greenward").split()
    return name


def subjects(repository: Path, commits: str) -> list[str]:
    """Subjects of the commits, oldest first."""
    return git(repository, "log", "--reverse", "--format=%s", commits).splitlines()


def trailers(repository: Path, commit: str) -> dict[str, str]:
    """The trailers of a commit, as git itself reads them."""
    message = git(repository, "log", "-1", "--format=%B", commit)
    parsed = git(repository, "interpret-trailers", "--parse", stdin=message.encode())
    return dict(line.split(": ", 1) for line in parsed.splitlines())


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Return once `condition` holds; the process must live until then."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None:
            raise AssertionError(f"it ended too early: {ended(process).said}")
        if time.monotonic() > limit:
            process.kill()
            raise AssertionError(f"it never came to that: {ended(process).said}")
        time.sleep(0.002)


def lines_written(repository: Path) -> int:
    """How many whole lines the journal of the one run has; 0 without one."""
    return sum(path.read_bytes().count(b"\n") for path in journals(repository))


def billed(server: ScriptedServer, repository: Path) -> float:
    """Dollars that the provider would bill, by its own count of tokens."""
    return round(entries(repository)[0].event.prices.cost(server.billed), 9)


def told(repository: Path) -> float:
    """Dollars that the run says it has spent."""
    return round(fold(entries(repository)).spent.dollars, 9)
