"""What the tests of the base are worth: which fail every time, which by chance, which for want of something. Pure.

A run of the suite says how each test ended once. Looking again at what failed, on the same tree and in the same
environment, tells a fault from chance: a test that ended in more than one way is flaky, and decides nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from agent.testreport import Again, Status, TestCase, TestReport
from agent.text import number_of

__all__ = [
    "ALIKE",
    "NOTHING_KNOWN",
    "SHORT",
    "UNLIKE",
    "Look",
    "Standing",
    "Standings",
    "classify",
    "family",
    "may_vary",
    "nothing_to_mend",
    "outcomes",
    "red_again",
    "selection_of",
    "standing",
    "wants",
    "without_names",
]

ALIKE, UNLIKE = 2, 20
"""How often failures are run again: where all runs are alike, and where anything about them differed.

A test that passes three times in ten fails three times in a row one time in three, but 21 times in a row one time in
1,800. Where ten such tests are in a suite, two runs hardly ever look the same; where none is, two are enough.
"""
SHORT = 2.0
"""Seconds of a suite that is run again as a whole: that takes no longer than to start it for a few tests, shows those
as well that passed by chance, and keeps the order on which some failures depend."""
MOST_IDS = 100
"""Tests that are named one by one to be run again; of more, their files are."""
_VARYING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+", re.IGNORECASE)
_NEVER_ALIKE = re.compile(
    r"0x[0-9a-f]{6,}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d{9,}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.IGNORECASE
)
"""Addresses, UUIDs and times: parts of an id by which no two runs of a suite may agree."""
_RED = (Status.FAILED, Status.ERROR)
_WORST_FIRST = (Status.FAILED, Status.PASSED, Status.XFAILED, Status.SKIPPED)


class Standing(StrEnum):
    """What a test of the base is worth as a measure."""

    PASSES = "stable pass"
    FAILS = "stable fail"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    ENVIRONMENTAL = "environmental"
    FLAKY = "flaky"
    UNSTABLE_ID = "unstable id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """What is known of the base's tests beside how they ended in its report."""

    flaky: frozenset[str] = frozenset()
    """Ids of tests that ended in more than one way."""
    environmental: Mapping[str, str] = field(default_factory=dict)
    """Why a test cannot pass in a sandbox whatever the code is, by its id."""
    unstable: frozenset[str] = frozenset()
    """Ids that differ from run to run, so that the same test has another one next time."""
    runs: int = 1
    """In each of which those tests failed that are said to fail."""
    whole: int = 1
    """How many of them were of the whole suite, in which those passed that are said to pass."""
    seen: Mapping[str, tuple[Status | None, ...]] = field(default_factory=dict)
    """How tests that were in doubt later on ended on the base, all runs of each."""

    @property
    def aside(self) -> frozenset[str]:
        """The ids that are no measure: what they show is neither to be mended nor a fault of the work."""
        return self.flaky | self.environmental.keys() | self.unstable

    def ended(self, case_id: str, status: Status) -> tuple[Status | None, ...]:
        """How a test that is reported as `status` ended in all runs of the base."""
        return self.seen.get(case_id) or (status,) * (self.runs if status is Status.FAILED else self.whole)

    def learning(self, again: Collection[Again]) -> "Standings":
        """With what later runs of the base have shown."""
        if not again:
            return self
        unstable = self.unstable.union(each.id for each in again if None in each.base)
        flaky = self.flaky.union(each.id for each in again if len(set(each.base) - {None}) > 1) - unstable
        return replace(
            self,
            flaky=flaky,
            environmental={name: why for name, why in self.environmental.items() if name not in flaky},
            unstable=unstable,
            seen={**self.seen, **{each.id: each.base for each in again if each.base}},
        )


