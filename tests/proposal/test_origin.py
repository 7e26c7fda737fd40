"""The model's key meets no code of a fork, unless a maintainer has let it in."""

import pytest

from agent.proposal.origin import refusal

OWN, FORK = {"full_name": "us/kit"}, {"full_name": "them/kit"}


def pull(head, **more):
    return {"repository": OWN, "pull_request": {"head": {"repo": head}}, **more}


LABELED = {"action": "labeled", "label": {"name": "mend"}}


@pytest.mark.parametrize(
    ("event", "payload", "label"),
    [
        ("push", {"repository": OWN}, ""),
        ("schedule", {}, ""),
        ("schedule", None, ""),
        ("workflow_dispatch", {"repository": OWN}, ""),
        ("issues", {"repository": OWN, "issue": {"title": "x"}}, ""),
        ("pull_request", pull(OWN), ""),
        ("pull_request_target", pull(OWN), ""),
        ("pull_request_target", pull(FORK, **LABELED), "mend"),
        ("workflow_run", {"repository": OWN, "workflow_run": {"head_repository": OWN}}, ""),
    ],
)
def test_own_code_is_worked_on_and_what_a_maintainer_let_in(event, payload, label):
    assert refusal(event, payload, label) == ""


@pytest.mark.parametrize(
    ("event", "payload", "label"),
    [
        ("pull_request", pull(FORK), ""),
        ("pull_request", pull(FORK, **LABELED), "mend"),
        ("pull_request_target", pull(FORK), "mend"),
        ("pull_request_target", pull(FORK, **LABELED), ""),
        ("pull_request_target", pull(FORK, **LABELED), "other"),
        ("pull_request_target", pull(FORK, action="synchronize", label={"name": "mend"}), "mend"),
        ("pull_request_target", pull(None), "mend"),
        ("pull_request_target", {"repository": OWN}, "mend"),
        ("pull_request_target", None, "mend"),
        ("pull_request_review", pull(FORK), ""),
        ("issue_comment", pull(FORK), ""),
        ("workflow_run", {"repository": OWN, "workflow_run": {"head_repository": FORK}}, "mend"),
        ("workflow_run", {"repository": OWN}, ""),
        ("pull_request", {"pull_request": {"head": {"repo": {"full_name": 3}}}, "repository": {"full_name": 3}}, ""),
    ],
)
def test_a_forks_code_is_not(event, payload, label):
    assert refusal(event, payload, label) != ""
