"""The tool by which the model opens a test file of its own for a correction."""

from typing import Annotated

from pydantic import Field

from agent.messages import ToolResult
from agent.task import Mode
from agent.text import one_line
from agent.tools import Hands, Mistake, Situation, Tool, ToolOutcome, Unseal
from agent.tools.arguments import params
from agent.tools.reading import content_of, normal

__all__ = ["UNSEAL"]

_REASON = 1_000
FOLLOWS: dict[Mode, str] = {
    "new": "It has to fail without the code as before.",
    "change": "It is the user's: it also runs as it was, and the result is not called green until a person has looked.",
    "fix": "",
}
"""What opening a test leads to."""


@params
class UnsealFile:
    """Arguments of `unseal`."""

    path: Annotated[str, Field(description="The sealed test file, relative to the root.")]
    reason: Annotated[str, Field(description="What is wrong in the test, for whoever reads the result.")]


def unseal(arguments: UnsealFile, situation: Situation, hands: Hands) -> ToolOutcome:
    """Open a sealed test file: one that the run wrote, or under `change` one of the user, who then has to look."""
    path, reason = normal(arguments.path), arguments.reason.strip()
    if not reason:
        raise Mistake("say in `reason` what is wrong in the test")
    content_of(hands, situation.tree, path)
    if clause := hands.kept_closed(path):
        raise Mistake(f"`{one_line(path)}` stays as it is: {clause}")
    said = f"`{one_line(path)}` is open for changes. No test in it may be lost. {FOLLOWS[situation.mode]}"
    return ToolOutcome(
        result=ToolResult(content=said),
        tree=situation.tree,
        effect=Unseal(path=path, reason=one_line(reason, _REASON)),
    )


UNSEAL = Tool(
    name="unseal",
    description="Open a sealed test file, to correct a mistake in it. With a user's test opened, a person must review.",
    params=UnsealFile,
    run=unseal,
)
