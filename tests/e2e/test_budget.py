"""Budgets, from outside: what a run may cost it does not pass, and what it has by then is kept."""

from agent.models.server import ScriptedServer
from tests.e2e.harness import LOCAL, LOCALLY, billed, branch, greenward, mending, subjects, told, trailers, variables
from tests.gitrepo import git


def test_one_iteration_leaves_the_best_state_on_the_branch(red):
    with ScriptedServer(mending()) as server:
        ran = greenward("fix", red, *LOCAL, "--max-iterations", 1, environment=variables(server))
        assert billed(server, red) <= told(red)
        assert len(server.requests) == 2
    assert ran.code == 3, ran.said
    assert "out of budget: the budget of 1 iterations is spent" in ran.out
    assert "tests:   2 failed, 1 passed -> 1 failed, 2 passed" in ran.out
    assert subjects(red, f"main..{branch(red)}") == ["Iteration 1: 1 failed, 2 passed"]
    assert "return a or b" in git(red, "show", f"{branch(red)}:sums.py")
    assert trailers(red, branch(red))["Verdict"] == "not judged"


def test_a_call_that_could_pass_the_budget_is_not_sent(red):
    with ScriptedServer(mending()) as server:
        ran = greenward("fix", red, *LOCAL, "--max-cost", 0.0001, environment=variables(server))
        assert ran.code == 3, ran.said
        assert server.requests == []
    assert told(red) == 0
    assert "greenward resume" in ran.out
    assert "the next call could pass the budget of $0.0001" in ran.out


def test_a_budget_that_is_used_up_on_the_way_is_not_passed(red):
    budget = 0.008
    with ScriptedServer(mending()) as server:
        ran = greenward("fix", red, *LOCAL, "--max-cost", budget, environment=variables(server))
        assert ran.code == 3, ran.said
        assert len(server.requests) in (1, 2)
        assert 0 < billed(server, red) <= told(red) <= budget


def test_a_run_out_of_budget_goes_on_only_with_more(red):
    with ScriptedServer(mending()) as server:
        spent = greenward("fix", red, *LOCAL, "--max-calls", 1, environment=variables(server))
        assert spent.code == 3, spent.said
        again = greenward("resume", *LOCALLY, "--repo", red, environment=variables(server))
        assert again.code == 3, again.said
        assert len(server.requests) == 1
        more = greenward("resume", *LOCALLY, "--max-calls", 50, "--repo", red, environment=variables(server))
        assert more.code == 8, more.said
        assert billed(server, red) <= told(red)
