"""Whatever happens to runs, in whatever order: what is promised holds.

`STATEFUL_EXAMPLES=500` looks further, each time elsewhere; `STATEFUL_SHRINK=1` makes what it finds as small as it can.
"""

import os
from collections import Counter
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from agent.events import Outcome
from agent.task import Limits
from sandbox import EngineGone, SandboxLost
from tests.stateful.machine import FAILURES, FAR, REACHED, TOLD, WAYS, AnyHistory
from tests.stateful.model import KINDS
from tests.stateful.user import ACTIONS

pytestmark = pytest.mark.untraced

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
BY_DEFAULT = 12
SETTINGS = settings(
    max_examples=EXAMPLES or BY_DEFAULT,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, *([Phase.shrink] if "STATEFUL_SHRINK" in os.environ else [])],
    report_multiple_bugs=False,
)
BEGINNING = {"mode": "fix", "isolated": True, "density": 1.0, "context": 262_144, "limits": Limits()}
SOMEWHERE = ("asks", "executes", "committed", "run_finished", "model_replied")


def test_whatever_happens_what_is_promised_holds():
    REACHED.clear()
    run_state_machine_as_test(AnyHistory if EXAMPLES else seed(5)(AnyHistory), settings=SETTINGS)
    told(REACHED)

    often = ("passed", "passed after a pause", "out_of_budget", "paused: interrupted", "paused: model", "user tidies")
    assert [what for what in often if not REACHED[what]] == [], "ordinary runs are reached, not only wrecks"


def test_every_kind_of_history_can_be_told():
    """Each thing once, by the same rules, so that none of them is left to chance."""
    REACHED.clear()
    the_model_says_everything()
    everything_comes_between()
    runs_end_in_every_way()
    what_was_left_is_taken_up()
    processes_die_between_the_branch_and_the_journal()

    wanted = {
        *(f"model {kind}" for kind in KINDS),
        *(f"usage {each}" for each in TOLD),
        *(f"call: {each}" for each in FAILURES),
        *(f"user {action}" for action in (*ACTIONS, "tidies")),
        *(f"begun, {mode}" for mode in ("fix", "change")),
        *(f"taken up {way}" for way in WAYS),
        *(f"sandbox lost {times} times" for times in (1, 2, 3)),
        *(f"died where it {where}" for where in ("asks", "executes", "wrote run_paused")),
        *(f"died where it wrote {kind}, torn" for kind in ("committed", "run_finished", "model_replied")),
        *(f"paused: {why}" for why in ("interrupted", "model", "sandbox")),
        *(outcome.value for outcome in Outcome if outcome is not Outcome.PLANNED),
        *("interrupted where it executes", "second session refused", "engine gone", "passed after a pause"),
    }
    assert wanted - REACHED.keys() == set()


def the_model_says_everything():
    with history() as any_history:
        for number, kind in enumerate(KINDS):
            any_history.the_model_replies(which=0, kind=kind, told=TOLD[number % len(TOLD)], stops=1)
            any_history.all_is_well()
    for told in ("belittled", "inflated"):
        with history() as any_history:
            for kind in ("improves", "runs tests", "edits"):
                any_history.the_model_replies(which=0, kind=kind, told=told, stops=FAR)
                any_history.all_is_well()


def everything_comes_between():
    with history() as any_history:
        any_history.a_second_run_begins(way=BEGINNING | {"mode": "change"})
        any_history.a_second_session_on_the_same_run_is_refused(which=0)
        for what in FAILURES:
            any_history.the_model_does_not_reply(which=1, what=what, times=1)
        for action in ACTIONS:
            any_history.user.times = 0
            any_history.the_user_works(action=action)
            any_history.all_is_well()
        for times in (1, 2, 3):
            any_history.the_engine_loses_sandboxes(
                which=0, times=times, error=EngineGone if times == 1 else SandboxLost
            )
        any_history.the_engine_is_gone_for_a_while(which=0)
        for where in SOMEWHERE:
            any_history.a_run_is_interrupted(which=0, stops=where)
            any_history.a_process_dies(which=0, stops=where, pauses=False, torn=0 if where in SOMEWHERE[2:] else None)
            any_history.all_is_well()
        any_history.a_process_dies(which=0, stops=0, pauses=True, torn=None)
        any_history.a_process_dies(which=1, stops=0, pauses=False, torn=None)
        any_history.user.times = 0
        any_history.the_user_tidies()
        any_history.all_is_well()


