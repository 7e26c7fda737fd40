"""Tests that do not end as they should: who is told of which, and what it takes to call somebody's work broken."""

import pytest

from agent import events as e
from agent.events import Outcome
from agent.retrial import CALM, MANY, WILD
from agent.settling import WHOLE_BOX
from agent.testreport import Status
from agent.verdict import VerdictKind
from tests.canned import FILE, CannedEngine, shown
from tests.lab import showing

FILES = {"app.py": "STATE = 0\n", FILE: ""}
RIGHT = {"app.py": "STATE = 1\n"}
SHORT, LONG = 0.2, 3.0


class Case:
    """A run whose base was measured and whose model left a tree: `ends` says how tests end, by place and number."""

    def __init__(self, lab, ends, *, mode="fix", seconds=LONG, flaky=(), environmental=None):
        self.counts = {"base": 0, "warm": 0, "fresh": 0}
        self.ends, self.seconds = ends, seconds
        self.engine = CannedEngine(show=self.show)
        self.at = lab(FILES, mode=mode, engine=self.engine)
        self.at.events.append(
            e.BaselineMeasured(
                report=self.base_report(), flaky=tuple(id_of(name) for name in flaky),
                environmental={id_of(name): why for name, why in (environmental or {}).items()},
            )
        )  # fmt: skip
        self.at.planned()
        self.tree = self.at.put(RIGHT)
        self.at.left(self.tree)

    def place(self, run):
        return "base" if run.tree == self.at.state.base else "fresh" if run.fresh else "warm"

    def show(self, run):
        place = self.place(run)
        said = self.ends(place, self.counts[place])
        self.counts[place] += 1
        names = run.among(said)
        return shown({name: said[name] for name in names}, self.seconds * len(names) / len(said))

    def base_report(self):
        from agent.bench import to_report

        return to_report(shown(self.ends("base", -1), self.seconds))

    def tested(self):
        """What the loop's own run of the suite comes to."""
        (event,) = self.at.bench.test(self.at.state)
        self.at.events.append(event)
        return event.report

    def judged(self):
        return self.at.verdict()


def id_of(name):
    return f"{FILE}::{name}"


@pytest.fixture
def case(lab):
    return lambda ends, **options: Case(lab, ends, **options)


GREEN = {"test_target": "passed", "test_a": "passed", "test_b": "passed"}
RED = GREEN | {"test_target": "failed"}


def mended(**broken):
    """The target is mended; tests in `broken` end as their functions of place and number say."""

    def ends(place, number):
        return (RED if place == "base" else GREEN) | {
            f"test_{name}": how(place, number) for name, how in broken.items()
        }

    return ends


def fails_here(place, _):
    return "passed" if place == "base" else "failed"


def passes_once(place, number):
    return "passed" if place == "base" or number == 2 else "failed"


def by_turns(_, number):
    return "failed" if number % 2 == 0 else "passed"


# While the model works


def test_a_green_run_is_run_once(case):
    made = case(mended())

    assert made.tested().again == ()
    assert made.counts == {"base": 0, "warm": 1, "fresh": 0}


def test_what_newly_fails_is_run_again_alone_before_the_model_is_told(case):
    made = case(mended(a=fails_here))
    report = made.tested()

    assert [run.asked for run in made.engine.runs] == [(), *[(id_of("test_a"),)] * (CALM - 1)]
    assert (report.flaky, report.failing) == ((), (id_of("test_a"),))
    assert made.at.watcher.said == ["running 1 test again, here and on the base, to tell fault from chance"]


def test_what_passes_when_it_is_run_again_is_flaky_and_is_left_to_the_judge(case):
    made = case(mended(a=lambda place, number: "failed" if (place, number) == ("warm", 0) else "passed"))
    report = made.tested()

    assert report.flaky == (id_of("test_a"),)
    assert made.at.state.hidden == {id_of("test_a")}
    assert made.at.state.standings.flaky == frozenset(), "the base was never seen to waver"
    assert made.at.state.green


def test_where_the_base_is_flaky_it_takes_more_runs_on_both_trees_to_be_sure(case):
    made = case(mended(a=fails_here, b=by_turns), flaky=["test_b"])

    assert made.tested().flaky == (id_of("test_b"),)
    assert made.counts == {"base": WILD - 1, "warm": WILD, "fresh": 0}


def test_what_the_base_was_seen_to_do_is_not_looked_for_again(case):
    made = case(mended(a=fails_here, b=by_turns), flaky=["test_b"])
    made.tested()
    made.tested()

    assert made.counts["base"] == WILD - 1


