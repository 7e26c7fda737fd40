"""The judge: a verdict on the tree that was tested last, from fresh containers and the original tests.

The suite and the acceptance criteria (`agent.witnesses`) are run apart from the working container.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from agent.bench import Bench, no_environment
from agent.control import Control, control_of
from agent.events import Event, VerdictReached
from agent.settling import settled_by_judge
from agent.state import RunState
from agent.suspecting import Suspects
from agent.suspicions import Policy, Suspicion
from agent.testreport import Status, TestReport
from agent.trees import Blob
from agent.verdict import Verdict, VerdictKind
from agent.witnesses import Witnesses, unproven
from sandbox import SetupFailed

__all__ = ["Judge"]

CONTROL_SECONDS = 30.0
"""Of the tests' own time: where the suite takes longer, the quickest files are controlled, as many as fit."""
TWICE = 2
"""A test and its twin."""
FAILURE_SECONDS = 0.005
"""That a test takes besides its own time if it fails: pytest goes through the traceback, whether it is shown or not."""
FILES = ("100644", "100755")
SHOWN = 3


@dataclass(slots=True, kw_only=True)
class Judge:
    """Decides; only a passed verdict is green."""

    bench: Bench
    witnesses: Witnesses
    _suspects: Suspects = field(init=False)

    def __post_init__(self) -> None:
        self._suspects = Suspects(self.bench.place)

    def judge(self, state: RunState) -> Iterator[Event]:
        """The verdict on the tested tree."""
        began = time.monotonic()
        verdict = self._verdict(state, state.tested_tree)
        yield VerdictReached(verdict=replace(verdict, seconds=time.monotonic() - began))

    def _verdict(self, state: RunState, tree: str) -> Verdict:
        """What the sealed files and the suite show, and if they show nothing against it, what the rest does."""
        place, found = self.bench.place, Verdict(kind=VerdictKind.FAILED, tree=tree)
        try:
            environment, recipe = place.prepare(state, tree)
        except SetupFailed as error:
            if tree == state.base:
                raise
            return replace(found, reasons=(no_environment(error).problem,))
        found = replace(found, environment=environment.id, test=recipe.test)
        if broken := place.violations(state, tree):
            return replace(found, reasons=broken)
        found = replace(found, report=self.bench.run_fresh(state, tree))
        if state.baseline is None or found.report is None:
            return replace(found, kind=VerdictKind.ERROR, reasons=("there is no baseline",))
        settled = settled_by_judge(self.bench, state, tree, state.baseline, found.report)
        found = replace(found, report=settled.report, notes=settled.notes)
        if reasons := settled.against or self._corrected(state, tree):
            return replace(found, reasons=(*reasons, *settled.unsure))
        return self._weighed(state, found, settled.unsure)

    def _weighed(self, state: RunState, found: Verdict, unsure: tuple[str, ...]) -> Verdict:
        """The verdict on a tree whose suite passes, but for what is `unsure` because it wavers."""
        mode, opened = state.started.task.mode, review(state)
        suspected = self._suspects.of(state, found.tree)
        found = replace(found, suspicions=suspected.found, notes=found.notes + lenience(suspected.laxer))
        refused = _leading_to(Policy.REFUSE, suspected.found)
        if refused and not state.tests_are_free:
            return replace(found, kind=VerdictKind.SUSPECT, reasons=refused + unsure)
        if mode != "fix":
            found = replace(found, witnesses=self.witnesses.of(state, found))
            if reasons := unproven(found.witnesses):
                return replace(found, kind=VerdictKind.UNPROVEN, reasons=reasons + unsure)
        if not self.bench.place.isolated:
            reason = "the tests passed, but nothing isolated them: a local sandbox proves nothing"
            return replace(found, kind=VerdictKind.UNPROVEN, reasons=(reason, *unsure), environment="")
        suspects, covered = self._control(state, found)
        found = replace(found, control=covered)
        if suspects:
            return replace(found, kind=VerdictKind.SUSPECT, reasons=suspects + unsure)
        by_the_user = (*opened, *self._originals(state, found.tree)) if opened and mode != "new" else ()
        if doubtful := unsure + by_the_user + refused + _leading_to(Policy.REVIEW, suspected.found):
            return replace(found, kind=VerdictKind.NEEDS_REVIEW, reasons=doubtful)
        return replace(found, kind=VerdictKind.PASSED, notes=found.notes + opened)

    def _control(self, state: RunState, found: Verdict) -> tuple[tuple[str, ...], str]:
        """Why the passes cannot be believed, and what the control covered."""
        report = found.report or TestReport()
        control = control_of(_within_time(_reliable(state, report), _targets(state)), self._reader(state, found.tree))
        if not control.files:
            return (), "no test could be made to fail"
        made = self._sabotaged(state, found.tree, control)
        flaky, suspects = _by_chance(state, report), control.suspects(made)
        insensible = tuple(each for each in control.insensible(made) if each not in flaky)
        before = self._before(state, control, (*suspects, *insensible))
        unfailing = frozenset(control.suspects(before)).intersection(suspects)
        always = unfailing.union(control.insensible(before)).intersection((*suspects, *insensible))
        reasons = [f"{case_id} passes although it was made to fail" for case_id in suspects if case_id not in unfailing]
        reasons += [f"{case_id} passes whatever values it expects" for case_id in insensible if case_id not in always]
        return tuple(reasons), _covered(control, made, always)

    def _sabotaged(self, state: RunState, tree: str, control: Control) -> TestReport:
        """The report of the tests of `tree`, made to fail."""
        cwd, trees = state.started.task.cwd, self.bench.place.workspace.trees
        prefix = f"{cwd}/" if cwd else ""
        changes = {prefix + path: Blob(mode="100644", data=file.source) for path, file in control.files.items()}
        return self.bench.run_control(state, trees.build(tree, changes), tuple(control.files))

    def _before(self, state: RunState, control: Control, doubtful: tuple[str, ...]) -> TestReport:
        """What the `doubtful` tests showed in this way before anything was changed: what is so then is no fault."""
        known = state.baseline.ids(Status.PASSED).intersection(doubtful) if state.baseline else frozenset()
        if not known:
            return TestReport()
        paths = {case_id.partition("::")[0] for case_id in known}
        files = {path: file for path, file in control.files.items() if path in paths}
        return self._sabotaged(state, state.base, Control(files=files))

    def _reader(self, state: RunState, tree: str) -> Callable[[str], bytes | None]:
        """Gives a file of `tree` by its path from the project's directory."""
        trees, cwd = self.bench.place.workspace.trees, state.started.task.cwd
        entries, prefix = trees.entries(tree), f"{cwd}/" if cwd else ""

        def read(path: str) -> bytes | None:
            entry = entries.get(prefix + path)
            return trees.blob(entry.oid) if entry is not None and entry.mode in FILES else None

        return read

    def _originals(self, state: RunState, tree: str) -> tuple[str, ...]:
        """What the user's tests that were opened show of the result as they were before."""
        trees, paths = self.bench.place.workspace.trees, {each.path for each in state.unsealed}
        before = trees.entries(state.base)
        as_before = trees.graft(tree, {path: before[path] for path in paths if path in before})
        if as_before == tree:
            return ()
        report = self.bench.run_fresh(state, as_before)
        failing = [f"as it was before, {case_id} fails" for case_id in report.failing]
        return tuple(failing) or (f"with the opened tests as they were before: {report}",)

    def _corrected(self, state: RunState, tree: str) -> tuple[str, ...]:
        """Why tests that were opened and changed prove nothing: they do not fail where there is no code yet.

        Those of the user are for a person to look at.
        """
        place = self.bench.place
        if state.started.task.mode != "new":
            return ()
        changed = place.workspace.changed(state.witness_tree, tree)
        opened = [each.path for each in state.unsealed if each.path in changed]
        if not opened:
            return ()
        entries = place.workspace.trees.entries(tree)
        without_code = place.workspace.trees.graft(state.witness_tree, {path: entries.get(path) for path in opened})
        report = self.bench.run_fresh(state, without_code)
        return tuple(reason for path in opened if (reason := _proves_nothing(path, report, state.started.task.cwd)))