def runs_end_in_every_way():
    with history() as any_history:
        any_history.the_model_works(which=0, kinds=["mends"])
        for way in ("with a further request", "as it is"):
            any_history.a_run_is_taken_up(which=0, way=way)
            any_history.the_model_works(which=0, kinds=["mends", "finishes"])
            any_history.all_is_well()
    with history(isolated=False) as any_history:
        any_history.the_model_works(which=0, kinds=["gives up"])
        any_history.a_run_is_taken_up(which=0, way="with a hint")
        any_history.the_model_works(which=0, kinds=["mends", "finishes", "talks", "talks", "talks", "talks"])
    for limits in (Limits(calls=3), Limits(dollars=0.04), Limits(tokens=60_000), Limits(seconds=20.0)):
        with history(limits=limits) as any_history:
            any_history.the_model_works(
                which=0, kinds=["improves", "breaks", "edits", "breaks", "improves", "edits"] * 2
            )
            any_history.all_is_well()
    with history(limits=Limits(iterations=1)) as any_history:
        any_history.the_model_works(which=0, kinds=["improves"])
        any_history.a_run_is_taken_up(which=0, way="with larger limits")
        any_history.the_model_works(which=0, kinds=["talks"] * 5)


def what_was_left_is_taken_up():
    with history() as any_history:
        any_history.the_model_works(which=0, kinds=["improves", "breaks"])
        any_history.a_run_is_interrupted(which=0, stops=0)
        any_history.the_model_works(which=0, kinds=["improves"])
    with history() as any_history:
        any_history.the_model_works(which=0, kinds=["edits"])
        any_history.a_process_dies(which=0, stops="model_replied", pauses=False, torn=40)
        any_history.the_user_tidies()


def processes_die_between_the_branch_and_the_journal():
    """And what comes next is not what they were about to do."""
    with history() as any_history:
        any_history.the_model_works(which=0, kinds=["improves", "breaks"])
        any_history.a_process_dies(which=0, stops=0, pauses=True, torn=0)
        any_history.the_model_works(which=0, kinds=["improves"])
    with history() as any_history:
        any_history.the_model_works(which=0, kinds=["improves"])
        any_history.the_model_replies(which=0, kind="breaks", told="as it is", stops=0)
        any_history.a_process_dies(which=0, stops="committed", pauses=False, torn=0)
        any_history.a_run_is_taken_up(which=0, way="as it is")
        any_history.a_run_is_interrupted(which=0, stops=0)
    with history() as any_history:
        any_history.the_model_works(which=0, kinds=["improves", "breaks"])
        any_history.the_model_replies(which=0, kind="gives up", told="as it is", stops=0)
        any_history.a_process_dies(which=0, stops="run_finished", pauses=False, torn=0)
        any_history.a_run_is_taken_up(which=0, way="with a hint")
        any_history.the_model_works(which=0, kinds=["improves"])


@contextmanager
def history(**changes):
    """A history with one run in it, which is looked at to its end."""
    any_history = AnyHistory()
    try:
        any_history.a_repository_is_there_and_a_run_in_it(dirty=True, way=BEGINNING | changes)
        yield any_history
    except BaseException:
        any_history.clear_away()
        raise
    any_history.teardown()


def told(reached: Counter[str]) -> None:
    """For whoever runs it with `-s`."""
    print("\n" + ", ".join(f"{what} {count}" for what, count in sorted(reached.items())))
