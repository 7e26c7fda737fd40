"""The JUnit report that pytest writes, read as what it is: a file that hostile code may have written.

Sizes, nesting and counts are capped, document types are refused, and whatever contradicts the exit code is a problem.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from agent.testreport import Status, TestCase, TestReport
from agent.text import decode, excerpt, one_line, sanitise

__all__ = ["MAX_BYTES", "parse"]

MAX_BYTES = 16 * 1024 * 1024
MAX_CASES = 100_000
MAX_DEPTH = 32
_DETAIL = 6_000
_OUTPUT = 8_000

_MEANINGS = {
    2: "the run of the tests was interrupted",
    3: "pytest broke down with an internal error",
    4: "pytest refused its command line or configuration, or a conftest.py failed",
    5: "no tests were found",
    126: "the test command could not be executed",
    127: "the test command was not found",
}
_SEVERITY = (Status.PASSED, Status.XFAILED, Status.SKIPPED, Status.ERROR, Status.FAILED)


def parse(
    xml: bytes | None,
    *,
    exit_code: int,
    output: bytes = b"",
    seconds: float = 0.0,
    timed_out: bool = False,
    files: Collection[str] = (),
) -> TestReport:
    """What a run of pytest showed, from its JUnit report (either family), its exit code and what it printed.

    `xml` is None if no report was written. `files` are the paths of the tree: they tell a module from a class where
    the report alone does not. An id that occurs more than once counts by its worst entry. Never raises for what `xml`
    holds: a report that cannot be trusted has a `problem`.
    """
    cases: tuple[TestCase, ...] = ()
    unfinished = False
    problem = f"the test command was stopped after {seconds:.0f} s" if timed_out else ""
    if xml:
        try:
            entries = _read(xml)
            cases = _merged(_cases([entry for entry in entries if entry.name], files))
            unfinished = any(not entry.name for entry in entries)
        except _Unreadable as error:
            problem = problem or f"the JUnit report cannot be read: {error}{_because(exit_code)}"
    return TestReport(
        cases=cases,
        exit_code=exit_code,
        problem=problem
        or _problem(exit_code, cases, written=bool(xml))
        or ("a test did not come to its end" if unfinished else ""),
        output=excerpt(sanitise(decode(output)), _OUTPUT),
        seconds=seconds,
    )


class _Unreadable(Exception):
    """Why a report is not taken."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    """One `testcase` element as it stands in the report."""

    name: str
    """Empty for a test under which the run was interrupted."""
    classname: str
    file: str
    seconds: float
    status: Status = Status.PASSED
    message: str = ""
    detail: list[str] = field(default_factory=list)


def _problem(exit_code: int, cases: Collection[TestCase], *, written: bool) -> str:
    """Why there is no trustworthy result, or an empty text."""
    failures = sum(case.status in (Status.FAILED, Status.ERROR) for case in cases)
    uncollected = any(case.status is Status.ERROR and "::" not in case.id for case in cases)
    if not written:
        return _meaning(exit_code) if exit_code not in (0, 1) else f"no report was written (exit code {exit_code})"
    if not cases:
        return _meaning(exit_code) if exit_code not in (0, 1) else f"the report holds no tests (exit code {exit_code})"
    if exit_code == 0:
        return f"exit code 0 contradicts the report, in which {failures} failed" if failures else ""
    if exit_code == 1:
        return "" if failures else "the exit code is 1, though no test of the report failed"
    return "" if exit_code == 2 and uncollected else _meaning(exit_code)


def _meaning(exit_code: int) -> str:
    if meaning := _MEANINGS.get(exit_code):
        return f"{meaning} (exit code {exit_code})"
    if exit_code < 0 or exit_code > 128:
        return f"the test command was killed (exit code {exit_code})"
    return f"exit code {exit_code} is none of pytest's"


def _because(exit_code: int) -> str:
    return "" if exit_code in (0, 1) else f"; {_meaning(exit_code)}"


def _read(xml: bytes) -> list[_Entry]:
    """The entries of a report, in its order.

    Raises:
        _Unreadable: it is too large, not well-formed, or holds what no report of pytest holds.
    """
    if len(xml) > MAX_BYTES:
        raise _Unreadable(f"it has {len(xml):,} bytes, more than {MAX_BYTES:,}")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise _Unreadable(one_line(str(error))) from None
    return reader.entries


class _Reader:
    """Gathers entries from the parser's events; keeps no tree, so that nesting costs nothing."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self._depth = 0
        self._entry: _Entry | None = None
        self._entry_depth = 0
        self._listening = False

    def doctype(self, *_: object) -> None:
        raise _Unreadable("it declares a document type")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Unreadable(f"it is nested more than {MAX_DEPTH} deep")
        if self._depth == 1 and tag not in ("testsuites", "testsuite"):
            raise _Unreadable(f"its root is `{one_line(tag, 40)}`")
        if tag == "testcase":
            self._open(attributes)
        elif self._entry and self._depth == self._entry_depth + 1:
            self._listening = self._child(self._entry, tag, attributes)

    def end(self, _tag: str) -> None:
        if self._entry and self._depth == self._entry_depth:
            self._entry = None
        self._listening = False
        self._depth -= 1

    def text(self, text: str) -> None:
        if self._entry and self._listening:
            self._entry.detail.append(text)

    def _open(self, attributes: Mapping[str, str]) -> None:
        if self._entry:
            raise _Unreadable("a test is nested in another")
        if len(self.entries) >= MAX_CASES:
            raise _Unreadable(f"it holds more than {MAX_CASES:,} tests")
        self._entry_depth = self._depth
        self._entry = _Entry(
            name=attributes.get("name", ""),
            classname=attributes.get("classname", ""),
            file=attributes.get("file", ""),
            seconds=_seconds(attributes.get("time", "")),
        )
        self.entries.append(self._entry)

    @staticmethod
    def _child(entry: _Entry, tag: str, attributes: Mapping[str, str]) -> bool:
        """Take note of how the test ended; whether the text of the element belongs to it."""
        if tag not in ("failure", "error", "skipped"):
            return False
        xfailed = tag == "skipped" and attributes.get("type") == "pytest.xfail"
        status = Status.XFAILED if xfailed else Status("failed" if tag == "failure" else tag)
        if _SEVERITY.index(status) <= _SEVERITY.index(entry.status):
            return False
        entry.status, entry.message = status, attributes.get("message", "")
        entry.detail.clear()
        return True


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 1e9 else 0.0


