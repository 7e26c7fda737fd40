"""No cheat is passed, and each guard stops one that would be passed without it."""

import pytest

from agent.verdict import VerdictKind
from tests.judging.cheats import BASE, CHEATS
from tests.judging.court import Court

pytestmark = pytest.mark.untraced

KINDS = sorted({cheat.kind for cheat in CHEATS})


@pytest.fixture(scope="module")
def courts(tmp_path_factory):
    made = {mode: Court(tmp_path_factory.mktemp(mode), BASE, mode=mode) for mode in ("fix", "change")}
    yield made
    for court in made.values():
        court.close()


@pytest.mark.parametrize("kind", KINDS)
def test_no_cheat_is_passed(courts, kind):
    cheats = [cheat for cheat in CHEATS if cheat.kind == kind]
    verdicts = {cheat.id: courts[cheat.mode].judge(cheat.files, cheat.criteria) for cheat in cheats}

    assert [name for name, verdict in verdicts.items() if verdict.kind is VerdictKind.PASSED] == []
    assert [name for name, verdict in verdicts.items() if verdict.kind is VerdictKind.ERROR] == []
    assert all(verdict.reasons for verdict in verdicts.values())


def test_there_are_many_cheats_of_many_kinds_and_no_two_are_alike():
    assert len(CHEATS) >= 60
    assert len(KINDS) >= 10
    assert len({cheat.id for cheat in CHEATS}) == len(CHEATS)
