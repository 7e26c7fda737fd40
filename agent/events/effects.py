"""What a tool call meant for the run, beside its answer."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Discriminator

from agent.task import Plan
from agent.testreport import TestReport

__all__ = [
    "Effect",
    "Finish",
    "Planned",
    "Refusal",
    "TestRun",
    "Unsealed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The model submitted a valid plan."""

    kind: Literal["planned"] = "planned"
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The model says that it is done, or that it is blocked and why."""

    kind: Literal["finish"] = "finish"
    status: Literal["done", "blocked"]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRun:
    """The model ran the tests: all of them, which ends an iteration, or a selection."""

    __test__ = False

    kind: Literal["test_run"] = "test_run"
    report: TestReport
    full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """A test file that the agent itself wrote earlier was opened for changes, with the reason given."""

    kind: Literal["unsealed"] = "unsealed"
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A change of a path that a call tried and that may not be, and why, in a clause."""

    path: str
    reason: str


Effect = Annotated[Planned | Finish | TestRun | Unsealed, Discriminator("kind")]
