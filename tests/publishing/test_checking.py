"""A proposal is published only if everything in it agrees: whatever was tampered with is refused, by its name."""

import os
import re
import shutil
from base64 import b64encode
from dataclasses import replace

import pytest

from agent import proof as proofs
from agent.commitmessage import compose, obeyed
from agent.errors import ProposalRefused, UsageProblem
from agent.events import Outcome
from agent.proof import Place, Tested
from agent.proposal import layout
from agent.publishing.artifact import read_artifact
from agent.publishing.checking import key_of
from agent.publishing.quarantine import COMMITS
from agent.testreport import Status
from agent.trees import Blob
from agent.verdict import VerdictKind
from agent.workspace import Workspace
from tests.gitrepo import AT, git, put
from tests.publishing.proposals import (
    CANARY,
    FILES,
    MENDED,
    NO_CHANCE,
    TESTS,
    TRAILERS,
    WITNESS,
    Recipe,
    arm,
    bundle_of,
    checked,
    propose,
    resealed,
    sign,
    target_of,
)

RED, GREEN = Status.FAILED, Status.PASSED
LINK, PROGRAM = "120000", "100755"


@pytest.fixture
def root(tmp_path):
    return target_of(tmp_path / "target")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "proposal"


def refused(root, out, *allowed):
    with pytest.raises(ProposalRefused) as caught:
        checked(root, out, *allowed)
    assert caught.value.exit_code == 9
    assert caught.value.hint
    assert CANARY not in caught.value.message
    return caught.value.message


def test_an_honest_proposal_is_taken_as_it_is(root, out):
    commit = propose(root, out)
    found = checked(root, out)
    assert (found.commit, found.base, len(found.commits)) == (commit, git(root, "rev-parse", "HEAD"), 1)
    assert found.patch == (out / layout.PATCH).read_bytes()
    assert [change.path for change in found.changes] == ["app.py"]


def test_the_target_is_left_as_it_is(root, out):
    commit = propose(root, out)
    git(root, "prune", "--expire=now")
    before = sorted(str(path) for path in (root / ".git").rglob("*"))
    assert checked(root, out).commit == commit
    assert sorted(str(path) for path in (root / ".git").rglob("*")) == before


def test_a_proposal_of_several_commits_in_a_shallow_clone_is_taken(tmp_path, root, out):
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    propose(root, out, Recipe(steps=({"app.py": b"x = 1\n"}, MENDED)))
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "clone")
    assert len(checked(tmp_path / "clone", out).commits) == 2


def test_a_proposal_on_a_commit_that_history_went_past_is_taken(root, out):
    propose(root, out)
    git(root, "commit", "-q", "--allow-empty", "-m", "later")
    assert checked(root, out) is not None


def test_a_run_that_changed_nothing_leaves_nothing_to_publish(root, out):
    green = {"tests/test_app.py::test_add": Tested(before=GREEN, after=GREEN)}
    propose(root, out, Recipe(steps=(), tests=green))
    for name in (layout.PATCH, layout.BUNDLE):
        (out / name).unlink()
    sign(out)
    assert checked(root, out) is None


