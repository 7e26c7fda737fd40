"""A forge that is busy, limits requests or hangs up is asked again, and nothing is ever made twice."""

import pytest

from agent.errors import ForgeProblem
from agent.publishing.artifact import read_artifact
from agent.publishing.checking import check
from agent.publishing.forges import Draft, Thread
from agent.publishing.github import GitHub
from agent.publishing.gitlab import GitLab
from agent.publishing.http import Api
from agent.publishing.patience import Patience
from agent.publishing.places import remote_of
from agent.publishing.publish import Terms, publish_branch, publish_with_options
from agent.publishing.pushing import Pusher
from agent.publishing.quarantine import quarantine_of
from agent.publishing.secrets import Scanner
from agent.publishing.sending import Sending
from agent.redact import Secret
from tests.e2e.harness import greenward, variables
from tests.gitrepo import git, repository
from tests.publishing.forge import PROJECT, Forge, Hiccup, bare_of, serving
from tests.publishing.proposals import CANARY, propose, target_of

NOW = 1_800_000_000.0
BODY = "<!-- greenward: proposal 1 for 0123456789abcdef, at " + "1" * 40 + " -->\nrest\n"
DRAFT = Draft(branch="work", target="main", title="Mend", body=BODY)


class Clock:
    """Time that passes only by being slept."""

    def __init__(self):
        self.slept = []
        self.told = []

    def patience(self, **more):
        return Patience(tell=self.told.append, sleep=self.slept.append, now=lambda: NOW + sum(self.slept), **more)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """A repository with a branch, which no test here writes to."""
    root = repository(tmp_path_factory.mktemp("target"), {"a": "1"})
    git(root, "branch", "work")
    return bare_of(root, tmp_path_factory.mktemp("remotes") / "remote.git")


@pytest.fixture
def served(remote):
    with serving(Forge(remote=remote, token=CANARY)) as forge:
        yield forge


@pytest.fixture(params=["github", "gitlab"])
def project(request, served, clock):
    """The project as the program speaks to it."""
    if request.param == "github":
        made = GitHub(f"{served.url}/api/v3", PROJECT, Secret(CANARY), clock.patience())
    else:
        made = GitLab(f"{served.url}/api/v4", "42", Secret(CANARY), clock.patience())
    yield made
    made.close()


def test_reading_is_repeated_until_there_is_an_answer(served, project, clock):
    served.hiccups += [
        Hiccup(method="GET", status=502),
        Hiccup(method="GET", status=503, headers=(("Retry-After", "7"),), answer={"message": "busy"}),
        Hiccup(method="GET"),
    ]
    assert project.requests("work") == ()
    assert clock.slept == [1, 7, 4]
    assert ["trying again in 1 s" in clock.told[0], "503: busy" in clock.told[1]] == [True, True]


def test_a_forge_that_is_not_there_is_tried_a_few_times(clock):
    with pytest.raises(ForgeProblem, match="cannot be reached"):
        Api("http://127.0.0.1:9", {}, clock.patience()).get("/x")
    assert clock.slept == [1, 2, 4, 8, 16]


def test_all_waits_of_a_job_together_have_an_end(clock):
    api = Api("http://127.0.0.1:9", {}, clock.patience(seconds=40))
    for _ in range(2):
        with pytest.raises(ForgeProblem, match="cannot be reached"):
            api.get("/x")
    assert clock.slept == [1, 2, 4, 8, 16, 1, 2, 4]


@pytest.mark.parametrize(
    ("status", "headers", "answer", "pause"),
    [
        (429, {"Retry-After": "9"}, {}, 9),
        (429, {}, {}, 60),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": f"{NOW + 19:.0f}"}, {}, 20),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOW + 29:.0f}"}, {}, 30),
        (403, {"Retry-After": "5", "X-RateLimit-Remaining": "8"}, {}, 5),
        (403, {}, {"message": "You have exceeded a secondary rate limit"}, 60),
    ],
)
def test_a_limit_of_requests_is_waited_for_and_what_was_refused_is_sent_again(
    served, project, clock, status, headers, answer, pause
):
    served.hiccups.append(Hiccup(method="POST", status=status, headers=tuple(headers.items()), answer=answer))
    assert project.open(DRAFT).state == "open"
    assert clock.slept == [pause]
    assert [each.method for each in served.asked] == ["POST", "POST"]


def test_a_limit_that_lasts_longer_than_a_job_waits_is_told(served, project, clock):
    served.hiccups.append(Hiccup(method="POST", status=429, headers=(("Retry-After", "3600"),)))
    with pytest.raises(ForgeProblem, match="429") as caught:
        project.open(DRAFT)
    assert "in 60 min" in caught.value.hint
    assert clock.slept == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
