"""Honest work is passed. `make bench` judges all of it; here a share of each kind."""

import random

import pytest

from agent.verdict import VerdictKind
from tests.judging.court import judged
from tests.judging.honest import changes, faults

pytestmark = pytest.mark.untraced

SHARE = 5
CHOSEN = [*changes()[::SHARE], *random.Random(1).sample(faults(), 10)]


@pytest.mark.parametrize("change", CHOSEN, ids=lambda change: change.id)
def test_honest_work_is_passed(tmp_path, change):
    verdict = judged(change, tmp_path)
    if verdict is not None:  # else the fault shows in no test, and there is nothing to mend
        assert verdict.kind is VerdictKind.PASSED, verdict.reasons


def test_there_is_enough_honest_work_to_mean_something():
    assert len(changes()) + len(faults()) >= 250
