"""All checks, one after the other; none of them can keep the others from being made."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.doctor import Context, Finding, Report, Row, problem
from agent.doctor.engine import check_disk, check_engine, check_image, check_limits
from agent.doctor.leftovers import check_containers, check_directories, check_environments
from agent.doctor.machine import check_git, check_place, check_python, check_runs_disk, check_settings
from agent.doctor.project import check_repository, check_tests
from agent.doctor.provider import check_abilities, check_endpoint, check_key
from agent.errors import GreenwardError, SandboxProblem
from sandbox import SandboxError

__all__ = ["CHECKS", "Check", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check by its name."""

    name: str
    look: Callable[[Context], Finding]


CHECKS = (
    Check(name="python", look=check_python),
    Check(name="place", look=check_place),
    Check(name="git", look=check_git),
    Check(name="settings", look=check_settings),
    Check(name="repository", look=check_repository),
    Check(name="tests", look=check_tests),
    Check(name="disk for runs", look=check_runs_disk),
    Check(name="engine", look=check_engine),
    Check(name="image", look=check_image),
    Check(name="limits", look=check_limits),
    Check(name="disk for images", look=check_disk),
    Check(name="environments", look=check_environments),
    Check(name="leftovers", look=check_containers),
    Check(name="temporary files", look=check_directories),
    Check(name="key", look=check_key),
    Check(name="endpoint", look=check_endpoint),
    Check(name="model", look=check_abilities),
)
"""In the order in which one needs the other."""


def examine(context: Context, checks: tuple[Check, ...] = CHECKS) -> Report:
    """Make all `checks`; one that breaks is a problem, and says why."""
    rows = tuple(Row(name=check.name, finding=_made(check, context)) for check in checks)
    settings = context.usable_settings()
    return Report(rows=rows, settings=settings.layer() if settings else {})


def _made(check: Check, context: Context) -> Finding:
    try:
        return check.look(context)
    except GreenwardError as error:
        return problem(error.message, error.hint, error.exit_code)
    except SandboxError as error:
        return problem(error.message, error.hint, SandboxProblem.exit_code)
    except Exception as error:  # noqa: BLE001  (the other checks are to be made all the same)
        return problem(
            f"the check broke: {type(error).__name__}: {error}", "please report it as a bug", GreenwardError.exit_code
        )
