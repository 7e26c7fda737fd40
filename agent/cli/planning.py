"""The command that makes a plan, and stops there."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.application import app, console
from agent.cli.flags import LINES, PROJECT, SHARED, Flags, Repo, with_options
from agent.cli.wiring import conclude, project_of, surroundings
from agent.errors import UsageProblem

if TYPE_CHECKING:
    from agent.state import RunState
    from agent.task import Plan


@app.command()
@with_options(PROJECT, SHARED, LINES)
def plan(
    options: Flags,
    request: Annotated[str, typer.Argument(help="What is wanted.")] = "",
    repo: Repo = Path(),
    *,
    new: Annotated[
        Path | None, typer.Option("--new", metavar="DIR", help="Plan a new project, in this directory.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Plan how to mend the failing tests.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the plan there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Print the model's plan and what carrying it out may cost.

    It waits for `resume`, as it is or edited.

    Example: greenward plan "add --json to the list command" --out plan.toml
    """
    from agent.events import Outcome
    from agent.tasks import Planning, start_new, start_on

    if new is not None and fix:
        raise UsageProblem("`--new` and `--fix` are two different things", hint="give one of them, or neither")
    around, planning, where = surroundings(options), Planning(approve=True), new or repo
    with around.watcher:
        if new is not None:
            state = start_new(around, new, request, planning=planning)
        else:
            state = start_on(
                around, "fix" if fix else "change", repo, request, project=project_of(options), planning=planning
            )
    if state.outcome is not Outcome.PLANNED or state.plan is None:
        conclude(state, where, options)
    text = _as_json(state, state.plan) if as_json else _as_file(state, state.plan, where)
    if out is None:
        console.say(text)
    else:
        _write(out, text)
    at = f" --repo {where}" if where != Path() else ""
    console.tell(f"next: greenward resume {state.started.run_id}{at} [--plan FILE]")
    sys.exit(0)


def _as_file(state: "RunState", plan: "Plan", where: Path) -> str:
    from agent.estimate import estimate
    from agent.planfile import plan_text
    from agent.progress import spent_line

    run = f"{state.started.run_id} --repo {where}" if where != Path() else state.started.run_id
    comments = (
        f"The plan of run {state.started.run_id}; nothing of it is done. Spent so far: {spent_line(state)}.",
        f"To carry it out may cost another {estimate(state)}.",
        f"As it is: `greenward resume {run}`. Edited: `greenward resume {run} --plan FILE`.",
    )
    return plan_text(plan, request=state.started.task.request, comments=comments).rstrip()


def _as_json(state: "RunState", plan: "Plan") -> str:
    from agent.estimate import estimate
    from agent.planreport import PlanReport, plan_json

    started = state.started
    return plan_json(
        PlanReport(
            run=started.run_id,
            mode=started.task.mode,
            request=started.task.request,
            plan=plan,
            estimate=estimate(state),
            spent_dollars=state.spent.dollars,
            limit_dollars=started.limits.dollars,
        )
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(f"{text}\n", "utf-8")
    except OSError as error:
        hint = "the run has the plan all the same: `greenward resume` carries it out"
        raise UsageProblem(f"{path} cannot be written: {error.strerror}", hint=hint) from error
