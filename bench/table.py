"""The table of figures: what was measured, what it was to be, and what others take for the same."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["HEAD", "Figure", "line"]

Unit = Literal["s", "ms", "kB", "MB", "tokens", "%"]

HEAD = "| figure | target | median | best | runs | others |\n|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something measured several times; the target is none where there is nothing to compare with.

    Seconds are given as such whatever the unit; a share of one, for `%`, is the more the better.
    """

    name: str
    values: Sequence[float]
    unit: Unit
    target: float | None = None
    others: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def best(self) -> float:
        return max(self.values) if self.unit == "%" else min(self.values)

    @property
    def met(self) -> bool:
        """Whether the median reaches the target."""
        if self.target is None:
            return True
        return self.median >= self.target if self.unit == "%" else self.median <= self.target


def line(figure: Figure) -> str:
    """The table's line for `figure`; a target that is missed says so."""
    target = "" if figure.target is None else shown(figure.target, figure.unit)
    missed = "" if figure.met else ", **missed**"
    cells = (
        figure.name,
        f"{target}{missed}",
        shown(figure.median, figure.unit),
        shown(figure.best, figure.unit),
        str(len(figure.values)),
        figure.others,
    )
    return f"| {' | '.join(cells)} |"


def shown(value: float, unit: Unit) -> str:
    match unit:
        case "s":
            return f"{value:.2f} s"
        case "ms":
            return f"{value * 1000:.1f} ms"
        case "kB":
            return f"{value / 1e3:.1f} kB"
        case "MB":
            return f"{value / 1e6:.0f} MB"
        case "%":
            return f"{value:.1%}"
        case "tokens":
            return f"{value:,.0f}"
