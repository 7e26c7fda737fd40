"""Never more than the budget, by attack: 1,000 runs under random caps, killed at random instants, in figures.

python -m bench.money [CASES]
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from statistics import median

from tests.e2e.moneyruns import MoneyRun, Zygote, landed, money_run

CASES = 1_000
AFTERWARDS = 5
"""One of so many cases is run with a budget that is looked at afterwards, too."""


def money(seeds: Sequence[int] = range(CASES), asker: str = "Asker") -> list[MoneyRun]:
    """Attack the run of each seed, as many at a time as there are cores."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(max_workers=cores) as pool:
        shares = pool.map(partial(_share, asker=asker), [seeds[number::cores] for number in range(cores)])
        return sorted(chain.from_iterable(shares), key=lambda run: run.seed)


def told(runs: Sequence[MoneyRun], afterwards: Sequence[MoneyRun] = ()) -> str:
    """What came of them, in a few lines; `afterwards` are runs whose budget was only looked at afterwards."""
    return "\n".join(_lines(runs, afterwards))


def print_money(cases: int = CASES) -> None:
    """Attack so many runs, and print what came of them."""
    began = time.monotonic()
    runs = money(range(cases))
    took = time.monotonic() - began
    afterwards = money(range(0, cases, AFTERWARDS), "Afterwards")
    print(f"{told(runs, afterwards)}\ntook {took:.0f} s")


def _share(seeds: Sequence[int], *, asker: str) -> list[MoneyRun]:
    with Zygote() as zygote:
        return [money_run(seed, zygote, asker) for seed in seeds]


def _lines(runs: Sequence[MoneyRun], afterwards: Sequence[MoneyRun]) -> Iterator[str]:
    wrong = [run for run in runs if run.wrong]
    kills, dealt = landed(runs), sum((run.dealt for run in runs), Counter[str]())
    ends = Counter(run.outcome for run in runs)
    shares = [run.bill[0] / run.booked[0] for run in runs if run.booked[0]]
    yield f"{len(runs)} runs under attack; bill above books, or books above cap, in {len(wrong)}"
    yield f"taken up {sum(run.sessions for run in runs)} times, killed {kills.total()} times:"
    yield from (f"  {count:5} {where}" for where, count in kills.most_common())
    yield f"ended: {', '.join(f'{count} {end}' for end, count in ends.most_common())}"
    yield f"faults by chance: {dealt.total()}, of {len(dealt)} kinds"
    yield f"replies whose usage was not believed: {sum(run.doubted for run in runs)}"
    yield f"billed of what was booked, in dollars: median {median(shares):.0%}, most {max(shares):.1%}"
    yield from (f"  {text}" for run in wrong for text in run.wrong)
    if not afterwards:
        return
    over = sorted(run.over for run in afterwards if run.over > 1)
    yield f"{len(afterwards)} of them with a budget that is looked at afterwards: {len(over)} passed their cap,"
    if over:
        yield f"  the bill being {median(over):.2f} times the cap in the median, {over[-1]:.2f} times at most"


if __name__ == "__main__":
    print_money(*map(int, sys.argv[1:2]))
