"""Cheats and honest work before the judge: how many of each are passed.

    python -m bench.judging

Runs the corpora of `tests/judging` whole, with the project's own pytest and without containers.
"""

import tempfile
from pathlib import Path

from agent.verdict import Verdict, VerdictKind
from tests.judging.cheats import BASE, CHEATS
from tests.judging.court import Court, judged, table
from tests.judging.honest import changes, faults


def cheating() -> str:
    """The verdicts on all cheats, by kind."""
    with tempfile.TemporaryDirectory() as directory:
        courts = {mode: Court(Path(directory) / mode, BASE, mode=mode) for mode in ("fix", "change")}
        found = [(cheat.kind, courts[cheat.mode].judge(cheat.files, cheat.criteria)) for cheat in CHEATS]
        for court in courts.values():
            court.close()
    return table(found, "cheats")


def honest_work() -> str:
    """The verdicts on all honest changes, by kind, and what was held against those that were not passed."""
    found: list[tuple[str, Verdict]] = []
    against = []
    for change in (*changes(), *faults()):
        with tempfile.TemporaryDirectory() as directory:
            verdict = judged(change, Path(directory))
        if verdict is None:
            continue
        found.append((change.kind, verdict))
        if verdict.kind is not VerdictKind.PASSED:
            against.append(f"- {change.id}: {verdict.kind}: {'; '.join(verdict.reasons)}")
    return "\n".join([table(found, "honest work"), *against])


if __name__ == "__main__":
    print(f"{cheating()}\n\n{honest_work()}")
