"""Proposals as a run leaves them, made by plumbing in a moment: honest ones, and some that no run would make."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.commitmessage import compose
from agent.events import Outcome
from agent.git import SHA256_DIGITS
from agent.proof import Chance, Cost, Link, Place, Proof, Tested, dump
from agent.proposal import layout
from agent.proposal.layout import Manifest, digest_of_failures, file_of
from agent.proposal.writing import patch_between
from agent.publishing.artifact import read_artifact
from agent.publishing.checking import Proposal, check
from agent.publishing.quarantine import quarantine_of
from agent.publishing.secrets import Scanner
from agent.redact import Secret
from agent.retrial import Rules
from agent.task import Limits, Mode, Task
from agent.testreport import Status
from agent.trees import Blob
from agent.verdict import CaseResult, VerdictKind, Witness
from agent.workspace import Workspace
from tests.gitrepo import AT, git, put, repository

FILES: dict[str, str | bytes] = {
    "app.py": "def add(a, b):\n    return a - b\n",
    "data.bin": bytes(range(256)),
    "run.sh": "echo hello\n",
    "tests/test_app.py": "from app import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
    "tests/helper.py": "ONE = 1\n",
}
MENDED: Mapping[str, bytes | Blob | None] = {"app.py": b"def add(a, b):\n    return a + b\n"}
TESTS: Mapping[str, Tested] = {
    "tests/test_app.py::test_add": Tested(before=Status.FAILED, after=Status.PASSED, target=True),
    "tests/test_app.py::test_one": Tested(before=Status.PASSED, after=Status.PASSED),
}
NO_CHANCE = Chance(
    base_runs=2,
    base_runs_whole=1,
    rules=Rules.to_judge(wild=False),
    flaky=(),
    wavering=(),
    environmental={},
    unstable=(),
    again=(),
)
WITNESS = Witness(
    behaviour="adds",
    command="python -m app",
    base=CaseResult(exit_code=1, output="", holds=False),
    result=CaseResult(exit_code=0, output="", holds=True),
)
CANARY = "ghs_c4nary0fTheTestsThatIsNowhereElse0123456789"
TRAILERS = (("Greenward-Run", "r1"), ("Verdict", "passed"), ("Assisted-by", "greenward:kimi-k2.6"))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a proposal is made; the defaults make an honest one."""

    steps: Sequence[Mapping[str, bytes | Blob | None]] = (MENDED,)
    """What each commit changes."""
    base: str | None = None
    """None: HEAD."""
    message: str = compose("Add instead of subtracting", "As the test says.", TRAILERS)
    mode: Mode = "fix"
    tests: Mapping[str, Tested] = field(default_factory=lambda: TESTS)
    outcome: Outcome | None = Outcome.PASSED
    proof: Mapping[str, object] = field(default_factory=dict)
    """What the proof says otherwise."""
    manifest: Mapping[str, object] = field(default_factory=dict)
    witnesses: tuple[Witness, ...] = ()
    test: str = "python -m pytest -q"
    request: str = "Make it work."


def another(number: int) -> Recipe:
    """Another way to mend the same tests."""
    return Recipe(message=compose(f"Way {number}", "", TRAILERS))


def target_of(root: Path, files: Mapping[str, str | bytes] | None = None, *options: str) -> Path:
    """A repository with a red suite."""
    return repository(root, dict(files or FILES), *options)


def propose(root: Path, out: Path, recipe: Recipe | None = None) -> str:
    """Write a proposal on the repository in `root` to `out`; returns the commit that is its result."""
    recipe = recipe or Recipe()
    with Workspace.open(root) as workspace:
        base = recipe.base or git(root, "rev-parse", "HEAD")
        base_tree = tree = workspace.tree_of(base)
        commit = base
        for step in recipe.steps:
            tree = workspace.trees.build(tree, {path: as_blob(content) for path, content in step.items()})
            commit = workspace.commit(tree, commit, recipe.message, at=AT)
        proof = proof_of(recipe, base=Place(commit=base, tree=base_tree), result=Place(commit=commit, tree=tree))
        files = {
            "result.json": b"{}\n",
            "summary.md": b"green\n",
            "junit.xml": b"<testsuites/>\n",
            "annotations.json": b"[]\n",
            "proof.json": dump(proof),
            layout.PATCH: patch_between(workspace.git, base, commit),
            layout.BUNDLE: bundle_of(workspace, base, commit),
        }
    manifest = Manifest(
        run=proof.run,
        mode=recipe.mode,
        outcome=recipe.outcome,
        base=base,
        commit=commit,
        tree=tree,
        branch="greenward/work-r1",
        failing=digest_of_failures(tuple(name for name, each in recipe.tests.items() if each.before is Status.FAILED)),
        files={},
    )
    out.mkdir()
    for name, data in files.items():
        (out / name).write_bytes(data)
    sign(out, replace(manifest, **recipe.manifest))
    return commit


