"""The tests of the base that are no measure of the work, for people and programs: listed, not waved away. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.baseline import Standing, standing
from agent.state import RunState
from agent.text import number_of, one_line

__all__ = ["Aside", "aside_lines", "aside_of", "aside_words"]

LISTED, NAMED = 20, 3
"""Ids that programs are given of one kind, and people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Tests that are set aside for one reason."""

    standing: Standing
    why: str
    """What environmental ones lack; else empty."""
    count: int
    ids: tuple[str, ...]
    """The first of them."""

    @property
    def words(self) -> str:
        """As `2 environmental failures (name resolution)`."""
        noun, more = _WORDS[self.standing]
        return f"{number_of(self.count, noun)} {more or f'({self.why})'}"


def aside_of(state: RunState) -> tuple[Aside, ...]:
    """Old failures that may stay, tests that cannot pass in a sandbox, flaky ones, and those without an id to go by."""
    if state.baseline is None:
        return ()
    found: dict[tuple[Standing, str], list[str]] = {}
    for case in state.baseline.cases:
        kind = standing(case, state.standings)
        if kind in (Standing.FAILS, Standing.PASSES) and case.id in state.hidden:
            kind = Standing.FLAKY
        if kind in _WORDS and (kind is not Standing.FAILS or state.started.task.mode == "change"):
            why = state.standings.environmental.get(case.id, "") if kind is Standing.ENVIRONMENTAL else ""
            found.setdefault((kind, why), []).append(case.id)
    return tuple(
        Aside(standing=kind, why=why, count=len(ids), ids=tuple(ids[:LISTED]))
        for (kind, why), ids in sorted(found.items())
    )


_WORDS = {
    Standing.FAILS: ("old failure", "that may stay"),
    Standing.ENVIRONMENTAL: ("environmental failure", ""),
    Standing.FLAKY: ("flaky test", "seen to pass and to fail on the same files"),
    Standing.UNSTABLE_ID: ("test", "with another id in each run"),
}


def aside_lines(state: RunState) -> Iterator[str]:
    """One line for each reason, with the first of the tests."""
    for each in aside_of(state):
        names = ", ".join(one_line(case_id) for case_id in each.ids[:NAMED])
        more = f" and {each.count - NAMED} more" if each.count > NAMED else ""
        hint = "; a network and services are not supported" if each.standing is Standing.ENVIRONMENTAL else ""
        yield f"{one_line(each.words)}: {names}{more}{hint}"


def aside_words(state: RunState) -> str:
    """As `4 flaky, 2 environmental`, without old failures; empty if there is nothing to say."""
    counted: dict[Standing, int] = {}
    for each in aside_of(state):
        counted[each.standing] = counted.get(each.standing, 0) + each.count
    named = ((kind, count) for kind, count in counted.items() if kind is not Standing.FAILS)
    return ", ".join(f"{count} {kind.value}" for kind, count in named)
