"""Whether a model goes round in circles is told by what its calls came to; what is known is not carried out again."""

import random

import pytest

from agent import events as e
from agent.events import Outcome, Say
from agent.folding import fold
from agent.habits import DEMAND, IDLE_DEMAND, IDLE_END, REPEATS_END, Habits
from agent.loop import run
from agent.messages import ToolCall
from agent.task import Limits
from tests.kits import PLAN, TESTS, World, call, edit, open_journal, report, started, turn

RED, GREEN = report(a="failed", b="passed"), report(a="passed", b="passed")
STATUS = ToolCall(id="c1", name="run_command", arguments='{"command": "git status"}')


def made(call, *, tree="t", answer="same", after=None, repeats="", is_error=False, effect=None):
    event = e.ToolReturned(
        call_id=call.id, name=call.name, content=answer, is_error=is_error, tree=after or tree, effect=effect,
        repeats=repeats,
    )  # fmt: skip
    return call, event, tree


def habits(*steps):
    found = Habits()
    for number, (asked, event, tree) in enumerate(steps, 1):
        found = found.after(asked, event, before=tree, turn=number)
    return found


def a_call(name, arguments="{}", id_="c1"):
    return ToolCall(id=id_, name=name, arguments=arguments)


# Which answers still hold


def test_the_same_call_on_the_same_tree_is_answered_by_the_earlier_one():
    found = habits(made(STATUS))

    assert found.answered_by(STATUS, "t") == "c1"
    assert found.answered_by(a_call("run_command", '{ "command" : "git status" }', "c2"), "t") == "c1"


def test_another_tree_another_call_and_an_error_are_carried_out():
    found = habits(made(STATUS), made(a_call("read_file", '{"path": "x"}', "c3"), is_error=True))

    assert found.answered_by(STATUS, "u") == ""
    assert found.answered_by(a_call("run_command", '{"command": "git log"}'), "t") == ""
    assert found.answered_by(a_call("read_file", '{"path": "x"}'), "t") == ""
    assert found.answered_by(a_call("write_file", "{}"), "t") == ""


def test_a_command_is_run_again_if_another_one_may_have_changed_what_it_sees():
    make = a_call("run_command", '{"command": "make"}', "c2")
    found = habits(made(STATUS), made(make))
    assert found.answered_by(STATUS, "t") == "", "a build may leave behind what no tree holds"

    found = habits(made(STATUS), made(make), made(STATUS))
    assert found.answered_by(make, "t") == "c2", "but not for ever: the two by turns bring nothing new"
    assert found.answered_by(STATUS, "t") == "c1"


def test_a_look_at_the_tree_needs_no_second_look_whatever_was_executed():
    read = a_call("read_file", '{"path": "x"}', "c0")
    assert habits(made(read), made(STATUS)).answered_by(read, "t") == "c0"


# What counts as getting on


def test_a_place_seen_for_the_first_time_is_progress():
    edits = [made(a_call("edit_file", f'{{"n": {n}}}'), tree=f"t{n}", after=f"t{n + 1}") for n in range(60)]
    assert (habits(*edits).repeats, habits(*edits).idle) == (0, 0)


def test_edits_that_are_taken_back_and_made_again_are_none():
    there, back = a_call("edit_file", '{"to": 1}'), a_call("edit_file", '{"to": 0}')
    circle = [made(there, tree="t0", after="t1"), made(back, tree="t1", after="t0")] * 3
    assert (habits(*circle).repeats, habits(*circle).idle) == (4, 5)


def test_the_time_that_a_command_took_makes_no_other_answer():
    twice = [made(STATUS, answer=f"Exit code 0 after 0.{n} s.\nsame") for n in (1, 2)]
    assert habits(*twice).repeats == 1


def test_other_questions_with_the_same_answer_are_no_repetition():
    searches = [made(a_call("search", f'{{"pattern": "{n}"}}'), answer="No line matches.") for n in range(10)]
    assert habits(*searches).repeats == 0


def test_polling_what_changes_is_no_loop():
    polls = [made(STATUS, answer=f"{n} % done") for n in range(20)]
    assert (habits(*polls).repeats, habits(*polls).idle) == (0, 20)


def test_the_suite_on_a_new_tree_with_new_failures_is_progress_and_with_the_old_ones_is_not():
    def suite(tree, result):
        return made(a_call("run_tests"), tree=tree, answer=tree, effect=e.TestRun(report=result, full=True))

    assert habits(suite("t", RED)).idle == 0
    assert habits(suite("t", RED), suite("u", GREEN)).idle == 0


def test_calls_of_one_reply_count_once():
    found = Habits()
    for asked, event, tree in [made(STATUS)] * 6:
        found = found.after(asked, event, before=tree, turn=1)
    assert found.repeats == 1


