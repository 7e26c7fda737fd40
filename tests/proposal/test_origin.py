"""The model's key meets no code of a fork, unless a maintainer has let in just that."""

import pytest

from agent.proposal.origin import Job, foreign, refusal

OWN, FORK = {"full_name": "us/kit"}, {"full_name": "them/kit"}
READ, LATER, DEFAULT = "1" * 40, "2" * 40, "0" * 40


def pull(repo, **more):
    return {"repository": OWN, "pull_request": {"head": {"repo": repo, "sha": READ}}, **more}


def labelled(repo=FORK, name="mend", action="labeled", sender="User"):
    return pull(repo, action=action, label={"name": name}, sender={"type": sender})


def run_of(repo):
    return {"repository": OWN, "workflow_run": {"head_repository": repo}}


def told(event, payload, label="", head=READ):
    return refusal(Job(event=event, payload=payload, sha=DEFAULT, head=head), label)


ISSUE = {"repository": OWN, "issue": {"title": "x"}, "action": "labeled", "label": {"name": "mend"}}
COMMENT = {"repository": OWN, "issue": {"title": "x", "pull_request": {"url": "x"}}, "comment": {"body": "mend"}}


@pytest.mark.parametrize(
    ("event", "payload", "label"),
    [
        ("push", {"repository": OWN}, ""),
        ("schedule", {}, ""),
        ("schedule", None, ""),
        ("workflow_dispatch", {"repository": OWN}, ""),
        ("workflow_dispatch", None, ""),
        ("issues", ISSUE, ""),
        ("issues", ISSUE, "mend"),
        ("pull_request", pull(OWN), ""),
        ("pull_request", labelled(OWN), "mend"),
        ("pull_request_target", pull(OWN), ""),
        ("pull_request_target", labelled(), "mend"),
        ("workflow_run", run_of(OWN), ""),
    ],
)
def test_own_code_is_worked_on_and_what_a_maintainer_let_in(event, payload, label):
    assert told(event, payload, label) == ""


@pytest.mark.parametrize(
    ("event", "payload", "label"),
    [
        ("pull_request", pull(FORK), ""),
        ("pull_request", labelled(), "mend"),
        ("pull_request_target", pull(FORK), "mend"),
        ("pull_request_target", labelled(), ""),
        ("pull_request_target", labelled(), "other"),
        ("pull_request_target", labelled(action="synchronize"), "mend"),
        ("pull_request_target", labelled(action="unlabeled"), "mend"),
        ("pull_request_target", pull(None), "mend"),
        ("pull_request_target", {"repository": OWN}, "mend"),
        ("pull_request_target", None, "mend"),
        ("pull_request_review", pull(FORK), ""),
        ("issue_comment", pull(FORK), ""),
        ("workflow_run", run_of(FORK), "mend"),
        ("workflow_run", run_of(None), ""),
        ("workflow_run", {"repository": OWN}, ""),
        ("pull_request", {"pull_request": {"head": {"repo": {"full_name": 3}}}, "repository": {"full_name": 3}}, ""),
    ],
)
def test_a_forks_code_is_not(event, payload, label):
    assert told(event, payload, label) != ""


@pytest.mark.parametrize("head", [LATER, DEFAULT, ""])
def test_a_label_lets_in_the_commit_that_it_was_given_to_and_none_that_came_after(head):
    assert "was given to the commit 111111111111, and another one is checked out" in told(
        "pull_request_target", labelled(), "mend", head
    )


def test_a_label_counts_only_as_a_persons_word():
    assert "was not given by a person" in told("pull_request_target", labelled(sender="Bot"), "mend")


def test_a_comment_on_a_pull_request_starts_work_on_the_default_branch_alone():
    assert told("issue_comment", COMMENT, head=DEFAULT) == ""
    assert "anybody can start a job by `issue_comment`" in told("issue_comment", COMMENT, head=READ)


@pytest.mark.parametrize(
    ("payload", "whose"),
    [
        (pull(FORK), "them/kit"), (labelled(), "them/kit"), (run_of(FORK), "them/kit"),
        (pull(None), "a fork that is gone"),
        (pull(OWN), ""), (run_of(OWN), ""), (ISSUE, ""), ({"repository": OWN}, ""), (None, ""),
    ],
)  # fmt: skip
def test_it_is_known_whose_code_an_event_is_about(payload, whose):
    assert foreign(Job(event="x", payload=payload)) == whose


@pytest.mark.parametrize("payload", [None, {"repository": OWN}])
def test_code_of_which_nothing_is_known_is_nobodys_own(payload):
    assert foreign(Job(event="pull_request_target", payload=payload)) == "somebody unknown"
    assert foreign(Job(event="schedule", payload=payload)) == ""
