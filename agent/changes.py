"""What a run changed, as patches: of its result, and of each iteration."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import GreenwardError
from agent.patches import Patch, parse_patch
from agent.report import Report

__all__ = ["Changes", "IterationPatch", "changes_of", "no_changes"]

Diff = Callable[[str, str], str]
"""The patch from one tree to another, by their ids."""

RESULT, ITERATIONS = 500_000, 1_000_000
"""Characters shown of the result's patch, and of all iterations' together."""
SHOWN = 100
"""Iterations whose patch is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationPatch:
    """What one iteration changed."""

    number: int
    subject: str
    patch: Patch


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a run changed; `problem` says why nothing is known of it, if so."""

    result: Patch
    iterations: tuple[IterationPatch, ...] = ()
    left_out: int = 0
    """Iterations that are not shown, for their number."""
    problem: str = ""


def no_changes(problem: str) -> Changes:
    """For a run whose trees cannot be read, for the reason given."""
    return Changes(result=Patch(), problem=problem)


def changes_of(report: Report, diff: Diff) -> Changes:
    """The patches of a run. Trees that cannot be read any more are a problem that is told, not raised."""
    changed = [each for each in report.iterations if each.tree != each.tree_before]
    try:
        result = parse_patch(diff(report.base_tree, report.tree), RESULT)
        if len(changed) <= 1:
            return Changes(result=result)
        patches, room = [], ITERATIONS
        for each in changed[:SHOWN]:
            patch = parse_patch(diff(each.tree_before, each.tree), max(room, 0))
            room -= patch.size
            patches.append(IterationPatch(number=each.number, subject=each.subject, patch=patch))
    except GreenwardError as error:
        return no_changes(error.message)
    return Changes(result=result, iterations=tuple(patches), left_out=max(0, len(changed) - SHOWN))
