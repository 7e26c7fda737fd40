"""The tools that the model may call: what they act on, what they are given, and what comes of a call.

A tool reads and writes nothing itself. It acts on `Hands`, which stand over the git objects and the sandbox, and a
call is a function of a tree: it returns the tree that it left. The model's mistakes are results that it reads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from agent.edits import Edit
from agent.messages import ToolResult
from agent.models import ToolSpec
from agent.task import Mode, Plan
from agent.testreport import TestReport
from agent.tools.arguments import schema
from sandbox import Execution, Refusal

__all__ = [
    "PLANNING",
    "READING",
    "WRITING",
    "Effect",
    "FileEntry",
    "Finish",
    "Hands",
    "Match",
    "Mistake",
    "Situation",
    "TestRun",
    "Tool",
    "ToolOutcome",
    "Unseal",
]

READING = frozenset({"list_files", "read_file", "search", "read_output"})
PLANNING = READING | {"submit_plan", "finish"}
"""What may be called until there is a plan."""
WRITING = READING | {
    "write_file",
    "edit_file",
    "edit_files",
    "delete_file",
    "unseal",
    "run_command",
    "run_tests",
    "finish",
}
"""What may be called once there is a plan, or where none is needed."""

Params = TypeVar("Params")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file of a tree; `size` in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A line that a search found; lines count from 1."""

    path: str
    line: int
    text: str


class Hands(Protocol):
    """What tools act on. Trees are named by their ids, paths are relative and use `/`."""

    def files(self, tree: str) -> Sequence[FileEntry]:
        """All files of `tree`, by path."""
        ...

    def read(self, tree: str, path: str) -> bytes:
        """The content of a file.

        Raises:
            KeyError: there is no such file.
        """
        ...

    def search(self, tree: str, pattern: str, glob: str) -> Sequence[Match]:
        """The lines that match the regular expression `pattern` in files whose path matches `glob`; empty: in all.

        Raises:
            ValueError: the pattern or the glob is none.
        """
        ...

    def edit(self, tree: str, edits: Sequence[Edit]) -> str:
        """The id of `tree` with all `edits` made.

        Raises:
            agent.edits.Refused: the path policy or the sealed files do not allow it; nothing was changed.
        """
        ...

    def kept_closed(self, path: str) -> str:
        """Why a sealed file may not be opened for changes; empty if it may."""
        ...

    def execute(self, tree: str, script: str, timeout: float) -> Execution:
        """Run a shell script on `tree` for at most `timeout` seconds.

        Raises:
            sandbox.SandboxError: nothing came of it.
        """
        ...

    def run_tests(self, tree: str, selection: Sequence[str]) -> tuple[TestReport, str]:
        """Run the tests named in `selection`, or all, and return their report and the tree that they left.

        Raises:
            sandbox.SandboxError: nothing came of it.
        """
        ...

    def keep(self, content: bytes) -> str:
        """Store `content` with the run, and return the id by which `kept` finds it."""
        ...

    def kept(self, artifact: str) -> bytes:
        """What was stored under the id.

        Raises:
            KeyError: nothing was.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The model holds that the work is done, or that it cannot be done as asked."""

    status: Literal["done", "blocked"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRun:
    """Tests were run; `full` if it was the whole suite."""

    __test__ = False

    report: TestReport
    full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseal:
    """A test file is open for changes from here on."""

    path: str
    reason: str


Effect = Plan | Finish | TestRun | Unseal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What the model reads, the tree after the call, and what the call means for the run."""

    result: ToolResult
    tree: str
    effect: Effect = None
    refused: tuple[Refusal, ...] = ()
    """What was tried and may not be: changes of sealed files, of paths out of bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where a run stands when a tool is called."""

    tree: str
    mode: Mode
    allowed: frozenset[str]
    """Names of the tools that may be called in this phase."""
    previous: TestReport | None = None
    """The last full test run, with which the next one is compared."""
    hidden: frozenset[str] = frozenset()
    """Ids of flaky tests, which the model does not get to see."""
    wanting: Mapping[str, str] = field(default_factory=dict)
    """What tests lack that the sandbox does not have, by their ids."""


class Mistake(Exception):
    """A call that the model must make differently; the message tells it how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Generic[Params]):
    """Something that the model may call. `run` raises `Mistake` or `Refused` where the model is to read why."""

    name: str
    description: str
    params: type[Params]
    run: Callable[[Params, Situation, Hands], ToolOutcome]

    @property
    def spec(self) -> ToolSpec:
        """The tool as the model sees it: the same bytes in every run."""
        return ToolSpec(name=self.name, description=self.description, parameters=schema(self.params))
