"""Which steps of a plan are done, as far as that is known: nothing is made up. Pure."""

import json
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import PurePosixPath

from agent.messages import ToolCall
from agent.task import Plan
from agent.tools.plan import is_test

__all__ = ["Mark", "files_of", "marks"]

WRITERS = frozenset({"write_file", "edit_file", "edit_files", "delete_file"})
SHORTEST_STEM = 5
"""Letters of a file's name without its ending that are not just any word."""
_VERIFIES = re.compile(r"\btests?\b.*\b(pass|green|succeed)|\b(run|verify)\b.*\b(tests?|suite)\b", re.IGNORECASE)
_TESTS = re.compile(r"\btests\b", re.IGNORECASE)


class Mark(Enum):
    """What is known of a step."""

    DONE = "done"
    PARTLY = "partly"
    OPEN = "open"
    UNKNOWN = "unknown"
    """It names no planned file and no tests to pass: there is nothing to tell it by."""


def marks(plan: Plan, written: AbstractSet[str], *, green: bool) -> tuple[Mark, ...]:
    """What is known of each step when the files `written` were written, and `green` says whether the tests pass.

    A step is done when all planned files that it names are written, or, if it is about tests that pass, when they do.
    """
    return tuple(_mark(step, plan, written, green=green) for step in plan.steps)


def files_of(call: ToolCall) -> Iterator[str]:
    """The paths that a call writes."""
    if call.name not in WRITERS:
        return
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return
    named = arguments.get("files", [arguments]) if isinstance(arguments, dict) else []
    for each in named if isinstance(named, list) else []:
        if isinstance(each, dict) and isinstance(each.get("path"), str):
            yield str(PurePosixPath(each["path"]))


def _mark(step: str, plan: Plan, written: AbstractSet[str], *, green: bool) -> Mark:
    if _VERIFIES.search(step):
        return Mark.DONE if green else Mark.OPEN
    named = {file.path for file in plan.files if _names(step, file.path)}
    if not named:
        return Mark.UNKNOWN
    done = named & written
    return Mark.DONE if done == named else Mark.PARTLY if done else Mark.OPEN


def _names(step: str, path: str) -> bool:
    """Whether `step` speaks of the file at `path`: by its path, its name, a long stem of it, or as `the tests`."""
    file = PurePosixPath(path)
    names = [path, file.name, *([file.stem] if len(file.stem) >= SHORTEST_STEM else [])]
    if any(re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w/-]|\.\w)", step, re.IGNORECASE) for name in names):
        return True
    return is_test(path) and _TESTS.search(step) is not None
