"""What the judge found, and the rules by which test results become a verdict. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from agent.suspicions import Suspicion
from agent.task import Mode
from agent.testreport import Status, TestReport

__all__ = ["UNSEEN", "CaseResult", "Verdict", "VerdictKind", "Witness", "flagged", "shortfall", "targets_of"]

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


def targets_of(mode: Mode, baseline: TestReport) -> tuple[str, ...]:
    """The ids that must pass in the end although they fail at the base: all of them under `fix` and `new`."""
    return () if mode == "change" else baseline.failing


def shortfall(mode: Mode, baseline: TestReport, report: TestReport) -> tuple[str, ...]:
    """What `report` lacks to be green against `baseline`: reasons for people and models, none if it is green.

    Targets pass; what passed at the base passes still; no id is lost or newly skipped; nothing else fails; the exit
    code agrees. Under `change` the failures of the base are old: they may stay.
    """
    if report.problem:
        return (f"there is no trustworthy test result: {report.problem}",)
    targets, failing = targets_of(mode, baseline), set(report.failing)
    before, after = _standings(baseline), _standings(report)
    reasons = [f"{target} does not pass" for target in targets if after.get(target) is not Status.PASSED]
    for case_id in sorted(baseline.ids() - set(targets)):
        was, now = before[case_id], after.get(case_id)
        if now not in _TOLERATED[was]:
            reasons.append(f"{case_id} {was} at the base and {_HOW[now]} on the result")
    named = {case_id for case_id in baseline.ids() if before[case_id] in (Status.PASSED, Status.FAILED)}
    reasons += [f"{case_id} fails" for case_id in sorted(failing - named)]
    if not report.ids(Status.PASSED):
        reasons.append("no test passed")
    if bool(failing) != (report.exit_code != 0):
        reasons.append(f"the exit code {report.exit_code} contradicts the report ({report})")
    return tuple(reasons)


_WORST_FIRST = (Status.FAILED, Status.PASSED, Status.XFAILED, Status.SKIPPED)
_HOW = {
    Status.FAILED: "fails",
    Status.XFAILED: "is expected to fail",
    Status.SKIPPED: "is skipped",
    None: "is lost",
}
_TOLERATED: dict[Status, tuple[Status, ...]] = {
    Status.PASSED: (Status.PASSED,),
    Status.FAILED: (Status.PASSED, Status.FAILED),
    Status.XFAILED: (Status.PASSED, Status.FAILED, Status.XFAILED),
    Status.SKIPPED: (Status.PASSED, Status.FAILED, Status.XFAILED, Status.SKIPPED),
}
"""What a test that is no target may show after what it showed at the base; each failure has a rule of its own."""


def _standings(report: TestReport) -> dict[str, Status]:
    """How each test and each file ended: an id that stands in the report twice as it ended worst.

    A file fails with any of its tests and passes with any that passes, so that one that could not be collected or was
    skipped as a whole can be compared with the tests that were found in it.
    """
    standings: dict[str, Status] = {}
    for case in report.cases:
        status = Status.FAILED if case.status is Status.ERROR else case.status
        for key in {case.id, case.id.partition("::")[0]}:
            standings[key] = min(standings.get(key, status), status, key=_WORST_FIRST.index)
    return standings
