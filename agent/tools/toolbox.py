"""All tools, and the one way to call them: looked up, validated, run, bounded."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from agent.edits import Refused
from agent.messages import ToolCall, ToolResult
from agent.models import ToolSpec
from agent.text import excerpt, one_line, sanitise
from agent.tools import Hands, Mistake, Situation, Tool, ToolOutcome
from agent.tools.arguments import BadArguments, parse
from agent.tools.editing import DELETE_FILE, EDIT_FILE, EDIT_FILES, WRITE_FILE
from agent.tools.planning import FINISH, SUBMIT_PLAN
from agent.tools.reading import LIST_FILES, READ_FILE, READ_OUTPUT, SEARCH
from agent.tools.running import RUN_COMMAND, RUN_TESTS
from agent.tools.sealing import UNSEAL

__all__ = ["MAX_RESULT", "SPECS", "TOOLS", "Toolbox"]

MAX_RESULT = 24_000
"""Characters of a result, whatever tool it comes from."""
_SHOWN_REFUSALS = 10

TOOLS: tuple[Tool[Any], ...] = (
    LIST_FILES,
    READ_FILE,
    SEARCH,
    READ_OUTPUT,
    SUBMIT_PLAN,
    WRITE_FILE,
    EDIT_FILE,
    EDIT_FILES,
    DELETE_FILE,
    UNSEAL,
    RUN_COMMAND,
    RUN_TESTS,
    FINISH,
)

SPECS: tuple[ToolSpec, ...] = tuple(tool.spec for tool in TOOLS)
"""The tools as the model sees them: all of them in every call, whatever the phase, in one order, for they stand at the
head of what the provider caches."""


class Toolbox:
    """The tools over one pair of hands."""

    def __init__(self, hands: Hands, tools: Iterable[Tool[Any]] = TOOLS) -> None:
        self._hands = hands
        self._tools = {tool.name: tool for tool in tools}

    def call(self, call: ToolCall, situation: Situation) -> ToolOutcome:
        """Carry out `call`. Whatever is wrong with it is told in the result, and then the tree is as before.

        Raises:
            sandbox.SandboxError: nothing could be executed.
        """
        try:
            outcome = self._outcome(call, situation)
        except (Mistake, BadArguments) as error:
            outcome = _failure(str(error), situation)
        except Refused as error:
            outcome = replace(_failure(_refusals(error), situation), refused=error.refusals)
        content = excerpt(sanitise(outcome.result.content), MAX_RESULT)
        return replace(outcome, result=replace(outcome.result, content=content))

    def _outcome(self, call: ToolCall, situation: Situation) -> ToolOutcome:
        tool = self._tools.get(call.name)
        if tool is None or tool.name not in situation.allowed:
            allowed = ", ".join(name for name in self._tools if name in situation.allowed)
            what = "no tool" if tool is None else "not to be called in this phase"
            raise Mistake(f"`{one_line(call.name, 64)}` is {what}; call one of: {allowed}")
        try:
            arguments = parse(tool.params, call.arguments)
        except BadArguments as error:
            raise Mistake(one_line(f"bad arguments for `{tool.name}`: {error}", 500)) from None
        return tool.run(arguments, situation, self._hands)


def _failure(message: str, situation: Situation) -> ToolOutcome:
    return ToolOutcome(result=ToolResult(content=message, is_error=True), tree=situation.tree)


def _refusals(error: Refused) -> str:
    shown = [f"{one_line(refusal.path)}: {one_line(refusal.reason)}" for refusal in error.refusals[:_SHOWN_REFUSALS]]
    rest = len(error.refusals) - len(shown)
    more = [f"and {rest} more"] if rest > 0 else []
    return "\n".join(["Nothing was changed:", *shown, *more])
