"""What programs are told of a run: lines that the published schema describes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import TypeAdapter

from agent.events import Outcome
from agent.folding import fold
from agent.journal import read_entries
from agent.stream import EventLine, Stream, error_line, result_line
from tests.kits import EPOCH, every_event, open_journal, started
from tests.test_progress import HOSTILE, hostile_run

ROOT = Path(__file__).parents[1]
VALIDATOR = Draft202012Validator(
    json.loads((ROOT / "docs" / "events.schema.json").read_text("utf-8")), format_checker=FormatChecker()
)


def streamed(tmp_path, events):
    """The lines, and the journal's entries that they come from."""
    lines = []
    journal = open_journal(tmp_path / "journal.jsonl")
    journal.watch(Stream(lines.append))
    with journal:
        for event in events:
            journal.append(event)
    return lines, list(read_entries(tmp_path / "journal.jsonl"))


def test_the_published_schema_is_that_of_the_types():
    compare = """
import sys
from scripts.schema import texts
sys.exit(any(path.read_text("utf-8") != text for path, text in texts().items()))
"""
    done = subprocess.run([sys.executable, "-c", compare], cwd=ROOT, check=False)
    assert done.returncode == 0, "run `make schema`"


def test_the_published_schema_is_one():
    Draft202012Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize("events", [every_event(), hostile_run()], ids=["all", "hostile"])
def test_each_line_is_the_entry_of_the_journal_and_as_the_schema_says(tmp_path, events):
    lines, entries = streamed(tmp_path, events)
    assert len(lines) == len(events)
    for line, entry in zip(lines, entries, strict=True):
        VALIDATOR.validate(json.loads(line))
        found = TypeAdapter(EventLine).validate_json(line)
        assert (found.schema, found.seq, found.at, found.event) == (1, entry.seq, entry.at, entry.event)


def test_a_line_is_ascii_and_one_line_whatever_is_in_it(tmp_path):
    lines, _ = streamed(tmp_path, hostile_run())
    for line in [*lines, error_line(HOSTILE, HOSTILE, 2)]:
        assert line.isascii()
        assert line.isprintable()


def test_the_schema_refuses_what_is_no_line(tmp_path):
    line = json.loads(streamed(tmp_path, [started()])[0][0])
    for broken in (
        line | {"schema": 2},
        line | {"event": line["event"] | {"kind": "unheard of"}},
        line | {"event": {name: value for name, value in line["event"].items() if name != "limits"}},
        line | {"seq": "0"},
        {"schema": 1},
    ):
        assert not VALIDATOR.is_valid(broken)


def test_a_result_says_what_the_run_came_to():
    line = json.loads(result_line(fold(read_entries(ROOT / "tests" / "journals" / "v1.jsonl")), "my repo"))
    VALIDATOR.validate(line)
    result = line["result"]
    assert (result["run"], result["mode"], result["branch"], result["commit"]) == (
        "r1",
        "fix",
        "greenward/work-r1",
        "c2",
    )
    assert (result["outcome"], result["exit_code"], result["verdict"]) == ("passed", 0, "passed")
    assert result["tests_before"] == {
        "passed": 1,
        "failed": 1,
        "skipped": 0,
        "exit_code": 1,
        "problem": "",
        "reused": 0,
    }
    assert result["tests_after"] == {"passed": 2, "failed": 0, "skipped": 0, "exit_code": 0, "problem": "", "reused": 0}
    cost = result["cost"]
    assert (cost["calls"], cost["prompt_tokens"], cost["cached_tokens"], cost["completion_tokens"]) == (5, 230, 100, 30)
    assert cost["dollars"] == pytest.approx(0.0201, abs=1e-4)
    assert result["next"] == "greenward diff r1 --repo 'my repo', then greenward accept r1 --repo 'my repo'"


def test_a_run_that_goes_on_has_no_outcome_yet(tmp_path):
    _, entries = streamed(tmp_path, [started()])
    line = json.loads(result_line(fold(entries)))
    VALIDATOR.validate(line)
    assert (line["result"]["outcome"], line["result"]["exit_code"], line["result"]["tests_before"]) == (
        None,
        None,
        None,
    )
    assert line["result"]["next"] == "greenward resume r1"
    assert line["result"]["at"] == EPOCH.isoformat().replace("+00:00", "Z")


def test_the_exit_code_is_the_one_of_the_process():
    state = fold(read_entries(ROOT / "tests" / "journals" / "v1.jsonl"))
    assert state.outcome is Outcome.PASSED
    assert json.loads(result_line(state, exit_code=8))["result"]["exit_code"] == 8


def test_an_error_has_its_message_hint_and_code():
    line = json.loads(error_line("no engine", "start one", 4))
    VALIDATOR.validate(line)
    assert line == {"schema": 1, "error": {"message": "no engine", "hint": "start one", "exit_code": 4}}


def test_every_kind_of_event_is_described():
    text = (ROOT / "docs" / "json.md").read_text("utf-8")
    kinds = VALIDATOR.schema["$defs"]["EventLine"]["properties"]["event"]["discriminator"]["mapping"]
    assert [kind for kind in kinds if f"`{kind}`" not in text] == []
