"""The judge: a verdict on the tree that was tested last, from fresh containers and the original tests.

The suite and the acceptance criteria are run apart from the working container. A criterion is a black-box case: its
command runs in the sandbox, and what it printed is compared here, where code in the sandbox cannot reach.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from shlex import quote

from agent.bench import Bench, build_script, no_environment
from agent.control import control_of
from agent.events import Event, VerdictReached
from agent.state import RunState
from agent.suspecting import Suspects
from agent.suspicions import Policy, Suspicion
from agent.task import Criterion
from agent.testreport import TestReport
from agent.text import decode, excerpt
from agent.trees import Blob
from agent.verdict import CaseResult, Verdict, VerdictKind, Witness, shortfall
from sandbox import Command, SetupFailed

__all__ = ["Judge"]

CASE_SECONDS = 30
CONTROL_SECONDS = 30.0
"""Of the tests' own time: where the suite takes longer, the quickest files are controlled, as many as fit."""
OUTPUT_LIMIT = 2_000
"""Characters kept of what a case printed."""
FILES = ("100644", "100755")
SHOWN = 3


@dataclass(slots=True, kw_only=True)
class Judge:
    """Decides; only a passed verdict is green."""

    bench: Bench
    _suspects: Suspects = field(init=False)
    _base_results: dict[tuple[str, tuple[Criterion, ...]], tuple[CaseResult, ...]] = field(
        default_factory=dict, init=False
    )

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
        if reasons := shortfall(state.started.task.mode, state.baseline, found.report) or self._corrected(state, tree):
            return replace(found, reasons=reasons)
        return self._weighed(state, found)

    def _weighed(self, state: RunState, found: Verdict) -> Verdict:
        """The verdict on a tree whose suite passes."""
        mode, opened = state.started.task.mode, review(state)
        suspected = self._suspects.of(state, found.tree)
        found = replace(found, suspicions=suspected.found, notes=lenience(suspected.laxer))
        if refused := _leading_to(Policy.REFUSE, suspected.found):
            return replace(found, kind=VerdictKind.SUSPECT, reasons=refused)
        if mode != "fix":
            found = replace(found, witnesses=self._witnesses(state, found.tree))
            if reasons := unproven(found.witnesses):
                return replace(found, kind=VerdictKind.UNPROVEN, reasons=reasons)
        if not self.bench.place.isolated:
            reason = "the tests passed, but nothing isolated them: a local sandbox proves nothing"
            return replace(found, kind=VerdictKind.UNPROVEN, reasons=(reason,), environment="")
        suspects, covered = self._control(state, found)
        found = replace(found, control=covered)
        if suspects:
            return replace(found, kind=VerdictKind.SUSPECT, reasons=suspects)
        if doubtful := (() if mode == "new" else opened) + _leading_to(Policy.REVIEW, suspected.found):
            return replace(found, kind=VerdictKind.NEEDS_REVIEW, reasons=doubtful)
        return replace(found, kind=VerdictKind.PASSED, notes=found.notes + opened)

    def _control(self, state: RunState, found: Verdict) -> tuple[tuple[str, ...], str]:
        """Why the passes cannot be believed, and what the control covered."""
        report, cwd = found.report or TestReport(), state.started.task.cwd
        trees = self.bench.place.workspace.trees
        entries, prefix = trees.entries(found.tree), f"{cwd}/" if cwd else ""

        def read(path: str) -> bytes | None:
            entry = entries.get(prefix + path)
            return trees.blob(entry.oid) if entry is not None and entry.mode in FILES else None

        control = control_of(_within_time(report), read)
        if not control.files:
            return (), "no test could be made to fail"
        changes = {prefix + path: Blob(mode="100644", data=file.source) for path, file in control.files.items()}
        made = self.bench.run_control(state, trees.build(found.tree, changes), tuple(control.files))
        left_out = control.left_out(made)
        suspects = control.suspects(made)
        covered = f"{control.tests} tests made to fail, {len(suspects) or 'none'} of which passed"
        if left_out:
            covered += f" (without {', '.join(left_out[:SHOWN])}{' and others' if left_out[SHOWN:] else ''})"
        return tuple(f"{case_id} passes although it was made to fail" for case_id in suspects), covered

    def _corrected(self, state: RunState, tree: str) -> tuple[str, ...]:
        """Why tests that were opened and changed prove nothing: they do not fail where there is no code yet."""
        place = self.bench.place
        changed = place.workspace.changed(state.witness_tree, tree)
        opened = [each.path for each in state.unsealed if each.path in changed]
        if not opened:
            return ()
        entries = place.workspace.trees.entries(tree)
        without_code = place.workspace.trees.graft(state.witness_tree, {path: entries.get(path) for path in opened})
        report = self.bench.run_fresh(state, without_code)
        return tuple(reason for path in opened if (reason := _proves_nothing(path, report, state.started.task.cwd)))

    def _witnesses(self, state: RunState, tree: str) -> tuple[Witness, ...]:
        criteria = state.plan.criteria if state.plan else ()
        if not criteria:
            return ()
        key = (state.witness_tree, criteria)
        if key not in self._base_results:
            self._base_results[key] = self._run_cases(state, state.witness_tree, criteria)
        results = self._run_cases(state, tree, criteria)
        return tuple(
            Witness(behaviour=criterion.behaviour, command=criterion.command, base=base, result=result)
            for criterion, base, result in zip(criteria, self._base_results[key], results, strict=True)
        )

    def _run_cases(self, state: RunState, tree: str, criteria: tuple[Criterion, ...]) -> tuple[CaseResult, ...]:
        """Each criterion's command on `tree`, all in one fresh container, each in a copy of its own."""
        recipe = self.bench.place.recipe(tree, state)
        result = self.bench.place.execute_fresh(
            state,
            tree,
            Command(
                script=build_script(recipe) + "".join(_case_script(n, case) for n, case in enumerate(criteria)),
                timeout=self.bench.timeout + CASE_SECONDS * len(criteria),
                cwd=state.started.task.cwd,
                collect=tuple(f"case-{n}.{part}" for n in range(len(criteria)) for part in ("out", "code")),
            ),
        )
        return tuple(
            _case_result(criterion, result.files.get(f"case-{n}.code"), result.files.get(f"case-{n}.out"))
            for n, criterion in enumerate(criteria)
        )


