"""`greenward publish` as a job calls it: a checked proposal becomes one branch and one draft request, and no more."""

import json
import re
import shutil
import sys
from dataclasses import replace

import pytest

from agent import proof as proofs
from agent.errors import ForgeProblem, UsageProblem
from agent.proof import Tested
from agent.proposal import layout
from agent.proposal.layout import digest_of_failures
from agent.publishing.body import Marker, body_of, marker_in, title_of
from agent.publishing.forges import thread_of
from agent.publishing.http import PAGES, Api
from agent.publishing.patience import Patience
from agent.publishing.places import Given, place_of
from agent.redact import Secret
from agent.testreport import Status
from tests.e2e.harness import greenward, variables
from tests.gitrepo import git, put
from tests.publishing.forge import PROJECT, Forge, bare_of, serving
from tests.publishing.proposals import (
    CANARY,
    MENDED,
    WITNESS,
    Recipe,
    another,
    arm,
    checked,
    propose,
    target_of,
)

TEST = "tests/test_app.py::test_add"
SPY = """#!{python}
import os, sys
with open({log!r}, "ab") as log:
    log.write(b"\\0".join([os.fsencode(each) for each in (sys.argv + [f"{{k}}={{v}}" for k, v in os.environ.items()])]))
    log.write(b"\\n")
os.execv({program!r}, [{program!r}, *sys.argv[1:]])
"""


@pytest.fixture
def root(tmp_path):
    return target_of(tmp_path / "target")


@pytest.fixture
def forge(tmp_path, root):
    with serving(Forge(remote=bare_of(root, tmp_path / "remote.git"), token=CANARY)) as served:
        yield served


@pytest.fixture
def publish(root, forge, tmp_path):
    """Runs the command for GitHub, in a job that has its variables; asserts that the token is shown nowhere."""
    made = []

    def run(recipe=None, *options, to="github", **more):
        out = tmp_path / f"proposal-{len(made)}"
        made.append(propose(root, out, recipe))
        return again(out, *options, to=to, **more)

    def again(out, *options, to="github", **more):
        ran = greenward(
            "publish", out, "--repo", root, "--to", to, "--remote", f"{forge.url}/git/remote.git", *options,
            environment=variables(key=None, **(github(forge) if to == "github" else gitlab(forge)), **more),
        )  # fmt: skip
        assert CANARY not in ran.said
        assert CANARY.encode() not in forge.raw
        return ran

    run.again = again
    run.made = made
    return run


def github(forge):
    return {
        "GITHUB_TOKEN": CANARY,
        "GITHUB_REPOSITORY": PROJECT,
        "GITHUB_API_URL": f"{forge.url}/api/v3",
        "GITHUB_REF_NAME": "main",
        "GITHUB_REF_TYPE": "branch",
    }


def gitlab(forge):
    return {
        "GITLAB_TOKEN": CANARY,
        "CI_PROJECT_ID": "42",
        "CI_API_V4_URL": f"{forge.url}/api/v4",
        "CI_DEFAULT_BRANCH": "main",
    }


def branch_in(forge):
    (name,) = [name for name in forge.branches() if name.startswith("refs/heads/greenward/")]
    return name.removeprefix("refs/heads/")


@pytest.mark.parametrize("to", ["github", "gitlab"])
def test_a_red_repository_ends_as_one_draft_request_with_the_table_and_the_counter_stops_it(publish, forge, to):
    first = publish(to=to)
    assert first.code == 0, first.said
    (request,) = forge.requests
    body = request["body" if to == "github" else "description"]
    assert f"| `{TEST}` | `failed` | `passed` |" in body
    assert f"greenward verify {publish.made[0]}" in body
    assert request["draft"] if to == "github" else request["title"].startswith("Draft: ")
    assert forge.branches()[f"refs/heads/{branch_in(forge)}"] == publish.made[0]
    assert request.get("html_url", request.get("web_url")) in first.out

    second = publish(another(2), "--max-proposals", "2", to=to)
    assert second.code == 0, second.said
    (request,) = forge.requests
    marker = marker_in(request["body" if to == "github" else "description"])
    assert (marker.attempt, marker.commit) == (2, publish.made[1])
    assert forge.branches()[f"refs/heads/{branch_in(forge)}"] == publish.made[1]

    third = publish(another(3), "--max-proposals", "2", to=to)
    assert third.code == 10
    assert "2 proposals for the same failing tests" in third.err
    assert "hint: " in third.err
    assert forge.branches()[f"refs/heads/{branch_in(forge)}"] == publish.made[1]
    assert forge.written == ["POST", "PATCH" if to == "github" else "PUT"]


