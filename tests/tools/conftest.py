"""A pair of hands over trees in memory, and a short way to call tools with them."""

import hashlib
import json
import re
from fnmatch import fnmatch

import pytest

from agent.edits import Refused
from agent.messages import ToolCall
from agent.testreport import TestReport
from agent.tools import PLANNING, WRITING, FileEntry, Match, Situation
from agent.tools.plan import unportable
from agent.tools.toolbox import Toolbox
from sandbox import ExecResult, Execution, Refusal


class MemoryTree:
    """No more of a tree than tools need."""

    def __init__(self, id_: str) -> None:
        self.id = id_


class MemoryHands:
    """Keeps every tree that it made; executes what a test told it to answer."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.trees: dict[str, dict[str, bytes]] = {}
        self.executables: set[str] = set()
        self.sealed: set[str] = set()
        self.closed = ""
        self.artifacts: dict[str, bytes] = {}
        self.scripts: list[tuple[str, float]] = []
        self.selections: list[tuple[str, ...]] = []
        self.result = ExecResult(exit_code=0, output=b"", seconds=0.5)
        self.left: dict[str, bytes] | None = None
        self.refused: tuple[Refusal, ...] = ()
        self.report = TestReport()
        self.start = self.store(files)

    def store(self, files: dict[str, bytes]) -> str:
        id_ = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
        self.trees[id_] = files
        return id_

    def files(self, tree):
        return [FileEntry(path=path, size=len(data)) for path, data in sorted(self.trees[tree].items())]

    def read(self, tree, path):
        return self.trees[tree][path]

    def search(self, tree, pattern, glob):
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            raise ValueError(str(error)) from None
        return [
            Match(path=path, line=number, text=line)
            for path, data in sorted(self.trees[tree].items())
            if not glob or fnmatch(path, glob)
            for number, line in enumerate(data.decode("utf-8", "surrogateescape").splitlines(), 1)
            if wanted.search(line)
        ]

    def edit(self, tree, edits):
        faults = {edit.path: "is sealed" if edit.path in self.sealed else unportable(edit.path) for edit in edits}
        if any(faults.values()):
            raise Refused([Refusal(path=path, reason=reason) for path, reason in faults.items() if reason])
        files = dict(self.trees[tree])
        for edit in edits:
            if edit.executable:
                self.executables.add(edit.path)
            if edit.data is None:
                del files[edit.path]
            else:
                files[edit.path] = edit.data
        return self.store(files)

    def kept_closed(self, path):
        return self.closed

    def execute(self, tree, script, timeout):
        self.scripts.append((script, timeout))
        left = self.store(self.left) if self.left is not None else tree
        return Execution(result=self.result, tree=MemoryTree(left), refused=self.refused)

    def run_tests(self, tree, selection):
        self.selections.append(tuple(selection))
        return self.report, self.store(self.left) if self.left is not None else tree

    def keep(self, content):
        id_ = hashlib.sha256(content).hexdigest()[:16]
        self.artifacts[id_] = content
        return id_

    def kept(self, artifact):
        return self.artifacts[artifact]


class Desk:
    """Calls tools as a model would, one after the other on the tree that the last call left."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.hands = MemoryHands(files)
        self.box = Toolbox(self.hands)
        self.situation = Situation(tree=self.hands.start, mode="change", allowed=WRITING | PLANNING)

    @property
    def now(self) -> dict[str, bytes]:
        return self.hands.trees[self.situation.tree]

    def at(self, **changes) -> "Desk":
        from dataclasses import replace

        self.situation = replace(self.situation, **changes)
        return self

    def raw(self, name: str, arguments: str):
        outcome = self.box.call(ToolCall(id="1", name=name, arguments=arguments), self.situation)
        self.at(tree=outcome.tree)
        return outcome

    def outcome(self, name: str, **arguments):
        return self.raw(name, json.dumps(arguments))

    def ask(self, name: str, **arguments) -> str:
        outcome = self.outcome(name, **arguments)
        assert not outcome.result.is_error, outcome.result.content
        return outcome.result.content

    def fail(self, name: str, **arguments) -> str:
        """What the model reads of a call that fails, which leaves the tree as it was."""
        before = self.situation.tree
        outcome = self.outcome(name, **arguments)
        assert outcome.result.is_error, outcome.result.content
        assert (outcome.tree, outcome.effect) == (before, None)
        return outcome.result.content


@pytest.fixture(scope="session")
def desk():
    """Makes a desk over the files of a project."""
    return lambda files=None: Desk(
        {path: data if isinstance(data, bytes) else data.encode() for path, data in (files or {}).items()}
    )
