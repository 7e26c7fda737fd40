"""Acceptance criteria on the base and on the result: what fails there and holds here shows that the request is done.

A criterion is a black-box case or a test. The command of a case runs in the sandbox, in a copy of its own, and what it
printed and left is compared here, where code in the sandbox cannot reach.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from shlex import quote

from agent.bench import Bench, build_script
from agent.state import RunState
from agent.task import Criterion, LeftFile
from agent.testreport import Status, TestReport
from agent.text import decode, excerpt
from agent.verdict import CaseResult, Verdict, Witness
from sandbox import Command

__all__ = ["Witnesses", "unproven"]

CASE_SECONDS = 30
FILE_BYTES = 64 * 1024
"""Looked at of a file that a case leaves."""
OUTPUT_LIMIT = 2_000
"""Characters kept of what a case printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Runs criteria. What came of them on the base is run once."""

    bench: Bench
    _known: dict[tuple[str, tuple[Criterion, ...]], tuple[CaseResult, ...]] = field(default_factory=dict, init=False)

    def of(self, state: RunState, found: Verdict) -> tuple[Witness, ...]:
        """Each criterion of the plan on the base and on the tree that was judged."""
        criteria = state.plan.criteria if state.plan else ()
        cases = tuple(each for each in criteria if each.command)
        base, result = iter(self.before(state, cases)), iter(self._run(state, found.tree, cases))
        tests = [each.test for each in criteria if not each.command]
        without, after = self._without_code(state, found.tree, tests), found.report or TestReport()
        return tuple(
            Witness(
                behaviour=each.behaviour,
                command=each.shown_by,
                guards=each.before == "holds",
                base=next(base) if each.command else _of_test(each.test, without),
                result=next(result) if each.command else _of_test(each.test, after),
            )
            for each in criteria
        )

    def before(self, state: RunState, cases: tuple[Criterion, ...]) -> tuple[CaseResult, ...]:
        """What comes of black-box cases where the work has not been done."""
        key = (state.witness_tree, cases)
        if key not in self._known:
            self._known[key] = self._run(state, state.witness_tree, cases)
        return self._known[key]

    def _without_code(self, state: RunState, tree: str, tests: list[str]) -> TestReport:
        """The report of the files of `tests`, as they are in `tree`, where the work has not been done."""
        if not tests:
            return TestReport()
        cwd, trees = state.started.task.cwd, self.bench.place.workspace.trees
        names = {test.partition("::")[0] for test in tests}
        paths = {f"{cwd}/{name}" if cwd else name for name in names}
        entries = trees.entries(tree)
        grafted = trees.graft(state.witness_tree, {path: entries[path] for path in paths if path in entries})
        if grafted == state.witness_tree and state.baseline is not None:
            return state.baseline
        return self.bench.run_control(state, grafted, sorted(names))

    def _run(self, state: RunState, tree: str, cases: tuple[Criterion, ...]) -> tuple[CaseResult, ...]:
        """Each case on `tree`, all in one fresh container, each in a copy of its own."""
        if not cases:
            return ()
        recipe = self.bench.place.recipe(tree, state)
        result = self.bench.place.execute_fresh(
            state,
            tree,
            Command(
                script=build_script(recipe) + "".join(_script(number, case) for number, case in enumerate(cases)),
                timeout=self.bench.timeout + CASE_SECONDS * len(cases),
                cwd=state.started.task.cwd,
                collect=tuple(name for number, case in enumerate(cases) for name in _collected(number, case)),
            ),
        )
        return tuple(_result(number, case, result.files) for number, case in enumerate(cases))


def unproven(witnesses: tuple[Witness, ...]) -> tuple[str, ...]:
    """Why the witnesses do not prove the request, criterion by criterion; none if each that is to prove something does.

    A criterion that was to hold already proves nothing, and has only to hold still.
    """
    reasons = [reason for witness in witnesses if (reason := _lack(witness))]
    if not reasons and not any(witness.proves for witness in witnesses):
        reasons.append("no acceptance criterion failed before the change and holds after it: there is no witness")
    return tuple(reasons)


def _lack(witness: Witness) -> str:
    """What a witness lacks to show what it is to show; empty if nothing."""
    result = witness.result
    if not result.holds:
        seen = "; ".join([f"exit code {result.exit_code}, printed {excerpt(result.output, 300)!r}", *result.files])
        return f"`{witness.command}` does not show: {witness.behaviour} ({seen})"
    if witness.base.holds and not witness.guards:
        return f"`{witness.command}` held before the change already, so it does not show: {witness.behaviour}"
    return ""


def _script(number: int, case: Criterion) -> str:
    """Run in a copy, so that no case sees what another one wrote."""
    out = f"$GREENWARD_OUT/case-{number}"
    command = f"env -u GREENWARD_OUT timeout -k 1 {CASE_SECONDS} sh -c {quote(case.command)}"
    left = "".join(
        f'[ -f "$copy"/{quote(file.path)} ] && head -c {FILE_BYTES} "$copy"/{quote(file.path)} >"{out}.file-{index}"\n'
        for index, file in enumerate(case.files)
    )
    return f"""
copy=$(mktemp -d) && cp -a . "$copy" && ( cd "$copy" && {command} ) >"{out}.out" 2>&1 </dev/null
echo $? >"{out}.code"
{left}rm -rf "$copy"
"""


def _collected(number: int, case: Criterion) -> Iterable[str]:
    yield f"case-{number}.out"
    yield f"case-{number}.code"
    yield from (f"case-{number}.file-{index}" for index, _ in enumerate(case.files))


def _result(number: int, case: Criterion, collected: Mapping[str, bytes]) -> CaseResult:
    code, text = collected.get(f"case-{number}.code"), decode(collected.get(f"case-{number}.out") or b"")
    exit_code = int(code) if code and code.strip().isdigit() else -1
    wrong = tuple(
        problem
        for index, file in enumerate(case.files)
        if (problem := _wrong(file, collected.get(f"case-{number}.file-{index}")))
    )
    holds = exit_code == case.exit_code and _squeezed(case.output) in _squeezed(text) and not wrong
    return CaseResult(exit_code=exit_code, output=excerpt(text, OUTPUT_LIMIT), holds=holds, files=wrong)


def _wrong(file: LeftFile, content: bytes | None) -> str:
    """What is wrong with a file that a case was to leave; empty if nothing."""
    if content is None:
        return f"it leaves no file {file.path}"
    if _squeezed(file.text) in _squeezed(decode(content)):
        return ""
    return f"{file.path} does not hold {excerpt(file.text, 100)!r}"


def _of_test(test: str, report: TestReport) -> CaseResult:
    """What a report shows of a test, in all of its variants."""
    cases = [case for case in report.cases if case.id == test or case.id.startswith(f"{test}[")]
    holds = bool(cases) and all(case.status is Status.PASSED for case in cases)
    unlike = next((case for case in cases if case.status is not Status.PASSED), None)
    output = (
        "" if holds else f"{unlike.status}: {unlike.message}" if unlike else report.problem or "there is no such test"
    )
    return CaseResult(exit_code=report.exit_code, output=excerpt(output, OUTPUT_LIMIT), holds=holds)


def _squeezed(text: str) -> str:
    """`text` without differences in white space, which no criterion is about."""
    return " ".join(text.split())
