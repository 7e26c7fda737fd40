"""What is made of tests that do not end as they should: who is told of which, and what that means for a verdict."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from agent.baseline import Standings, outcomes
from agent.rerunning import STARTING, Rerunner, Runner
from agent.retrial import CALM, WILD, Finding, Retrial, Rules, Trial
from agent.state import Phase, RunState, seconds_left
from agent.task import Mode
from agent.testreport import Status, TestReport
from agent.text import number_of
from agent.verdict import Difference, differences, targets_of

__all__ = ["Settled", "glanced", "settled_by_judge", "settled_in_passing"]

BOX, SHORTEST_BOX = 60.0, 10.0
"""Seconds that further runs before a verdict may take together, and have even where the budget leaves less."""
WHOLE_BOX = 90.0
"""Seconds beside those that runs of the whole suite may take before a verdict, where tests are known to be flaky."""
PASSING, PASSING_WILD = 5.0, 30.0
"""Seconds that they may take while the model works, or as long as the suite takes; more where tests are known to be
flaky."""
NOTED = 10
"""Tests that are named, of those that decided nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What further runs made of a report that is compared with the base's."""

    report: TestReport
    """The same, with the runs that it took to be sure, and with the tests that turned out to be flaky."""
    against: tuple[str, ...] = ()
    """Why it is not green."""
    unsure: tuple[str, ...] = ()
    """Why a person has to look: tests that fail at times, and were never seen to fail at the base."""
    notes: tuple[str, ...] = ()
    """Which tests decided nothing, and why."""


def glanced(state: RunState, tree: str, report: TestReport) -> TestReport:
    """`report`, of some of the tests in the working copy, with those marked that are known to be flaky by now."""
    return _marked(report, state.hidden | state.sightings.wavering(tree, report))


def settled_in_passing(runner: Runner, state: RunState, tree: str, report: TestReport) -> TestReport:
    """`report`, of the whole suite in the working copy, with those tests marked that are flaky.

    Those that newly fail are run again first, as long as there is time. What the model is told of as broken is broken,
    as far as that can be known so soon; what cannot be told apart is left to the judge.
    """
    report = glanced(state, tree, report)
    baseline, known = state.baseline, state.hidden.union(report.flaky)
    if baseline is None or state.phase is not Phase.CODE or report.problem:
        return report
    standings = replace(state.standings, flaky=known)
    again = Rerunner(
        runner=runner, state=state, tree=tree, report=report, baseline=baseline, standings=standings, fresh=False
    )
    every = differences(state.started.task.mode, baseline, report, standings)
    newly = [each for each in every if _newly(each, state, report, baseline)]
    lost = any(each.id not in report.ids() for each in newly)
    wild, calm = Rules(here=WILD, base=WILD, many=0), Rules(here=CALM, base=CALM if lost else 0, many=0)
    retrial = again.until_settled(newly, wild if known else calm, _box_in_passing(state, report, wild=bool(known)))
    if known or retrial.split:
        thin = [each for each in every if _thin(each, state)]
        more = again.until_settled(thin, wild, _box_in_passing(state, report, wild=True))
        retrial = replace(retrial, trials=retrial.trials + more.trials)
    flaky = {each.id for each in (*retrial.found(Finding.FLAKY), *retrial.found(Finding.WAVERS))}
    return _marked(replace(report, again=retrial.again()), flaky | again.both)


def settled_by_judge(runner: Runner, state: RunState, tree: str, baseline: TestReport, report: TestReport) -> Settled:
    """What `report`, of the whole suite in a fresh container, comes to after as many further runs as it takes."""
    mode, standings = state.started.task.mode, _excusing(state.started.task.mode, state.standings)
    every = differences(mode, baseline, report, standings)
    if report.problem:
        return Settled(report=report, against=tuple(each.reason for each in every))
    again = Rerunner(
        runner=runner, state=state, tree=tree, report=report, baseline=baseline, standings=standings, fresh=True
    )
    rules = Rules.to_judge(wild=bool(state.hidden))
    suspects = [*(each for each in every if each.id), *_wavered(state, baseline, report, {each.id for each in every})]
    box = min(BOX, max(SHORTEST_BOX, seconds_left(state, to_the_end=True)))
    retrial = again.until_settled(suspects, rules, box, _whole(state, report) if state.hidden else 0)
    settled = Settled(report=_marked(replace(report, again=retrial.again()), state.hidden | again.both))
    return _weighed(settled, state, baseline, retrial)