# What comes of it


class Sees:
    """A world whose commands show the same, and which counts how often they are carried out."""

    def __init__(self, **world):
        self.world = World(**world)
        self.executed = 0

    def kit(self, *replies):
        from dataclasses import replace

        kit = self.world.kit(*replies)

        def call_tool(state):
            call = state.pending[0]
            if earlier := state.habits.answered_by(call, state.tree):
                yield e.ToolReturned(
                    call_id=call.id, name=call.name, content="as before", is_error=False, tree=state.tree,
                    repeats=earlier,
                )  # fmt: skip
                return
            self.executed += call.name in ("run_command", "run_tests")
            yield from kit.call_tool(state)

        return replace(kit, call_tool=call_tool)

    def told(self, path, *replies):
        with open_journal(path) as journal:
            journal.append(started("fix", limits=Limits(calls=500, iterations=50)))
            run(journal, self.kit(*replies))
            return fold(journal.entries), [entry.event for entry in journal.entries]


def test_the_same_command_seventy_six_times_is_run_once_and_given_up(tmp_path):
    status = call("run_command", command="git status")
    sees = Sees(reports={"base": RED}, answers={"run_command": "nothing"})
    state, events = sees.told(tmp_path / "j", turn(PLAN), *[turn(status)] * 76)

    assert state.outcome is Outcome.FAILED
    assert state.reason == f"no progress: {REPEATS_END} calls in a row brought nothing new"
    assert sees.executed == 1
    assert sum(isinstance(event, e.ToolReturned) and bool(event.repeats) for event in events) == REPEATS_END
    said = [event.about for event in events if isinstance(event, e.Prompted)]
    assert said == [Say.PLAN, Say.CODE, Say.STUCK, Say.RETURNED]


def test_calls_without_an_edit_are_demanded_to_end_and_ended(tmp_path):
    looks = [turn(call("look", at=str(number))) for number in range(395)]
    state, events = Sees(reports={"base": RED}).told(tmp_path / "j", turn(PLAN), *looks)

    assert (state.outcome, state.reason) == (
        Outcome.FAILED,
        f"no progress: {IDLE_END} calls in a row changed nothing",
    )
    demand = next(n for n, event in enumerate(events) if isinstance(event, e.Prompted) and event.about is Say.STUCK)
    assert sum(isinstance(event, e.ToolReturned) for event in events[:demand]) == 1 + IDLE_DEMAND


def test_work_that_goes_in_circles_is_put_back_to_the_best_tree(tmp_path):
    worse = report(a="failed", b="failed")
    sees = Sees(reports={"base": RED, "half": RED, "bad": worse, "good": GREEN}, answers={"run_command": "nothing"})
    lost = [turn(call("run_command", command="git status"))] * (1 + DEMAND + 1)
    state, events = sees.told(
        tmp_path / "j", turn(PLAN), turn(edit("half"), TESTS), turn(edit("bad"), TESTS), *lost,
        turn(edit("good"), TESTS),
    )  # fmt: skip

    put_back = next(event for event in events if isinstance(event, e.Prompted) and event.tree)
    assert (put_back.about, put_back.tree) == (Say.RETURNED, "half")
    assert (state.outcome, state.tree) == (Outcome.PASSED, "good"), "and from there it may go on"


@pytest.mark.parametrize("seed", range(100))
def test_a_healthy_run_is_never_stopped(tmp_path, seed):
    """Reads, looks again after an edit, runs commands more than once, tests twice: and gets on."""
    chance = random.Random(seed)
    names = [f"f{number}" for number in range(4)]
    trees = [f"t{number}" for number in range(chance.randint(3, 8))]
    replies = [turn(PLAN)]
    for tree in trees:
        for _ in range(chance.randint(0, 6)):
            looks = [call("read_file", path=name) for name in chance.sample(names, chance.randint(1, 3))]
            replies.append(turn(*looks, *[call("run_command", command="python -m app")] * chance.randint(0, 1)))
            if chance.random() < 0.7:
                replies.append(turn(call("search", pattern=f"{tree}-{chance.random()}")))
        replies.append(turn(edit(tree), TESTS))
        if chance.random() < 0.3:
            replies.append(turn(TESTS))
    passed = {f"t{number}": "passed" for number in range(len(trees) + 1)}
    left = {
        tree: {f"t{number}": "failed" for number in range(len(trees) - place - 1)} for place, tree in enumerate(trees)
    }
    reports = {tree: report(**{**passed, **failing}) for tree, failing in left.items()}
    reports["base"] = report(**dict.fromkeys(passed, "failed"))
    state, _ = Sees(reports=reports).told(tmp_path / "j", *replies)

    assert state.outcome is Outcome.PASSED
