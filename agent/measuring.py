"""Measures the suite on the base: once as a whole, and what failed a few times more, to tell a fault from chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.baseline import ALIKE, SHORT, UNLIKE, Look, classify, may_vary, red_again, selection_of
from agent.baselinecache import BaselineCache, Key
from agent.bench import NO_TESTS, Bench
from agent.environmental import Own, own_of, want_of
from agent.errors import UsageProblem
from agent.events import BaselineMeasured, BudgetExhausted, Event
from agent.live import Said
from agent.manifests import Project
from agent.rerunning import STARTING
from agent.state import RunState, seconds_left
from agent.testreport import TestReport
from agent.text import number_of

__all__ = ["BOX", "Measuring"]

BOX = 60.0
"""Seconds that all further runs may take together."""
SHARE = 0.1
"""Of the time that is left, which they may take at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """Measures the base, or remembers what it showed."""

    bench: Bench
    cache: BaselineCache | None = None
    """Asked where the sandbox isolates: elsewhere the result depends on more than can be named."""

    def measure(self, state: RunState) -> Iterator[Event]:
        """Run the suite on the base in fresh containers.

        Raises:
            UsageProblem: the suite cannot be run, or `fix` was asked of a repository without tests.
        """
        place, base = self.bench.place, state.base
        environment, recipe = place.prepare(state, base)
        cwd = state.started.task.cwd
        key = Key(tree=base, environment=environment.id, build=recipe.build, test=recipe.test, cwd=cwd)
        place.expect(state, base)
        cache = self.cache if place.isolated else None
        if cache is not None and (known := cache.recall(key)) is not None:
            yield known
            return
        seconds = self.bench.seconds(state)
        report = self.bench.run_fresh(state, base, seconds)
        if report.problem and report.seconds >= seconds and seconds < self.bench.timeout:
            yield BudgetExhausted(reason=f"the suite alone takes longer than the {seconds:.0f} seconds that are left")
            return
        place.expect(state, base)  # the working one, while the model thinks
        event = self._measured(state, _usable(report, state))
        if cache is not None:
            cache.keep(key, event)
        yield event

    def _measured(self, state: RunState, report: TestReport) -> BaselineMeasured:
        """What the first run of the suite showed, and what further ones add to it."""
        looks = self._looks(state, report, min(BOX, SHARE * seconds_left(state, to_the_end=True)))
        own = self._own(state)
        found = classify(looks, lambda case: want_of(case, own))
        return BaselineMeasured(
            report=report,
            runs=len(looks),
            whole=sum(not look.asked for look in looks),
            flaky=tuple(sorted(found.flaky)),
            environmental=dict(sorted(found.environmental.items())),
            unstable=tuple(sorted(found.unstable)),
        )

    def _looks(self, state: RunState, report: TestReport, left: float) -> list[Look]:
        """The first run, and further ones as long as they leave something open and there are seconds `left`."""
        looks = [Look(report=report)]
        while ids := red_again(looks) or (may_vary(report) if len(looks) == 1 else ()):
            if self._expected(report, ids) > left:
                break
            if len(looks) == 1:
                told = f"running {number_of(len(ids), 'test')} of the base again, to tell fault from chance"
                self.bench.place.observe(Said(told))
            if len(looks) == ALIKE + 1:
                self.bench.place.observe(Said(f"the runs differ: up to {UNLIKE} of them"))
            look = self._look(state, report, ids, left)
            if look is None:
                break
            looks.append(look)
            left -= look.report.seconds + STARTING
        return looks

    def _look(self, state: RunState, report: TestReport, ids: Sequence[str], left: float) -> Look | None:
        """One more run, of all tests if that is short; None if it shows nothing."""
        asked = () if report.seconds <= SHORT else selection_of(ids, report.ids())
        again = self.bench.run_fresh(state, state.base, min(self.bench.timeout, left + STARTING), asked)
        if again.problem and asked:
            asked = selection_of(ids, ())
            again = self.bench.run_fresh(state, state.base, min(self.bench.timeout, left + STARTING), asked)
        return None if again.problem else Look(report=again, asked=asked)

    @staticmethod
    def _expected(report: TestReport, ids: Sequence[str]) -> float:
        """Seconds that a run of the tests `ids` may take, by what they took in `report`."""
        if report.seconds <= SHORT:
            return report.seconds + STARTING
        wanted = frozenset(ids)
        return sum(case.seconds for case in report.cases if case.id in wanted) + STARTING

    def _own(self, state: RunState) -> Own:
        """What is the project's own, by the files of the base."""
        workspace, base = self.bench.place.workspace, state.base

        def read(path: str) -> bytes | None:
            try:
                return workspace.read(base, path)
            except FileNotFoundError:
                return None

        paths = frozenset(entry.path for entry in workspace.files(base))
        return own_of(Project(read=read, paths=paths, cwd=state.started.task.cwd))


def _usable(report: TestReport, state: RunState) -> TestReport:
    """`report`, if a run may begin with it.

    Raises:
        UsageProblem: it may not.
    """
    none_yet = report.exit_code == NO_TESTS and state.started.task.mode == "change"
    if report.problem and not none_yet:
        raise UsageProblem(
            f"the test suite gives no result: {report.problem}\n{report.output}".rstrip(),
            hint="say with `--test` how the tests are run (by pytest, perhaps from within another command),"
            " and with `--setup` what they need",
        )
    return replace(report, problem="")