def test_the_same_proposal_once_more_counts_once(publish, forge, tmp_path):
    assert publish().code == 0
    again = publish.again(tmp_path / "proposal-0", "--max-proposals", "1", "--json")
    assert again.code == 0, again.said
    assert json.loads(again.out) == {
        "schema": 1, "branch": branch_in(forge), "commit": publish.made[0], "attempt": 1,
        "url": f"https://forge.example/{PROJECT}/pull/1", "opened": False,
    }  # fmt: skip
    assert len(forge.requests) == 1


def test_a_request_that_a_person_closed_is_not_opened_again_unasked(publish, forge):
    assert publish().code == 0
    forge.requests[0]["state"] = "closed"
    assert publish(another(2)).code == 10
    assert len(forge.requests) == 1
    assert publish(another(3), "--again").code == 0
    assert marker_in(forge.requests[1]["body"]).attempt == 2


def test_a_request_from_a_fork_with_a_branch_of_the_same_name_is_left_alone(publish, forge):
    assert publish().code == 0
    forge.requests[0]["head"]["repo"] = {"full_name": "mallory/sums"}
    assert publish(another(2)).code == 0
    assert len(forge.requests) == 2


def test_a_merge_request_from_a_fork_is_left_alone(publish, forge):
    assert publish(to="gitlab").code == 0
    forge.requests[0]["source_project_id"] = 43
    assert publish(another(2), to="gitlab").code == 0
    assert len(forge.requests) == 2


def test_work_that_a_person_put_on_the_branch_is_not_pushed_over(publish, forge, root):
    assert publish().code == 0
    tip = git(root, "commit-tree", "-p", publish.made[0], "-m", "mine", f"{publish.made[0]}^{{tree}}")
    git(root, "push", "-q", str(forge.remote), f"{tip}:refs/heads/{branch_in(forge)}")
    stopped = publish(another(2))
    assert stopped.code == 10
    assert "somebody else's commit" in stopped.err
    assert forge.branches()[f"refs/heads/{branch_in(forge)}"] == tip


def test_a_commit_of_greenwards_own_starts_nothing(publish, forge, root, tmp_path):
    propose(root, tmp_path / "first")
    manifest = layout.load((tmp_path / "first" / layout.MANIFEST).read_bytes())
    git(root, "merge", "-q", "--ff-only", manifest.commit)
    steps = ({"app.py": b"def add(a, b):\n    return b + a\n"},)
    stopped = publish(Recipe(steps=steps))
    assert stopped.code == 10
    assert "does not react" in stopped.err
    assert forge.asked == []
    assert publish(Recipe(steps=steps), "--again").code == 0


def test_a_green_suite_is_nothing_to_publish(publish, forge):
    green = {TEST: Tested(before=Status.PASSED, after=Status.PASSED)}
    ran = publish(Recipe(steps=(), tests=green))
    assert ran.code == 0, ran.said
    assert "nothing to publish" in ran.err
    assert forge.asked == []


def test_a_refused_proposal_reaches_nobody(publish, forge):
    ran = publish(Recipe(steps=({**MENDED, ".github/workflows/ci.yml": b"on: push\n"},)))
    assert ran.code == 9
    assert ".github/workflows/ci.yml" in ran.err
    assert "hint: " in ran.err
    assert forge.asked == []
    assert not [name for name in forge.branches() if "greenward" in name]


def test_a_branch_alone_is_counted_by_refs_beside_it(publish, forge):
    limited = ("--max-proposals", "2")
    assert [publish(another(n), *limited, to="branch", TOKEN=CANARY).code for n in range(2)] == [11, 11]
    limited = (*limited, "--token-variable", "TOKEN")
    codes = [publish(another(n), *limited, to="branch", TOKEN=CANARY).code for n in range(3)]
    assert codes == [0, 0, 10]
    assert forge.branches()[f"refs/heads/{branch_in(forge)}"] == publish.made[3]
    assert len([name for name in forge.branches() if name.startswith("refs/greenward/proposals/")]) == 2
    assert forge.asked == []


