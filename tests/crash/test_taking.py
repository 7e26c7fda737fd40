"""Accepting and taking back: killed at any moment, the same command once more ends what was begun."""

from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import pytest

from agent.durable import Moment
from agent.models.server import ScriptedServer
from tests.crash.runs import KILLED, checkout, left_behind, points_of
from tests.crash.world import MENDING, copied, in_use, tidy
from tests.crash.zygote import Kill, Order

pytestmark = pytest.mark.untraced

KINDS = ("commit", "merge", "files")
TOUCHING = ("file", "checkout", "index", "by user", "ref")
"""How those moments begin that touch more than the store of objects, where nothing is found but what is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A repository with a run that has ended, what accepting it comes to, and what happens on the way and back."""

    zygote: object
    merge: bool
    ended: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    accepting: tuple[Kill, ...]
    undoing: tuple[Kill, ...]
    passed: frozenset[str]
    """Every moment on the way."""

    def do(self, what, root, kill=None, trace=""):
        """Carry out `accept` or `undo`."""
        order = Order(do=what, repository=str(root), merge=self.merge, kill=kill, trace=str(trace))
        return self.zygote.carry_out(order)

    def killed(self, what, root, kill):
        assert self.do(what, root, kill).code == KILLED

    def repeated(self, what, root, words):
        """Carry it out once more, after it was killed: it is done, or was done already, and says so."""
        answer = self.do(what, root)
        assert answer.code == 0 or (answer.code == 2 and words in answer.said), answer
        assert list(left_behind(root, family=False)) == []


OF_A_CHECKOUT = {each for each in Moment if each.startswith(("checkout", "index", "by user"))}


@pytest.fixture(scope="module", params=KINDS)
def taken(request, zygote, tmp_path_factory):
    room = tmp_path_factory.mktemp(request.param)
    with zygote.home():
        ended = (in_use if request.param == "files" else tidy)(room / "ended")
    with ScriptedServer(MENDING.script) as server:
        answer = zygote.carry_out(Order(do="fix", repository=str(ended), base_url=server.base_url))
    assert answer.code == 0, answer
    root, found, passed = copied(ended, room / "accepted"), {}, set()
    made = Taken(
        zygote=zygote, merge=request.param == "merge", ended=ended, before=checkout(ended), after={},
        accepting=(), undoing=(), passed=frozenset(),
    )  # fmt: skip
    for what in ("accept", "undo"):
        assert made.do(what, root, trace=room / what).code == 0
        points = [point for point in points_of(room / what) if point.moment.startswith(TOUCHING)]
        passed |= {point.moment for point in points}
        found[what] = tuple(kill for point in points for kill in point.kills())
        if what == "accept":
            after = checkout(root)
    assert checkout(root) == made.before
    return Taken(
        zygote=zygote, merge=made.merge, ended=ended, before=made.before, after=after,
        accepting=found["accept"], undoing=found["undo"], passed=frozenset(passed),
    )  # fmt: skip


def test_what_is_killed_at_any_moment_is_finished_by_the_same_command(taken, tmp_path):
    assert taken.before != taken.after
    for number, (accepting, undoing) in enumerate(zip_longest(taken.accepting, taken.undoing)):
        root = copied(taken.ended, tmp_path / str(number))
        if accepting is not None:
            taken.killed("accept", root, accepting)
        taken.repeated("accept", root, "accepted already")
        assert checkout(root) == taken.after, accepting
        if undoing is not None:
            taken.killed("undo", root, undoing)
            taken.repeated("undo", root, "not accepted")
            assert checkout(root) == taken.before, undoing


@pytest.mark.parametrize("taken", ["commit"], indirect=True)
def test_what_is_killed_while_it_recovers_from_being_killed_recovers_all_the_same(taken, tmp_path):
    cut_off = copied(taken.ended, tmp_path / "cut-off")
    taken.killed("accept", cut_off, Kill(moment=Moment.BY_USER_DONE, nth=1))
    root = copied(cut_off, tmp_path / "traced")
    assert taken.do("undo", root, trace=tmp_path / "trace").code == 0
    points = [point for point in points_of(tmp_path / "trace") if point.moment.startswith(TOUCHING)]
    assert taken.passed | {point.moment for point in points} >= OF_A_CHECKOUT, "each of them is passed somewhere here"
    for number, kill in enumerate(chain.from_iterable(point.kills() for point in points)):
        for what, words, then in (("undo", "not accepted", taken.before), ("accept", "accepted already", taken.after)):
            root = copied(cut_off, tmp_path / f"{what}-{number}")
            taken.killed("undo", root, kill)
            taken.repeated(what, root, words)
            assert checkout(root) == then, kill


def test_what_is_killed_while_it_is_accepted_can_be_taken_back(taken, tmp_path):
    for number, kill in enumerate(taken.accepting[1::2]):
        root = copied(taken.ended, tmp_path / str(number))
        taken.killed("accept", root, kill)
        taken.repeated("undo", root, "not accepted")
        assert checkout(root) == taken.before, kill