@pytest.mark.parametrize("name", sorted(layout.NAMES))
def test_a_flipped_byte_in_any_file_is_noticed(root, out, name):
    propose(root, out)
    data = bytearray((out / name).read_bytes())
    data[len(data) // 2] ^= 1
    (out / name).write_bytes(data)
    assert refused(root, out)


@pytest.mark.parametrize("name", [layout.BUNDLE, layout.PATCH, "proof.json"])
def test_a_flipped_byte_is_noticed_where_the_manifest_was_made_to_agree(root, out, name):
    propose(root, out)
    data = bytearray((out / name).read_bytes())
    data[len(data) * 3 // 4] ^= 1
    (out / name).write_bytes(data)
    sign(out)
    assert name.removeprefix("fix.").partition(".")[0] in refused(root, out)


def test_a_further_file_is_refused(root, out):
    propose(root, out)
    (out / "install.sh").write_text("true\n")
    assert "'install.sh'" in refused(root, out)


@pytest.mark.parametrize("name", ["../app.py", "/etc/passwd", "fix.patch/../x"])
def test_a_manifest_that_names_files_elsewhere_is_refused(root, out, name):
    propose(root, out)
    manifest = layout.load((out / layout.MANIFEST).read_bytes())
    files = {**manifest.files, name: layout.file_of(b"")}
    (out / layout.MANIFEST).write_bytes(layout.dump(replace(manifest, files=files)))
    assert "is not there" in refused(root, out)


@pytest.mark.parametrize("make", [os.symlink, lambda _, path: os.mkfifo(path), lambda _, path: path.mkdir()])
def test_a_link_a_pipe_or_a_directory_in_the_place_of_a_file_is_refused(tmp_path, root, out, make):
    propose(root, out)
    shutil.move(out / "summary.md", tmp_path / "summary.md")
    make(tmp_path / "summary.md", out / "summary.md")
    assert "summary.md is no plain file" in refused(root, out)


def test_a_directory_that_is_a_link_is_not_read(tmp_path, root, out):
    propose(root, out)
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(UsageProblem, match="no directory that can be read"):
        read_artifact(tmp_path / "link")


def test_a_file_larger_than_its_kind_may_be_is_refused(root, out):
    propose(root, out)
    with (out / "summary.md").open("r+b") as opened:
        opened.truncate(layout.LARGEST["summary.md"] + 1)
    assert "summary.md has more than" in refused(root, out)


@pytest.mark.parametrize("name", [layout.MANIFEST, layout.PATCH, layout.BUNDLE, "proof.json"])
def test_a_proposal_that_lacks_a_file_is_refused(root, out, name):
    propose(root, out)
    (out / name).unlink()
    if name != layout.MANIFEST:
        sign(out)
    assert name in refused(root, out)


@pytest.mark.parametrize(
    ("outcome", "told"), [(Outcome.FAILED, "came to `failed`"), (None, "did not end"), (Outcome.UNPROVEN, "unproven")]
)
def test_a_run_that_did_not_pass_is_not_published(root, out, outcome, told):
    propose(root, out, Recipe(outcome=outcome))
    assert told in refused(root, out)


def test_a_commit_that_the_target_does_not_have_is_no_base(tmp_path, root, out):
    other = target_of(tmp_path / "other", {**FILES, "more.py": "y = 2\n"})
    propose(other, out)
    assert "has no commit" in refused(root, out)


def test_a_commit_beside_what_is_checked_out_is_no_base(root, out):
    git(root, "checkout", "-q", "-b", "side")
    git(root, "commit", "-q", "--allow-empty", "-m", "beside")
    side = git(root, "rev-parse", "HEAD")
    git(root, "checkout", "-q", "main")
    propose(root, out, Recipe(base=side))
    assert "is not part of what is checked out" in refused(root, out)


def test_a_result_that_does_not_stand_on_the_base_is_refused(root, out):
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    first = git(root, "rev-parse", "HEAD~1")
    propose(root, out, Recipe(base=first))
    manifest = layout.load((out / layout.MANIFEST).read_bytes())
    sign(out, replace(manifest, base=git(root, "rev-parse", "HEAD")))
    assert "not of the commits that the manifest names" in refused(root, out)


def test_a_merge_is_refused(root, out):
    propose(root, out)
    with Workspace.open(root) as workspace:
        manifest = layout.load((out / layout.MANIFEST).read_bytes())
        second = workspace.commit(manifest.tree, manifest.base, "beside\n", at=AT)
        parents = ("-p", manifest.commit, "-p", second)
        merged = git(root, "commit-tree", manifest.tree, *parents, "-m", "merged")
        (out / layout.BUNDLE).write_bytes(bundle_of(workspace, manifest.base, merged))
    sign(out, replace(manifest, commit=merged))
    assert "does not stand on" in refused(root, out)


def test_commits_beside_those_of_the_result_are_refused(root, out):
    commit = propose(root, out)
    with Workspace.open(root) as workspace:
        manifest = layout.load((out / layout.MANIFEST).read_bytes())
        beside = workspace.commit(manifest.tree, manifest.base, "beside\n", at=AT)
        objects = git(root, "rev-list", "--objects", "--no-object-names", commit, beside, f"^{manifest.base}")
        pack = workspace.git.run("pack-objects", "--stdout", "--quiet", stdin=f"{objects}\n".encode())
    head = f"# v2 git bundle\n-{manifest.base} \n{commit} refs/heads/x\n\n".encode()
    (out / layout.BUNDLE).write_bytes(head + pack)
    sign(out)
    assert "holds other commits" in refused(root, out)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"# v2 git bundle\n",
        b"# v3 git bundle\n@filter=blob:none\n\n",
        b"# v2 git bundle\n" + b"-%040d \n" % 0 * 99,
    ],
)
def test_what_is_no_bundle_is_refused(root, out, head):
    propose(root, out)
    (out / layout.BUNDLE).write_bytes(head)
    sign(out)
    assert "the bundle cannot be read" in refused(root, out)


