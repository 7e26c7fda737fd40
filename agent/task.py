"""What is wanted, where, and what it may cost."""

from dataclasses import dataclass, field
from typing import Literal

from agent.messages import Usage

__all__ = ["Criterion", "LeftFile", "Limits", "Mode", "Plan", "PlannedFile", "Prices", "Task", "TestPolicy"]

Mode = Literal["new", "fix", "change"]
TestPolicy = Literal["locked", "additive", "free"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The budget of a run. Reaching any of them ends it with the outcome `out_of_budget`."""

    dollars: float = 1.0
    tokens: int = 5_000_000
    calls: int = 80
    iterations: int = 8
    seconds: float = 1800.0
    """Wall clock, without the time between sessions."""
    sandbox_seconds: float = 1800.0
    """In which environments are made, and commands and tests executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars per million tokens."""

    input: float
    cached: float
    output: float

    def cost(self, usage: Usage) -> float:
        """Dollars for `usage`."""
        fresh = max(0, usage.prompt - usage.cached)
        return (fresh * self.input + usage.cached * self.cached + usage.completion * self.output) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file that the plan creates or changes, and what for."""

    path: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftFile:
    """A file that a command has to leave, and text that must occur in it; empty: any content will do."""

    path: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One acceptance criterion as observable behaviour: a command and what comes of it, or a test that passes."""

    behaviour: str
    command: str = ""
    exit_code: int = 0
    output: str = ""
    """Text that must occur in what the command prints; empty: any output will do."""
    files: tuple[LeftFile, ...] = ()
    test: str = ""
    """The id of a test, in the place of a command."""
    before: Literal["fails", "holds"] = "fails"
    """Whether it fails before the work is done, and proves it, or holds already and has to stay so."""

    @property
    def shown_by(self) -> str:
        """The command, or the test."""
        return self.command or self.test


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the model intends to do, validated."""

    summary: str
    steps: tuple[str, ...]
    files: tuple[PlannedFile, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    dependencies: tuple[str, ...] = ()
    """Requirements of PEP 508 that the project needs at run time or for its tests."""
    setup: str | None = None
    test: str | None = None
    slug: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work, complete enough to be carried out on another machine that has the repository."""

    __test__ = False

    mode: Mode
    request: str
    base_commit: str
    """The snapshot commit that the run starts from."""
    base_tree: str
    cwd: str = ""
    """The project's directory inside the repository; empty for its root."""
    only: tuple[str, ...] = ()
    """The directories that the run sees at all; empty for all."""
    setup: str | None = None
    build: str | None = None
    test: str | None = None
    image: str | None = None
    test_policy: TestPolicy = "additive"
    allow_test_changes: tuple[str, ...] = ()
    instructions: str = ""
    """The repository's `AGENTS.md`: untrusted text."""
    plan: Plan | None = None
    """The plan to carry out, from the user; None: the model makes one."""
    approve: bool = False
    """Whether the model's plan has to be approved before the work goes on."""
    settings_tree: str = ""
    """Where the repository's own settings are read from, if not from the base: what a model wrote sets nothing."""
