"""Runs that are killed at random instants, and taken up again: how many end as if nothing had been."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.durable import Moment
from tests.crash.runs import Crashed, Undisturbed, Zygote, at_random, killed_run, undisturbed
from tests.crash.world import MENDING

__all__ = ["Crashes", "crash", "told"]

INSTANTS = 200
HEAD = (
    "| killed after | kills | sessions killed | ended the same | calls made again | wrong |\n|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashes:
    """What came of runs that were killed at each of their moments, and at random instants."""

    undisturbed: Undisturbed
    matrix: Sequence[Crashed]
    random: Sequence[Crashed]


def crash(instants: int = INSTANTS) -> Crashes:
    """Kill a run at every moment that it passes, and `instants` times at random, and take it up again."""
    with tempfile.TemporaryDirectory() as directory, Zygote(Path(directory) / "scratch") as zygote:
        room = Path(directory)
        reference = undisturbed(zygote, MENDING, room)
        kills = [[kill] for point in reference.points for kill in point.kills(every=True)]
        every = [*kills, *(at_random(seed, reference) for seed in range(instants))]
        ran = []
        for number, each in enumerate(every):
            root = room / str(number)
            ran.append(killed_run(zygote, reference, each, root))
    return Crashes(undisturbed=reference, matrix=ran[: len(kills)], random=ran[len(kills) :])


def told(crashes: Crashes) -> str:
    """Two tables: by the moment of the kill, and by the last event that was written before it."""
    by_moment: dict[str, list[Crashed]] = {}
    for each in crashes.matrix:
        name = f"{each.kills[0].moment}{', torn' if each.kills[0].torn else ''}"
        by_moment.setdefault(name, []).append(each)
    by_event: dict[str, list[Crashed]] = {}
    for each in crashes.random:
        by_event.setdefault(each.where or ("nothing written" if each.killed else "not hit: it had ended"), []).append(
            each
        )
    passed = Counter(point.moment for point in crashes.undisturbed.points)
    lines = [
        f"a run of {passed.total()} moments, each of them, and each line of the journal torn",
        f"\n{HEAD}",
        *_rows(by_moment, list(Moment)),
        f"\n{len(crashes.random)} random instants, half of them with all processes that the run had started",
        f"\n{HEAD}",
        *_rows(by_event, sorted(by_event)),
        *_wrong([*crashes.matrix, *crashes.random]),
    ]
    return "\n".join(lines)


def _rows(groups: dict[str, list[Crashed]], order: Iterable[str]) -> list[str]:
    names = [name for first in order for name in groups if name.partition(",")[0] == first]
    rows = [_row(name, groups[name]) for name in names]
    return [*rows, _row("all", [each for group in groups.values() for each in group])]


def _row(name: str, group: Sequence[Crashed]) -> str:
    killed, repeated = sum(each.killed for each in group), sum(each.repeated for each in group)
    wrong = sum(bool(each.wrong) for each in group)
    return f"| {name} | {len(group)} | {killed} | {len(group) - wrong} | {repeated} | {wrong} |"


def _wrong(every: Sequence[Crashed]) -> list[str]:
    return [f"  {list(each.kills)}: {'; '.join(each.wrong)}" for each in every if each.wrong]


if __name__ == "__main__":
    print(told(crash()))
