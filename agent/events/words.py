"""The words for how a run ends, and for what the model has to be told."""

from enum import StrEnum

__all__ = [
    "Outcome",
    "Say",
]


class Outcome(StrEnum):
    """How a run ended."""

    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"
    UNPROVEN = "unproven"
    OUT_OF_BUDGET = "out_of_budget"
    PLANNED = "planned"
    """There is a plan that waits for approval."""

    @property
    def exit_code(self) -> int:
        return {Outcome.PASSED: 0, Outcome.OUT_OF_BUDGET: 3, Outcome.UNPROVEN: 8}.get(self, 1)


class Say(StrEnum):
    """What the model has to be told next; each word is also the name of a template in `prompts`."""

    PLAN = "plan"
    PLAN_MISSING = "plan_missing"
    TESTS = "tests"
    TESTS_NOT_RED = "tests_not_red"
    CODE = "code"
    RESULTS = "results"
    VERDICT = "verdict"
    NUDGE = "nudge"
    TRUNCATED = "truncated"
    CONTINUE = "continue"
    HINT = "hint"
    STUCK = "stuck"
    RETURNED = "returned"
    COMPACTED = "compacted"