def _reliable(state: RunState, report: TestReport) -> TestReport:
    """`report` without the tests that end by chance, which show nothing by failing either."""
    flaky = _by_chance(state, report)
    return replace(report, cases=tuple(case for case in report.cases if case.id not in flaky))


def _by_chance(state: RunState, report: TestReport) -> frozenset[str]:
    """The tests that were seen both ways on the base.

    What the work alone makes waver is not excused: else whoever fakes passes would have a way around the control.
    """
    return state.standings.learning(report.again).flaky


def _targets(state: RunState) -> frozenset[str]:
    """The files of the tests that were to be mended, or that are new."""
    before = state.baseline.ids(Status.PASSED) if state.baseline else frozenset()
    report = state.report or TestReport()
    return frozenset(case_id.partition("::")[0] for case_id in report.ids(Status.PASSED) - before)


def _within_time(report: TestReport, first: frozenset[str]) -> TestReport:
    """The tests of the files `first`, and of the quickest that together took no longer than a control may."""
    seconds: dict[str, float] = {}
    for case in report.cases:
        path = case.id.partition("::")[0]
        seconds[path] = seconds.get(path, 0.0) + TWICE * (case.seconds + FAILURE_SECONDS)
    kept: set[str] = set()
    total = 0.0
    for path in sorted(seconds, key=lambda path: (path not in first, seconds[path])):
        total += seconds[path]
        if kept and total > CONTROL_SECONDS:
            break
        kept.add(path)
    return replace(report, cases=tuple(case for case in report.cases if case.id.partition("::")[0] in kept))


