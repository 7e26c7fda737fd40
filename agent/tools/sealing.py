"""The tool by which the model opens a test file of its own for a correction."""

from typing import Annotated

from pydantic import Field

from agent.messages import ToolResult
from agent.text import one_line
from agent.tools import Hands, Mistake, Situation, Tool, ToolOutcome, Unseal
from agent.tools.arguments import params
from agent.tools.reading import content_of, normal

__all__ = ["UNSEAL"]

_REASON = 1_000


@params
class UnsealFile:
    """Arguments of `unseal`."""

    path: Annotated[str, Field(description="The sealed test file, relative to the root.")]
    reason: Annotated[str, Field(description="What is wrong in the test, for whoever reads the result.")]


def unseal(arguments: UnsealFile, situation: Situation, hands: Hands) -> ToolOutcome:
    """Open a sealed test file, if it is one that the run itself wrote."""
    path, reason = normal(arguments.path), arguments.reason.strip()
    if not reason:
        raise Mistake("say in `reason` what is wrong in the test")
    content_of(hands, situation.tree, path)
    if clause := hands.kept_closed(path):
        raise Mistake(f"`{one_line(path)}` stays as it is: {clause}")
    said = "is open for changes. It has to fail without the code as before, and no test in it may be lost."
    return ToolOutcome(
        result=ToolResult(content=f"`{one_line(path)}` {said}"),
        tree=situation.tree,
        effect=Unseal(path=path, reason=one_line(reason, _REASON)),
    )


UNSEAL = Tool(
    name="unseal",
    description=(
        "Open a sealed test file that you wrote in this run, to correct a mistake in it. Tests of the user cannot be"
        " opened."
    ),
    params=UnsealFile,
    run=unseal,
)
