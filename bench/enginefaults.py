"""`make bench`: faults at every stage of what passes between greenward and the engine, and what came of them."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from sandbox.engine import connect
from sandbox.images import base_image
from tests.sandbox.faultsweep import Came, of_a_command, of_a_suite, sweep
from tests.sandbox.proxy import KINDS

__all__ = ["engine_faults", "table"]

SEED = 11


def engine_faults(each: int = 3, workers: int = 4) -> list[Came]:
    """Commands, warm and fresh, and whole verdicts, under `each` faults of a kind in either direction of each stage."""
    with tempfile.TemporaryDirectory() as directory, closing(connect(os.environ)) as client:
        place = Path(directory)
        image = base_image(client, None, host=os.environ, cache=place, say=str).id
        commands = [of_a_command(image, method) for method in ("execute", "execute_fresh")]
        exchanges = [*commands, of_a_suite(place, judged=True)]
        return [
            came
            for exchange in exchanges
            for came in sweep(place, exchange, KINDS, each=each, seed=SEED, workers=workers)
        ]


def table(came: Sequence[Came]) -> str:
    """What came of the faults, by stage and kind: undisturbed results with the attempts that they took, and errors."""
    return "\n".join(
        [
            f"{len(came)} faults in what passes between greenward and the engine: {_sum(came)}",
            "",
            f"| stage | {' | '.join(KINDS)} |",
            f"|---|{'---|' * len(KINDS)}",
            *_rows(came),
        ]
    )


def _rows(came: Sequence[Came]) -> Iterator[str]:
    for stage in dict.fromkeys(each.strike.stage for each in came):
        cells = (
            Counter(_end(each) for each in came if (each.strike.stage, each.strike.fault.what) == (stage, kind))
            for kind in KINDS
        )
        yield f"| {stage} | {' | '.join(', '.join(f'{n} {end}' for end, n in sorted(c.items())) for c in cells)} |"


def _end(came: Came) -> str:
    if came.wrong:
        return "**wrong**"
    if came.ended is None:
        return "error"
    return "right" if came.ended.attempts == 1 else f"right in {came.ended.attempts}"


def _sum(came: Sequence[Came]) -> str:
    ends = Counter(type(each.error).__name__ if each.error else _end(each) for each in came)
    return f"wrong results: {ends.pop('**wrong**', 0)}; {', '.join(f'{n} {end}' for end, n in ends.most_common())}"


if __name__ == "__main__":
    print(table(engine_faults()))
