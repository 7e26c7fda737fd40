"""Runs of every kind, really carried out: sessions in this process, a model over HTTP, real git, real commands.

Each function of `KINDS` makes a repository with one recorded run. Their suites are run by a small program in the place
of pytest, which starts in no time and reports as pytest does.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent import events as e
from agent.config import Key, load_settings
from agent.events import Outcome
from agent.folding import fold
from agent.forking import beginning_of, fork
from agent.journal import Entry, read_entries
from agent.models.gateway import Gateway
from agent.models.script import Script, ScriptedReply, call, say
from agent.models.server import ScriptedServer
from agent.redact import Secret
from agent.reopening import further_request, taking_up
from agent.runs import find_run
from agent.session import Session, Surroundings
from agent.state import RunState
from agent.task import Plan
from agent.tasks import Planning, Project, start_new, start_on
from agent.watching import Silent
from agent.workspace import Workspace
from sandbox import Environment, Setup, SetupFailed
from tests.e2e.harness import RED, RIGHT, WORSE, plan, writes
from tests.gitrepo import git, put, repository
from tests.lab import HereEngine, IsolatedEngine
from tests.models.fakes import TextServer

RUNNER = '''\
"""Runs the functions `test_*` of the files that are named, or of `tests`, and reports them as pytest does."""
import glob, os, sys, time

sys.dont_write_bytecode = True
sys.path.insert(0, os.getcwd())
began = time.monotonic()
cases, failed, passed = [], 0, 0
escape = lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def case(path, name, seconds, problem):
    kind = "failure" if name else "error"
    module = path[:-3].replace("/", ".")
    told = f'<{kind} message="{escape(problem)}">{escape(problem)}</{kind}>' if problem else ""
    head = f'classname="{module if name else ""}" name="{name or module}" file="{path}" time="{seconds:.6f}"'
    cases.append(f"<testcase {head}>{told}</testcase>")


for path in [name for name in sys.argv[1:] if not name.startswith("-")] or sorted(glob.glob("tests/test_*.py")):
    try:
        scope = {}
        exec(compile(open(path).read(), path, "exec"), scope)
    except Exception as error:
        case(path, "", 0.0, repr(error))
        failed += 1
        continue
    for name in [name for name in scope if name.startswith("test_")]:
        started, problem = time.monotonic(), ""
        try:
            scope[name]()
            passed += 1
        except BaseException as error:
            problem = repr(error)
            print(f"FAILED {path}::{name}: {problem}")
            failed += 1
        case(path, name, time.monotonic() - started, problem)
with open(os.environ["GREENWARD_OUT"] + "/junit.xml", "w") as file:
    file.write("<testsuites><testsuite>" + "".join(cases) + "</testsuite></testsuites>")
print(f"{failed} failed, {passed} passed in {time.monotonic() - began:.4f}s")
sys.exit(1 if failed else 0 if cases else 5)
'''
PYTHON = f"{sys.executable} -I -S"
SUITE = f"{PYTHON} tools/pytest"
FILES: dict[str, str | bytes] = {**RED, "tools/pytest": RUNNER}
"""`RED`, with the program that runs its tests."""
PRICES = {"prices.input": 0.48, "prices.cached": 0.08, "prices.output": 2.0}
DONE = say("", call("finish", status="done", reason="it adds"))
MENDS = writes("It has to add.", RIGHT)
TRIPLE = {
    "behaviour": "it triples",
    "command": f"{PYTHON} -c 'exec(open(\"sums.py\").read()); print(triple(2))'",
    "output": "6",
}
TRIPLED = RED["sums.py"].replace("a - b", "a + b") + "\n\ndef triple(a):\n    return 3 * a\n"
TRIPLE_TEST = "from sums import triple\n\n\ndef test_triple():\n    assert triple(2) == 6\n"
TRIPLES = (
    plan("Triple numbers", criteria=[TRIPLE]),
    say(
        "A test and the code.",
        call("write_file", path="tests/test_triple.py", content=TRIPLE_TEST),
        call("write_file", path="sums.py", content=TRIPLED),
        call("run_tests"),
    ),
    DONE,
)
LONG = "".join(f"line {number} = {number}  # of a file that is long\n" for number in range(400))


@dataclass(frozen=True)
class Opened:
    """An engine that was reached already."""

    made: HereEngine
    run_id: str = ""

    def engine(self):
        return nullcontext(self.made)


@dataclass
class Desk:
    """One repository, a server with one script, and the sessions of one run."""

    root: Path
    server: ScriptedServer
    engine: HereEngine
    repo: Path = field(init=False)

    def around(self, watcher: Silent | None = None, **flags: object) -> Surroundings:
        """What sessions find; no engine but ours can be reached."""
        environ = {**os.environ, "DOCKER_HOST": "unix:///nowhere", "XDG_CACHE_HOME": str(self.root / "cache")}
        given = {"base_url": self.server.base_url, **PRICES, **flags}
        settings = load_settings({}, given, key=Key(secret=Secret("sk-of-the-tests-01234"), source="test"))
        opening = Opened(self.engine)
        return Surroundings(settings=settings, watcher=watcher or Silent(), environ=environ, opening=opening)

    def start(
        self,
        mode: str = "fix",
        request: str = "make it right",
        *,
        files: dict[str, str | bytes] | None = None,
        planning: Planning | None = None,
        watcher: Silent | None = None,
        project: dict[str, object] | None = None,
        **flags: object,
    ) -> RunState:
        self.repo = self.root / "repo"
        if not self.repo.exists():
            repository(self.repo, files or FILES)
        given = Project(**{"test": SUITE, "setup": "true", **(project or {})})
        around = self.around(watcher, **flags)
        return start_on(around, mode, self.repo, request, project=given, planning=planning or Planning())

    def scaffold(self, **flags: object) -> RunState:
        self.repo = self.root / "repo"
        return start_new(self.around(**flags), self.repo, "a program that adds", planning=Planning())

    @property
    def run_id(self) -> str:
        (journal,) = self.repo.glob(".git/greenward/runs/*/journal.jsonl")
        return journal.parent.name

    @property
    def journal(self) -> Path:
        return self.repo / ".git" / "greenward" / "runs" / self.run_id / "journal.jsonl"

    @property
    def entries(self) -> list[Entry]:
        return list(read_entries(self.journal))

    def resume(self, watcher: Silent | None = None, run_id: str = "", **given: object) -> RunState:
        around = self.around(watcher)
        with Workspace.open(self.repo) as workspace:
            session = Session(workspace=workspace, around=around)
            return session.resume(run_id or self.run_id, lambda state: taking_up(state, **given))

    def ask_for_more(self, request: str) -> RunState:
        around = self.around()
        with Workspace.open(self.repo) as workspace:
            session = Session(workspace=workspace, around=around)
            limits = around.settings.limits
            return session.resume(self.run_id, lambda state: (further_request(state, request, limits, ()),))

    def killed_before(self, kind: type[e.Event]) -> None:
        """Leave everything as a process does that is killed before it writes down its last event of that kind."""
        place = next(entry.seq for entry in reversed(self.entries) if isinstance(entry.event, kind))
        lines = self.journal.read_bytes().splitlines(keepends=True)
        self.journal.write_bytes(b"".join(lines[:place]) + lines[place][:9])

    def fork(self, at: int, run_id: str, *, say: str = "", **flags: object) -> RunState:
        """Go on from a step, as another run."""
        settings = self.around(**flags).settings
        beginning = beginning_of(find_run(self.journal.parent.parent, self.run_id), at)
        with Workspace.open(self.repo) as workspace:
            fork(workspace, beginning, run_id=run_id, settings=settings, limits=settings.limits, say=say)
        return self.resume(run_id=run_id)


@contextmanager
def desk(
    root: Path,
    *replies: ScriptedReply,
    engine: HereEngine | None = None,
    server: type[ScriptedServer] = ScriptedServer,
    **script: object,
) -> Iterator[Desk]:
    """A desk in the directory `root`, whose model says `replies`; the same ones in each session."""
    with server(Script(replies=replies, **script)) as started:
        yield Desk(root=root, server=started, engine=engine or IsolatedEngine())


class InterruptedAt(Silent):
    """A user who presses Ctrl-C once something of a kind has happened."""

    def __init__(self, kind: type[e.Event]) -> None:
        self.kind = kind

    def __call__(self, entry: Entry) -> None:
        if isinstance(entry.event, self.kind):
            raise KeyboardInterrupt


@dataclass
class Uninstallable(IsolatedEngine):
    """An engine that can install anything but `nowhere`."""

    def prepare(self, setup: Setup, say: Callable[[str], None]) -> Environment:
        if "nowhere" in repr(setup):
            raise SetupFailed("no such package", log="could not find nowhere")
        return super().prepare(setup, say)


def mended_at_once(root: Path) -> None:
    with desk(root, plan(), MENDS) as at:
        assert at.start().outcome is Outcome.PASSED


def mended_after_a_failure(root: Path) -> None:
    looks = say("Let me look.", call("list_files"), call("read_file", path="sums.py"), call("search", pattern="def "))
    with desk(root, looks, plan(), writes("A first try.", WORSE), MENDS) as at:
        assert at.start().outcome is Outcome.PASSED
        assert len([entry for entry in at.entries if isinstance(entry.event, e.Committed)]) == 2


def with_a_flaky_test(root: Path) -> None:
    count = root / "count"
    count.write_text("0")
    turns = f"def test_turns():\n    path = {str(count)!r}\n    count = int(open(path).read())\n"
    turns += "    open(path, 'w').write(str(count + 1))\n    assert count % 2\n"
    with desk(root, plan(), writes("A first try.", WORSE), MENDS) as at:
        state = at.start(files={**FILES, "tests/test_turns.py": turns})
        assert state.outcome is Outcome.PASSED, state.reason
        assert state.standings.flaky == {"tests/test_turns.py::test_turns"}


def unproven_without_isolation(root: Path) -> None:
    with desk(root, plan(), MENDS, DONE, engine=HereEngine()) as at:
        assert at.start().outcome is Outcome.UNPROVEN


def nothing_to_mend(root: Path) -> None:
    with desk(root, plan()) as at:
        assert at.start(files={**FILES, "sums.py": TRIPLED}).outcome is Outcome.PASSED


def changed_with_witnesses(root: Path) -> None:
    with desk(root, *TRIPLES) as at:
        state = at.start("change", "triple", files={**FILES, "sums.py": TRIPLED.partition("\n\ndef triple")[0] + "\n"})
        assert state.outcome is Outcome.PASSED
        assert state.verdict.witnesses[0].proves


def scaffolded(root: Path) -> None:
    wrong = TRIPLE_TEST.replace("== 6", "== 7")
    criterion = {**TRIPLE, "test": ""}
    files = [{"path": "tests/test_triple.py", "purpose": "tests"}, {"path": "sums.py", "purpose": "sums"}]
    replies = (
        plan("Scaffold sums", criteria=[criterion], files=files, test=SUITE),
        say(
            "Tests first.",
            call("write_file", path="tools/pytest", content=RUNNER),
            call("write_file", path="tests/test_triple.py", content=wrong),
            call("run_tests"),
        ),
        say("The code.", call("write_file", path="sums.py", content=TRIPLED), call("run_tests")),
        say(
            "The test is wrong.",
            call("unseal", path="tests/test_triple.py", reason="six, not seven"),
            call("write_file", path="tests/test_triple.py", content=TRIPLE_TEST),
            call("run_tests"),
        ),
        DONE,
    )
    with desk(root, *replies) as at:
        state = at.scaffold()
        assert state.outcome is Outcome.PASSED, state.reason
        assert state.unsealed


def blocked(root: Path) -> None:
    with desk(root, plan(), say("", call("finish", status="blocked", reason="The tests contradict."))) as at:
        assert at.start().outcome is Outcome.BLOCKED


def out_of_dollars(root: Path) -> None:
    with desk(root, plan(), writes("A first try.", WORSE), MENDS) as at:
        assert at.start(**{"limits.dollars": 0.008}).outcome is Outcome.OUT_OF_BUDGET
        assert any(isinstance(entry.event, e.BudgetExhausted) for entry in at.entries)


def out_of_calls_and_given_more(root: Path) -> None:
    with desk(root, plan(), writes("A first try.", WORSE), MENDS) as at:
        limits = at.start(**{"limits.calls": 2}).started.limits
        assert at.resume(limits=replace(limits, calls=9)).outcome is Outcome.PASSED


def out_of_iterations(root: Path) -> None:
    worse = writes("Worse.", "def add(a, b):\n    return None\n")
    with desk(root, plan(), writes("A first try.", WORSE), worse) as at:
        state = at.start(**{"limits.iterations": 2})
        assert state.outcome is Outcome.OUT_OF_BUDGET
        assert state.finished.commit != state.tip, "the branch went back to the better one"


def in_text(root: Path) -> None:
    with desk(
        root, plan(), writes("A first try.", WORSE), MENDS, server=TextServer, gateway=Gateway(refuse=("tools",))
    ) as at:
        assert at.start().outcome is Outcome.PASSED
        assert {each.event.form.partition(",")[0] for each in at.entries if isinstance(each.event, e.ModelReplied)} == {
            "text"
        }


def shortened(root: Path) -> None:
    reads = [say("", call("read_file", path=f"notes/{number}.txt")) for number in range(9)]
    notes = {f"notes/{number}.txt": f"file {number}\n{LONG}" for number in range(9)}
    with desk(root, plan(), *reads, MENDS) as at:
        assert at.start(files={**FILES, **notes}, context=40_000, max_output=4_000).outcome is Outcome.PASSED
        assert any(isinstance(entry.event, e.Compacted) for entry in at.entries)


def round_in_circles(root: Path) -> None:
    status = say("Let me check.", call("run_command", command="cat sums.py"))
    with desk(root, plan(), writes("A first try.", WORSE), *[status] * 9) as at:
        assert at.start().outcome is Outcome.FAILED
        assert any(isinstance(entry.event, e.Prompted) and entry.event.tree for entry in at.entries)


def interrupted_and_resumed(root: Path) -> None:
    worse = writes("Worse.", "def add(a, b):\n    return None\n")
    with desk(root, plan(), writes("A first try.", WORSE), worse, MENDS) as at:
        for watcher in (InterruptedAt(e.Committed), InterruptedAt(e.CallReserved), InterruptedAt(e.TestsFinished)):
            try:
                at.resume(watcher) if (root / "repo").exists() else at.start(watcher=watcher)
            except KeyboardInterrupt:
                continue
        assert at.resume().outcome is Outcome.PASSED if fold(at.entries).outcome is None else True
        assert any(isinstance(entry.event, e.RunPaused) for entry in at.entries)


def killed_and_resumed(root: Path) -> None:
    with desk(root, plan(), writes("A first try.", WORSE), MENDS) as at:
        at.start()
        at.killed_before(e.Committed)
        assert at.resume().outcome is Outcome.PASSED


def planned_and_edited(root: Path) -> None:
    edited = Plan(summary="Mend it in another way", steps=("Add.", "Look."))
    with desk(root, plan(), MENDS) as at:
        assert at.start(planning=Planning(approve=True)).outcome is Outcome.PLANNED
        assert at.resume(plan=edited).outcome is Outcome.PASSED


def given_a_plan(root: Path) -> None:
    with desk(root, MENDS) as at:
        state = at.start(planning=Planning(plan=Plan(summary="Add", steps=("Add.",))))
        assert (state.outcome, state.spent.calls) == (Outcome.PASSED, 1)


def given_a_hint(root: Path) -> None:
    stops = say("", call("finish", status="blocked", reason="I see no fault."))
    with desk(root, plan(), stops, MENDS) as at:
        at.start()
        assert at.resume(hint="look at the sign").outcome is Outcome.PASSED


def asked_for_more(root: Path) -> None:
    with desk(root, plan(), say("", *MENDS.calls, call("finish", status="done")), *TRIPLES) as at:
        at.start()
        assert at.ask_for_more("also triple").outcome is Outcome.PASSED


def forked_and_forked_again(root: Path) -> None:
    with desk(root, plan(), writes("A first try.", WORSE), MENDS) as at:
        at.start(**{"limits.iterations": 1})
        original = at.journal.parent
        first = len(at.entries) - 4
        at.fork(first, "f0f0f0f0")
        assert find_run(original.parent, "f0f0").state.outcome is Outcome.PASSED
        forked = beginning_of(find_run(original.parent, "f0f0"), first + 3)
        settings = at.around(model="kimi-k2.6", **{"prices.output": 4.0}).settings
        with Workspace.open(at.repo) as workspace:
            fork(workspace, forked, run_id="f1f1f1f1", settings=settings, limits=settings.limits, say="mind zero")
        assert at.resume(run_id="f1f1f1f1").outcome is Outcome.PASSED


def through_faults(root: Path) -> None:
    busy = ScriptedReply(status=429, retry_after=0.01)
    cut = ScriptedReply(say="I will", cut=0.5)
    with desk(root, busy, plan(), cut, writes("A first try.", WORSE), MENDS) as at:
        assert at.start().outcome is Outcome.PASSED
        assert {entry.event.error for entry in at.entries if isinstance(entry.event, e.CallFailed)} >= {"rate_limited"}


def without_usage(root: Path) -> None:
    replies = [replace(reply, usage=False) for reply in (plan(), writes("A first try.", WORSE), MENDS)]
    with desk(root, *replies) as at:
        assert at.start().outcome is Outcome.PASSED


def with_dependencies_that_are_nowhere(root: Path) -> None:
    with desk(root, plan(dependencies=["nowhere"]), plan(), MENDS, engine=Uninstallable()) as at:
        state = at.start(project={"setup": None})
        assert state.outcome is Outcome.PASSED
        assert any("cannot be installed" in message.content for message in state.messages)


def with_mistakes_and_nudges(root: Path) -> None:
    replies = (
        say("Hm."),
        plan(summary=""),
        plan(),
        say("", call("edit_file", path="sums.py", replacements=[{"search": "nowhere", "replace": "x"}])),
        say("", call("write_file", path="tests/test_sums.py", content="")),
        say("", call("run_command", command="exit 3"), call("nonsense"), call("read_file", path="missing.py")),
        say("", call("edit_file", path="sums.py", replacements=[{"search": "a - b", "replace": "a + b"}])),
        say("It adds now."),
    )
    with desk(root, *replies) as at:
        assert at.start().outcome is Outcome.PASSED


def with_files_of_every_kind(root: Path) -> None:
    files = {**FILES, "old.bin": bytes(range(256)), "gone.txt": "x\n", "from.py": "x = 1\n", "ünïcode.txt": "é\n"}
    commands = (
        "mv from.py to.py; printf '\\000\\001\\377' >new.bin; rm gone.txt; chmod +x tools/pytest; mkdir d; echo x >d/e"
    )
    artifact = hashlib.sha256("".join(f"{number}\n" for number in range(1, 4001)).encode()).hexdigest()[:16]
    replies = (
        plan(),
        say(
            "All kinds of files.",
            call("run_command", command=commands),
            call("delete_file", path="old.bin"),
            call("write_file", path="run.sh", content="#!/bin/sh\n", executable=True),
            call("run_command", command="ls -l; seq 1 3 >ünïcode.txt"),
            call("run_command", command="seq 1 4000"),
            call("read_output", id=artifact, offset=8_000),
        ),
        say("", call("edit_files", files=[
            {"path": path, "replacements": [{"search": old, "replace": new}]}
            for path, old, new in (("to.py", "x = 1", "x = 2"), ("sums.py", "a - b", "a + b"))
        ]), call("run_tests")),
    )  # fmt: skip
    with desk(root, *replies) as at:
        assert at.start(files=files).outcome is Outcome.PASSED


def in_part_of_a_repository_of_another_format(root: Path) -> None:
    top = repository(root / "repo", {"other/notes.txt": "x\n"}, "--object-format=sha256")
    put(top, {f"api/{path}": content for path, content in FILES.items()})
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "second")
    put(top, {"api/sums.py": RED["sums.py"] + "# unsaved\n", "api/new.txt": "untracked\n"})
    edits = call("edit_file", path="api/sums.py", replacements=[{"search": "a - b", "replace": "a + b"}])
    with desk(root, plan(), say("", edits, call("run_tests"))) as at:
        state = at.start(project={"cwd": "api", "only": ["api"]})
        assert state.outcome is Outcome.PASSED
        assert len(state.root_commit) == 64


KINDS: dict[str, Callable[[Path], None]] = {
    made.__name__: made
    for made in (
        mended_at_once,
        mended_after_a_failure,
        with_a_flaky_test,
        unproven_without_isolation,
        nothing_to_mend,
        changed_with_witnesses,
        scaffolded,
        blocked,
        out_of_dollars,
        out_of_calls_and_given_more,
        out_of_iterations,
        in_text,
        shortened,
        round_in_circles,
        interrupted_and_resumed,
        killed_and_resumed,
        planned_and_edited,
        given_a_plan,
        given_a_hint,
        asked_for_more,
        forked_and_forked_again,
        through_faults,
        without_usage,
        with_dependencies_that_are_nowhere,
        with_mistakes_and_nudges,
        with_files_of_every_kind,
        in_part_of_a_repository_of_another_format,
    )
}