def _excusing(mode: Mode, standings: Standings) -> Standings:
    """What excuses a test: under `new` the tests are the agent's own, and chance excuses none of them."""
    return replace(standings, flaky=frozenset()) if mode == "new" else standings


def _whole(state: RunState, report: TestReport) -> int:
    """How often a suite in which tests waver is run again: once shows little of what the work made waver, too."""
    left = min(WHOLE_BOX, seconds_left(state, to_the_end=True))
    return max(0, min(WILD - 1, int(left // (report.seconds + STARTING))))


def _weighed(settled: Settled, state: RunState, baseline: TestReport, retrial: Retrial) -> Settled:
    """`settled` with what the trials say."""
    mode, report = state.started.task.mode, settled.report
    standings = _excusing(mode, state.standings.learning(retrial.again()))
    targets = frozenset(targets_of(mode, baseline, standings))
    wavering = {each.id: each for each in retrial.trials if each.wavers}
    unsure = {name: _counts(trial) for name, trial in wavering.items() if name not in standings.aside}
    flaky = {each.id for each in retrial.found(Finding.FLAKY)}.union(wavering)
    nothing = sorted(standings.aside.intersection((*report.failing, *flaky)))
    return replace(
        settled,
        report=_marked(report, flaky),
        against=(
            *(each.reason for each in differences(mode, baseline, report, standings) if each.id not in unsure),
            *(f"{name} does not pass reliably: {said}" for name, said in unsure.items() if name in targets),
        ),
        unsure=tuple(f"{name} does not always pass: {said}" for name, said in unsure.items() if name not in targets),
        notes=_notes(nothing, standings, retrial),
    )


def _box_in_passing(state: RunState, report: TestReport, *, wild: bool) -> float:
    return min(max(PASSING_WILD if wild else PASSING, report.seconds), seconds_left(state))


def _newly(each: Difference, state: RunState, report: TestReport, baseline: TestReport) -> bool:
    """Whether a test ends badly that did not do so before, and may do better in another run."""
    if not each.id or each.id.partition("::")[0] in report.failing:
        return False
    before = state.report.ids(Status.PASSED) if state.report else frozenset()
    return each.id in before or (each.id in baseline.ids() and not each.target)


def _thin(each: Difference, state: RunState) -> bool:
    """Whether a test that is to be mended failed too few times at the base to be sure of it, in a suite that wavers."""
    passed = state.report.ids(Status.PASSED) if state.report else frozenset()
    return each.target and each.id not in passed and len(state.standings.ended(each.id, Status.FAILED)) < WILD


def _wavered(state: RunState, baseline: TestReport, report: TestReport, known: Collection[str]) -> Iterator[Difference]:
    """The tests that were seen both ways in the working copy, and that ended well just now."""
    before, targets = outcomes(baseline), targets_of(state.started.task.mode, baseline, state.standings)
    for name in sorted(report.ids().intersection(before, state.hidden) - state.standings.aside.union(known)):
        if name in targets or before[name] is Status.PASSED:
            yield Difference(reason=f"{name} does not always pass", id=name, good=frozenset({Status.PASSED}))


def _marked(report: TestReport, flaky: Collection[str]) -> TestReport:
    """`report` with those of its tests marked that are `flaky`."""
    return replace(report, flaky=tuple(sorted(report.ids().intersection(flaky).union(report.flaky))))


def _counts(trial: Trial) -> str:
    here = f"it did so in {len(trial.here) - trial.bad_here} of {len(trial.here)} runs"
    at_base = f", and in {len(trial.base) - trial.bad_at_base} of {len(trial.base)} at the base"
    return here + at_base if trial.known else here


def _notes(names: Sequence[str], standings: Standings, retrial: Retrial) -> tuple[str, ...]:
    """Which tests decided nothing, the first of them one by one."""
    left = len(names) - NOTED
    more = [f"{number_of(left, 'more test')} decided nothing"] if left > 0 else []
    return (*(_note(name, standings, retrial) for name in names[:NOTED]), *more)


def _note(name: str, standings: Standings, retrial: Retrial) -> str:
    """Why a test decided nothing."""
    if why := standings.environmental.get(name):
        return f"{name} decided nothing: the sandbox lacks what it wants ({why})"
    trial = next((each for each in retrial.trials if each.id == name and each.known), None)
    seen = f" ({trial.bad_at_base} of {len(trial.base)} times)" if trial else ""
    return f"{name} decided nothing: it fails at times on the base, too{seen}"
