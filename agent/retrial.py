"""Tests that did not end as they should, run again on both trees before anyone is blamed. Pure.

The same is done on the result and on the base, a number of times that is fixed beforehand, and every run counts: one
that passes at last is no pass. What fails on the result every time and never did at the base is the work's fault. What
was seen both ways at the base decides nothing. What never failed at the base and fails at times on the result is
unstable, which is not green either.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.testreport import Again, Status

__all__ = ["CALM", "MANY", "WILD", "Finding", "Retrial", "Rules", "Trial"]

CALM, WILD = 3, 8
"""Runs on either tree that settle it, the first one included: in a suite in which nothing was seen to be flaky, and in
one where something was. A test that passes half of the time fails eight times here and passes eight times there once in
65,000 trials."""
MANY = 30
"""Runs of the base that have to pass before a test that fails at times on the result is called the work's fault."""


class Finding(StrEnum):
    """What came of a trial."""

    OPEN = "open"
    FLAKY = "flaky"
    """It was seen both ways at the base: it decides nothing."""
    DIFFERS = "differs"
    """It ended badly every time on the result, and never on the base; or on both, if it was to be mended."""
    HOLDS = "holds"
    """It ended well every time on the result, although it was in doubt."""
    WAVERS = "wavers"
    """It ends badly at times on the result, and was never seen to do so at the base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How many runs of a test, on the result and on the base, settle what it is."""

    here: int
    base: int
    many: int = MANY

    @classmethod
    def to_judge(cls, *, wild: bool) -> "Rules":
        """Those of a verdict; `wild`: where something was seen to be flaky."""
        runs = WILD if wild else CALM
        return cls(here=runs, base=runs)

    def wilder(self) -> "Rules":
        """Where something turned out to be flaky."""
        return Rules(here=max(self.here, WILD), base=max(self.base, WILD), many=self.many)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One test in doubt, and how it ended each time, on the result and on the base; None: it was not there."""

    id: str
    good: frozenset[Status]
    """The ways to end by which nothing is wrong with it."""
    here: tuple[Status | None, ...]
    base: tuple[Status | None, ...] = ()

    @property
    def bad_here(self) -> int:
        return sum(status not in self.good for status in self.here)

    @property
    def bad_at_base(self) -> int:
        return sum(status not in self.good for status in self.base)

    @property
    def wavers(self) -> bool:
        """Whether it was seen both ways on the result."""
        return 0 < self.bad_here < len(self.here)

    @property
    def known(self) -> bool:
        """Whether it is a test of the base."""
        return bool(self.base)

    def finding(self, rules: Rules) -> Finding:
        """What is known by now."""
        if self.known and 0 < self.bad_at_base < len(self.base):
            return Finding.FLAKY
        if not self.bad_here:
            return Finding.HOLDS if len(self.here) >= rules.here else Finding.OPEN
        if self.wavers:
            return Finding.WAVERS if not self.known or len(self.base) >= rules.many else Finding.OPEN
        enough = len(self.here) >= rules.here and (not self.known or len(self.base) >= rules.base)
        return Finding.DIFFERS if enough else Finding.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrial:
    """All tests in doubt of one report."""

    trials: tuple[Trial, ...]
    rules: Rules

    @property
    def wanted_here(self) -> tuple[str, ...]:
        """The tests that are to be run once more on the result."""
        return tuple(each.id for each in self._open() if not each.wavers and len(each.here) < self._rules.here)

    @property
    def wanted_at_base(self) -> tuple[str, ...]:
        """The tests that are to be run once more on the base."""
        found = []
        for each in self._open():
            enough = self._rules.many if each.wavers else self._rules.base
            if each.known and each.bad_here and len(each.base) < enough:
                found.append(each.id)
        return tuple(found)

    def seen(self, ended: Mapping[str, Status | None], *, base: bool) -> "Retrial":
        """With one more run, of the base or of the result."""
        return replace(self, trials=tuple(_seen(each, ended, base=base) for each in self.trials))

    def found(self, finding: Finding) -> tuple[Trial, ...]:
        """The tests of which that is known by now."""
        return tuple(each for each in self.trials if each.finding(self._rules) is finding)

    def again(self) -> tuple[Again, ...]:
        """What the runs showed, for the record: without the first one on the result, which the report has."""
        return tuple(Again(id=each.id, here=each.here[1:], base=each.base) for each in self.trials)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(each.id for each in self.trials)

    @property
    def split(self) -> bool:
        """Whether any of the tests was seen both ways, here or at the base."""
        return any(each.wavers or 0 < each.bad_at_base < len(each.base) for each in self.trials)

    @property
    def _rules(self) -> Rules:
        return self.rules.wilder() if self.split else self.rules

    def _open(self) -> Iterable[Trial]:
        return (each for each in self.trials if each.finding(self._rules) is Finding.OPEN)


def _seen(trial: Trial, ended: Mapping[str, Status | None], *, base: bool) -> Trial:
    if trial.id not in ended:
        return trial
    if base:
        return replace(trial, base=(*trial.base, ended[trial.id]))
    return replace(trial, here=(*trial.here, ended[trial.id]))