def test_a_patch_that_is_not_what_the_commits_change_is_refused(root, out):
    propose(root, out)
    patch = (out / layout.PATCH).read_bytes()
    (out / layout.PATCH).write_bytes(patch.replace(b"a + b", b"b + a"))
    sign(out)
    assert "the patch is not what the commits change" in refused(root, out)


def proof_in(out):
    return proofs.load((out / "proof.json").read_bytes())


FOREIGN = Place(commit="1" * 40, tree="2" * 40)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"verdict": VerdictKind.SUSPECT}, "says `suspect`"),
        ({"environment": ""}, "nothing isolated the tests"),
        ({"result": FOREIGN}, "its result and the proposal's differ"),
        ({"base": FOREIGN}, "its base and the proposal's differ"),
        ({"chance": replace(NO_CHANCE, flaky=("tests/test_app.py::test_add",))}, "no test is mended"),
        ({"run": "r2"}, "its manifest and the proposal's differ"),
        ({"exit_codes": (1, 1)}, "does not show what it says"),
        ({"tests": {"tests/test_app.py::test_add": Tested(before=RED, after=RED)}}, "does not pass"),
        ({"tests": {"tests/test_app.py::test_add": Tested(before=RED, after=None)}}, "does not pass"),
        ({"tests": {**TESTS, "tests/test_app.py::test_x": Tested(before=RED, after=GREEN)}}, "failing tests"),
    ],
)
def test_a_proof_of_something_else_is_refused_whatever_its_id(root, out, said, told):
    propose(root, out)
    (out / "proof.json").write_bytes(proofs.dump(resealed(replace(proof_in(out), **said))))
    sign(out)
    assert told in refused(root, out)


def test_a_proof_whose_id_is_not_of_its_content_is_refused(root, out):
    propose(root, out)
    (out / "proof.json").write_bytes(proofs.dump(replace(proof_in(out), model="another")))
    sign(out)
    assert "not what its id says" in refused(root, out)


def test_a_change_without_a_criterion_that_failed_before_is_refused(root, out):
    propose(root, out, Recipe(mode="change"))
    assert "no criterion failed on the base" in refused(root, out)


def test_a_change_with_a_witness_and_new_tests_is_taken(root, out):
    steps = ({**MENDED, "tests/test_more.py": b"def test_more():\n    pass\n"},)
    propose(root, out, Recipe(mode="change", steps=steps, witnesses=(WITNESS,)))
    assert checked(root, out) is not None


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".GitHub/workflows/ci.yml",
        ".gitlab-ci.yml",
        "sub/.gitlab-ci.yml",
        ".gitlab/ci/a.yml",
        ".circleci/config.yml",
        "Jenkinsfile",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
        "action.yml",
        "actions/x/action.yml",
        ".githooks/pre-commit",
        "hooks/pre-commit",
        ".husky/pre-push",
        ".pre-commit-config.yaml",
        ".gitattributes",
        "sub/.gitattributes",
        ".gitmodules",
        ".gitconfig",
        ".envrc",
        ".vscode/tasks.json",
        "sitecustomize.py",
        "x.pth",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        "pytest.py",
        "pytest.ini",
        "conftest.py",
        "tests/conftest.py",
    ],
)
def test_a_file_that_machines_obey_is_refused_unless_it_is_allowed(root, out, path):
    propose(root, out, Recipe(steps=({**MENDED, path: b""},)))
    assert f"`{path}`" in refused(root, out)
    assert checked(root, out, path) is not None


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("tests/test_app.py", b"def test_add():\n    pass\n", "is sealed"),
        ("tests/test_app.py", None, "is sealed"),
        ("tests/helper.py", b"ONE = 2\n", "sealed"),
        ("tests/new_helper.py", b"", "sealed"),
        ("pyproject.toml", b"[tool.pytest.ini_options]\naddopts = '--co'\n", "configure the test runner"),
    ],
)
def test_a_sealed_test_is_not_changed_by_a_fix(root, out, path, content, told):
    propose(root, out, Recipe(steps=({**MENDED, path: content},)))
    assert re.search(rf"`{path}` .*{told}", refused(root, out))