NOTHING_KNOWN = Standings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One run of the base: of the whole suite, or of the ids and files `asked` for."""

    report: TestReport
    asked: tuple[str, ...] = ()

    def of(self, ids: Collection[str]) -> Mapping[str, Status | None]:
        """How each of `ids` ended that this run can say something of; None: it was not there, though its file was."""
        ended = outcomes(self.report)
        uncollected = {name for name in self.report.failing if "::" not in name}
        asked = frozenset(self.asked)
        found: dict[str, Status | None] = {}
        for case_id in ids:
            path = case_id.partition("::")[0]
            if case_id in ended:
                found[case_id] = ended[case_id]
            elif path in uncollected:
                found[case_id] = Status.FAILED
            elif not asked or path in asked:
                found[case_id] = None
        return found


def outcomes(report: TestReport) -> Mapping[str, Status]:
    """How each test and each file ended, errors as failures: an id that stands in the report twice as it ended worst.

    A file fails with any of its tests and passes with any that passes, so that one that could not be collected or was
    skipped as a whole can be compared with the tests that were found in it.
    """
    ended: dict[str, Status] = {}
    for case in report.cases:
        status = Status.FAILED if case.status is Status.ERROR else case.status
        for key in {case.id, case.id.partition("::")[0]}:
            ended[key] = min(ended.get(key, status), status, key=_WORST_FIRST.index)
    return ended


def classify(looks: Sequence[Look], reason: Callable[[TestCase], str]) -> Standings:
    """What `looks` at one tree show, the first of which is of the whole suite.

    `reason` says what a failed test lacked that no code can give it; empty if nothing.
    """
    first = looks[0].report
    ids = first.ids()
    seen = _seen(looks, ids)
    flaky = frozenset(case_id for case_id, ended in seen.items() if len(set(ended) - {None}) > 1)
    unstable = frozenset(case_id for look in looks[1:] for case_id in _replaced(first, look))
    environmental = {
        case.id: why for case in first.cases if case.status in _RED and case.id not in flaky and (why := reason(case))
    }
    return Standings(flaky=flaky - unstable, environmental=environmental, unstable=unstable)


def red_again(looks: Sequence[Look]) -> tuple[str, ...]:
    """The failures that are to be run again after `looks`: those that failed every time; none once that is enough."""
    first = looks[0].report
    seen = _seen(looks, first.ids())
    red = tuple(case_id for case_id in first.failing if set(seen[case_id]) <= {Status.FAILED, None})
    limit = UNLIKE if _differed(looks, seen, red) else ALIKE
    return red if len(looks) <= limit else ()


def may_vary(report: TestReport) -> tuple[str, ...]:
    """The ids that look as if they were others in the next run."""
    return tuple(case.id for case in report.cases if _NEVER_ALIKE.search(case.id))


def selection_of(ids: Collection[str], present: Collection[str]) -> tuple[str, ...]:
    """What to ask the test runner for to have `ids` run: those that are `present`, of others and of many their files.

    A runner that is asked for one test that is not there runs none of them.
    """
    exact = [case_id for case_id in ids if case_id in present and "\\u{" not in case_id and case_id.isprintable()]
    whole = exact if len(exact) <= MOST_IDS else []
    paths = dict.fromkeys(case_id.partition("::")[0] for case_id in ids if case_id not in whole)
    return (*paths, *(case_id for case_id in whole if case_id.partition("::")[0] not in paths))


def wants(standings: Standings) -> str:
    """What environmental tests lack, each want once, as `missing executable (git), name resolution`."""
    return ", ".join(sorted(set(standings.environmental.values())))


def nothing_to_mend(report: TestReport, standings: Standings) -> str:
    """Why no failure of `report` is one that a change of the code could mend."""
    failing = set(report.failing)
    environmental, flaky = failing & standings.environmental.keys(), failing & standings.flaky
    parts = []
    if environmental:
        parts.append(
            f"{number_of(len(environmental), 'test')} cannot pass in a sandbox ({wants(standings)}):"
            " tests that need a network or services are not supported"
        )
    if flaky:
        parts.append(f"{number_of(len(flaky), 'test')} failed in one run and passed in another one of the same files")
    return f"no failing test is one that a change of the code is known to mend: {'; '.join(parts)}"


def standing(case: TestCase, standings: Standings) -> Standing:
    """What one test of the base's report is worth."""
    if case.id in standings.unstable:
        return Standing.UNSTABLE_ID
    if case.id in standings.flaky:
        return Standing.FLAKY
    if case.id in standings.environmental:
        return Standing.ENVIRONMENTAL
    return _PLAIN[case.status]


_PLAIN = {
    Status.PASSED: Standing.PASSES,
    Status.FAILED: Standing.FAILS,
    Status.ERROR: Standing.FAILS,
    Status.SKIPPED: Standing.SKIPPED,
    Status.XFAILED: Standing.XFAILED,
}


def family(case_id: str) -> str:
    """What ids of one test have in common that differ from run to run: its name without parameters and numbers."""
    name, bracket, _ = case_id.partition("[")
    return _VARYING.sub("N", name) + bracket


def without_names(text: str, ids: Iterable[str]) -> str:
    """`text` with each of the tests `ids` called by its file alone."""
    for case_id in sorted(ids, key=len, reverse=True):
        if "::" in case_id and case_id in text:
            stand_in = f"a flaky test of {case_id.partition('::')[0]}".replace("\\", r"\\")
            text = re.sub(rf"{re.escape(case_id)}(?![\w\[:])", stand_in, text)
    return text


def _seen(looks: Sequence[Look], ids: Collection[str]) -> Mapping[str, list[Status | None]]:
    """How each of `ids` ended, look by look."""
    seen: dict[str, list[Status | None]] = {case_id: [] for case_id in ids}
    for look in looks:
        for case_id, status in look.of(ids).items():
            seen[case_id].append(status)
    return seen


def _differed(looks: Sequence[Look], seen: Mapping[str, list[Status | None]], red: Collection[str]) -> bool:
    """Whether any two looks differ in how a test ended, or in what the tests `red` say."""
    if any(len(set(ended)) > 1 for ended in seen.values()):
        return True
    said: dict[str, list[str]] = {}
    for look in looks:
        for case in look.report.cases:
            said.setdefault(case.id, []).append(_shape(case.message))
    return any(len(set(said[case_id])) > 1 for case_id in red)


def _shape(message: str) -> str:
    """What a failure says, but for numbers and for the order of its words, which a set has none of."""
    return " ".join(sorted(re.findall(r"\w+", _VARYING.sub("N", message))))


def _replaced(first: TestReport, look: Look) -> Iterable[str]:
    """The ids of `first` in the place of which `look` has others of the same family."""
    ids = first.ids()
    new = Counter(family(case_id) for case_id in look.report.ids() - ids)
    return (case_id for case_id, ended in look.of(ids).items() if ended is None and new[family(case_id)])
