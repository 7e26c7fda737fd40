"""Where tests pass by chance, verdicts are right all the same, and no name is told that says nothing.

`python -m bench.flaky` prints the same for 500 seeds.
"""

import pytest

from tests.chance import WORKS, World

pytestmark = pytest.mark.untraced

SEEDS = 50
SUITES = (1.0, 10.0)
"""Seconds: one is run again as a whole, of the other the failures are."""
CERTAIN = {work.name: work for work in WORKS if work.code != "wobbly"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("chance") / "repository")
    yield made
    made.close()


@pytest.mark.parametrize("name", CERTAIN)
def test_chance_makes_no_verdict_wrong_and_names_no_test(world, name):
    seeds = SEEDS if name == "fix: honest" else SEEDS // 5
    came = [world.run(CERTAIN[name], seed, SUITES[seed % 2]) for seed in range(seeds)]

    assert [seed for seed, each in enumerate(came) if not each.right] == []
    assert [sorted(each.named) for each in came if each.named] == []
    assert all(each.state.hidden for each in came), "that there are flaky tests was never seen"


def test_a_test_that_the_work_made_flaky_is_not_called_flaky_at_the_base(world):
    """Whether it is seen to fail is a matter of chance; if it is, the result is not green."""
    wobbly = next(work for work in WORKS if work.code == "wobbly")
    came = [world.run(wobbly, seed, 1.0) for seed in range(10)]
    seen = [each for each in came if any("test_stable_3" in name for name in each.state.hidden)]

    assert len(seen) >= 5
    assert not any(each.right is False for each in seen)
    assert not any("test_stable_3" in name for each in came for name in each.state.standings.flaky)
