"""Whether this machine has what a run takes, check by check: what was found, and what to do where it does not do.

A check is a function of the `Context` that returns a `Finding`. It changes nothing that it was not told to change.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config import Key, Settings, load_settings, take_key
from agent.errors import UsageProblem
from agent.sourced import Layer

if TYPE_CHECKING:
    from sandbox.engine import Client
    from sandbox.images import Names

__all__ = ["Context", "Finding", "Report", "Row", "Verdict", "ok", "problem", "skipped", "warning"]


class Verdict(StrEnum):
    """How a check ended; only a problem makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of one check."""

    verdict: Verdict
    found: str
    """Untrusted text: an engine, a server or a repository may have said it."""
    hint: str = ""
    exit_code: int = 0
    """That of a problem, as in the README's table."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What was found piece by piece, for `--json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A check by its name, and what came of it."""

    name: str
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks in their order, and the settings that they were made with."""

    rows: tuple[Row, ...]
    settings: Layer
    """Empty if they cannot be read."""

    @property
    def exit_code(self) -> int:
        """The code of the first problem; 0 without one."""
        return next((row.finding.exit_code for row in self.rows if row.finding.verdict is Verdict.PROBLEM), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is examined: this machine, as a run would find it."""

    environ: Mapping[str, str]
    """The user's variables, without those that hold a key."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The variables that may hold a key, as `agent.config.KEY_VARIABLES` names them."""
    flags: Mapping[str, object] = field(default_factory=dict)
    """Settings of the command line, by their dotted names."""
    repo: Path = Path()
    named: bool = False
    """Whether the user named the repository."""
    cwd: str = ""
    """The project's directory in it."""
    offline: bool = False
    """Ask no server."""
    prepare: bool = False
    """Make the base image, if it is not there."""
    prune: bool = False
    """Remove what earlier runs left behind."""
    say: Callable[[str], None] = lambda _: None
    """Hears of slow steps."""
    names: "Names | None" = None
    """What base images are called, if not as usual."""

    def key(self) -> Key | None:
        """The key, if there is one.

        Raises:
            UsageProblem: it holds characters that no key has.
        """
        return take_key(dict(self.keys))

    def settings(self) -> Settings:
        """The settings, with the key if it can be used.

        Raises:
            UsageProblem: they cannot be used.
        """
        try:
            key = self.key()
        except UsageProblem:
            key = None
        return load_settings(self.environ, self.flags, key=key)

    def usable_settings(self) -> Settings | None:
        """The settings; None if they cannot be used, which is a finding of its own."""
        try:
            return self.settings()
        except UsageProblem:
            return None

    @contextmanager
    def engine(self) -> "Iterator[Client]":
        """A connection to the Docker engine.

        Raises:
            SandboxUnavailable: it does not answer.
        """
        from sandbox.engine import connect  # noqa: PLC0415  (imported when it is asked for)

        client = connect(self.environ)
        try:
            yield client
        finally:
            client.close()


def ok(found: str, *, details: Mapping[str, str] | None = None) -> Finding:
    """All is well."""
    return Finding(verdict=Verdict.OK, found=found, details=details or {})


def warning(found: str, hint: str, *, details: Mapping[str, str] | None = None) -> Finding:
    """A run can be carried out all the same."""
    return Finding(verdict=Verdict.WARNING, found=found, hint=hint, details=details or {})


def problem(found: str, hint: str, exit_code: int, *, details: Mapping[str, str] | None = None) -> Finding:
    """A run would end with `exit_code`."""
    return Finding(verdict=Verdict.PROBLEM, found=found, hint=hint, exit_code=exit_code, details=details or {})


def skipped(found: str, hint: str = "") -> Finding:
    """Not looked at, and why."""
    return Finding(verdict=Verdict.SKIPPED, found=found, hint=hint)