def test_a_test_that_fails_at_the_base_too_when_it_is_run_again_there_is_flaky_from_then_on(case):
    made = case(mended(a=lambda place, number: "failed" if place != "base" or number == 1 else "passed", b=by_turns),
                flaky=["test_b"])  # fmt: skip
    made.tested()

    assert made.at.state.standings.flaky == {id_of("test_a"), id_of("test_b")}


def test_old_failures_are_not_run_again_while_they_are_still_to_be_mended(case):
    made = case(lambda _place, _number: RED)
    made.tested()

    assert made.counts == {"base": 0, "warm": 1, "fresh": 0}


def test_a_short_suite_is_run_again_as_a_whole_and_shows_more(case):
    made = case(mended(a=fails_here, b=lambda place, number: "failed" if (place, number) == ("warm", 1) else "passed"),
                seconds=SHORT)  # fmt: skip
    report = made.tested()

    assert {run.asked for run in made.engine.runs} == {()}
    assert report.flaky == (id_of("test_b"),)


def test_a_test_that_was_lost_is_looked_for_in_its_file_on_both_trees(case):
    made = case(lambda place, _: RED if place == "base" else {"test_target": "passed", "test_b": "passed"})
    made.tested()

    assert {run.asked for run in made.engine.runs[1:]} == {(FILE,), (id_of("test_a"),)}
    assert not made.at.state.green


def test_an_id_that_the_base_lacks_next_time_too_is_not_lost(case):
    def ends(place, number):
        which = {"base": number + 10, "warm": number + 20, "fresh": number + 40}[place]
        return {"test_target": "failed" if place == "base" else "passed", f"test_r[{which}]": "passed"}

    made = case(ends)
    made.tested()

    assert made.at.state.standings.unstable == {id_of("test_r[9]")}
    assert made.at.state.green


def test_a_look_at_some_tests_marks_those_that_were_seen_both_ways(case):
    made = case(mended(a=by_turns))
    first = made.at.call("run_tests", f'{{"tests": ["{id_of("test_a")}"]}}')
    made.at.call("read_file", '{"path": "app.py"}')
    made.at.events += [made.at.called("edit", "{}") and made.at.returned(made.at.put({"app.py": "STATE = 2\n"}))]
    made.at.events += [made.at.called("edit", "{}") and made.at.returned(made.tree)]
    second = made.at.call("run_tests", f'{{"tests": ["{FILE}"]}}')

    assert id_of("test_a") in first.content
    assert id_of("test_a") not in second.content
    assert made.at.state.hidden == {id_of("test_a")}


# Before a verdict


def judged(made):
    made.at.wrote(made.tree, target="passed", a="passed", b="passed")
    return made.judged()


def test_a_verdict_on_a_green_run_takes_one_run(case):
    made = case(mended())
    verdict = judged(made)

    assert (verdict.kind, verdict.notes, verdict.report.again) == (VerdictKind.PASSED, (), ())
    assert made.counts["base"] == 0


def test_a_test_that_fails_each_time_and_never_at_the_base_is_broken(case):
    made = case(mended(a=fails_here))
    verdict = judged(made)

    assert (verdict.kind, verdict.reasons) == (
        VerdictKind.FAILED,
        (f"{id_of('test_a')} passed at the base and fails on the result",),
    )
    (again,) = verdict.report.again
    assert (again.here, again.base) == ((Status.FAILED,) * (CALM - 1), (Status.PASSED,) * CALM)


def test_a_pass_at_last_is_not_green(case):
    verdict = judged(case(mended(a=passes_once)))

    assert verdict.kind is VerdictKind.NEEDS_REVIEW
    assert verdict.reasons == (
        f"{id_of('test_a')} does not always pass: it did so in 1 of 3 runs, and in {MANY} of {MANY} at the base",
    )


def test_a_test_that_fails_at_times_at_the_base_too_decides_nothing_and_is_told_to_people(case):
    made = case(mended(a=lambda place, number: "failed" if place == "fresh" or number == 1 else "passed"))
    verdict = judged(made)

    assert verdict.kind is VerdictKind.PASSED
    assert verdict.notes == (f"{id_of('test_a')} decided nothing: it fails at times on the base, too (1 of 3 times)",)
    assert made.at.state.standings.flaky == {id_of("test_a")}


def test_what_was_flaky_at_the_base_decides_nothing_both_ways(case):
    for how in ("failed", "passed"):
        made = case(mended(a=lambda place, _, how=how: "failed" if place == "base" else how), flaky=["test_a"])
        assert judged(made).kind is VerdictKind.PASSED


def test_a_flaky_test_may_fail_and_must_not_be_lost(case):
    made = case(lambda place, _: RED if place == "base" else {"test_target": "passed", "test_b": "passed"},
                flaky=["test_a"])  # fmt: skip

    assert judged(made).reasons == (f"{id_of('test_a')} passed at the base and is lost on the result",)


