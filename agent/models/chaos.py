"""Faults by chance, and the same ones each time: a seed and the number of a request decide what goes wrong with it."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from random import Random

from pydantic import with_config

from agent.models.reply import STRICT, ScriptedReply
from agent.models.scenario import FAULTS, Fault

__all__ = ["ALL_KINDS", "KINDS", "Chaos", "Dealer"]

KINDS = tuple(
    name for name, fault in FAULTS.items() if fault.effect != "end" and not fault.waits and fault.field != "tools"
)
"""The kinds that a run gets through as it began: none ends it by design, takes the client's patience or the tools."""
ALL_KINDS = tuple(FAULTS)


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class Chaos:
    """How much goes wrong; the table `[chaos]` of a script.

    Raises:
        ValueError: there is no fault of a kind that is asked for, or a number is out of its range.
    """

    seed: int
    rate: float = 0.3
    """The share of replies that a fault is laid over."""
    kinds: tuple[str, ...] = KINDS
    """Names of faults."""
    in_a_row: int = 2
    """The most requests in a row that are to be sent again, or lead nowhere."""

    def __post_init__(self) -> None:
        if unknown := [name for name in self.kinds if name not in FAULTS]:
            raise ValueError(f"there is no fault {unknown[0]!r}")
        if not 0 <= self.rate <= 1 or self.in_a_row < 1:
            raise ValueError(f"a rate is between 0 and 1, and a row at least 1: {self.rate:g}, {self.in_a_row}")


class Dealer:
    """Deals the faults of a `Chaos` out, and counts them. Not for several threads at a time."""

    def __init__(self, chaos: Chaos) -> None:
        self.dealt: Counter[str] = Counter()
        """How many faults of each kind were served."""
        self._chaos = chaos
        self._kinds: Mapping[str, Fault] = {name: FAULTS[name] for name in chaos.kinds}
        self._row = 0

    def deal(self, number: int, reply: ScriptedReply, fields: Collection[str] = ()) -> str | None:
        """The name of the fault for a request, or None if all is to go well.

        Args:
            number: of the request.
            reply: what would be right.
            fields: what the request has.
        """
        random = Random(f"{self._chaos.seed}:{number}")  # noqa: S311 - it has to be the same each time
        unlucky = random.random() < self._chaos.rate
        fitting = [
            name
            for name, fault in self._kinds.items()
            if fault.fits(reply, fields) and (fault.effect == "whole" or self._row < self._chaos.in_a_row)
        ]
        if not unlucky or not fitting:
            self._row = 0
            return None
        name = random.choice(fitting)
        self._row = 0 if self._kinds[name].effect == "whole" else self._row + 1
        self.dealt[name] += 1
        return name
