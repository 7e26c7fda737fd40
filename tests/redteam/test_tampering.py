"""The hostile repository's own proposal, changed between the jobs: `publish` refuses it, and tells nobody anything."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.ci.runner import clean
from tests.e2e.harness import ROOT, Ran, greenward
from tests.gitrepo import git
from tests.publishing.forge import Forge, serving, variables_of
from tests.redteam.canaries import Search
from tests.redteam.jobs import CANARIES, TOKEN
from tests.redteam.tampering import TAMPERINGS

pytestmark = [pytest.mark.docker, pytest.mark.untraced]
SEARCH = Search(CANARIES)


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """What `publish` said to every tampered proposal, and what it did before it was given the untouched one."""

    ran: dict[str, Ran]
    heads: tuple
    """Of the requests that the forge got, those of git included."""
    refs: tuple[str, str]
    """Of the remote, before and afterwards."""
    untouched: Ran


@pytest.fixture(scope="module")
def attempts(honest, tmp_path_factory):
    """All of them, one after the other made, and two at a time published."""
    room = tmp_path_factory.mktemp("tampering")
    root = room / "root"
    git(room, "clone", "-q", str(honest.forge.remote), str(root))
    with serving(Forge(remote=honest.forge.remote, token=TOKEN)) as forge, ThreadPoolExecutor(2) as both:
        environment = clean(PYTHONPATH=str(ROOT), GITHUB_TOKEN=TOKEN, **variables_of("github", forge))

        def tampered(name, tamper):
            out = room / name.replace(" ", "-").replace("'", "")
            shutil.copytree(honest.out, out)
            tamper(out, root)
            return out

        def publish(out):
            arguments = ("publish", out, "--repo", honest.publisher.root, "--to", "github")
            return greenward(*arguments, environment=environment)

        places = [tampered(name, tamper) for name, (tamper, _) in TAMPERINGS.items()]
        before = git(honest.forge.remote, "for-each-ref")
        ran = dict(zip(TAMPERINGS, both.map(publish, places), strict=True))
        refs, heads = (before, git(honest.forge.remote, "for-each-ref")), tuple(forge.heads)
        return Attempts(ran=ran, heads=heads, refs=refs, untouched=publish(honest.out))


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_proposal_is_refused_by_its_reason(attempts, name):
    ran = attempts.ran[name]
    assert ran.code == 9, ran.said
    assert TAMPERINGS[name][1] in ran.err
    assert "hint: " in ran.err
    assert ran.out == ""
    assert SEARCH.within({"error": ran.err.encode()}) == []


def test_of_a_tampered_proposal_nothing_is_sent_to_anybody_and_the_untouched_one_is_still_taken(attempts):
    assert attempts.heads == ()
    assert attempts.refs[0] == attempts.refs[1]
    assert attempts.untouched.code == 0, attempts.untouched.said


def test_the_checkout_is_as_it_was_and_no_trap_was_sprung(attempts, honest):
    assert attempts.ran
    assert honest.publisher.executed() == set()
