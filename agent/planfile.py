"""A plan as a file that people read and edit: TOML, with the request that it is for."""

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import TypeAdapter, ValidationError

from agent.errors import UsageProblem
from agent.task import Criterion, Mode, Plan
from agent.text import one_line, sanitise
from agent.tools.plan import faults
from agent.tools.planning import SubmitPlan, plan_of

__all__ = ["plan_text", "read_plan", "to_plan"]

LARGEST = 1 << 20
"""Bytes."""
HINT = "`greenward plan REQUEST` prints one that is right"

_SUBMITTED: TypeAdapter[SubmitPlan] = TypeAdapter(SubmitPlan)
"""A file may hold what the model may hand in, and nothing else."""


def plan_text(plan: Plan, *, request: str = "", comments: tuple[str, ...] = ()) -> str:
    """`plan` as TOML, with `request` before it if there is one, and above all a line of comment for each of `comments`.

    `to_plan` makes the same plan of it, but for characters that nobody can see: these are spelled out.
    """
    fields = {name: value for name, value in asdict(plan).items() if value and name != "slug"}
    if plan.criteria:
        fields["criteria"] = tuple(map(_criterion, plan.criteria))
    values = {"request": request} | fields if request else fields
    above = "".join(f"# {one_line(line)}\n" for line in comments)
    return above + tomli_w.dumps(_visible(values), multiline_strings=True)


def to_plan(text: str, mode: Mode) -> tuple[str, Plan]:
    """The request, perhaps empty, and the plan that `text` holds.

    Raises:
        UsageProblem: it is no TOML, it has other fields than a plan's, or the plan cannot be carried out.
    """
    try:
        values = tomllib.loads(text)
        request = values.pop("request", "")
        plan = plan_of(_SUBMITTED.validate_python(values))
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f"the plan is no TOML: {error}", hint=HINT) from None
    except ValidationError as error:
        wrong = "; ".join(f"`{'.'.join(map(str, each['loc']))}`: {each['msg']}" for each in error.errors())
        raise UsageProblem(f"the plan is not right: {one_line(wrong, 400)}", hint=HINT) from None
    if not isinstance(request, str):
        raise UsageProblem("the plan's `request` is no text", hint=HINT)
    if found := faults(plan, mode):
        raise UsageProblem("the plan cannot be carried out: " + "; ".join(found), hint="mend it, and try again")
    return request.strip(), plan


def read_plan(path: Path, mode: Mode) -> tuple[str, Plan]:
    """As `to_plan`, of a file.

    Raises:
        UsageProblem: it cannot be read, or not as a plan.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise UsageProblem(f"{path} is too large for a plan", hint=HINT)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"the plan {path} cannot be read: {error}", hint=HINT) from error
    return to_plan(text, mode)


def _criterion(criterion: Criterion) -> dict[str, Any]:
    """As the model hands one in, without what goes without saying."""
    plain = {name: value for name, value in asdict(criterion).items() if value not in ("", (), "fails")}
    if criterion.files:
        plain["files"] = tuple(f"{file.path}: {file.text}" if file.text else file.path for file in criterion.files)
    return plain


def _visible(value: Any) -> Any:
    """`value` with all of its texts fit to be read."""
    if isinstance(value, str):
        return sanitise(value)
    if isinstance(value, dict):
        return {name: _visible(each) for name, each in value.items()}
    return [_visible(each) for each in value] if isinstance(value, tuple) else value
