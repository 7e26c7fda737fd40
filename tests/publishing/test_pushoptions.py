"""A merge request by options of a push: for a token that may write the repository, and nothing else."""

from dataclasses import replace

import pytest

from agent.errors import UsageProblem
from agent.proof import Tested
from agent.publishing.forges import Draft
from agent.publishing.places import Given, place_of
from agent.publishing.pushoptions import LONGEST, options_of
from agent.redact import Secret
from agent.testreport import Status
from tests.e2e.harness import greenward, variables
from tests.gitrepo import git, put
from tests.publishing.forge import Forge, bare_of, serving
from tests.publishing.proposals import CANARY, Recipe, another, propose, target_of

RECORD = r"""#!/bin/sh
i=0
while [ "$i" -lt "$GIT_PUSH_OPTION_COUNT" ]; do
  eval "printf '%s\0' \"\$GIT_PUSH_OPTION_$i\""
  i=$((i + 1))
done >> {place}/options
echo >> {place}/options
cat {place}/says >&2
"""
TEST = "tests/test_app.py::test_add"
DRAFT = Draft(branch="greenward/fix-0", target="main", title="Mend 1 failing test", body="one\ntwo\n")


@pytest.fixture
def root(tmp_path):
    return target_of(tmp_path / "target")


@pytest.fixture
def forge(tmp_path, root):
    """A forge without an API, that takes push options and writes them down."""
    remote = bare_of(root, tmp_path / "remote.git")
    git(remote, "config", "receive.advertisePushOptions", "true")
    put(remote, {"hooks/post-receive": RECORD.format(place=tmp_path), "../says": "", "../options": ""})
    (remote / "hooks" / "post-receive").chmod(0o755)
    with serving(Forge(remote=remote, token=CANARY)) as served:
        yield served


@pytest.fixture
def publish(root, forge, tmp_path):
    made = []

    def run(recipe=None, *options, token="GITLAB_TOKEN"):
        out = tmp_path / f"proposal-{len(made)}"
        made.append(propose(root, out, recipe))
        ran = greenward(
            "publish", out, "--repo", root, "--to", "gitlab", "--merge-request", "push",
            "--remote", f"{forge.url}/git/remote.git", "--token-variable", token, *options,
            environment=variables(key=None, CI_DEFAULT_BRANCH="main", **{token: CANARY}),
        )  # fmt: skip
        assert CANARY not in ran.said
        return ran

    run.made = made
    return run


def asked(tmp_path):
    """The options of each push, as names and values."""
    pushes = (tmp_path / "options").read_text().splitlines()
    return [dict(each.partition("=")[::2] for each in push.split("\0")[:-1]) for push in pushes]


def described(options):
    """The description as GitLab reads it."""
    return options["merge_request.description"].replace("\\n", "\n")


def test_a_draft_is_opened_then_updated_and_the_counter_stops_it(publish, forge, tmp_path):
    first = publish()
    assert first.code == 0, first.said
    (opened,) = asked(tmp_path)
    assert f"| `{TEST}` | `failed` | `passed` |" in described(opened)
    assert {name: value for name, value in opened.items() if not name.endswith("description")} == {
        "merge_request.create": "", "merge_request.draft": "", "merge_request.remove_source_branch": "",
        "merge_request.target": "main", "merge_request.title": "Draft: Mend 1 failing test",
    }  # fmt: skip

    second = publish(another(2), "--max-proposals", "2")
    assert second.code == 0, second.said
    _, updated = asked(tmp_path)
    assert list(updated) == ["merge_request.description"]
    assert publish.made[1] in described(updated)

    third = publish(another(3), "--max-proposals", "2")
    assert third.code == 10
    assert len(asked(tmp_path)) == 2
    (branch,) = [name for name in forge.branches() if name.startswith("refs/heads/greenward/")]
    assert forge.branches()[branch] == publish.made[1]
    assert len([name for name in forge.branches() if name.startswith("refs/greenward/proposals/")]) == 2
    assert (forge.asked, forge.users) == ([], {"oauth2"})


def test_a_person_that_wants_one_more_has_a_request_opened_anew(publish, tmp_path):
    assert [publish().code, publish(another(2), "--again").code] == [0, 0]
    assert ["merge_request.create" in each for each in asked(tmp_path)] == [True, True]


def test_a_job_may_push_by_its_own_token(publish, forge):
    ran = publish(token="CI_JOB_TOKEN")
    assert ran.code == 0, ran.said
    assert forge.users == {"gitlab-ci-token"}


def test_options_that_were_for_nothing_are_an_error_that_says_so(publish, tmp_path):
    (tmp_path / "says").write_text("WARNINGS:\nError encountered with push options 'x': Target branch does not exist\n")
    ran = publish()
    assert ran.code == 11
    assert "Target branch does not exist" in ran.err
    assert "delete the branch" in ran.err


def test_a_remote_that_takes_no_options_is_not_pushed_to(publish, forge):
    git(forge.remote, "config", "receive.advertisePushOptions", "false")
    ran = publish()
    assert ran.code == 11
    assert "push options" in ran.err
    assert not [name for name in forge.branches() if "greenward" in name]


def test_no_line_begins_where_a_text_only_spells_one(root, tmp_path, publish):
    name = "tests/test_x.py::test[x\\n/merge\\\\n/close]"
    ran = publish(Recipe(tests={name: Tested(before=Status.FAILED, after=Status.PASSED, target=True)}))
    assert ran.code == 0, ran.said
    (opened,) = asked(tmp_path)
    lines = described(opened).splitlines()
    assert not [line for line in lines if line.startswith("/")]
    assert [line for line in lines if "test_x.py" in line and "/merge" in line and "/close" in line]


def test_an_option_fits_into_a_packet_and_holds_no_line_break():
    body = "".join(f"{n} \u00fc\u00fc\n" for n in range(9_000))
    (option,) = options_of(replace(DRAFT, body=body), new=False)
    assert LONGEST * 0.8 < len(option.encode()) <= LONGEST + 100
    assert "\n" not in option
    assert option.endswith("… cut here for its length.\\n")
    assert option.count("cut here") == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--to", "gitlab", "--merge-request", "push", "--comment", "7"),
        ("--to", "github", "--merge-request", "push"),
        ("--to", "gitlab", "--token-variable", "CI_JOB_TOKEN"),
    ],
)
def test_what_push_options_and_a_jobs_token_cannot_do_is_said_at_once(tmp_path, root, options):
    ran = greenward(
        "publish", tmp_path, "--repo", root, *options, "--remote", "https://git.example/o/r.git",
        "--target", "main", environment=variables(key=None, GITHUB_TOKEN=CANARY, CI_JOB_TOKEN=CANARY),
    )  # fmt: skip
    assert ran.code == 2
    assert "hint: " in ran.err


def test_a_place_for_push_options_needs_no_api_but_a_token_and_a_target():
    given = Given(remote="https://git.example/o/r.git", target="main")
    place = place_of("gitlab push", given, {}, Secret("t" * 20))
    assert (place.api, place.project, place.target, place.token) == ("", "", "main", None)
    with pytest.raises(UsageProblem, match="no token"):
        place_of("gitlab push", given, {}, None)
    with pytest.raises(UsageProblem, match="--target"):
        place_of("gitlab push", replace(given, target=""), {}, Secret("t" * 20))
