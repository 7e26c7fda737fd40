"""`make bench`: whole runs against a provider that misbehaves by chance, and what came of them."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.chaosruns import GAVE_UP, RATE, SPENT, UNPROVEN, ChaosRun, chaos_run

SEEDS = 300
ENDS = {UNPROVEN: "mended", GAVE_UP: "gave up, to be resumed", SPENT: "out of budget"}


def chaos(seeds: int = SEEDS) -> list[ChaosRun]:
    """A run for each seed, two at a time."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(chaos_run, range(seeds)))


def told(runs: list[ChaosRun]) -> str:
    """What came of them, in a few lines."""
    ends = Counter(ENDS.get(run.code, f"exit code {run.code}") for run in runs)
    dealt: Counter[str] = sum((run.dealt for run in runs), Counter())
    came = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    wrong = [f"  seed {run.seed}: {'; '.join(run.wrong)}" for run in runs if run.wrong]
    lines = [
        f"{len(runs)} runs against a provider that misbehaves in {RATE:.0%} of its answers: {came}",
        f"faults dealt out: {dealt.total()}, of {len(dealt)} kinds; runs in which anything was wrong: {len(wrong)}",
        *wrong,
    ]
    return "\n".join(lines)