def _within_time(report: TestReport) -> TestReport:
    """The tests of the quickest files that together took no longer than a control may."""
    seconds: dict[str, float] = {}
    for case in report.cases:
        path = case.id.partition("::")[0]
        seconds[path] = seconds.get(path, 0.0) + case.seconds
    kept: set[str] = set()
    total = 0.0
    for path in sorted(seconds, key=lambda path: seconds[path]):
        total += seconds[path]
        if kept and total > CONTROL_SECONDS:
            break
        kept.add(path)
    return replace(report, cases=tuple(case for case in report.cases if case.id.partition("::")[0] in kept))


def unproven(witnesses: tuple[Witness, ...]) -> tuple[str, ...]:
    """Why the witnesses do not prove the request: criteria that fail on the result, or none that failed before.

    A criterion that held already and holds still proves nothing, and is no reason against either.
    """
    reasons = [
        f"`{witness.command}` does not show: {witness.behaviour} (exit code {witness.result.exit_code}, "
        f"printed {excerpt(witness.result.output, 300)!r})"
        for witness in witnesses
        if not witness.result.holds
    ]
    if not reasons and not any(witness.proves for witness in witnesses):
        reasons.append("no acceptance criterion failed before the change and holds after it: there is no witness")
    return tuple(reasons)


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


def _case_script(number: int, criterion: Criterion) -> str:
    """Run in a copy, so that no case sees what another one wrote."""
    out = f"$GREENWARD_OUT/case-{number}"
    command = f"env -u GREENWARD_OUT timeout -k 1 {CASE_SECONDS} sh -c {quote(criterion.command)}"
    return f"""
copy=$(mktemp -d) && cp -a . "$copy" && ( cd "$copy" && {command} ) >"{out}.out" 2>&1 </dev/null
echo $? >"{out}.code"
rm -rf "$copy"
"""


def _case_result(criterion: Criterion, code: bytes | None, output: bytes | None) -> CaseResult:
    text = decode(output or b"")
    exit_code = int(code) if code and code.strip().isdigit() else -1
    holds = exit_code == criterion.exit_code and _squeezed(criterion.output) in _squeezed(text)
    return CaseResult(exit_code=exit_code, output=excerpt(text, OUTPUT_LIMIT), holds=holds)


def _squeezed(text: str) -> str:
    """`text` without differences in white space, which no criterion is about."""
    return " ".join(text.split())
