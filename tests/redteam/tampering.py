"""What somebody does to a proposal between the jobs: clumsily, or so that all of it agrees again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from agent import proof as proofs
from agent.commitmessage import compose
from agent.events import Outcome
from agent.proof import Place, Tested
from agent.proposal import layout
from agent.proposal.writing import patch_between
from agent.testreport import Status
from agent.trees import Blob
from agent.workspace import Workspace
from tests.gitrepo import AT, git
from tests.publishing.proposals import TRAILERS, as_blob, bundle_of, resealed, sign
from tests.redteam.jobs import TOKEN
from tests.redteam.repository import MENDED, TESTS
from tests.redteam.scripts import WEAKER

Tamper = Callable[[Path, Path], object]
"""Takes the proposal's directory, and a repository that has its commits."""
WORKFLOW = {".github/workflows/x.yml": b"on: push\n"}
AS_PATCH = b"""\
diff --git a/.github/workflows/x.yml b/.github/workflows/x.yml
new file mode 100644
index 0000000000000000000000000000000000000000..0123456789012345678901234567890123456789
--- /dev/null
+++ b/.github/workflows/x.yml
@@ -0,0 +1 @@
+on: push
"""


def forged(changes: Mapping[str, bytes | Blob | None], *, message: str = "", steps: bool = False) -> Tamper:
    """Have commits, bundle, patch, proof and manifest agree on a result that was never judged.

    With `steps`, one commit makes the changes and the next one takes them back.
    """

    def tamper(out: Path, root: Path) -> None:
        manifest = layout.load((out / layout.MANIFEST).read_bytes())
        said = message or git(root, "log", "-1", "--format=%B", manifest.commit) + "\n"
        with Workspace.open(root) as workspace:
            tree = workspace.trees.build(manifest.tree, {path: as_blob(data) for path, data in changes.items()})
            commit = workspace.commit(tree, manifest.base, said, at=AT)
            if steps:
                tree = manifest.tree
                commit = workspace.commit(tree, commit, said, at=AT)
            _agree(out, workspace, commit, tree)

    return tamper


def _agree(out: Path, workspace: Workspace, commit: str, tree: str) -> None:
    manifest = layout.load((out / layout.MANIFEST).read_bytes())
    (out / layout.BUNDLE).write_bytes(bundle_of(workspace, manifest.base, commit))
    (out / layout.PATCH).write_bytes(patch_between(workspace.git, manifest.base, commit))
    proof = proofs.load((out / "proof.json").read_bytes())
    (out / "proof.json").write_bytes(proofs.dump(resealed(replace(proof, result=Place(commit=commit, tree=tree)))))
    sign(out, replace(manifest, commit=commit, tree=tree))


def by_a_person(out: Path, root: Path) -> None:
    """The same result, in a commit that somebody else made."""
    manifest = layout.load((out / layout.MANIFEST).read_bytes())
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    said = git(root, "log", "-1", "--format=%B", manifest.commit)
    commit = git(root, *who, "commit-tree", manifest.tree, "-p", manifest.base, "-m", said)
    with Workspace.open(root) as workspace:
        _agree(out, workspace, commit, manifest.tree)


def proves(**said: object) -> Tamper:
    """Have the proof say something else, under the id that belongs to it."""

    def tamper(out: Path, _root: Path) -> None:
        proof = proofs.load((out / "proof.json").read_bytes())
        (out / "proof.json").write_bytes(proofs.dump(resealed(replace(proof, **said))))
        sign(out)

    return tamper


def claims(**said: object) -> Tamper:
    """Have the manifest say something else."""
    return lambda out, _root: sign(out, replace(layout.load((out / layout.MANIFEST).read_bytes()), **said))


def another_byte(out: Path, _root: Path) -> None:
    data = bytearray((out / layout.PATCH).read_bytes())
    data[-2] ^= 1
    (out / layout.PATCH).write_bytes(data)


def longer_patch(out: Path, _root: Path) -> None:
    (out / layout.PATCH).write_bytes(AS_PATCH + (out / layout.PATCH).read_bytes())
    sign(out)


def link(out: Path, _root: Path) -> None:
    (out / "summary.md").unlink()
    (out / "summary.md").symlink_to("/proc/self/environ")


def token_in_the_result(out: Path, _root: Path) -> None:
    told = json.loads((out / "result.json").read_text())
    (out / "result.json").write_text(json.dumps(told | {"note": TOKEN[::-1]}))
    sign(out)


FAILING = {"tests/test_sums.py::test_add": Tested(before=Status.FAILED, after=Status.FAILED, target=True)}
CLOSING = compose("Mend it", "", TRAILERS).replace("Mend it", "Closes #1")
TAMPERINGS: Mapping[str, tuple[Tamper, str]] = {
    "a byte of the patch": (another_byte, "fix.patch is not the file that the manifest names"),
    "a workflow in the patch alone": (longer_patch, "the patch is not what the commits change"),
    "a workflow in all of it": (forged(WORKFLOW), "`.github/workflows/x.yml` is executed or obeyed"),
    "a workflow that is taken back": (forged(WORKFLOW, steps=True), "`.github/workflows/x.yml` is executed or obeyed"),
    "CI of another forge": (forged({".gitlab-ci.yml": b"x: {}\n"}), "`.gitlab-ci.yml` is executed or obeyed"),
    "attributes": (forged({".gitattributes": b"* filter=x\n"}), "`.gitattributes` is executed or obeyed"),
    "a weaker test": (forged({"tests/test_sums.py": WEAKER.encode()}), "`tests/test_sums.py` is sealed"),
    "no test": (forged({"tests/test_sums.py": None}), "`tests/test_sums.py` is sealed"),
    "another conftest": (forged({"conftest.py": b""}), "`conftest.py` is sealed"),
    "a link to the job's environment": (
        forged({"notes.txt": Blob(mode="120000", data=b"/proc/self/environ")}), "`notes.txt` is a symbolic link",
    ),
    "a link made a file": (forged({"linked-secret": b"x"}), "`linked-secret` is a symbolic link"),
    "a name with a line break": (forged({"a\n::error::x": b""}), "contains control, format or undecodable characters"),
    "a commit of a person": (by_a_person, "is not made as greenward makes them"),
    "a message that closes an issue": (
        forged({"sums.py": f"{MENDED}#\n".encode()}, message=CLOSING), "what a forge acts upon",
    ),
    "a proof of failing tests": (proves(tests=FAILING), "does not show what it says"),
    "a proof of nothing isolated": (proves(environment=""), "nothing isolated the tests"),
    "a proof of another run": (proves(run="another"), "its manifest and the proposal's differ"),
    "another base": (claims(base="0" * 40), "the target has no commit 000000000000"),
    "another outcome": (claims(outcome=Outcome.UNPROVEN), "came to `unproven`"),
    "a file more": (lambda out, _root: (out / "install.sh").write_text(TESTS), "'install.sh', which is none"),
    "a link in the place of a file": (link, "summary.md is no plain file"),
    "the token, backwards": (token_in_the_result, "result.json holds a secret of this job"),
}  # fmt: skip
