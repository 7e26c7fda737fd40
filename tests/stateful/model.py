"""What a model may say next: from good work to nonsense."""

import json
from pathlib import Path

from agent.messages import ToolCall
from agent.state import Phase, RunState
from tests.gitrepo import git
from tests.stateful.provider import Reply, Told
from tests.stateful.world import ALL, APP, SUITE, TOO_MUCH, app, green_in, writing

KINDS = (
    "mends", "improves", "breaks", "exhausts memory", "edits", "runs a command", "looks", "runs tests", "runs a test",
    "touches tests", "finishes", "gives up", "talks", "is cut off", "calls nonsense",
)  # fmt: skip
WORK = ("mends", "improves", "improves", "breaks", "edits", "runs a command", "finishes")
SPEECHLESS = ("talks", "is cut off", "gives up", "calls nonsense")
"""What may come before there is a plan."""


def call(name: str, **arguments: object) -> tuple[str, str]:
    return name, json.dumps(arguments)


PLAN = call(
    "submit_plan",
    summary="Make them pass",
    steps=["Set them to 1"],
    criteria=[{"behaviour": "a passes", "test": f"{SUITE}::test_a"}],
)
RUN_TESTS = call("run_tests")
DONE = call("finish", status="done")


def reply(kind: str, state: RunState, root: Path, number: int, told: Told = "as it is") -> Reply:
    """The reply of that kind to a run in that state, different for each `number`."""
    green = green_in(git(root, "show", f"{state.tree}:{APP}"))
    calls = _calls(kind, green, number)
    if state.phase is Phase.PLAN and kind not in SPEECHLESS:
        calls = (PLAN, *calls)
    numbered = tuple(
        ToolCall(id=f"{name}:{number}.{place}", name=name, arguments=arguments)
        for place, (name, arguments) in enumerate(calls)
    )
    return Reply(text=f"{number}: it {kind}.", calls=numbered, told=told, stop="length" if kind == "is cut off" else "")


def _calls(kind: str, green: frozenset[str], number: int) -> tuple[tuple[str, str], ...]:
    def writes(code: str) -> tuple[str, str]:
        return call("write_file", path=APP, content=code)

    match kind:
        case "mends":
            return writes(app(ALL, str(number))), RUN_TESTS
        case "improves":
            return writes(app({*green, *sorted(ALL - green)[:1]}, str(number))), RUN_TESTS
        case "breaks":
            return writes(app(sorted(green)[1:], str(number))), RUN_TESTS
        case "exhausts memory":
            return writes(app(green, f"{number}\n{TOO_MUCH}")), RUN_TESTS
        case "edits":
            return (call("write_file", path="made.txt", content=f"{number}\n"),)
        case "runs a command":
            return (call("run_command", command=writing("made.txt", f"by a command, {number}\n")),)
        case "looks":
            return call("read_file", path=APP), call("search", pattern="test")
        case "runs tests":
            return (RUN_TESTS,)
        case "runs a test":
            return (call("run_tests", tests=[f"{SUITE}::test_a"]),)
        case "touches tests":
            return (call("write_file", path=SUITE, content=f"# {number}\n"),)
        case "finishes":
            return (DONE,)
        case "gives up":
            return (call("finish", status="blocked", reason="It cannot be done."),)
        case "calls nonsense":
            return call("no_such_tool"), call("read_file", path=1)
        case _:
            return ()
