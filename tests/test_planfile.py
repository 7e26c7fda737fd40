"""A plan as a file: what is printed can be read, edited and handed back, and only a plan can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UsageProblem
from agent.planfile import plan_text, read_plan, to_plan
from agent.task import Criterion, LeftFile, Plan, PlannedFile
from agent.text import sanitise
from agent.tools.plan import slug

PLAN = Plan(
    summary="Add --json",
    steps=("Write the tests", "Write the \"code\"\nand its 'docs'"),
    files=(PlannedFile(path="app.py", purpose="the option"), PlannedFile(path="tests/test_app.py", purpose="tests")),
    criteria=(
        Criterion(behaviour="it prints JSON", command="app --json | jq .", exit_code=0, output='{"a": 1}'),
        Criterion(behaviour="it is tested", test="tests/test_app.py::test_json"),
        Criterion(
            behaviour="it writes a log",
            command="app",
            files=(LeftFile(path="a.log", text="a: b"), LeftFile(path="b")),
            before="holds",
        ),
    ),
    dependencies=("click>=8",),
    setup="make prepare",
    test="python -m pytest -q",
    slug="add-json",
)
LINES = st.text(min_size=1, max_size=60).filter(lambda text: text.strip() and text.isprintable())


def test_a_plan_that_was_printed_is_read_as_it_was():
    text = plan_text(PLAN, request='Add "--json"\nto list', comments=("run 1", "two\nlines"))

    assert text.splitlines()[:2] == ["# run 1", "# two lines"]
    assert to_plan(text, "change") == ('Add "--json"\nto list', PLAN)


@given(summary=LINES, steps=st.lists(LINES, min_size=1, max_size=4), command=LINES, output=st.text(max_size=40))
def test_any_plan_is_read_as_it_is_shown(summary, steps, command, output):
    criterion = Criterion(behaviour="b", command=command, output=output)
    plan = Plan(summary=summary.strip(), steps=tuple(steps), criteria=(criterion,), slug=slug(summary))
    shown = plan_text(plan)
    _, read = to_plan(shown, "change")

    assert plan_text(read) == shown
    if all(sanitise(text) == text and text.isprintable() for text in (summary, *steps, command, output)):
        assert read == plan


def test_what_nobody_can_see_is_spelled_out_before_anyone_approves_it():
    hidden = Plan(summary="safe\u202e", steps=("a\x1b[2Jb",), criteria=PLAN.criteria)
    text = plan_text(hidden)

    assert "\u202e" not in text
    assert "\x1b" not in text
    assert to_plan(text, "change")[1].summary == "safe\\u{202e}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("summary = ", "no TOML"),
        ('summary = "a"', "`steps`"),
        ('summary = "a"\nsteps = ["b"]\nstep = 1', "`step`"),
        ('summary = "a"\nsteps = "b"', "`steps`"),
        ('request = 1\nsummary = "a"\nsteps = ["b"]\n', "`request` is no text"),
        ('summary = "a"\nsteps = ["b"]', "no acceptance criterion"),
        ('summary = "a"\nsteps = ["b"]\nfiles = [{path = "/etc/passwd", purpose = "x"}]', "/etc/passwd"),
    ],
)
def test_what_is_no_plan_is_refused_with_what_is_wrong(text, message):
    with pytest.raises(UsageProblem, match=message) as problem:
        to_plan(text, "change")
    assert problem.value.hint


def test_a_repair_needs_no_criteria():
    assert to_plan('summary = "a"\nsteps = ["b"]', "fix")[1].steps == ("b",)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"\xff\xfe")
    large.write_bytes(b"#" * 2_000_000)
    for path in (tmp_path / "missing", tmp_path, binary, large):
        with pytest.raises(UsageProblem, match=str(path)):
            read_plan(path, "change")
