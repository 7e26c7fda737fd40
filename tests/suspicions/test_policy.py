"""What suspicions lead to by default, and where a repository says otherwise."""

from pathlib import Path

import pytest

from agent.suspicions import CHOICES, RULES, Kind, Policies, Policy, Suspicion, table
from agent.suspicions.policy import MOST

ROOT = Path(__file__).parents[2]
FLAGGED = Suspicion(kind=Kind.MACHINE_FILE, path="Makefile", words="x")
REFUSED = Suspicion(kind=Kind.ALWAYS_EQUAL, path="app.py", words="x")


def test_every_kind_has_a_rule_and_stands_in_the_documentation():
    assert set(RULES) == set(Kind)
    assert table() in (ROOT / "docs" / "judging.md").read_text("utf-8")


def test_the_use_decides_what_a_kind_leads_to():
    led = {mode: Policies(mode=mode, stated={}).of(Kind.NEW_SKIP) for mode in ("fix", "change", "new")}

    assert led == {"fix": Policy.REFUSE, "change": Policy.REVIEW, "new": Policy.REFUSE}


def test_no_kind_is_ignored_by_default():
    assert not [
        kind
        for kind in Kind
        for mode in ("fix", "change", "new")
        if Policies(mode=mode, stated={}).of(kind) == "ignore"
    ]


def test_fix_is_never_laxer_than_change():
    order = list(Policy)

    assert not [kind for kind, rule in RULES.items() if order.index(rule.fix) > order.index(rule.change)]


def test_what_a_repository_states_holds_and_what_it_ignores_is_gone():
    policies = Policies(mode="change", stated={"machine-file": "ignore", "always-equal": "flag"})

    assert policies.weighed([FLAGGED, REFUSED]) == (
        Suspicion(kind=Kind.ALWAYS_EQUAL, path="app.py", words="x", policy=Policy.FLAG),
    )


def test_a_flood_of_trifles_hides_nothing_that_is_refused():
    flood = [Suspicion(kind=Kind.MACHINE_FILE, path=f"a/{n}/Makefile", words="x") for n in range(2 * MOST)]

    weighed = Policies(mode="change", stated={}).weighed([*flood, REFUSED])
    assert len(weighed) == MOST
    assert (weighed[0].kind, weighed[0].policy) == (Kind.ALWAYS_EQUAL, Policy.REFUSE)


def test_where_it_is_laxer_is_told_and_where_it_is_stricter_is_not():
    stated = {"machine-file": "refuse", "always-equal": "flag", "conftest": "flag"}

    assert Policies(mode="change", stated=stated).laxer == ("always-equal: flag instead of refuse",)
    assert Policies(mode="fix", stated=stated).laxer == (
        "always-equal: flag instead of refuse",
        "conftest: flag instead of review",
    )


@pytest.mark.parametrize("kind", Kind)
def test_only_what_is_never_more_than_a_flag_can_be_ignored(kind):
    rule = RULES[kind]

    assert ("ignore" in CHOICES[kind]) == ({rule.fix, rule.change, rule.new} == {Policy.FLAG})
    assert CHOICES[kind][:3] == ("refuse", "review", "flag")
