"""`python -m bench.flaky`: whole runs on a suite with flaky tests, by kind of work: right verdicts, and names told.

Ten tests pass with a probability of 0.3 to 0.7 each, three fail every time, seven pass. All parts are real but for the
model, which does what the row says, and for the engine, which draws what the tests show.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.chance import WORKS, Came, Work, World

SEEDS = 500
SUITES = {"short suite, 1 s": 1.0, "long suite, 10 s": 10.0}
HEAD = ("work", "suite", "right verdicts", "told of by name", "runs of tests, mean")


def main(seeds: int = SEEDS) -> None:
    """Print the table."""
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory) / "repository")
        for row in rows(world, seeds):
            print(f"| {' | '.join(row)} |", flush=True)
        world.close()


def rows(world: World, seeds: int) -> Iterator[tuple[str, ...]]:
    for suite, seconds in SUITES.items():
        for work in WORKS:
            came = [world.run(work, seed, seconds) for seed in range(seeds)]
            yield (told(work), suite, *figures(came))


def told(work: Work) -> str:
    return f"{work.name} ({'may' if work.green else 'must not'} pass)"


def figures(came: list[Came]) -> tuple[str, str, str]:
    right, named = sum(each.right for each in came), sum(len(each.named) for each in came)
    mean = sum(each.runs for each in came) / len(came)
    return f"{right} of {len(came)} ({right / len(came):.1%})", str(named), f"{mean:.0f}"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
