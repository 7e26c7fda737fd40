"""What the judge found, and the rules by which test results become a verdict. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from agent.task import Mode
from agent.testreport import Status, TestReport

__all__ = ["CaseResult", "Verdict", "VerdictKind", "Witness", "shortfall", "targets_of"]


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
    """What a black-box case printed and returned on one tree; compared outside the sandbox."""

    exit_code: int
    output: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """An acceptance criterion on the base and on the result: red there and green here makes it a witness."""

    behaviour: str
    command: str
    base: CaseResult
    result: CaseResult

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
    passed, failing, skipped = report.ids(Status.PASSED), set(report.failing), report.ids(Status.SKIPPED)
    reasons = [f"{target} does not pass" for target in targets_of(mode, baseline) if not _passes(target, report)]
    for case_id in sorted(baseline.ids(Status.PASSED) - passed):
        how = "fails" if case_id in failing else "is skipped" if case_id in skipped else "is lost"
        reasons.append(f"{case_id} passed at the base and {how} on the result")
    old = set(baseline.failing) if mode == "change" else set()
    named = set(targets_of(mode, baseline)) | baseline.ids(Status.PASSED)
    reasons += [f"{case_id} fails" for case_id in sorted(failing - old - named)]
    if not passed:
        reasons.append("no test passed")
    if bool(failing) != (report.exit_code != 0):
        reasons.append(f"the exit code {report.exit_code} contradicts the report ({report})")
    return tuple(reasons)


def _passes(target: str, report: TestReport) -> bool:
    """Whether `target` passes; a file that could not be collected at the base passes when all of its tests do."""
    if "::" in target:
        return target in report.ids(Status.PASSED)
    inside = {case_id for case_id in report.ids() if case_id == target or case_id.startswith(target + "::")}
    return bool(inside & report.ids(Status.PASSED)) and not inside & set(report.failing)
