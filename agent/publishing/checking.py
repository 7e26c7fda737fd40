"""What has to be true of a proposal before anything of it is published; nothing of it is executed to find out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.commitmessage import obeyed
from agent.errors import DamagedRun, ProposalRefused
from agent.events import Outcome
from agent.paths import GITLINK
from agent.proof import PROOF, Proof, Unreadable, load, report_before
from agent.proposal.layout import SUMMARY, Manifest, digest_of_failures
from agent.publishing.artifact import HINT, Artifact
from agent.publishing.bundle import NoBundle, parse
from agent.publishing.policy import Change, Objection, objections, seal_of
from agent.publishing.quarantine import Commit, Quarantine
from agent.publishing.secrets import Scanner
from agent.seal import Seal
from agent.testreport import TestCase, TestReport
from agent.text import number_of
from agent.trees import Entry
from agent.verdict import VerdictKind, shortfall, targets_of
from agent.workspace import IDENTITY

__all__ = ["OURS", "Proposal", "check", "is_ours", "key_of"]

OURS = "Assisted-by: greenward"
"""How the trailer begins by which a commit of greenward's own is known."""
NAMED = 5
"""Reasons that are told."""
MESSAGE = 16_000
_HEADERS = ("tree ", "parent ", "author ", "committer ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal that was checked: everything in it agrees with the commits, and may be published."""

    manifest: Manifest
    proof: Proof
    commits: tuple[Commit, ...]
    changes: tuple[Change, ...]
    """From the base to the result."""
    patch: bytes
    lifted: tuple[Objection, ...]
    """What `--allow-path` let in."""
    key: str
    """The same for every proposal on the same failing tests; see `key_of`."""

    @property
    def base(self) -> str:
        return self.manifest.base

    @property
    def commit(self) -> str:
        return self.manifest.commit


def check(
    artifact: Artifact, quarantine: Quarantine, scanner: Scanner, *, allowed: Sequence[str] = ()
) -> Proposal | None:
    """The proposal in an artifact; None if it changes nothing, as the suite was green already.

    Its commits are in the quarantine then. `allowed` are patterns of paths that may change although they are obeyed by
    machines, or sealed.

    Raises:
        ProposalRefused: something is not as it has to be; the message says what.
    """
    manifest = artifact.manifest
    for name, data in artifact.files.items():
        if scanner.known(data):
            raise _refused(f"{name} holds a secret of this job", hint="revoke it: the other job knows it")
    if kinds := scanner.kinds(artifact.files.get(SUMMARY, b"")):
        raise _refused(f"{SUMMARY} holds what looks like {kinds[0]}", hint="revoke it, if it is one")
    if manifest.outcome is not Outcome.PASSED:
        told = f"came to `{manifest.outcome}`" if manifest.outcome else "did not end"
        raise _refused(f"the run {told}: nothing is proven", hint=f"{SUMMARY} says why; only what passed is published")
    quarantine.check_base(manifest.base)
    if manifest.commit == manifest.base:
        return None
    try:
        return _checked(artifact, quarantine, scanner, allowed)
    except DamagedRun as error:
        raise _refused(error.message) from None


def key_of(proof: Proof) -> str:
    """A word that is the same for the same failing tests and, where these do not say what is to be done, request."""
    mode, before = proof.task.mode, report_before(proof)
    if mode == "fix":  # what fails by chance is another set each time
        return digest_of_failures(targets_of(mode, before, proof.chance.standings))
    return digest_of_failures((*before.failing, f"asked: {proof.task.request}"))


def is_ours(message: str) -> bool:
    """Whether a commit with that message is one of greenward's own, by the last paragraph of it."""
    return any(line.startswith(OURS) for line in message.rstrip("\n").rpartition("\n\n")[2].split("\n"))


def _checked(artifact: Artifact, quarantine: Quarantine, scanner: Scanner, allowed: Sequence[str]) -> Proposal:
    manifest = artifact.manifest
    try:
        bundle = parse(artifact.bundle)
    except NoBundle as problem:
        raise _refused(f"the bundle cannot be read: {problem}") from None
    commits = quarantine.unpack(bundle, base=manifest.base, commit=manifest.commit)
    for commit in commits:
        _check_commit(commit, scanner)
    if not is_ours(commits[-1].message):
        raise _refused(f"the commit {manifest.commit[:12]} does not say that it is greenward's own")
    base = quarantine.commit(manifest.base)
    proof = _proof(artifact, base, commits[-1])
    entries = quarantine.trees.entries(base.tree)
    paths = _Paths(quarantine=quarantine, tree=base.tree, seal=_seal(proof, entries), scanner=scanner, allowed=allowed)
    lifted = paths.check(commits)
    patch = quarantine.patch(manifest.base, manifest.commit)
    if patch != artifact.patch:
        raise _refused("the patch is not what the commits change")
    return Proposal(
        manifest=manifest,
        proof=proof,
        commits=commits,
        changes=_changes(quarantine, base.tree, commits[-1].tree),
        patch=patch,
        lifted=lifted,
        key=key_of(proof),
    )


def _check_commit(commit: Commit, scanner: Scanner) -> None:
    names = tuple(line.partition(" ")[0] + " " for line in commit.headers)
    name, email = IDENTITY
    people = commit.headers[2:]
    if names != _HEADERS or not all(line.partition(" ")[2].startswith(f"{name} <{email}> ") for line in people):
        raise _refused(f"the commit {commit.id[:12]} is not made as greenward makes them")
    if len(commit.message) > MESSAGE:
        raise _refused(f"the message of the commit {commit.id[:12]} is too long")
    if said := obeyed(commit.message):
        raise _refused(f"the message of the commit {commit.id[:12]} holds what a forge acts upon: {said!r}")
    message = commit.message.encode("utf-8", "surrogateescape")
    if scanner.known(message) or (kinds := scanner.kinds(message)):
        what = "a secret" if scanner.known(message) else kinds[0]
        raise _refused(f"the message of the commit {commit.id[:12]} holds {what}", hint="revoke it")


def _proof(artifact: Artifact, base: Commit, result: Commit) -> Proof:
    """The proof, which has to be of just these commits, and to show what it says."""
    manifest = artifact.manifest
    try:
        proof = load(artifact.proof)
    except Unreadable as problem:
        raise _refused(f"{PROOF} is no proof: {problem}") from None
    if proof.verdict is not VerdictKind.PASSED:
        raise _refused(f"the proof says `{proof.verdict}`, not `{VerdictKind.PASSED}`")
    if not proof.environment:
        raise _refused("the proof names no environment: nothing isolated the tests")
    pairs = {
        "result": ((proof.result.commit, proof.result.tree), (result.id, result.tree)),
        "base": ((proof.base.commit, proof.base.tree), (base.id, base.tree)),
        "manifest": ((manifest.run, manifest.mode, manifest.tree), (proof.run, proof.task.mode, result.tree)),
        "failing tests": ((manifest.failing,), (digest_of_failures(report_before(proof).failing),)),
    }
    for what, (said, found) in pairs.items():
        if said != found:
            raise _refused(f"the proof is of something else: its {what} and the proposal's differ")
    if missing := _missing(proof):
        raise _refused(f"the proof does not show what it says: {missing}")
    return proof


def _missing(proof: Proof) -> str:
    """What the tests and criteria in a proof lack to be what it says of them; empty if nothing does."""
    mode, before, standings = proof.task.mode, report_before(proof), proof.chance.standings
    cases = tuple(TestCase(id=name, status=each.after) for name, each in proof.tests.items() if each.after is not None)
    if mode == "new":  # the tests are the agent's own, and chance excuses none of them
        standings = replace(standings, flaky=frozenset())
    lacks = shortfall(mode, before, TestReport(cases=cases, exit_code=proof.exit_codes[1]), standings)
    if mode == "fix" and not targets_of(mode, before, standings):
        lacks += ("no test is mended that failed each time on the base",)
    if mode != "fix" and not any(witness.proves for witness in proof.witnesses):
        lacks += ("no criterion failed on the base and holds on the result",)
    return lacks[0] if lacks else ""


def _seal(proof: Proof, base: Mapping[str, Entry]) -> Seal:
    """The tests that have to stay as they are on the base."""
    cwd, files = proof.task.cwd, {name.partition("::")[0] for name in proof.tests}
    return seal_of(base, sorted(f"{cwd}/{name}" if cwd else name for name in files), proof.task.mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paths:
    """What is looked at of the files that a proposal changes."""

    quarantine: Quarantine
    tree: str
    """Of the base."""
    seal: Seal
    scanner: Scanner
    allowed: Sequence[str]

    def check(self, commits: Sequence[Commit]) -> tuple[Objection, ...]:
        """What was let in although it is against the policy.

        Every commit is looked at, for all of them are published, and not the last alone.

        Raises:
            ProposalRefused: something may not be published.
        """
        base = self.quarantine.trees.entries(self.tree)
        found: dict[str, None] = {}
        lifted: dict[Objection, None] = {}
        for tree in dict.fromkeys(commit.tree for commit in commits):
            changes = _changes(self.quarantine, self.tree, tree)
            every = tuple(objections(changes, base, seal=self.seal, read=self._read, allowed=self.allowed))
            wrong = [str(each) for each in every if not each.lifted]
            found |= dict.fromkeys(wrong or self._secrets(changes))
            lifted |= dict.fromkeys(each for each in every if each.lifted)
        more = len(found) - NAMED
        told = [*list(found)[:NAMED], *([f"and {number_of(more, 'more thing')}"] if more > 0 else [])]
        if found:
            raise _refused("; ".join(told), hint="`--allow-path GLOB` allows single paths, but no links and no secrets")
        return tuple(lifted)

    def _read(self, entry: Entry) -> bytes:
        return entry.oid.encode() if entry.mode == GITLINK else self.quarantine.trees.blob(entry.oid)

    def _secrets(self, changes: Sequence[Change]) -> Iterator[str]:
        for change in changes:
            if self.scanner.known(change.path.encode("utf-8", "surrogateescape")):
                yield "the name of a file holds a secret of this job"
            new, old = (self._read(each) if each else b"" for each in (change.new, change.old))
            if self.scanner.known(new):
                yield f"`{change.path}` holds a secret of this job"
            yield from (f"`{change.path}` holds what looks like {kind}" for kind in self.scanner.kinds(new, old))


def _changes(quarantine: Quarantine, before: str, after: str) -> tuple[Change, ...]:
    old, new = quarantine.trees.entries(before), quarantine.trees.entries(after)
    return tuple(
        Change(path=path, old=old.get(path), new=new.get(path)) for path in quarantine.trees.changed(before, after)
    )


def _refused(message: str, *, hint: str = HINT) -> ProposalRefused:
    return ProposalRefused(message, hint=hint)
