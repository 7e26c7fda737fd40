"""What a forge shows beside lines of code: tests that fail still, and what the judge found in the changes. Pure."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from agent.state import RunState
from agent.summary import final_report
from agent.testreport import Status, TestReport
from agent.text import one_line

__all__ = ["Annotation", "annotations_of", "as_commands", "as_file"]

EACH = 10
"""Of one level: GitHub shows no more of a step."""
Level = Literal["error", "warning", "notice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Something to be said of a line of a file."""

    level: Level
    path: str
    """Of a file in the repository; empty: of none."""
    line: int
    """0: of the file as a whole."""
    title: str
    message: str


def annotations_of(state: RunState) -> tuple[Annotation, ...]:
    """At most `EACH` of each level: failing tests as errors, suspicions as warnings, what was refused as a notice."""
    report, verdict = final_report(state) or TestReport(), state.verdict
    prefix = f"{state.started.task.cwd}/" if state.started.task.cwd else ""
    said = [
        Annotation(
            level="error", path=prefix + case.id.partition("::")[0], line=0, title=one_line(case.id, 120),
            message=one_line(case.message, 400) or case.status.value,
        )
        for case in report.cases
        if case.status in (Status.FAILED, Status.ERROR)
    ]  # fmt: skip
    said += [
        Annotation(
            level="warning", path=each.path, line=each.line, title=f"greenward: {each.kind}",
            message=one_line(each.words, 400),
        )
        for each in (verdict.suspicions if verdict else ())
    ]  # fmt: skip
    said += [
        Annotation(
            level="notice", path="", line=0, title="greenward: refused", message=one_line(f"{path}: {reason}", 400)
        )
        for path, reason in dict.fromkeys((each.path, each.reason) for each in state.refused)
    ]  # fmt: skip
    counts: Counter[Level] = Counter()
    kept = []
    for each in said:
        counts[each.level] += 1
        if counts[each.level] <= EACH:
            kept.append(each)
    return tuple(kept)


def as_file(annotations: tuple[Annotation, ...]) -> bytes:
    """The annotations as a list in JSON."""
    dumped = TypeAdapter(tuple[Annotation, ...]).dump_python(annotations, mode="json")
    return json.dumps(dumped, indent=2).encode() + b"\n"


def as_commands(annotations: tuple[Annotation, ...]) -> tuple[str, ...]:
    """The annotations as lines that GitHub's runner acts upon.

    Its rules: docs.github.com, "Workflow commands for GitHub Actions"; `%`, CR and LF are escaped, in properties `:`
    and `,` too.
    """
    return tuple(map(_command, annotations))


def _command(each: Annotation) -> str:
    places = {"file": each.path, "line": str(each.line) if each.path and each.line else "", "title": each.title}
    told = ",".join(f"{name}={_property(value)}" for name, value in places.items() if value)
    return f"::{each.level} {told}::{_data(each.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