def _covered(control: Control, made: TestReport, always: frozenset[str]) -> str:
    """What the control covered, in words."""
    suspects, insensible, left_out = control.suspects(made), control.insensible(made), control.left_out(made)
    covered = f"{control.tests} tests made to fail, {len(suspects) or 'none'} of which passed"
    if control.twins:
        covered += f"; {control.twins} with other values expected, {len(insensible) or 'none'} of which passed"
    if always:
        covered += f" ({len(always)} did so before the work, too)"
    if left_out:
        covered += f" (without {', '.join(left_out[:SHOWN])}{' and others' if left_out[SHOWN:] else ''})"
    return covered


def _proves_nothing(path: str, report: TestReport, cwd: str) -> str:
    """Why the opened file at `path` proves nothing after it was changed; empty if it fails without the code."""
    name = path.removeprefix(f"{cwd}/") if cwd else path
    of_file = {case_id for case_id in report.ids() if case_id.partition("::")[0] == name}
    if report.problem:
        return f"{path} was opened and changed, and without the code there is no test result: {report.problem}"
    if not (of_file or report.ids()).intersection(report.failing):
        return f"{path} was opened and changed, and passes without the code that it is to test"
    return ""


def review(state: RunState) -> tuple[str, ...]:
    """What a person has to look at before the result can be called green."""
    return tuple(f"the test file {opened.path} was opened for changes: {opened.reason}" for opened in state.unsealed)


def lenience(laxer: tuple[str, ...]) -> tuple[str, ...]:
    """A note that says where the repository asks for less than the defaults; none if it does not."""
    return (f"the repository's own settings are laxer than the defaults: {'; '.join(laxer)}",) if laxer else ()


def _leading_to(policy: Policy, suspicions: tuple[Suspicion, ...]) -> tuple[str, ...]:
    return tuple(str(each) for each in suspicions if each.policy is policy)
