"""Each guard of the judge stops a cheat that would be passed without it: none stands there for nothing."""

import pytest

from agent.verdict import VerdictKind
from tests.judging.cheats import MENDED
from tests.judging.court import Court
from tests.judging.guards import GUARDS
from tests.lab import HereEngine, IsolatedEngine

KINDS = set(VerdictKind) - {VerdictKind.PASSED, VerdictKind.ERROR}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_cheat_is_passed_without_the_one_guard_that_stops_it(guard, tmp_path, monkeypatch):
    engine = IsolatedEngine() if guard.isolated else HereEngine()
    court = Court(tmp_path / "court", guard.base, mode=guard.mode, engine=engine, allowed=guard.allowed)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "answers.py").write_text(MENDED)
    files = {
        path: text.format(path=str(tmp_path / "elsewhere")) if path == "app.py" and "{path!r}" in text else text
        for path, text in guard.files.items()
    }
    try:
        verdict = court.judge(files, guard.criteria, opened=guard.opened, claimed=guard.claimed)
        assert verdict.kind in KINDS
        assert verdict.reasons
        guard.off(monkeypatch)
        verdict = court.judge(files, guard.criteria, opened=guard.opened, claimed=guard.claimed)
        assert (verdict.kind, verdict.reasons) == (VerdictKind.PASSED, ())
    finally:
        court.close()