def test_tests_that_the_proof_does_not_name_are_sealed_all_the_same(root, out):
    tests = {"other.py::test": Tested(before=RED, after=GREEN)}
    propose(root, out, Recipe(tests=tests, steps=({**MENDED, "tests/test_app.py": b""},)))
    assert "`tests/test_app.py` is sealed" in refused(root, out)


def test_what_a_task_says_of_free_tests_is_not_believed(root, out):
    propose(root, out, Recipe(steps=({**MENDED, "tests/test_app.py": b""},)))
    proof = proof_in(out)
    task = replace(proof.task, test_policy="free", allow_test_changes=("tests/*",))
    (out / "proof.json").write_bytes(proofs.dump(resealed(replace(proof, task=task))))
    sign(out)
    assert "`tests/test_app.py` is sealed" in refused(root, out)


@pytest.mark.parametrize(
    ("path", "blob", "told"),
    [
        ("link", Blob(mode=LINK, data=b"/etc/passwd"), "is a symbolic link"),
        ("app.py", Blob(mode=LINK, data=b"run.sh"), "is a symbolic link"),
        ("tool.sh", Blob(mode=PROGRAM, data=b"true\n"), "becomes executable"),
        ("run.sh", Blob(mode=PROGRAM, data=b"echo hello\n"), "becomes executable"),
        ("a:b", Blob(mode="100644", data=b""), "Windows forbids"),
        ("APP.py", Blob(mode="100644", data=b""), "only in case"),
        ("a\nb", Blob(mode="100644", data=b""), "control"),
        ("big", Blob(mode="100644", data=bytes(10 * 2**20 + 1)), "10,485,761 bytes"),
    ],
)
def test_what_is_no_ordinary_file_is_refused(root, out, path, blob, told):
    propose(root, out, Recipe(steps=({**MENDED, path: blob},)))
    assert told in refused(root, out)


def test_no_pattern_allows_a_link(root, out):
    propose(root, out, Recipe(steps=({**MENDED, "link": Blob(mode=LINK, data=b"/etc/passwd")},)))
    assert "is a symbolic link" in refused(root, out, "*")


def test_a_submodule_is_refused(root, out):
    with Workspace.open(root) as workspace:
        base = git(root, "rev-parse", "HEAD")
        tree = git(root, "mktree", stdin=(git(root, "ls-tree", base) + f"\n160000 commit {base}\tsub\n").encode())
        commit = workspace.commit(tree, base, Recipe().message, at=AT)
        propose(root, out)
        (out / layout.BUNDLE).write_bytes(bundle_of(workspace, base, commit))
    manifest = layout.load((out / layout.MANIFEST).read_bytes())
    proof = replace(proof_in(out), result=Place(commit=commit, tree=tree))
    (out / "proof.json").write_bytes(proofs.dump(resealed(proof)))
    sign(out, replace(manifest, commit=commit, tree=tree))
    assert "`sub` is a submodule" in refused(root, out)