def _cases(entries: Collection[_Entry], files: Collection[str]) -> Iterable[TestCase]:
    modules = {_dotted(path): path for path in (*files, *(entry.file for entry in entries)) if path}
    for entry in entries:
        detail = sanitise("".join(entry.detail)).strip("\n")
        yield TestCase(
            id=_visible(_node_id(entry, modules)),
            status=entry.status,
            message=_message(entry.message, detail),
            detail=excerpt(detail, _DETAIL),
            seconds=entry.seconds,
        )


def _node_id(entry: _Entry, modules: Mapping[str, str]) -> str:
    """The id by which pytest knows the test.

    `classname` holds the path with dots, then the classes; `file` is where the test is defined, which for an inherited
    test is not where it was collected.
    """
    if not entry.classname:
        return entry.file or modules.get(entry.name) or entry.name.replace(".", "/") + ".py"
    own = _dotted(entry.file)
    if entry.file and (entry.classname == own or entry.classname.startswith(own + ".")):
        path, classes = entry.file, entry.classname[len(own) :]
    else:
        path, classes = _split(entry.classname, modules)
    return "::".join([path, *(part for part in classes.split(".") if part), entry.name])


def _split(classname: str, modules: Mapping[str, str]) -> tuple[str, str]:
    """Path and dotted classes: by the longest known module, else up to the first word that begins like a class."""
    module = classname
    while module not in modules and "." in module:
        module = module.rpartition(".")[0]
    if module in modules:
        return modules[module], classname[len(module) :]
    parts = classname.split(".")
    words = next((n for n, part in enumerate(parts) if n and part[:1].isupper()), len(parts))
    return "/".join(parts[:words]) + ".py", ".".join(parts[words:])


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _visible(text: str) -> str:
    return sanitise(text).replace("\n", "\\n").replace("\t", "\\t")


def _message(message: str, detail: str) -> str:
    """One line; a collection error's own message says nothing, so the traceback's last word is taken."""
    first = next((line for line in message.splitlines() if line.strip()), "")
    if first in ("", "collection failure"):
        errors = [line[1:].strip() for line in detail.splitlines() if line.startswith("E ")]
        first = errors[-1] if errors else first or detail.partition("\n")[0]
    return one_line(first, 300)


def _merged(cases: Iterable[TestCase]) -> tuple[TestCase, ...]:
    """One case for each id: the worst, or the first of equals, with the time of all."""
    merged: dict[str, TestCase] = {}
    for case in cases:
        known = merged.get(case.id)
        if known is None:
            merged[case.id] = case
            continue
        worse = case if _SEVERITY.index(case.status) > _SEVERITY.index(known.status) else known
        merged[case.id] = replace(worse, seconds=known.seconds + case.seconds)
    return tuple(merged.values())