def test_a_branch_is_pushed_from_a_shallow_clone_to_a_directory_without_a_token(root, forge, tmp_path):
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    git(root, "push", "-q", str(forge.remote), "main")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{forge.remote}", "clone")
    commit = propose(root, tmp_path / "out")
    for _ in range(2):
        ran = greenward(
            "publish", tmp_path / "out", "--repo", tmp_path / "clone", "--to", "branch", "--remote", forge.remote,
            environment=variables(key=None),
        )  # fmt: skip
        assert ran.code == 0, ran.said
    assert forge.branches()[f"refs/heads/{branch_in(forge)}"] == commit
    assert git(forge.remote, "rev-list", "--count", branch_in(forge)) == "3"


def test_a_repository_that_names_objects_by_sha_256_is_published_as_any_other(tmp_path):
    root = target_of(tmp_path / "target", None, "--object-format=sha256")
    with serving(Forge(remote=bare_of(root, tmp_path / "remote.git"), token=CANARY)) as forge:
        for number in range(2):
            out = tmp_path / f"out-{number}"
            commit = propose(root, out, another(number))
            ran = greenward(
                "publish", out, "--repo", root, "--to", "github", "--remote", f"{forge.url}/git/remote.git",
                environment=variables(key=None, **github(forge)),
            )  # fmt: skip
            assert ran.code == 0, ran.said
            assert forge.branches()[f"refs/heads/{branch_in(forge)}"] == commit
        assert len(commit) == 64
        assert marker_in(forge.requests[0]["body"]).attempt == 2


def test_a_patch_is_printed_as_it_was_checked_and_needs_nothing(root, tmp_path):
    propose(root, tmp_path / "out", Recipe(steps=({**MENDED, "more.bin": b"\0\1"},)))
    patch = (tmp_path / "out" / layout.PATCH).read_bytes()
    ran = greenward("publish", tmp_path / "out", "--to", "patch", "--repo", root, environment=variables(key=None))
    assert (ran.code, ran.out.encode()) == (0, patch)
    git(root, "apply", "--check", "-", stdin=patch)
    written = tmp_path / "checked.patch"
    ran = greenward(
        "publish", tmp_path / "out", "--to", "patch", "--repo", root, "--output", written,
        environment=variables(key=None),
    )  # fmt: skip
    assert (ran.code, written.read_bytes()) == (0, patch)


@pytest.mark.parametrize(("place", "output"), [("linked/out", "x.patch"), ("../out", "linked/x.patch")])
def test_no_link_that_the_target_holds_is_followed(root, tmp_path, place, output):
    (tmp_path / "elsewhere").mkdir()
    (root / "linked").symlink_to("../elsewhere")
    propose(root, root / place)
    ran = greenward(
        "publish", place, "--to", "patch", "--output", output, environment=variables(key=None), cwd=root
    )  # fmt: skip
    assert ran.code == 2
    assert "linked is a link" in ran.err
    assert not list(tmp_path.rglob("x.patch"))


def test_an_issue_is_told_once_and_only_in_a_comment_of_our_own(publish, forge):
    forged = str(Marker(key=digest_of_failures((TEST,)), attempt=1, commit="1" * 40))
    forge.remarks.append({"id": 1, "user": {"type": "User"}, "author_association": "NONE", "body": forged})
    for number in range(2):
        assert publish(another(number), "--comment", "7").code == 0
    theirs, ours = forge.remarks
    assert theirs["body"] == forged
    assert publish.made[1] in ours["body"]
    assert f"https://forge.example/{PROJECT}/pull/1" in ours["body"]


@pytest.mark.parametrize("to", ["github", "gitlab"])
def test_a_comment_of_our_own_is_found_behind_many_others_and_only_at_the_forge(publish, forge, to):
    forge.page = 2
    forge.remarks += [{"id": n, "user": {"type": "User"}, "author": {"id": 1}, "body": f"{n}"} for n in range(1, 6)]
    for number in range(2):
        ran = publish(another(number), "--comment", "7", to=to)
        assert ran.code == 0, ran.said
    assert len(forge.remarks) == 6
    assert publish.made[1] in forge.remarks[-1]["body"]


def test_a_list_without_end_is_given_up_before_anything_is_sent(publish, forge):
    forge.page = 1
    forge.remarks += [{"id": n, "user": {"type": "User"}, "body": "x"} for n in range(PAGES + 1)]
    ran = publish(None, "--comment", "7")
    assert ran.code == 11
    assert "longer than 20 pages" in ran.err
    assert forge.written == []
    assert not [name for name in forge.branches() if "greenward" in name]


