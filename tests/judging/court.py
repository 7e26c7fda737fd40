"""Judges changes of files over one base, one after the other, as a run that made them would be judged."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from agent import events as e
from agent.errors import UsageProblem
from agent.task import Criterion, Mode
from agent.testreport import TestReport
from agent.trees import Blob
from agent.verdict import Verdict, VerdictKind
from tests.judging.honest import Change
from tests.judging.library import LIBRARY
from tests.lab import HereEngine, IsolatedEngine, Lab

__all__ = ["Court", "judged", "table"]


class Court:
    """A run on `base`, measured and planned, to be judged again and again with other results; to be closed."""

    def __init__(
        self,
        root: Path,
        base: Mapping[str, str],
        *,
        mode: Mode = "fix",
        allowed: tuple[str, ...] = (),
        seconds: float = 60,
        engine: HereEngine | None = None,
    ) -> None:
        """`allowed` are tests that the user lets be changed; a run of the suite has `seconds`."""
        self.lab = Lab(root, dict(base), mode=mode, engine=engine or IsolatedEngine(), allow_test_changes=allowed)
        self.lab.bench = replace(self.lab.bench, timeout=seconds)
        self.lab.measured()
        self._before = list(self.lab.events)

    def judge(
        self,
        files: Mapping[str, str | bytes | None],
        criteria: tuple[Criterion, ...] = (),
        *,
        opened: tuple[str, ...] = (),
        claimed: TestReport | None = None,
    ) -> Verdict:
        """The verdict on the base with `files` changed (None: deleted), whatever seals forbid.

        `opened` are tests of the user's that the model opened; `claimed` is what it was shown of the tests.
        """
        lab = self.lab
        lab.events = list(self._before)
        lab.planned(criteria=criteria)
        changes = {path: _blob(data) for path, data in files.items()}
        tree = lab.workspace.trees.build(lab.state.base, changes)
        for path in opened:
            lab.called("unseal", "{}")
            lab.events.append(lab.returned(lab.state.tree, e.Unsealed(path=path, reason="it is wrong")))
        lab.events.append(e.TestsFinished(report=claimed or lab.state.baseline or TestReport(), tree=tree))
        return lab.verdict()

    def close(self) -> None:
        self.lab.close()


def _blob(data: str | bytes | None) -> Blob | None:
    if data is None:
        return None
    return Blob(mode="100644", data=data.encode() if isinstance(data, str) else data)


def table(judged: Iterable[tuple[str, Verdict]], heading: str = "kind") -> str:
    """Verdicts by kind, in Markdown."""
    rows: dict[str, Counter[VerdictKind]] = {}
    for kind, verdict in judged:
        rows.setdefault(kind, Counter())[verdict.kind] += 1
    shown = [kind for kind in VerdictKind if any(row[kind] for row in rows.values())]
    lines = [f"| {heading} | all | {' | '.join(shown)} |", "|---" * (len(shown) + 2) + "|"]
    lines += [
        f"| {kind} | {row.total()} | {' | '.join(str(row[each]) for each in shown)} |" for kind, row in rows.items()
    ]
    total = sum(rows.values(), Counter())
    return "\n".join([*lines, f"| all | {total.total()} | {' | '.join(str(total[each]) for each in shown)} |"])


def judged(change: Change, root: Path) -> Verdict | None:
    """The verdict on honest work; None for a planted fault that no test shows, or that leaves no result."""
    base = {**LIBRARY, **change.planted}
    try:
        court = Court(root, base, mode=change.mode, allowed=change.allowed, seconds=20)
    except UsageProblem:
        if not change.planted:
            raise
        return None
    try:
        red = bool(court.lab.state.baseline and court.lab.state.baseline.failing)
        return court.judge(change.files, change.criteria) if red or change.mode != "fix" else None
    finally:
        court.close()
