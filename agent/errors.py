"""Every error that ends a command, with its exit code and a hint.

    GreenwardError
    ├── UsageProblem        2  the request, a setting or the repository's state does not allow it
    ├── SandboxProblem      4  no engine, no image, or the sandbox died again and again
    ├── ModelProblem        5  the model cannot be reached now; the run can be resumed
    ├── DamagedRun          6  a journal or a repository is damaged
    ├── StorageProblem      6  what has to be kept cannot be written: the disk is full, or not writable
    ├── ProviderRefused     7  key, quota or credits
    ├── ProposalRefused     9  a proposal is not what its proof says, or holds what may not be published
    ├── PublishingStopped  10  no further proposal is made: their number, a person's word, or greenward's own commit
    ├── ForgeProblem       11  the forge cannot be reached, or does not do what it is asked
    └── Defect             70  greenward itself is wrong (`EX_SOFTWARE` of sysexits.h)

Outcomes of a run (not green, out of budget, unproven) are values, not errors: see `agent.events.Outcome`.
"""

from typing import ClassVar

__all__ = [
    "DamagedRun",
    "Defect",
    "ForgeProblem",
    "GreenwardError",
    "ModelProblem",
    "ProposalRefused",
    "ProviderRefused",
    "PublishingStopped",
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


class ProposalRefused(GreenwardError):
    """A proposal is not what its proof says, or holds what may not be published."""

    exit_code = 9


class PublishingStopped(GreenwardError):
    """No further proposal is made: their number, a person's word, or a commit of greenward's own stands against it."""

    exit_code = 10


class ForgeProblem(GreenwardError):
    """The forge, or the remote repository, cannot be reached or does not do what it is asked."""

    exit_code = 11


class Defect(GreenwardError):
    """Greenward itself is wrong. Nothing is said of the code or the tests of anybody else."""

    exit_code = 70
