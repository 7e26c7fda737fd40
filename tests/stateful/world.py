"""A project whose suite is decided by its text alone, and an engine that starts no process to say so."""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self
from xml.sax.saxutils import quoteattr

from agent.transfer import GitTree
from sandbox import Candidate, Change, Command, Environment, ExecResult, Execution, Limits, SandboxUnavailable, Setup

APP, SUITE = "app.py", "tests/test_app.py"
ALL, AT_FIRST = frozenset("abcd"), frozenset("cd")
"""The tests, and those of them that pass on the base."""
TOO_MUCH = "memory = 'all of it'"
MADE_TO_FAIL = "made to fail"
"""What the judge's control writes into tests."""


def app(green: Collection[str], note: str = "") -> str:
    """The code with which just the tests `green` pass; `note` makes it another file."""
    return "".join(f"{name} = {int(name in green)}\n" for name in sorted(ALL)) + f"# {note}\n"


def green_in(text: str) -> frozenset[str]:
    """The tests that pass with the code `text`."""
    return frozenset() if TOO_MUCH in text else frozenset(re.findall(r"^(\w) = 1$", text, re.MULTILINE))


FILES = {
    APP: app(AT_FIRST),
    SUITE: "import app\n" + "".join(f"\n\ndef test_{name}():\n    app.check('{name}')\n" for name in sorted(ALL)),
    "notes.txt": "as they were\n",
    ".gitignore": "__pycache__/\n",
}


def writing(path: str, text: str) -> str:
    """A command that leaves `text` in the file at `path`."""
    return f"write {path} {json.dumps(text)}"


@dataclass
class StillEngine:
    """Its environments are names, and its sandboxes read from the tree what comes of a command."""

    isolated: bool
    executing: Callable[[], object] = lambda: None
    """Is told of each execution before it; what it raises is what came of it."""
    gone: bool = False
    opened: list["StillSandbox"] = field(default_factory=list)

    @contextmanager
    def answering(self) -> Iterator["StillEngine"]:
        """The engine for one session."""
        self._answer()
        self.opened.clear()  # as containers whose owner is gone are removed
        yield self

    def prepare(self, setup: Setup, say: Callable[[str], None]) -> Environment:
        self._answer()
        return Environment(id=hashlib.sha256(repr(setup).encode()).hexdigest()[:12], origin="local", cached=True)

    def open(self, environment: Environment, *, limits: Limits, run_id: str) -> "StillSandbox":
        self._answer()
        self.opened.append(StillSandbox(self))
        return self.opened[-1]

    def _answer(self) -> None:
        if self.gone:
            raise SandboxUnavailable("there is no engine")


class StillSandbox:
    """Runs the suite, and `writing`; any other command prints something."""

    def __init__(self, engine: StillEngine) -> None:
        self._engine = engine
        self.isolated = engine.isolated

    def expect(self, count: int) -> None:
        pass

    def execute(self, tree: GitTree, command: Command) -> Execution:
        result = self.execute_fresh(tree, command)
        verb, _, rest = command.script.partition(" ")
        if verb != "write":
            return Execution(result=result, tree=tree)
        path, _, text = rest.partition(" ")
        data = json.loads(text).encode()
        selection = tree.select([Candidate(path=path, kind="file", size=len(data))])
        absorbed = tree.absorb([Change(path=each.path, data=data) for each in selection.wanted])
        return Execution(result=result, tree=absorbed.tree, refused=(*selection.refused, *absorbed.refused))

    def execute_fresh(self, tree: GitTree, command: Command) -> ExecResult:
        self._engine.executing()
        if not command.collect:
            return ExecResult(exit_code=0, output=f"on {tree.id}\n".encode(), seconds=0.1)
        return suite_on(tree.trees.read(tree.id, APP).decode(), tree.trees.read(tree.id, SUITE).decode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self in self._engine.opened:
            self._engine.opened.remove(self)


def suite_on(code: str, tests: str) -> ExecResult:
    """What the suite `tests` shows on `code`."""
    if TOO_MUCH in code:
        return ExecResult(exit_code=137, output=b"Killed\n", seconds=0.1, out_of_memory=True)
    green, cases, failed = green_in(code), [], 0
    for test in (node for node in ast.parse(tests).body if isinstance(node, ast.FunctionDef)):
        holds = test.name.removeprefix("test_") in green or test.name.startswith("test_control_")
        passes = holds and MADE_TO_FAIL not in ast.unparse(test)
        failed += not passes
        told = "" if passes else '<failure message="it is 0"/>'
        cases.append(
            f'<testcase classname="tests.test_app" name={quoteattr(test.name)} file="{SUITE}">{told}</testcase>'
        )
    report = f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>".encode()
    code_of_pytest = 1 if failed else 0
    return ExecResult(exit_code=code_of_pytest, output=b"", seconds=0.1, files={"junit.xml": report})
