"""Every call has a result that the model can read; nothing that it asks for breaks the toolbox."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.edits import Refused
from agent.messages import ToolResult
from agent.tools import PLANNING, READING, WRITING, ToolOutcome
from agent.tools.toolbox import MAX_RESULT, SPECS, TOOLS, Toolbox
from sandbox import Refusal, SandboxLost

NAMES = [tool.name for tool in TOOLS]


def test_every_tool_belongs_to_a_phase():
    assert set(NAMES) == PLANNING | WRITING
    assert PLANNING & WRITING - {"finish"} == READING


def test_the_tools_are_offered_in_one_order_and_byte_for_byte_the_same():
    assert [spec.name for spec in SPECS] == NAMES
    again = [tool.spec.parameters for tool in TOOLS]
    assert json.dumps([spec.parameters for spec in SPECS]) == json.dumps(again)


def test_an_unknown_tool_is_told_with_those_that_there_are(desk):
    assert desk().at(allowed=PLANNING).fail("rm\x1b") == (
        "`rm\\u{1b}` is no tool; call one of: list_files, read_file, search, read_output, submit_plan, finish"
    )


@pytest.mark.parametrize("name", sorted(WRITING - PLANNING))
def test_a_tool_of_another_phase_is_not_run(desk, name):
    at = desk({"a": "1"}).at(allowed=PLANNING)

    assert at.fail(name, path="a", content="2", command="x").startswith(
        f"`{name}` is not to be called in this phase; call one of: list_files"
    )
    assert (at.hands.scripts, at.hands.selections) == ([], [])


def test_bad_arguments_leave_no_trace(desk):
    at = desk({"a": "1"})
    outcome = at.raw("write_file", '{"path": "a", "path": "../b", "content": ""}')

    assert outcome == ToolOutcome(
        result=ToolResult(content="bad arguments for `write_file`: the key `path` occurs twice", is_error=True),
        tree=at.hands.start,
    )


@settings(deadline=None)
@given(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=[])))
def test_no_arguments_break_the_toolbox(desk, name, text):
    at = desk({"a": "1"})
    outcome = at.raw(name, text)

    assert len(outcome.result.content) <= 500 or not outcome.result.is_error
    assert outcome.result.content.encode()


SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["a", "../a", "done"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["path", "search", "replace", "content", "command", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.sampled_from(TOOLS), st.data())
def test_no_value_breaks_a_tool(desk, tool, data):
    names = list(tool.spec.parameters["properties"])
    arguments = data.draw(st.dictionaries(st.sampled_from(names), SOME_JSON, max_size=len(names)))
    at = desk({"a": "1"})
    outcome = at.raw(tool.name, json.dumps(arguments))

    assert outcome.result.content.strip()
    assert outcome.tree in at.hands.trees


def test_a_result_never_exceeds_the_cap_nor_holds_what_cannot_be_seen(desk):
    class Loud:
        name = "search"
        params = next(tool.params for tool in TOOLS if tool.name == "search")

        @staticmethod
        def run(arguments, situation, hands):
            return ToolOutcome(result=ToolResult(content="\x1b" * 100_000), tree=situation.tree)

    at = desk()
    at.box = Toolbox(at.hands, [Loud()])
    content = at.ask("search", pattern="x")

    assert len(content) <= MAX_RESULT
    assert "\x1b" not in content


def test_refusals_are_bounded(desk):
    class Refusing:
        def edit(self, tree, edits):
            raise Refused([Refusal(path=f"p{n}\n", reason="no\x1b") for n in range(500)])

    at = desk()
    at.box = Toolbox(Refusing())

    assert at.fail("write_file", path="a", content="").splitlines() == [
        "Nothing was changed:",
        *(f"p{n}: no\\u{{1b}}" for n in range(10)),
        "and 490 more",
    ]


def test_a_sandbox_that_died_is_not_the_models_fault(desk):
    class Dead:
        def execute(self, tree, script, timeout):
            raise SandboxLost("gone")

    at = desk()
    at.box = Toolbox(Dead())

    with pytest.raises(SandboxLost):
        at.ask("run_command", command="x")
