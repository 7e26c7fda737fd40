"""Tools by which the model hands in a plan, and says that it is through."""

from typing import Annotated, Literal

from pydantic import Field

from agent.messages import ToolResult
from agent.task import Criterion, LeftFile, Plan, PlannedFile
from agent.text import excerpt
from agent.tools import Finish, Hands, Mistake, Situation, Tool, ToolOutcome
from agent.tools.arguments import params
from agent.tools.plan import faults, slug

__all__ = ["FINISH", "SUBMIT_PLAN", "SubmitPlan", "plan_of"]

_TOLD = 4_000


@params
class File:
    """A file in a plan."""

    path: Annotated[str, Field(description="Relative to the root.")]
    purpose: Annotated[str, Field(description="What it is for, or what changes in it.")]


@params
class Check:
    """An acceptance criterion in a plan."""

    behaviour: Annotated[str, Field(description="What a user can observe in the end.")]
    command: Annotated[str, Field(description="Shell command that shows it.")] = ""
    exit_code: Annotated[int, Field(description="Its exit code.")] = 0
    output: Annotated[str, Field(description="Text that it must print; empty: any.")] = ""
    files: Annotated[
        tuple[str, ...], Field(description="Files that it must leave, as `path` or `path: text in it`.")
    ] = ()
    test: Annotated[str, Field(description="Or the id of a test that shows it.")] = ""
    before: Annotated[Literal["fails", "holds"], Field(description="holds: true today, and is to stay so.")] = "fails"


@params
class SubmitPlan:
    """Arguments of `submit_plan`."""

    summary: Annotated[str, Field(description="What will be done, in a sentence or two.")]
    steps: Annotated[tuple[str, ...], Field(description="In their order.")]
    files: Annotated[tuple[File, ...], Field(description="To create or to change, tests included.")] = ()
    criteria: Annotated[
        tuple[Check, ...],
        Field(description="What must hold in the end, and does not today."),
    ] = ()
    dependencies: Annotated[
        tuple[str, ...],
        Field(description="Third-party packages needed to run or to test, as `click>=8`."),
    ] = ()
    setup: Annotated[
        str, Field(description="Command that prepares the project before its tests, offline; empty if none.")
    ] = ""
    test: Annotated[str, Field(description="Command that runs the tests; empty for the project's own.")] = ""


@params
class FinishRun:
    """Arguments of `finish`."""

    status: Annotated[
        Literal["done", "blocked"],
        Field(description="done: the work is complete. blocked: it cannot be done as asked."),
    ]
    reason: Annotated[str, Field(description="If blocked: what is in the way. If done: what was done, briefly.")] = ""


def submit_plan(arguments: SubmitPlan, situation: Situation, _hands: Hands) -> ToolOutcome:
    """Take a plan that can be carried out; of any other, say everything that is wrong."""
    plan = plan_of(arguments)
    if wrong := faults(plan, situation.mode):
        lines = "\n".join(f"- {fault}" for fault in wrong)
        raise Mistake(excerpt(f"The plan is not taken. Submit it again, whole, with this put right:\n{lines}", _TOLD))
    return ToolOutcome(result=ToolResult(content="The plan is taken."), tree=situation.tree, effect=plan)


def plan_of(arguments: SubmitPlan) -> Plan:
    """The plan that was handed in."""
    return Plan(
        summary=arguments.summary.strip(),
        steps=arguments.steps,
        files=tuple(PlannedFile(path=file.path, purpose=file.purpose) for file in arguments.files),
        criteria=tuple(map(_criterion, arguments.criteria)),
        dependencies=arguments.dependencies,
        setup=arguments.setup.strip() or None,
        test=arguments.test.strip() or None,
        slug=slug(arguments.summary),
    )


def _criterion(check: Check) -> Criterion:
    return Criterion(
        behaviour=check.behaviour,
        command=check.command,
        exit_code=check.exit_code,
        output=check.output,
        files=tuple(map(_left, check.files)),
        test=check.test,
        before=check.before,
    )


def _left(text: str) -> LeftFile:
    """A file as a criterion names it, with the text that has to be in it after a colon and a space."""
    path, _, content = text.partition(": ")
    return LeftFile(path=path.strip(), text=content)


def finish(arguments: FinishRun, situation: Situation, _hands: Hands) -> ToolOutcome:
    """Say that the work is through; whether it is, the judge decides."""
    reason = arguments.reason.strip()
    if arguments.status == "blocked" and not reason:
        raise Mistake("say in `reason` what is in the way")
    return ToolOutcome(
        result=ToolResult(content="Taken note of."),
        tree=situation.tree,
        effect=Finish(status=arguments.status, reason=reason),
    )


SUBMIT_PLAN = Tool(
    name="submit_plan",
    description="Hand in the plan. It is checked, and what is wrong with it is told.",
    params=SubmitPlan,
    run=submit_plan,
)
FINISH = Tool(
    name="finish",
    description=(
        "Say that the work is done, whereupon it is judged, or that it is blocked: that a test or the request is wrong"
        " or needs what is not there."
    ),
    params=FinishRun,
    run=finish,
)
