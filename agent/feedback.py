"""What the model is told of a test run: what changed first, then failures by cause, one example of each."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from agent.baseline import family
from agent.testreport import Status, TestCase, TestReport
from agent.text import excerpt, number_of, one_line, sanitise, tokens

__all__ = ["details", "feedback", "summary"]

_FRAME = re.compile(r"^(\S[^:\n]*):(\d+): (.*)$", re.MULTILINE)
_KIND = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)")
_STAGE = re.compile(r"^failed on (setup|teardown) with \"(.*?)\"?$")
_HEADING = re.compile(r"^(?:_{3,} (.+) _{3,}|=+(?: .*)?=*)$")
"""Of what pytest prints of one test, and of whatever follows."""
_NOTHING = re.compile(r"(?!)")
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d+")
NOTHING_WANTED: Mapping[str, str] = MappingProxyType({})
_NAMED = 10
"""Ids listed of one kind before the rest is counted."""
_EXAMPLE = 1_500
_OUTPUT = 3_000
_NOTE = 40
"""Tokens kept free for saying what was left out."""
_WORTH_CUTTING = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    """What makes failures alike: their exception, and where it was raised or what it said."""

    kind: str
    shape: str
    place: str


def feedback(
    report: TestReport,
    previous: TestReport | None = None,
    *,
    hidden: frozenset[str] = frozenset(),
    wanting: Mapping[str, str] = NOTHING_WANTED,
    limit_tokens: int = 3_000,
    full_output: str = "",
) -> str:
    """`report` for the model, of about `limit_tokens` at most.

    Tests in `hidden`, and those that either report knows to be flaky, are counted, not named; those in `wanting` are
    counted with what they lack. `full_output` is the id by which `read_output` shows all that was printed.
    """
    hidden = hidden.union(report.flaky, previous.flaky if previous else ())
    left_out = hidden | wanting.keys()
    blocks = [
        "\n".join([_headline(report), *_hidden_note(report, hidden), *_wanting_note(report, hidden, wanting)]),
        _problem(report, hidden),
        _changes(report, previous, hidden),
        *_failures(report, previous, left_out),
    ]
    footer = f"All that was printed: `read_output` with id `{full_output}`." if full_output else ""
    return _capped([block for block in blocks if block], footer, limit_tokens)


def details(report: TestReport, *, hidden: frozenset[str] = frozenset()) -> str:
    """All that `feedback` may have cut or left out: every failure that is not in `hidden`, and what was printed."""
    hidden = hidden.union(report.flaky)
    failing = [case for case in report.cases if case.status in (Status.FAILED, Status.ERROR) and case.id not in hidden]
    parts = [f"{one_line(case.id)}: {one_line(case.message)}\n{_indented(sanitise(case.detail))}" for case in failing]
    return "\n\n".join([*parts, f"What was printed:\n{_printed(report, hidden)}"])


def summary(report: TestReport, previous: TestReport | None = None) -> str:
    """`report` on one line, for a person who watches: counts, and what changed."""
    parts = [one_line(str(report), 120)]
    if report.problem and report.cases:
        parts.append(one_line(report.problem, 120))
    if previous and (fixed := _fixed(report, previous)):
        parts.append(f"{len(fixed)} fixed")
    if previous and (broken := set(report.failing) - set(previous.failing)):
        parts.append(f"{len(broken)} newly failing")
    return "; ".join(parts)


def _headline(report: TestReport) -> str:
    counts = f"Tests: {report}" if report.cases else "Tests: no result"
    return f"{counts} (exit code {report.exit_code}, {report.seconds:.1f} s)."


def _hidden_note(report: TestReport, hidden: frozenset[str]) -> list[str]:
    count = sum(id_ in hidden for id_ in report.failing)
    said = "Flaky (the same files pass at one time and fail at another), and left out below"
    return [f"{said}: {count} of the failing tests."] if count else []


def _wanting_note(report: TestReport, hidden: frozenset[str], wanting: Mapping[str, str]) -> list[str]:
    wants = [wanting[id_] for id_ in report.failing if id_ in wanting and id_ not in hidden]
    said = "Not to be mended, for the sandbox lacks what they want, and left out below"
    return [f"{said}: {len(wants)} of the failing tests ({', '.join(sorted(set(wants)))})."] if wants else []


def _printed(report: TestReport, hidden: frozenset[str]) -> str:
    """What was printed, without the lines that name a test in `hidden`, and without what is said below its name."""
    titles = {_title(id_) for id_ in hidden.intersection(report.failing)}
    titles -= {_title(id_) for id_ in report.failing if id_ not in hidden}
    functions = {title.rpartition(".")[2].partition("[")[0] for title in titles}
    named = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(functions)))})\b") if functions else _NOTHING
    kept, within = [], False
    for line in sanitise(report.output).strip("\n").split("\n"):
        if match := _HEADING.match(line):
            within = match[1] is not None and match[1].rpartition(" of ")[2] in titles
        if not within and not named.search(line) and not any(id_ in line for id_ in hidden):
            kept.append(line)
    return "\n".join(kept)


def _title(id_: str) -> str:
    """As pytest calls a test where it says how it failed."""
    return id_.partition("::")[2].replace("::", ".")


def _problem(report: TestReport, hidden: frozenset[str]) -> str:
    if not report.problem:
        return ""
    shown = excerpt(_printed(report, hidden), _OUTPUT)
    output = f"\nWhat was printed:\n{_indented(shown)}" if shown else "\nNothing was printed."
    return f"No result to rely on: {one_line(report.problem, 400)}.{output}"


def _fixed(report: TestReport, previous: TestReport) -> list[str]:
    passed = report.ids(Status.PASSED)
    return [id_ for id_ in previous.failing if id_ in passed]


def _changes(report: TestReport, previous: TestReport | None, hidden: frozenset[str]) -> str:
    if previous is None or not previous.cases or not report.cases:
        return ""
    failing, before = set(report.failing), set(previous.failing)
    present = report.ids()
    stopped = any("::" not in id_ for id_ in report.failing)
    lists = {
        "fixed": _fixed(report, previous),
        "newly failing": [id_ for id_ in report.failing if id_ not in before],
        "still failing": [id_ for id_ in report.failing if id_ in before],
        "gone from the report": [] if stopped else _gone(previous, present),
    }
    shown = {word: [id_ for id_ in ids if id_ not in hidden] for word, ids in lists.items()}
    counts = ", ".join(f"{len(ids)} {word}" for word, ids in shown.items() if ids)
    if not counts:
        return "Nothing changed since the last run." if failing == before else ""
    named = [f"{word.capitalize()}: {_names(shown[word])}" for word in _NAMED_CHANGES if shown[word]]
    return "\n".join([f"Since the last run: {counts}.", *named])


def _gone(previous: TestReport, present: frozenset[str]) -> list[str]:
    """The ids that are not there any more, but for those in whose place there are others of the same test."""
    gone = [case.id for case in previous.cases if case.id not in present]
    new = {family(id_) for id_ in present - previous.ids()}
    return [id_ for id_ in gone if family(id_) not in new]


_NAMED_CHANGES = ("fixed", "newly failing", "gone from the report")


def _names(ids: Sequence[str]) -> str:
    more = [f"and {len(ids) - _NAMED} more"] if len(ids) > _NAMED else []
    return ", ".join([*(one_line(id_) for id_ in ids[:_NAMED]), *more])


def _failures(report: TestReport, previous: TestReport | None, hidden: frozenset[str]) -> Iterable[str]:
    """One block for each file that was not collected, then one for each cause, the most frequent first."""
    failing = [case for case in report.cases if case.status in (Status.FAILED, Status.ERROR) and case.id not in hidden]
    uncollected = [case for case in failing if "::" not in case.id]
    groups: dict[_Cause, list[TestCase]] = {}
    for case in failing:
        if "::" in case.id:
            groups.setdefault(_cause(case), []).append(case)
    known = frozenset(previous.failing) if previous else None
    for case in uncollected:
        yield f"Not collected, so none of its tests ran: {one_line(case.id)}\n{_indented(_trimmed(case))}"
    for cases in sorted(groups.values(), key=len, reverse=True):
        yield _group(cases, known)


def _group(cases: Sequence[TestCase], known: frozenset[str] | None) -> str:
    first = cases[0]
    frames = _FRAME.findall(first.detail)
    place = f" at {one_line(frames[-1][0])}:{frames[-1][1]}" if frames else ""
    word = "fails" if len(cases) == 1 else "fail"
    lines = [f"{number_of(len(cases), 'test')} {word}{place}: {one_line(first.message or first.status.value)}"]
    for case in cases[:_NAMED]:
        mark = " (newly failing)" if known is not None and case.id not in known else ""
        lines.append(f"  {one_line(case.id)}{mark}")
    if len(cases) > _NAMED:
        lines.append(f"  and {len(cases) - _NAMED} more")
    if first.detail:
        lines += ["  The first of them:" if len(cases) > 1 else "  In detail:", _indented(_trimmed(first))]
    return "\n".join(lines)


def _cause(case: TestCase) -> _Cause:
    """Failures raised at one place outside the test are one cause; so are exceptions that say the same.

    Failed assertions in a test say little of the cause: they belong together only at the same line.
    """
    stage, message = "", case.message
    if match := _STAGE.match(message):
        stage, message = match[1], match[2]
    match = _KIND.match(message)
    kind = match[1] if match else "AssertionError"
    frames = _FRAME.findall(case.detail)
    place = f"{frames[-1][0]}:{frames[-1][1]}" if frames else ""
    raised_elsewhere = bool(frames) and frames[-1][0] != case.id.partition("::")[0]
    if place and (raised_elsewhere or kind == "AssertionError"):
        return _Cause(kind=kind, shape=stage, place=place)
    return _Cause(kind=kind, shape=f"{stage} {_VARYING.sub('N', message)}", place="")


def _trimmed(case: TestCase) -> str:
    return excerpt(sanitise(case.detail).strip("\n") or one_line(case.message), _EXAMPLE)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def _capped(blocks: Sequence[str], footer: str, limit: int) -> str:
    """The blocks that fit, the first that does not cut to what is left, and how many more there are."""
    kept: list[str] = []
    left = limit - tokens(footer) - _NOTE
    for number, block in enumerate(blocks, 1):
        if tokens(block) <= left:
            kept.append(block)
            left -= tokens(block) + 1
            continue
        cut = left >= _WORTH_CUTTING
        kept += [excerpt(block, left)] if cut else []
        if rest := len(blocks) - number + (not cut):
            kept.append(f"{number_of(rest, 'more block')} of this report left out for its length.")
        break
    return "\n\n".join([*kept, footer] if footer else kept)