def test_a_tree_that_leads_into_the_git_directory_is_refused(root, out):
    with Workspace.open(root) as workspace:
        base = git(root, "rev-parse", "HEAD")
        blob = git(root, "hash-object", "-w", "--stdin", stdin=b"true\n")
        inner = git(root, "mktree", stdin=f"100644 blob {blob}\tconfig\n".encode())
        raw = b"".join(
            mode + b" " + name + b"\0" + bytes.fromhex(oid)
            for mode, name, oid in [(b"40000", b".git", inner), (b"100644", b"app.py", blob)]
        )
        tree = git(root, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)
        propose(root, out)
        commit = workspace.commit(tree, base, Recipe().message, at=AT)
        (out / layout.BUNDLE).write_bytes(bundle_of(workspace, base, commit))
    manifest = layout.load((out / layout.MANIFEST).read_bytes())
    sign(out, replace(manifest, commit=commit, tree=tree))
    assert "the bundle cannot be taken" in refused(root, out)


def test_what_an_earlier_commit_brought_and_a_later_one_took_back_is_refused(root, out):
    workflow = ".github/workflows/ci.yml"
    propose(root, out, Recipe(steps=({workflow: b"on: push\n"}, {**MENDED, workflow: None})))
    assert f"`{workflow}`" in refused(root, out)


@pytest.mark.parametrize(
    "message",
    [
        compose("Mend it", "", TRAILERS).replace("Mend it", "Mend it [skip ci]"),
        compose("Mend it", "", TRAILERS).replace("Mend it", "Closes #1"),
        compose("Mend it", "", (*TRAILERS, ("Signed-off-by", "Ada <ada@example.org>"))),
        compose("Mend it", "", TRAILERS).replace("Mend", "Me\u202end"),
    ],
)
def test_a_message_that_a_forge_acts_upon_is_refused(root, out, message):
    propose(root, out, Recipe(message=message))
    assert "the message of the commit" in refused(root, out)


def test_a_commit_that_does_not_say_whose_it_is_is_refused(root, out):
    propose(root, out, Recipe(message="Mend it\n"))
    assert "does not say that it is greenward's own" in refused(root, out)


def test_a_commit_in_the_name_of_a_person_is_refused(root, out):
    propose(root, out)
    with Workspace.open(root) as workspace:
        manifest = layout.load((out / layout.MANIFEST).read_bytes())
        commit = git(root, "commit-tree", manifest.tree, "-p", manifest.base, "-m", Recipe().message)
        (out / layout.BUNDLE).write_bytes(bundle_of(workspace, manifest.base, commit))
    sign(out, replace(manifest, commit=commit))
    assert "is not made as greenward makes them" in refused(root, out)


def test_commits_of_a_run_have_messages_that_are_taken():
    hostile = compose("[skip ci] fixes #3", "Closes: o/r#12\n[ci skip]\nfix \x1b[31m#1", TRAILERS)
    assert obeyed(hostile) == ""


@pytest.mark.parametrize("spell", [bytes, lambda token: token.hex().encode(), lambda token: b64encode(b"u:" + token)])
def test_a_planted_token_is_refused_wherever_it_stands_and_not_shown(root, out, spell):
    told = spell(CANARY.encode())
    for number, plant in enumerate(("summary.md", "junit.xml", "result.json", "file", "message")):
        place = out.with_name(f"proposal-{number}")
        recipe = Recipe()
        if plant == "file":
            recipe = Recipe(steps=({**MENDED, "data.bin": b"\0" + told},))
        elif plant == "message":
            recipe = Recipe(message=compose("Mend it", told.decode(), TRAILERS))
        propose(root, place, recipe)
        if plant not in ("file", "message"):
            (place / plant).write_bytes(b"x " + told + b" x\n")
            sign(place)
        assert "holds a secret" in refused(root, place)


@pytest.mark.parametrize(
    "key",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1" * 20,
        "glpat-" + "a1B2" * 6,
        "sk-proj-" + "a1B2" * 8,
        "xoxb-" + "1" * 12,
    ],
)
def test_what_looks_like_a_key_is_refused_unless_it_was_there_before(tmp_path, root, out, key):
    propose(root, out, Recipe(steps=({**MENDED, "settings.py": f"KEY = '{key}'\n".encode()},)))
    found = refused(root, out)
    assert "`settings.py` holds what looks like" in found
    assert key not in found
    put(root, {"settings.py": f"KEY = '{key}'\n"})
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "known")
    propose(root, tmp_path / "later", Recipe(steps=({**MENDED, "settings.py": f"KEY = '{key}'  #\n".encode()},)))
    assert checked(root, tmp_path / "later") is not None