def test_a_target_that_passes_at_times_is_not_mended(case):
    made = case(lambda place, number: RED if place == "base" or (place == "fresh" and number == 0) else GREEN)
    verdict = judged(made)

    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reasons == (
        f"{id_of('test_target')} does not pass reliably: it did so in 1 of 2 runs, and in 0 of {MANY} at the base",
    )


def test_a_test_that_wavered_in_the_working_copy_has_to_pass_more_than_once(case):
    made = case(
        mended(a=lambda place, number: "failed" if (place, number) in {("warm", 0), ("fresh", 3)} else "passed")
    )
    made.tested()
    verdict = made.judged()

    assert verdict.kind is VerdictKind.NEEDS_REVIEW
    assert verdict.reasons[0].startswith(f"{id_of('test_a')} does not always pass: it did so in 7 of 8 runs")


def test_what_the_sandbox_lacks_is_nobodys_to_mend_and_may_stay(case):
    def ends(place, _):
        return (RED if place == "base" else GREEN) | {"test_net": ("failed", "socket.gaierror: [Errno -2]")}

    made = case(ends, environmental={"test_net": "name resolution"})
    verdict = judged(made)

    assert verdict.kind is VerdictKind.PASSED
    assert verdict.notes == (f"{id_of('test_net')} decided nothing: the sandbox lacks what it wants (name resolution)",)


def test_of_many_tests_that_decided_nothing_some_are_named(case):
    many = {f"f{n}": lambda place, _: "passed" if place == "base" else "failed" for n in range(14)}
    made = case(mended(**many), flaky=[f"test_{name}" for name in many])

    assert judged(made).notes[10:] == ("4 more tests decided nothing",)


def test_the_model_is_not_told_the_name_of_a_test_that_wavers(case):
    made = case(mended(a=passes_once))
    judged(made)
    made.at.events.append(e.Committed(commit="c1", tree=made.tree, subject="Try"))
    from agent.speaking import Speaker

    speaker = Speaker(files=lambda _: (), changed=made.at.workspace.changed)
    (event,) = speaker.prompt(made.at.state)
    said = event.messages[-1].content

    assert "needs review" in said
    assert f"a flaky test of {FILE} does not always pass" in said
    assert id_of("test_a") not in said


def test_where_tests_are_flaky_the_whole_suite_is_run_more_often_to_see_what_the_work_made_waver(case):
    seldom = lambda place, number: "failed" if (place, number) == ("fresh", WILD - 1) else "passed"  # noqa: E731
    made = case(mended(a=seldom, b=by_turns), flaky=["test_b"])
    verdict = judged(made)

    assert [run.asked for run in made.engine.runs[:WILD]] == [()] * WILD
    assert verdict.kind is VerdictKind.NEEDS_REVIEW
    assert verdict.reasons[0].startswith(f"{id_of('test_a')} does not always pass: it did so in {WILD - 1} of {WILD}")


def test_a_suite_that_takes_too_long_for_that_is_not_run_again(case):
    made = case(mended(b=by_turns), flaky=["test_b"], seconds=WHOLE_BOX)
    judged(made)

    assert len([run for run in made.engine.runs if not run.asked]) == 1


def test_under_new_chance_excuses_no_test_for_they_are_the_agents_own(case):
    by_chance = lambda place, number: "failed" if place == "fresh" or number % 2 == 0 else "passed"  # noqa: E731
    made = case(mended(a=by_chance), mode="new", flaky=["test_a"])
    verdict = judged(made)

    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reasons == (f"{id_of('test_a')} passed at the base and fails on the result",)


# What nobody can mend


@pytest.mark.parametrize(
    ("flaky", "environmental", "reason"),
    [
        (("tests/test_app.py::test_a",), {}, "1 test failed in one run and passed in another one of the same files"),
        ((), {"tests/test_app.py::test_a": "name resolution"}, "1 test cannot pass in a sandbox (name resolution)"),
    ],
)
def test_a_fix_where_nothing_is_to_be_mended_ends_before_the_model_is_asked(lab, flaky, environmental, reason):
    at = lab(FILES, mode="fix")
    red = showing(a="failed", b="passed")
    at.events.append(e.BaselineMeasured(report=red, flaky=flaky, environmental=environmental))

    assert at.state.closing[0] is Outcome.BLOCKED
    assert reason in at.state.closing[1]


def test_a_change_goes_on_whatever_fails_at_its_base(lab):
    at = lab(FILES, mode="change")
    at.events.append(e.BaselineMeasured(report=showing(a="failed"), environmental={id_of("test_a"): "no network"}))

    assert at.state.closing is None
