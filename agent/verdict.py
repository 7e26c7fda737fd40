"""What the judge found, and the rules by which test results become a verdict. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent.baseline import NOTHING_KNOWN, Standings, family, outcomes
from agent.suspicions import Suspicion
from agent.task import Mode
from agent.testreport import Status, TestReport

__all__ = [
    "UNSEEN",
    "CaseResult",
    "Difference",
    "Verdict",
    "VerdictKind",
    "Witness",
    "differences",
    "flagged",
    "shortfall",
    "targets_of",
]

UNSEEN = "no judge can tell whether values are hard-coded for inputs that no test or criterion varies"
"""What a green verdict does not show, for whoever reads one."""


class VerdictKind(StrEnum):
    """Only `passed` is green."""

    PASSED = "passed"
    FAILED = "failed"
    UNPROVEN = "unproven"
    NEEDS_REVIEW = "needs review"
    SUSPECT = "suspect"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of a criterion on one tree: of a black-box case, compared outside the sandbox, or of a test."""

    exit_code: int
    output: str
    holds: bool
    files: tuple[str, ...] = ()
    """What is wrong with the files that it left, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """An acceptance criterion on the base and on the result: red there and green here makes it a witness."""

    behaviour: str
    command: str
    """The command that was run, or the id of the test."""
    base: CaseResult
    result: CaseResult
    guards: bool = False
    """Whether it was to hold on the base already."""

    @property
    def proves(self) -> bool:
        return self.result.holds and not self.base.holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judge's finding on one tree, with reasons that name tests and criteria."""

    kind: VerdictKind
    tree: str
    reasons: tuple[str, ...] = ()
    report: TestReport | None = None
    witnesses: tuple[Witness, ...] = ()
    environment: str = ""
    """The image's digest; empty if nothing isolated the run, which then proves nothing."""
    test: str = ""
    """The command that decided."""
    seconds: float = 0.0
    control: str = ""
    """What the second run, with the tests made to fail, covered."""
    notes: tuple[str, ...] = ()
    """What a reader should know of a verdict that it does not change."""
    suspicions: tuple[Suspicion, ...] = ()
    """What was found in the changes themselves, with what each led to."""

    @property
    def flagged(self) -> tuple[str, ...]:
        """The suspicions that are no reason of the verdict, as sentences."""
        return flagged(self.suspicions, self.reasons)


def flagged(suspicions: tuple[Suspicion, ...], reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `suspicions` that do not stand among `reasons`, as sentences."""
    return tuple(said for each in suspicions if (said := str(each)) not in reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that a report lacks to be green."""

    reason: str
    """For people and models."""
    id: str = ""
    """The test that it is about; empty if it is the run as a whole."""
    good: frozenset[Status] = frozenset()
    """How that test may end."""
    target: bool = False
    """Whether it was to be mended."""


def targets_of(mode: Mode, baseline: TestReport, standings: Standings = NOTHING_KNOWN) -> tuple[str, ...]:
    """The ids that must pass in the end although they fail at the base: all that fail every time, but under `change`.

    What fails by chance, or for want of something that no code can give it, is nobody's to mend.
    """
    return () if mode == "change" else tuple(name for name in baseline.failing if name not in standings.aside)


def shortfall(
    mode: Mode, baseline: TestReport, report: TestReport, standings: Standings = NOTHING_KNOWN
) -> tuple[str, ...]:
    """What `report` lacks to be green against `baseline`: reasons for people and models, none if it is green."""
    return tuple(each.reason for each in differences(mode, baseline, report, standings))


def differences(
    mode: Mode, baseline: TestReport, report: TestReport, standings: Standings = NOTHING_KNOWN
) -> tuple[Difference, ...]:
    """What `report` lacks to be green against `baseline`, one by one.

    Targets pass; what passed at the base passes still; no id is lost or newly skipped; nothing else fails; the exit
    code agrees. Under `change` the failures of the base are old: they may stay. What is flaky or environmental at the
    base may pass or fail, and is not lost; of ids that differ from run to run there are as many, and as many pass.
    """
    if report.problem:
        return (Difference(reason=f"there is no trustworthy test result: {report.problem}"),)
    targets, failing = targets_of(mode, baseline, standings), set(report.failing)
    before, after = outcomes(baseline), outcomes(report)
    found = [
        Difference(reason=f"{name} does not pass", id=name, good=_PASSES, target=True)
        for name in targets
        if after.get(name) is not Status.PASSED
    ]
    for name in sorted(baseline.ids() - set(targets) - standings.unstable):
        was, now = before[name], after.get(name)
        good = _ALL if name in standings.flaky else _TOLERATED[was]
        if name in standings.environmental:
            good |= _EITHER
        if now not in good:
            found.append(
                Difference(reason=f"{name} {was} at the base and {_HOW[now]} on the result", id=name, good=good)
            )
    varying = {family(name) for name in standings.unstable}
    named = {name for name in baseline.ids() if before[name] in _EITHER or name in standings.aside}
    found += [
        Difference(reason=f"{name} fails", id=name, good=_ALL - {Status.FAILED})
        for name in sorted(failing - named)
        if family(name) not in varying
    ]
    found += map(_whole, _varying(mode, baseline, report, standings))
    if not report.ids(Status.PASSED):
        found.append(_whole("no test passed"))
    if bool(failing) != (report.exit_code != 0):
        found.append(_whole(f"the exit code {report.exit_code} contradicts the report ({report})"))
    return tuple(found)


def _whole(reason: str) -> Difference:
    return Difference(reason=reason)


def _varying(mode: Mode, baseline: TestReport, report: TestReport, standings: Standings) -> Iterator[str]:
    """What is wrong with tests whose ids differ from run to run, which can only be counted."""
    stable = baseline.ids() - standings.unstable
    before, after = _counted(baseline, stable), _counted(report, stable)
    for name in sorted({family(case_id) for case_id in standings.unstable}):
        was, now = before[name], after[name]
        if now.total() < was.total():
            yield f"{name}: {was.total() - now.total()} of {was.total()} tests whose ids vary are lost"
        elif now[Status.PASSED] < was[Status.PASSED]:
            passing, passed = now[Status.PASSED], was[Status.PASSED]
            yield f"{name}: {passing} of the tests whose ids vary pass, and {passed} did at the base"
        elif now[Status.FAILED] > (was[Status.FAILED] if mode == "change" else 0):
            yield f"{name}: {now[Status.FAILED]} of the tests whose ids vary fail"


def _counted(report: TestReport, stable: Collection[str]) -> Mapping[str, Counter[Status]]:
    """How many tests of each family ended how, without the ids in `stable`."""
    counted: dict[str, Counter[Status]] = defaultdict(Counter)
    for case in report.cases:
        if case.id not in stable:
            counted[family(case.id)][Status.FAILED if case.status is Status.ERROR else case.status] += 1
    return counted


_HOW = {
    Status.FAILED: "fails",
    Status.XFAILED: "is expected to fail",
    Status.SKIPPED: "is skipped",
    None: "is lost",
}
_PASSES = frozenset({Status.PASSED})
_EITHER = frozenset({Status.PASSED, Status.FAILED})
_ALL = frozenset({*_EITHER, Status.XFAILED, Status.SKIPPED})
_TOLERATED: Mapping[Status, frozenset[Status]] = {
    Status.PASSED: _PASSES,
    Status.FAILED: _EITHER,
    Status.XFAILED: _ALL - {Status.SKIPPED},
    Status.SKIPPED: _ALL,
}
"""What a test that is no target may show after what it showed at the base; each failure has a rule of its own."""
