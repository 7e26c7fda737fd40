"""Who is to blame for a test that does not end as it should: every run counts, on both trees alike."""

import pytest

from agent.retrial import CALM, MANY, WILD, Finding, Retrial, Rules, Trial
from agent.testreport import Again, Status

P, F = Status.PASSED, Status.FAILED
RULES = Rules(here=CALM, base=CALM)
PASSES = frozenset({P})


def trial(here, base="", good=PASSES):
    """A trial from letters: P and F, - where it was not there."""
    ways = {"P": P, "F": F, "-": None}
    return Trial(id="a", good=good, here=tuple(ways[c] for c in here), base=tuple(ways[c] for c in base))


@pytest.mark.parametrize(
    ("here", "base", "found"),
    [
        ("F", "P", Finding.OPEN),
        ("FFF", "PP", Finding.OPEN),
        ("FF", "PPP", Finding.OPEN),
        ("FFF", "PPP", Finding.DIFFERS),
        ("FFF", "FFF", Finding.DIFFERS),
        ("F", "PF", Finding.FLAKY),
        ("FFF", "PPF", Finding.FLAKY),
        ("F", "P-", Finding.FLAKY),
        ("--F", "PPP", Finding.DIFFERS),
        ("FP", "PPP", Finding.OPEN),
        ("FP", "P" * MANY, Finding.WAVERS),
        ("FP", "F" * MANY, Finding.WAVERS),
        ("FP", "P" * (MANY - 1) + "F", Finding.FLAKY),
        ("PP", "PPP", Finding.OPEN),
        ("PPP", "P", Finding.HOLDS),
        ("FFF", "", Finding.DIFFERS),
        ("FP", "", Finding.WAVERS),
    ],
)
def test_what_a_trial_finds(here, base, found):
    assert trial(here, base).finding(RULES) is found


def test_a_pass_at_last_is_no_pass():
    assert trial("F" + "P" * 50, "P" * MANY).finding(RULES) is Finding.WAVERS


def after(retrial, here="F", base="P", most=200):
    """The retrial with all the runs that it wants, which always end so; and how many there were of each kind."""
    runs = [0, 0]
    while retrial.wanted_here or retrial.wanted_at_base:
        for number, (wanted, ended) in enumerate([(retrial.wanted_here, here), (retrial.wanted_at_base, base)]):
            if wanted:
                runs[number] += 1
                status = {"P": P, "F": F}[ended]
                retrial = retrial.seen(dict.fromkeys(wanted, status), base=bool(number))
        assert sum(runs) < most
    return retrial, runs


def test_a_clear_case_takes_as_many_runs_as_the_rules_say_on_either_tree():
    retrial, runs = after(Retrial(trials=(trial("F", "P"),), rules=RULES))

    assert runs == [CALM - 1, CALM - 1]
    assert [each.id for each in retrial.found(Finding.DIFFERS)] == ["a"]


def test_once_a_test_was_seen_both_ways_every_case_takes_more_runs():
    wild = Trial(id="b", good=PASSES, here=(F,), base=(P, F))
    retrial, runs = after(Retrial(trials=(trial("F", "P"), wild), rules=RULES))

    assert runs == [WILD - 1, WILD - 1]
    assert (retrial.found(Finding.FLAKY), len(retrial.found(Finding.DIFFERS))) == ((wild,), 1)


def test_what_passes_at_times_here_is_looked_for_at_the_base_a_fixed_number_of_times():
    _, runs = after(Retrial(trials=(trial("FP", "P"),), rules=RULES))

    assert runs == [0, MANY - 1]


def test_runs_that_were_not_wanted_and_tests_that_were_not_run_change_nothing():
    retrial = Retrial(trials=(trial("F", "P"),), rules=RULES)

    assert retrial.seen({"other": P}, base=True) == retrial


def test_the_record_has_every_run_but_the_first_one_here():
    retrial, _ = after(Retrial(trials=(trial("F", "P"),), rules=RULES))

    assert retrial.again() == (Again(id="a", here=(F,) * (CALM - 1), base=(P,) * CALM),)