def test_an_issue_or_a_merge_request_on_gitlab_is_told_once(publish, forge):
    for number, thread in enumerate(("#7", "7", "!7", "!7")):
        assert publish(another(number), "--comment", thread, "--max-proposals", "9", to="gitlab").code == 0
    assert [each["on"] for each in forge.remarks] == ["issues/7", "merge_requests/7"]
    assert publish.made[1] in forge.remarks[0]["body"]
    assert publish.made[3] in forge.remarks[1]["body"]


@pytest.mark.parametrize("text", ["0", "-1", "x", "7/../8", "!", "&7", ""])
def test_a_comment_goes_to_a_number_alone(text):
    with pytest.raises(UsageProblem) as caught:
        thread_of(text)
    assert caught.value.hint


def test_a_comment_that_goes_nowhere_is_said_before_anything_is_sent(publish, forge):
    ran = publish(None, "--comment", "7/../8")
    assert ran.code == 2
    assert "hint: " in ran.err
    assert forge.asked == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, {"message": "broken"}), "500: broken"),
        ((302, {}), "came to 302"),
        ((200, {"a": 1}), "is no list"),
        ((403, {"message": f"no, {CANARY}"}), "came to 403"),
    ],
)
def test_a_forge_that_says_no_is_quoted_and_nothing_is_pushed(publish, forge, answer, told):
    forge.answer = answer
    ran = publish()
    assert ran.code == 11
    assert told in ran.err
    assert "hint: " in ran.err
    assert not [name for name in forge.branches() if "greenward" in name]


def test_a_remote_that_denies_permission_is_the_forges_word_and_no_full_disk(publish, forge):
    put(forge.remote, {"hooks/pre-receive": "#!/bin/sh\necho 'Permission denied: read only token' >&2\nexit 1\n"})
    (forge.remote / "hooks" / "pre-receive").chmod(0o755)
    ran = publish()
    assert ran.code == 11, ran.said
    assert "the remote repository: " in ran.err
    assert "read only token" in ran.err
    assert "resume" not in ran.err
    assert forge.written == []


def test_a_wrong_token_is_an_error_that_says_so(publish, forge):
    forge.token = "ghs_another"
    ran = publish()
    assert ran.code == 11
    assert "Bad credentials" in ran.err


def test_the_token_is_on_no_command_line_and_in_no_environment_of_a_child(publish, forge, tmp_path):
    spies, log = tmp_path / "spies", tmp_path / "log"
    for name in ("env", "git"):
        put(spies, {name: SPY.format(python=sys.executable, log=str(log), program=shutil.which(name))})
        (spies / name).chmod(0o755)
    ran = publish(PATH=f"{spies}:/usr/local/bin:/usr/bin:/bin")
    assert ran.code == 0, ran.said
    seen = log.read_bytes()
    assert b"push" in seen
    assert b"credential.helper=!f()" in seen
    assert CANARY.encode() not in seen
    assert len(forge.requests) == 1