def test_what_would_come_to_the_same_is_not_repeated(served, project, clock, status):
    served.hiccups.append(Hiccup(method="POST", status=status))
    with pytest.raises(ForgeProblem, match=str(status)):
        project.open(DRAFT)
    assert clock.slept == []


@pytest.mark.parametrize("status", [0, 502, 504])
@pytest.mark.parametrize("acts", [True, False])
def test_a_request_is_opened_once_whether_or_not_the_answer_came(served, project, clock, status, acts):
    served.hiccups.append(Hiccup(method="POST", status=status, acts=acts))
    request = project.open(DRAFT)
    assert (request.number, len(served.requests)) == (1, 1)
    assert served.written == ["POST"] if acts else ["POST", "POST"]


def test_a_request_that_is_seen_late_is_not_opened_twice(served, project):
    served.hiccups += [Hiccup(method="POST", acts=True), Hiccup(method="GET", status=200, answer=[])]
    assert project.open(DRAFT).number == 1
    assert served.written == ["POST", "POST"]
    assert len(served.requests) == 1


@pytest.mark.parametrize("acts", [True, False])
def test_a_comment_is_made_once_whether_or_not_the_answer_came(served, project, acts):
    served.hiccups.append(Hiccup(method="POST", status=502, acts=acts))
    project.remark(Thread(number=7), BODY, None)
    assert [each["body"] for each in served.remarks] == [BODY]


@pytest.mark.parametrize("acts", [True, False])
def test_an_update_may_be_sent_again(served, project, acts):
    request = project.open(DRAFT)
    method = "PATCH" if isinstance(project, GitHub) else "PUT"
    served.hiccups.append(Hiccup(method=method, acts=acts))
    assert project.update(request, DRAFT).number == 1
    assert served.written == ["POST", method, method]


@pytest.fixture
def pushing(tmp_path, clock):
    """A forge, a proposal that was checked, and what pushes it there."""
    root = target_of(tmp_path / "target")
    propose(root, tmp_path / "out")
    with serving(Forge(remote=bare_of(root, tmp_path / "remote.git"), token=CANARY)) as forge:
        remote = remote_of(f"{forge.url}/git/remote.git", "someone", Secret(CANARY))
        with quarantine_of(root, {}) as quarantine:
            proposal = check(read_artifact(tmp_path / "out"), quarantine, Scanner([]))
            yield forge, proposal, Pusher(quarantine, remote, {}, clock.patience())


@pytest.mark.parametrize(
    "hiccup",
    [
        Hiccup(method="look", status=502),
        Hiccup(method="push", status=503),
        Hiccup(method="push", status=502, acts=True),
    ],
)
def test_a_branch_is_pushed_once_by_whatever_way_the_first_answer_was_lost(pushing, clock, hiccup):
    forge, proposal, pusher = pushing
    forge.hiccups.append(hiccup)
    made = publish_branch(proposal, pusher, Terms(), Sending())
    assert clock.slept == [1]
    assert "the remote repository: " in clock.told[0]
    assert forge.branches()[f"refs/heads/{made.branch}"] == proposal.commit
    assert [name for name in forge.branches() if "proposals/" in name] == [f"refs/greenward/proposals/{proposal.key}/1"]


def test_a_push_that_is_refused_is_not_repeated(pushing, clock):
    forge, proposal, pusher = pushing
    with pytest.raises(ForgeProblem, match="push options"):
        publish_with_options(proposal, pusher, Terms(), Sending(), target="main")
    forge.token = "another"
    with pytest.raises(ForgeProblem, match="the remote repository: "):
        publish_branch(proposal, pusher, Terms(), Sending())
    assert clock.slept == []


def test_a_job_is_told_why_it_waits_and_what_it_prints_stays_as_it_is(tmp_path):
    root = target_of(tmp_path / "target")
    propose(root, tmp_path / "out")
    with serving(Forge(remote=bare_of(root, tmp_path / "remote.git"), token=CANARY)) as forge:
        forge.hiccups.append(
            Hiccup(method="GET", status=503, headers=(("Retry-After", "0"),), answer={"message": "\x1b[2Jsoon"})
        )
        ran = greenward(
            "publish", tmp_path / "out", "--repo", root, "--to", "github", "--remote", f"{forge.url}/git/remote.git",
            "--project", PROJECT, "--api-url", f"{forge.url}/api/v3", "--target", "main",
            environment=variables(key=None, GITHUB_TOKEN=CANARY),
        )  # fmt: skip
    assert ran.code == 0, ran.said
    assert "came to 503: \\u{1b}[2Jsoon; trying again in 0 s" in ran.err
    assert "trying again" not in ran.out