def sign(out: Path, manifest: Manifest | None = None) -> None:
    """Have the manifest say of the files what they are, as an attacker would."""
    manifest = manifest or layout.load((out / layout.MANIFEST).read_bytes())
    names = sorted(path.name for path in out.iterdir() if path.name != layout.MANIFEST)
    found = {name: file_of((out / name).read_bytes()) for name in names}
    (out / layout.MANIFEST).write_bytes(layout.dump(replace(manifest, files=found)))


def resealed(proof: Proof) -> Proof:
    """A proof with the id that belongs to what it says: anybody can make one."""
    bare = replace(proof, id="")
    return replace(bare, id=hashlib.sha256(dump(bare)).hexdigest())


def proof_of(recipe: Recipe, *, base: Place, result: Place) -> Proof:
    """The proof of a result, as far as publishing reads it."""
    proof = Proof(
        run="r1",
        at=AT,
        model="kimi-k2.6",
        task=Task(mode=recipe.mode, request=recipe.request, base_commit=base.commit, base_tree=base.tree),
        plan=None,
        base=base,
        witness_tree=base.tree,
        result=result,
        environment="sha256:0123456789ab",
        build="",
        test=recipe.test,
        tests=dict(recipe.tests),
        chance=NO_CHANCE,
        exit_codes=(1, 0),
        witnesses=recipe.witnesses,
        opened=(),
        control="1 test made to fail, none of which passed",
        notes=(),
        verdict=VerdictKind.PASSED,
        cost=Cost(dollars=0.0123, calls=3, prompt_tokens=900, completion_tokens=80, iterations=1),
        limits=Limits(),
        journal=Link(entries=9, chain="0" * 64),
    )
    return resealed(replace(proof, **recipe.proof))


def bundle_of(workspace: Workspace, base: str, commit: str) -> bytes:
    """The commits behind `base` up to `commit`, as git bundles them."""
    path, ref = workspace.git.scratch("bundle"), "refs/heads/greenward/bundled"
    workspace.git.run("update-ref", ref, commit)
    without = [f"^{base}"] if base != commit else []
    status, version = (0, 128) if base == commit else (0,), 3 if len(commit) == SHA256_DIGITS else 2
    workspace.git.run("bundle", "create", "--quiet", f"--version={version}", str(path), ref, *without, ok=status)
    workspace.git.run("update-ref", "-d", ref)
    return path.read_bytes() if path.exists() else b""


def as_blob(content: bytes | Blob | None) -> Blob | None:
    return Blob(mode="100644", data=content) if isinstance(content, bytes) else content


def checked(root: Path, out: Path, *allowed: str, secrets: tuple[str, ...] = (CANARY,)) -> Proposal | None:
    """What a check of the proposal in `out` comes to."""
    with quarantine_of(root, {}) as quarantine:
        return check(read_artifact(out), quarantine, Scanner(map(Secret, secrets)), allowed=allowed)


HOSTILE = """
[core]
	fsmonitor = touch {marker}
	hooksPath = {hooks}
	sshCommand = touch {marker}
	pager = touch {marker}
	attributesFile = {hooks}/attributes
[filter "evil"]
	clean = touch {marker}
	smudge = touch {marker}
	process = touch {marker}
[diff "evil"]
	textconv = touch {marker}
	command = touch {marker}
[diff]
	external = touch {marker}
[merge "evil"]
	driver = touch {marker}
[credential]
	helper = !touch {marker}
[uploadpack]
	packObjectsHook = touch {marker}
[alias]
	index-pack = !touch {marker}
[gpg]
	program = touch {marker}
"""


def arm(root: Path, room: Path) -> Path:
    """Have configuration, attributes and hooks of the repository run commands; returns the file that these make."""
    put(root, {".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "hostile")
    marker, hooks = room / "executed", room / "hooks"
    for place in (hooks, root / ".git" / "hooks"):
        place.mkdir(exist_ok=True)
        for name in (
            "reference-transaction",
            "pre-push",
            "post-index-change",
            "pre-receive",
            "update",
            "post-checkout",
        ):
            (place / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
            (place / name).chmod(0o755)
    (hooks / "attributes").write_text("* filter=evil diff=evil\n")
    with (root / ".git" / "config").open("a") as config:
        config.write(HOSTILE.format(marker=marker, hooks=hooks))
    git(root, "status", check=False)
    assert marker.exists()  # it is armed
    marker.unlink()
    return marker