def test_a_summary_that_seems_to_hold_a_key_is_refused(root, out):
    propose(root, out)
    (out / "summary.md").write_text("the key is AKIA" + "ABCDEFGHIJKLMNOP")
    sign(out)
    assert "summary.md holds what looks like a key of AWS" in refused(root, out)


def test_a_token_in_the_name_of_a_file_is_refused(root, out):
    propose(root, out, Recipe(steps=({**MENDED, f"{CANARY}.txt": b""},)))
    (out / layout.PATCH).write_bytes(b"")
    sign(out)
    assert "the name of a file holds a secret" in refused(root, out)


def test_a_message_without_end_is_refused(root, out):
    propose(root, out, Recipe(message=compose("Mend it", "", TRAILERS).replace("\n\n", f"\n\n{'x ' * 9000}\n\n", 1)))
    assert "is too long" in refused(root, out)


def test_more_commits_than_a_run_makes_are_refused(root, out):
    propose(root, out)
    manifest = layout.load((out / layout.MANIFEST).read_bytes())
    tip, tree = manifest.commit, manifest.tree
    for _ in range(COMMITS):
        tip = git(root, "commit-tree", tree, "-p", tip, "-m", "once more")
    with Workspace.open(root) as workspace:
        (out / layout.BUNDLE).write_bytes(bundle_of(workspace, manifest.base, tip))
    sign(out, replace(manifest, commit=tip))
    assert f"no {COMMITS} or fewer commits" in refused(root, out)


def test_a_tag_in_the_bundle_is_refused(root, out):
    commit = propose(root, out)
    with Workspace.open(root) as workspace:
        base = layout.load((out / layout.MANIFEST).read_bytes()).base
        git(root, "tag", "-a", "-m", "a tag", "v1", commit)
        objects = git(root, "rev-list", "--objects", "--no-object-names", "refs/tags/v1", f"^{base}")
        pack = workspace.git.run("pack-objects", "--stdout", "--quiet", stdin=f"{objects}\n".encode())
    head = f"# v2 git bundle\n-{base} \n{commit} refs/heads/x\n\n".encode()
    (out / layout.BUNDLE).write_bytes(head + pack)
    sign(out)
    assert "the bundle holds a tag" in refused(root, out)


def test_the_same_failing_tests_have_the_same_key_and_other_requests_another_one(root, out):
    propose(root, out)
    fix = proof_in(out)
    change = replace(fix, task=replace(fix.task, mode="change"))
    other = replace(change, task=replace(change.task, request="Something else."))
    reordered = replace(fix, run="r2", tests=dict(reversed(fix.tests.items())))
    assert key_of(fix) == key_of(reordered)
    assert len({key_of(fix), key_of(change), key_of(other)}) == 3


def test_what_chance_decides_is_no_part_of_the_key(root, out):
    propose(root, out)
    proof = proof_in(out)
    unsure = {**TESTS, "tests/test_app.py::test_unsure": Tested(before=RED, after=RED)}
    later = replace(proof, tests=unsure, chance=replace(NO_CHANCE, flaky=("tests/test_app.py::test_unsure",)))
    assert key_of(later) == key_of(proof)


def test_a_test_that_fails_by_chance_is_no_shortfall(root, out):
    unsure = {**TESTS, "tests/test_app.py::test_unsure": Tested(before=RED, after=RED)}
    chance = replace(NO_CHANCE, flaky=("tests/test_app.py::test_unsure",))
    propose(root, out, Recipe(tests=unsure, proof={"chance": chance, "exit_codes": (1, 1)}))
    assert checked(root, out) is not None


def test_nothing_that_a_repository_configures_is_executed(tmp_path, root, out):
    marker = arm(root, tmp_path)
    propose(root, out)
    assert checked(root, out) is not None
    assert not marker.exists()
