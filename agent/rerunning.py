"""Runs tests again that did not end as they should: of a tree, and of the base in fresh containers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent.baseline import SHORT, Look, Standings, outcomes, selection_of
from agent.live import Said
from agent.place import Place
from agent.retrial import Retrial, Rules, Trial
from agent.state import RunState
from agent.testreport import Status, TestReport
from agent.text import number_of
from agent.verdict import Difference, differences

__all__ = ["STARTING", "Rerunner", "Runner"]

STARTING = 0.5
"""Seconds that a run takes beside its command, about: a container is started, and the files go there."""
PATIENCE = 10.0
"""Seconds that a run may take beyond twice what the suite took."""
MOST = 200
"""Tests that are on trial at most."""
BOTH = frozenset({Status.PASSED, Status.FAILED})


class Runner(Protocol):
    """Runs tests: `agent.bench.Bench`."""

    @property
    def place(self) -> Place: ...

    @property
    def timeout(self) -> float: ...

    def run(self, state: RunState, tree: str, selection: tuple[str, ...] = ()) -> TestReport:
        """The report of the suite, or of `selection`, in the warm working copy."""
        ...

    def run_fresh(
        self, state: RunState, tree: str, seconds: float | None = None, selection: tuple[str, ...] = ()
    ) -> TestReport:
        """The report of the suite, or of `selection`, in a new container."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerunner:
    """Runs tests of `tree` and of the base again, which showed `report` and `baseline`."""

    runner: Runner
    state: RunState
    tree: str
    report: TestReport
    baseline: TestReport
    standings: Standings
    fresh: bool
    """Whether `tree` is run in fresh containers, too; else in the working copy."""
    both: set[str] = field(default_factory=set)
    """Tests that further runs of the whole suite showed to pass and to fail on `tree`."""
    looks: list[Look] = field(default_factory=list)
    """Those runs."""

    def until_settled(self, suspects: Sequence[Difference], rules: Rules, seconds: float, whole: int = 0) -> Retrial:
        """The trials of `suspects` and what came of them, within about `seconds`.

        Where there are very many, the first of them stand for all: then it is no chance. Tests that turn out to waver
        meanwhile come on trial as well; to see that, the whole suite is run `whole` times first.
        """
        first = Look(report=self.report)
        retrial = Retrial(trials=tuple(self._trial(each, (first,)) for each in suspects[:MOST]), rules=rules)
        for number in range(whole):
            if number == 0:
                self.runner.place.observe(Said(f"some tests are flaky: running the suite {whole} times more"))
            look = self._look((), base=False)
            if look is not None:
                retrial = self._with(retrial.seen(look.of(retrial.ids), base=False), look, base=False)
        if seconds > 0 and (retrial.wanted_here or retrial.wanted_at_base):
            tests = number_of(len(retrial.trials), "test")
            self.runner.place.observe(Said(f"running {tests} again, here and on the base, to tell fault from chance"))
        while seconds > 0 and (retrial.wanted_here or retrial.wanted_at_base):
            for ids, base in ((retrial.wanted_here, False), (retrial.wanted_at_base, True)):
                look = self._look(ids, base=base) if ids else None
                if look is not None:
                    seconds -= look.report.seconds + STARTING
                    retrial = self._with(retrial.seen(look.of(ids), base=base), look, base=base)
                elif ids:
                    return retrial
        return retrial

    def _trial(self, suspect: Difference, looks: Sequence[Look]) -> Trial:
        before = outcomes(self.baseline).get(suspect.id)
        return Trial(
            id=suspect.id,
            good=suspect.good,
            here=tuple(look.of([suspect.id]).get(suspect.id) for look in looks),
            base=self.standings.ended(suspect.id, before) if before is not None else (),
        )

    def _look(self, ids: Collection[str], *, base: bool) -> Look | None:
        """One more run, of all tests if that is short; None if it shows nothing."""
        present = (self.baseline if base else self.report).ids()
        for asked in [()] if self._short else dict.fromkeys((selection_of(ids, present), selection_of(ids, ()))):
            report = self._run(asked, base=base)
            if not report.problem:
                return Look(report=report, asked=asked)
        return None

    @property
    def _short(self) -> bool:
        return max(self.report.seconds, self.baseline.seconds) <= SHORT

    def _run(self, asked: tuple[str, ...], *, base: bool) -> TestReport:
        seconds = min(self.runner.timeout, 2 * self.report.seconds + PATIENCE)
        if base:
            return self.runner.run_fresh(self.state, self.state.witness_tree, seconds, asked)
        if self.fresh:
            return self.runner.run_fresh(self.state, self.tree, seconds, asked)
        return self.runner.run(self.state, self.tree, asked)

    def _with(self, retrial: Retrial, look: Look, *, base: bool) -> Retrial:
        """With what a further run of the whole suite shows of tests that nobody doubted."""
        if look.asked:
            return retrial
        known = frozenset(each.id for each in retrial.trials)
        new = self._flaky_at_base(look, known) if base else self._worse_here(look, known)
        return replace(retrial, trials=(*retrial.trials, *new))

    def _flaky_at_base(self, look: Look, known: frozenset[str]) -> list[Trial]:
        """The tests that end otherwise on the base than they did before."""
        before, here = outcomes(self.baseline), outcomes(self.report)
        return [
            Trial(
                id=name,
                good=frozenset({before[name]}),
                here=(here.get(name),),
                base=(*self.standings.ended(name, before[name]), now),
            )
            for name, now in _turned(before, look)
            if name not in known and name not in self.standings.aside
        ]

    def _worse_here(self, look: Look, known: frozenset[str]) -> list[Trial]:
        """The tests that end badly on the tree, and did not do so before."""
        self.both.update(name for name, _ in _turned(outcomes(self.report), look))
        worse = differences(self.state.started.task.mode, self.baseline, look.report, self.standings)
        self.looks.append(look)
        looks = (Look(report=self.report), *self.looks)
        return [self._trial(each, looks) for each in worse if each.id in look.report.ids() and each.id not in known]


def _turned(before: Mapping[str, Status], look: Look) -> list[tuple[str, Status | None]]:
    """The tests that passed before and fail now, or the other way round."""
    return [(name, now) for name, now in look.of(before.keys()).items() if {before[name], now} == BOTH]
