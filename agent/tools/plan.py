"""What makes a plan fit to be carried out, beyond its shape."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from agent.task import Criterion, Mode, Plan
from agent.text import one_line

__all__ = ["faults", "is_test", "slug", "unportable"]

_SUMMARY = 2_000
_STEP = 500
_COMMAND = 1_000
_STEPS = 30
_FILES = 100
_CRITERIA = 30
_LEFT = 5
_DEPENDENCIES = 50
_SLUG = 40
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_TEST_NAME = re.compile(r"test_.+\.py|.+_test\.\w+|.+\.(test|spec)\.\w+|test\w*\.(sh|bats)|.+\.bats")


def faults(plan: Plan, mode: Mode) -> list[str]:
    """Everything that is wrong with `plan`, one line each; empty if it can be carried out."""
    return [*_texts(plan), *_files(plan, mode), *_criteria(plan, mode), *_dependencies(plan.dependencies)]


def slug(summary: str) -> str:
    """A short name for branches, of lower-case ASCII letters, digits and hyphens; perhaps empty."""
    ascii_text = unicodedata.normalize("NFKD", summary).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", ascii_text)
    name = ""
    for word in words:
        if len(name) + len(word) + 1 > _SLUG:
            break
        name = f"{name}-{word}" if name else word
    return name or "".join(words)[:_SLUG]


def is_test(path: str) -> bool:
    """Whether a file holds tests, by its name."""
    return _TEST_NAME.fullmatch(PurePosixPath(path).name) is not None


def unportable(path: str) -> str:
    """Why a path cannot be a file of a project on every system; empty if it can."""
    if not path or path.startswith(("/", "~")) or path.endswith("/"):
        return "must be a relative path of a file"
    if re.search(r'[\\:*?"<>|]', path) or not path.isprintable():
        return "holds a character that not every system allows"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "holds an empty part, `.` or `..`"
    if any(part != part.rstrip(". ") or part != part.lstrip() or _DEVICES.fullmatch(part) for part in parts):
        return "holds a name that Windows does not allow"
    if any(_bare(part) in (".git", "git~1") for part in parts):
        return "belongs to git"
    if len(path.encode()) > 1_000 or any(len(part.encode()) > 200 for part in parts):
        return "is too long"
    return ""


def _bare(part: str) -> str:
    """A name as lenient file systems read it."""
    return "".join(
        char for char in unicodedata.normalize("NFKC", part) if unicodedata.category(char) != "Cf"
    ).casefold()


def _texts(plan: Plan) -> Iterator[str]:
    if not plan.summary.strip():
        yield "the summary is empty"
    if len(plan.summary) > _SUMMARY:
        yield f"the summary has more than {_SUMMARY:,} characters"
    if not plan.steps:
        yield "there are no steps"
    if len(plan.steps) > _STEPS:
        yield f"there are more than {_STEPS} steps"
    for number, step in enumerate(plan.steps, 1):
        if not step.strip():
            yield f"step {number} is empty"
        if len(step) > _STEP:
            yield f"step {number} has more than {_STEP} characters"
    for name, command in (("setup", plan.setup), ("test", plan.test)):
        if command is not None and (fault := _command_fault(command)):
            yield f"the {name} command {fault}"


def _files(plan: Plan, mode: Mode) -> Iterator[str]:
    if len(plan.files) > _FILES:
        yield f"there are more than {_FILES} files"
    seen: dict[str, str] = {}
    for file in plan.files[: 2 * _FILES]:
        name = f"`{one_line(file.path, 100)}`"
        if reason := unportable(file.path):
            yield f"the path {name} {reason}"
        key = unicodedata.normalize("NFC", file.path).casefold()
        if seen.get(key) == file.path:
            yield f"the path {name} is listed twice"
        elif key in seen:
            yield f"the path {name} differs from `{one_line(seen[key], 100)}` only in case or accents"
        seen.setdefault(key, file.path)
        if len(file.purpose) > _STEP:
            yield f"the purpose of {name} has more than {_STEP} characters"
    if mode == "new" and not any(is_test(file.path) for file in plan.files):
        yield "the files include no test, such as `tests/test_cli.py`"


def _criteria(plan: Plan, mode: Mode) -> Iterator[str]:
    if mode != "fix" and all(criterion.before == "holds" for criterion in plan.criteria):
        yield "there is no acceptance criterion that fails today: name at least one command and what it must print"
    if len(plan.criteria) > _CRITERIA:
        yield f"there are more than {_CRITERIA} criteria"
    seen = set()
    for number, criterion in enumerate(plan.criteria, 1):
        if not criterion.behaviour.strip():
            yield f"criterion {number} does not say what it is about"
        yield from _shown_by(criterion, number)
        if max(len(criterion.behaviour), len(criterion.output)) > _SUMMARY:
            yield f"criterion {number} has a text of more than {_SUMMARY:,} characters"
        if not 0 <= criterion.exit_code <= 255:
            yield f"the exit code of criterion {number} is not between 0 and 255"
        key = (criterion.shown_by, criterion.exit_code, criterion.output, criterion.files)
        if key in seen:
            yield f"criterion {number} checks the same as one before it"
        seen.add(key)


def _shown_by(criterion: Criterion, number: int) -> Iterator[str]:
    """What is wrong with the command or the test that is to show a criterion."""
    if criterion.test:
        if criterion.command or criterion.files:
            yield f"criterion {number} names a command and a test: one of them has to show it"
        if "::" not in criterion.test or not criterion.test.isprintable() or len(criterion.test) > _COMMAND:
            yield f"the test of criterion {number} is no id, such as `tests/test_cli.py::test_json`"
    elif fault := _command_fault(criterion.command):
        yield f"the command of criterion {number} {fault}"
    if len(criterion.files) > _LEFT:
        yield f"criterion {number} looks at more than {_LEFT} files"
    for left in criterion.files[:_LEFT]:
        if reason := unportable(left.path):
            yield f"the file `{one_line(left.path, 100)}` of criterion {number} {reason}"
        if len(left.text) > _SUMMARY:
            yield f"criterion {number} expects a text of more than {_SUMMARY:,} characters in a file"


def _command_fault(command: str) -> str:
    if not command.strip():
        return "is empty"
    if len(command) > _COMMAND:
        return f"has more than {_COMMAND:,} characters"
    return "holds a NUL" if "\0" in command else ""


def _dependencies(dependencies: Sequence[str]) -> Iterator[str]:
    if len(dependencies) > _DEPENDENCIES:
        yield f"there are more than {_DEPENDENCIES} dependencies"
    seen = set()
    for text in dependencies[: 2 * _DEPENDENCIES]:
        name = f"`{one_line(text, 100)}`"
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            yield f"the dependency {name} is no requirement: {one_line(str(error).partition(chr(10))[0], 100)}"
            continue
        if requirement.url:
            yield f"the dependency {name} names an address: only releases by name and version are installed"
        key = (canonicalize_name(requirement.name), str(requirement.marker or ""))
        if key in seen:
            yield f"the dependency {name} is listed twice"
        seen.add(key)
