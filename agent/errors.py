"""Every error that ends a command, with its exit code and a hint.

    GreenwardError
    ├── UsageProblem        2  the request, a setting or the repository's state does not allow it
    ├── SandboxProblem      4  no engine, no image, or the sandbox died again and again
    ├── ModelProblem        5  the model cannot be reached now; the run can be resumed
    ├── DamagedRun          6  a journal or a repository is damaged
    ├── StorageProblem      6  what has to be kept cannot be written: the disk is full, or not writable
    └── ProviderRefused     7  key, quota or credits

Outcomes of a run (not green, out of budget, unproven) are values, not errors: see `agent.events.Outcome`.
"""

from typing import ClassVar

__all__ = [
    "DamagedRun",
    "GreenwardError",
    "ModelProblem",
    "ProviderRefused",
    "SandboxProblem",
    "StorageProblem",
    "UsageProblem",
]


class GreenwardError(Exception):
    """What happened, and a hint that says what to do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageProblem(GreenwardError):
    """The request, a setting or the repository's state does not allow it."""

    exit_code = 2


class SandboxProblem(GreenwardError):
    """Nothing can be executed: no engine, no image, or the sandbox died again and again."""

    exit_code = 4


class ModelProblem(GreenwardError):
    """The model cannot be reached now; the run can be resumed."""

    exit_code = 5


class DamagedRun(GreenwardError):
    """A journal or a repository is damaged."""

    exit_code = 6


class StorageProblem(GreenwardError):
    """What has to be kept cannot be written: the disk is full, or not writable. What was written before is whole."""

    exit_code = 6


class ProviderRefused(GreenwardError):
    """The provider refuses the key, the quota or the credits."""

    exit_code = 7