def test_nothing_of_the_token_is_left_on_the_disk(publish, forge, tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    assert publish(TMPDIR=str(room)).code == 0
    assert list(room.iterdir()) == []


def test_a_job_of_github_is_told_where_the_request_is(publish, forge, tmp_path):
    files = {"GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    ran = publish(GITHUB_ACTIONS="true", **files)
    assert ran.code == 0, ran.said
    url = f"https://forge.example/{PROJECT}/pull/1"
    assert {f"url={url}", f"commit={publish.made[0]}", "attempt=1"} <= set(
        (tmp_path / "output").read_text().splitlines()
    )
    assert url in (tmp_path / "summary.md").read_text()


def test_github_acts_upon_nothing_that_a_patch_holds(root, tmp_path):
    propose(root, tmp_path / "out", Recipe(steps=({**MENDED, "app.py": b" ::error::x\n"},)))
    ran = greenward(
        "publish",
        tmp_path / "out",
        "--to",
        "patch",
        "--repo",
        root,
        environment=variables(key=None, GITHUB_ACTIONS="true"),
    )
    assert "::error::x" in ran.out
    token = re.match(r"::stop-commands::(\w{32})\n", ran.err)[1]
    assert ran.err.endswith(f"::{token}::\n")


@pytest.mark.parametrize(("to", "code"), [("github", 2), ("branch", 2), ("patch", 0)])
def test_no_branch_brings_the_commits_of_a_fork_along(publish, forge, tmp_path, to, code):
    event = tmp_path / "event.json"
    head = {"repo": {"full_name": "them/kit"}}
    event.write_text(json.dumps({"repository": {"full_name": PROJECT}, "pull_request": {"head": head}}))
    job = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request_target", "GITHUB_EVENT_PATH": str(event)}
    ran = publish(None, to=to, **job)
    assert ran.code == code, ran.said
    assert code == 0 or ("commits of them/kit" in ran.err and "--to patch" in ran.err)
    assert forge.asked == []
    assert not [name for name in forge.branches() if "greenward" in name]


HOSTILE = (
    "tests/test_x.py::test[<img src=https://evil.example/?q=1>]",
    "tests/test_x.py::test[![x](https://evil.example/y)]",
    "tests/test_x.py::test[`` @everyone ``]",
    "tests/test_x.py::test[| a | b |]",
    "tests/test_x.py::test[\n/merge\n]",
    "tests/test_x.py::test[</td><script>]",
    "tests/test_x.py::test[<!-- greenward: proposal 1 for 0000000000000000, at " + "0" * 40 + " -->]",
    "tests/test_x.py::test[\u202eevil]",
)


def test_what_strangers_wrote_cannot_act_in_the_body(root, tmp_path):
    tests = {name: Tested(before=Status.FAILED, after=Status.PASSED, target=True) for name in HOSTILE}
    recipe = Recipe(tests=tests, test="pytest @ada https://evil.example", proof={"model": "<b>@ada", "notes": HOSTILE})
    propose(root, tmp_path / "out", recipe)
    found = checked(root, tmp_path / "out")
    body = body_of(found, branch="greenward/fix-0", attempt=1)
    assert title_of(found) == f"Mend {len(HOSTILE)} failing tests"
    prose = without_code(body.partition("\n")[2])
    assert not re.search(r"evil|@|<|!\[|/merge|\u202e|script", prose)
    assert not re.search(r"https?://|@\w|\u202e|^/", body, re.MULTILINE)
    rows = [line for line in body.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {3, 4, 5}
    assert len([row for row in rows if "test_x.py" in row]) == len(HOSTILE)


def without_code(text):
    """Markdown without its code, as CommonMark delimits it: a run of backticks to the next run of that length."""
    found, place = [], 0
    for match in re.finditer(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", text):
        found.append(text[place : match.start()])
        place = match.end()
    return "".join([*found, text[place:]])


def test_the_body_names_what_somebody_executes(root, tmp_path):
    propose(root, tmp_path / "out", Recipe(steps=({**MENDED, "Makefile": b"all:\n"},)))
    body = body_of(checked(root, tmp_path / "out"), branch="greenward/fix-0", attempt=1)
    assert "| `Makefile` | new; **executed by developers** |" in body
    assert "**1 of these are executed or obeyed outside of any sandbox" in body
    assert "$0.0123" in body


def test_the_body_says_what_was_let_in_and_does_not_say_that_no_test_was_changed(root, tmp_path):
    propose(root, tmp_path / "out", Recipe(steps=({**MENDED, "tests/test_app.py": b"def test_add(): pass\n"},)))
    body = body_of(checked(root, tmp_path / "out", "tests/*"), branch="greenward/fix-0", attempt=1)
    assert "none was changed" not in body
    assert "- `tests/test_app.py` `is sealed: it is part of the tests that judge the run`" in body


def test_the_body_of_a_change_says_what_was_asked_for_as_text(root, tmp_path):
    propose(root, tmp_path / "out", Recipe(mode="change", request="/merge\n```\n@ada <b>", witnesses=(WITNESS,)))
    body = body_of(checked(root, tmp_path / "out"), branch="greenward/fix-0", attempt=1)
    assert "\n````text\n/merge\n```\n(at)ada <b>\n````\n" in body


def test_nothing_that_a_repository_configures_is_executed(publish, forge, root, tmp_path):
    marker = arm(root, tmp_path)
    assert publish().code == 0
    assert len(forge.requests) == 1
    assert not marker.exists()


def test_a_body_is_no_longer_than_a_forge_takes(root, tmp_path):
    names = [f"tests/test_{n}.py::{'`' * 170}" for n in range(500)]
    tests = {name: Tested(before=Status.FAILED, after=Status.PASSED, target=True) for name in names}
    witnesses = tuple(replace(WITNESS, behaviour="`" * 190, command="`" * 190) for _ in range(99))
    propose(root, tmp_path / "out", Recipe(tests=tests, witnesses=witnesses))
    body = body_of(checked(root, tmp_path / "out"), branch="greenward/fix-0", attempt=1)
    assert 50_000 < len(body) < 65_000
    assert body.endswith("… cut here for its length.\n")
    assert "and 440 more that failed and pass now" in body


def test_a_marker_counts_on_the_first_line_alone():
    marker = Marker(key="0" * 16, attempt=3, commit="1" * 40)
    assert marker_in(f"{marker}\nrest") == marker
    assert marker_in(f"hello\n{marker}\n") is None
    assert marker_in("") is None


def test_the_steps_that_the_body_names_bring_the_proof_to_the_commit(publish, forge, root, tmp_path):
    assert publish().code == 0
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(forge.remote), str(clone))
    shutil.copy(tmp_path / "proposal-0" / "proof.json", clone)
    commands = re.findall(r"^    (git .*)$", forge.requests[0]["body"], re.MULTILINE)
    for command in commands:
        git(clone, *command.split()[1:])
    note = git(clone, "notes", "--ref=greenward", "show", publish.made[0])
    assert proofs.load(f"{note}\n".encode()).id[:12] in forge.requests[0]["body"]
    ran = greenward("verify", publish.made[0], "--no-run", "--repo", clone, environment=variables(key=None))
    assert ran.code == 0, ran.said


TOKEN = Secret("t" * 20)
FULL = Given(remote="https://git.example/o/r.git", project="o/r", target="main", api="https://api.example/v3/")


def test_the_variables_of_a_job_say_where_to_publish():
    environ = {
        "GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "o/r", "GITHUB_REF_TYPE": "branch",
        "GITHUB_API_URL": "https://github.example/api/v3", "GITHUB_REF_NAME": "main",
    }  # fmt: skip
    found = place_of("github", Given(), environ, TOKEN)
    assert found.remote.address == "https://github.example/o/r.git"
    assert (found.project, found.target, found.api) == ("o/r", "main", "https://github.example/api/v3")
    environ = {
        "CI_SERVER_URL": "https://gitlab.example", "CI_PROJECT_PATH": "g/s/r", "CI_PROJECT_ID": "9",
        "CI_API_V4_URL": "https://gitlab.example/api/v4", "CI_COMMIT_BRANCH": "dev",
    }  # fmt: skip
    found = place_of("gitlab", Given(), environ, TOKEN)
    assert (found.remote.address, found.remote.user) == ("https://gitlab.example/g/s/r.git", "oauth2")
    assert (found.project, found.target) == ("9", "dev")


@pytest.mark.parametrize(
    "given",
    [
        {"remote": "http://git.example/o/r.git"},
        {"remote": "https://user:secret@git.example/o/r.git"},
        {"remote": "ext::sh -c true"},
        {"remote": "git://git.example/o/r"},
        {"remote": "--upload-pack=true"},
        {"remote": "https://git.example/o/r.git\n"},
        {"remote": ""},
        {"api": "http://api.example"},
        {"api": "https://api.example/?a=b"},
        {"api": ""},
        {"project": "o"},
        {"project": "o/r/../../x"},
        {"target": "--x"},
        {"target": "a..b"},
        {"target": ""},
    ],
)
def test_an_address_that_a_token_may_not_go_to_is_refused(given):
    with pytest.raises(UsageProblem) as caught:
        place_of("github", replace(FULL, **given), {}, TOKEN)
    assert caught.value.hint
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "address",
    ["ssh://git@git.example/o/r.git", "git+ssh://git.example/o/r", "git@git.example:o/r.git", "git.example:o/r.git"],
)
@pytest.mark.parametrize("kind", ["github", "gitlab", "gitlab push", "branch"])
def test_a_remote_over_ssh_is_refused_with_what_to_do_instead(kind, address):
    with pytest.raises(UsageProblem, match="over ssh") as caught:
        place_of(kind, replace(FULL, remote=address), {}, TOKEN)
    assert "https://" in caught.value.hint
    assert "--to patch" in caught.value.hint


def test_without_a_token_there_is_no_request():
    with pytest.raises(UsageProblem, match="no token"):
        place_of("github", FULL, {}, None)


def test_an_answer_without_end_is_cut_off(forge):
    forge.answer = (200, ["x" * (9 * 2**20)])
    with pytest.raises(ForgeProblem, match="larger than"):
        Api(f"{forge.url}/api/v3", {}, Patience()).get("/x")


def test_the_place_of_a_proposal_has_to_be_a_directory(tmp_path, root):
    ran = greenward("publish", tmp_path / "nowhere", "--to", "patch", "--repo", root, environment=variables(key=None))
    assert ran.code == 2
    assert "hint: " in ran.err
