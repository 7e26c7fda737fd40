"""Tools that execute: commands and tests, in the sandbox."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from agent.feedback import details, feedback
from agent.messages import ToolResult
from agent.testreport import TestReport
from agent.text import cut, decode, excerpt, fenced, one_line, sanitise
from agent.tools import Hands, Mistake, Situation, TestRun, Tool, ToolOutcome
from agent.tools.arguments import params
from sandbox import ExecResult, Execution

__all__ = ["RUN_COMMAND", "RUN_TESTS"]

_SHOWN = 6_000
_MAX_SCRIPT = 20_000
_MAX_SELECTED = 200
_SHOWN_REFUSALS = 10


@params
class RunCommand:
    """Arguments of `run_command`."""

    command: Annotated[str, Field(description="Shell script, run at the root of the project.", min_length=1)]
    timeout: Annotated[int, Field(description="Seconds after which it is stopped.", ge=1, le=600)] = 120


@params
class RunTests:
    """Arguments of `run_tests`."""

    tests: Annotated[
        tuple[str, ...],
        Field(description="Ids as `tests/test_x.py::test_a`, files or directories; empty for the whole suite."),
    ] = ()


def run_command(arguments: RunCommand, situation: Situation, hands: Hands) -> ToolOutcome:
    """Run a shell script and show what it printed."""
    if "\0" in arguments.command or len(arguments.command) > _MAX_SCRIPT:
        raise Mistake(f"a command has no NUL and at most {_MAX_SCRIPT:,} characters; write a file and run that")
    execution = hands.execute(situation.tree, arguments.command, float(arguments.timeout))
    parts = [_ending(execution.result), *_output(execution.result, hands), *_refused(execution)]
    content = "\n".join(parts)
    return ToolOutcome(result=ToolResult(content=content), tree=execution.tree.id, refused=execution.refused)


def _ending(result: ExecResult) -> str:
    if result.timed_out:
        return f"Stopped after {result.seconds:.1f} s: it did not end in time. What it changed is lost."
    ending = f"Exit code {result.exit_code} after {result.seconds:.1f} s."
    if result.out_of_memory:
        ending += " It ran out of memory, and some of its processes were killed."
    if result.outlived:
        ending += " Processes that it left running were killed."
    return ending


def _output(result: ExecResult, hands: Hands) -> list[str]:
    text = sanitise(decode(result.output))
    if not text.strip():
        return ["It printed nothing."]
    parts = [fenced(excerpt(text, _SHOWN), "output")]
    if gap := cut(text, _SHOWN):
        artifact = hands.keep(result.output)
        parts.append(f"The rest: read_output with id={artifact} and offset={gap[0]}.")
    if result.truncated:
        parts.append("It printed more than is kept: the middle is lost.")
    return parts


def _refused(execution: Execution) -> list[str]:
    """What of the command's changes did not get into the tree."""
    if not execution.refused:
        return []
    shown = [
        f"  {one_line(refusal.path)}: {one_line(refusal.reason)}" for refusal in execution.refused[:_SHOWN_REFUSALS]
    ]
    rest = len(execution.refused) - len(shown)
    return ["Of what it changed, this was not taken over:", *shown, *([f"  and {rest} more"] if rest else [])]


def run_tests(arguments: RunTests, situation: Situation, hands: Hands) -> ToolOutcome:
    """Run tests and show what changed, and what fails by cause."""
    for test in arguments.tests:
        if not test.strip() or test.startswith(("-", "@")) or not test.isprintable():
            raise Mistake(f"`{one_line(test)}` is no id of a test, file or directory")
    if len(arguments.tests) > _MAX_SELECTED:
        raise Mistake(f"these are more than {_MAX_SELECTED} tests; name their files or directories")
    report, tree = hands.run_tests(situation.tree, arguments.tests)
    previous = _comparable(situation.previous, report, arguments.tests)
    artifact = "" if report.ok else hands.keep(details(report, hidden=situation.hidden).encode())
    said = feedback(report, previous, hidden=situation.hidden, wanting=situation.wanting, full_output=artifact)
    effect = TestRun(report=report, full=not arguments.tests)
    return ToolOutcome(result=ToolResult(content=said), tree=tree, effect=effect)


def _comparable(previous: TestReport | None, report: TestReport, selection: Sequence[str]) -> TestReport | None:
    """Of the last run what this one can be compared with: tests that were not selected are not gone."""
    if previous is None or not selection:
        return previous
    ids = report.ids()
    return replace(previous, cases=tuple(case for case in previous.cases if case.id in ids))


RUN_COMMAND = Tool(
    name="run_command",
    description=(
        "Run a shell script in the sandbox: no network, no input. Files that it changes are kept. Shows the exit code"
        " and the head and tail of the output."
    ),
    params=RunCommand,
    run=run_command,
)
RUN_TESTS = Tool(
    name="run_tests",
    description="Run the tests of the project, all or a selection, and show what fails and what changed.",
    params=RunTests,
    run=run_tests,
)
