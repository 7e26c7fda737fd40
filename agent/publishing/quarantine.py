"""A repository of its own for what a proposal brings: it sees the target's objects, and shares nothing else with it.

Neither configuration nor hooks, attributes or refs of the target are in force here, and nothing is ever checked out.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.errors import DamagedRun, ProposalRefused, UsageProblem
from agent.git import Git
from agent.gitfailed import GitFailed
from agent.proposal.writing import patch_between
from agent.publishing.bundle import Bundle
from agent.replay.scratch import see_objects
from agent.repository import Repository, find
from agent.text import one_line
from agent.trees import FILE_BYTES, Trees
from sandbox import MIB
from sandbox.scratch import scratch

__all__ = ["COMMITS", "Commit", "Quarantine", "quarantine_of"]

COMMITS = 200
"""Of one proposal."""
OBJECTS = 20_000
SETTINGS: Mapping[str, str] = {
    "core.commitGraph": "false",
    "core.bigFileThreshold": "32m",
    "pack.threads": "1",
    "fetch.fsckObjects": "true",
    "http.followRedirects": "false",
    "http.sslVerify": "true",
}
_PACK = 64 * MIB
_SHA1_DIGITS = 40
HINT = "make the proposal anew from the commit that it is to stand on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of the proposal as git keeps it."""

    id: str
    tree: str
    headers: tuple[str, ...]
    message: str


class Quarantine:
    """What a proposal brings, looked at by plumbing alone."""

    def __init__(self, git: Git, head: str) -> None:
        self._git = git
        self.head = head
        """The commit that is checked out in the target."""
        self.trees = Trees(git)

    @property
    def digits(self) -> int:
        """Of an id in this repository."""
        return len(self.head)

    def run(self, *arguments: str, **options: object) -> bytes:
        """What `git <arguments>` prints; see `Git.run`."""
        return self._git.run(*arguments, settings={**SETTINGS, **dict(options.pop("settings", {}))}, **options)  # type: ignore[arg-type, call-overload]

    def text(self, *arguments: str, **options: object) -> str:
        """The same as text, without its last line break."""
        return self.run(*arguments, **options).decode("utf-8", "surrogateescape").removesuffix("\n")

    def scratch(self, name: str) -> Path:
        """A path outside of the repository that nothing has used yet."""
        return self._git.scratch(name)

    def check_base(self, base: str) -> None:
        """Raise `ProposalRefused` unless `base` is a commit of the target, and HEAD or before it."""
        if len(base) != self.digits or self._git.find(f"{base}^{{commit}}") != base:
            raise ProposalRefused(
                f"the target has no commit {base[:12]}, on which the proposal stands",
                hint="check out the commit that the proposal was made on, with its history (`fetch-depth: 0`)",
            )
        if self.text("merge-base", base, self.head, ok=(0, 1)) != base:
            raise ProposalRefused(f"the base {base[:12]} is not part of what is checked out", hint=HINT)

    def unpack(self, bundle: Bundle, *, base: str, commit: str) -> tuple[Commit, ...]:
        """The commits from `base` to `commit`, oldest first, which have to be all that the bundle holds.

        Raises:
            ProposalRefused: they are not, or something in it is damaged.
        """
        if bundle.needs != (base,) or bundle.brings != (commit,):
            raise ProposalRefused("the bundle is not of the commits that the manifest names", hint=HINT)
        try:
            name = self.text(
                "index-pack", "--stdin", "--fix-thin", "--strict", f"--max-input-size={_PACK}", stdin=bundle.pack
            ).split()[-1]
            commits = self._commits_of(name)
            chain = self._chain(base, commit)
        except GitFailed as failure:
            raise ProposalRefused(f"the bundle cannot be taken: {one_line(failure.stderr)}", hint=HINT) from None
        if commits - {base} != set(chain):
            raise ProposalRefused("the bundle holds other commits than those from the base to the result", hint=HINT)
        return tuple(map(self.commit, chain))

    def commit(self, name: str) -> Commit:
        """The commit `name`, taken apart."""
        kind, data = self._git.object(name)
        if kind != "commit":
            raise DamagedRun(f"{name} is a {kind} where a commit is expected", hint="run `git fsck`")
        head, _, message = data.decode("utf-8", "surrogateescape").partition("\n\n")
        headers = tuple(head.split("\n"))
        return Commit(id=name, tree=headers[0].removeprefix("tree "), headers=headers, message=message)

    def patch(self, before: str, after: str) -> bytes:
        """The changes between two commits, as they are written down where a proposal is made."""
        return patch_between(self._git, before, after)

    def _commits_of(self, pack: str) -> set[str]:
        """The commits in a pack, which may hold files and trees of a bearable size besides."""
        index = self._git.git_dir / "objects" / "pack" / f"pack-{pack}.idx"
        listed = self.run("show-index", *self._format(), stdin=index.read_bytes()).decode().splitlines()
        if len(listed) > OBJECTS:
            raise ProposalRefused(f"the bundle holds {len(listed)} objects, more than {OBJECTS}", hint=HINT)
        names = "".join(f"{line.split()[1]}\n" for line in listed)
        shown = self.text("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", stdin=names.encode())
        commits = set()
        for line in shown.splitlines():
            name, kind, size = line.split()
            if kind == "tag" or int(size) > FILE_BYTES:
                what = "a tag" if kind == "tag" else f"a {kind} of {int(size):,} bytes"
                raise ProposalRefused(f"the bundle holds {what}", hint=HINT)
            if kind == "commit":
                commits.add(name)
        return commits

    def _format(self) -> tuple[str, ...]:
        return () if self.digits == _SHA1_DIGITS else ("--object-format=sha256",)

    def _chain(self, base: str, commit: str) -> tuple[str, ...]:
        """The commits behind `base` up to `commit`, each the only parent of the next one."""
        options = ("--reverse", "--topo-order", "--parents", f"--max-count={COMMITS + 1}")
        listed = [line.split() for line in self.text("rev-list", *options, commit, f"^{base}").splitlines()]
        before = base
        for name, *parents in listed:
            if parents != [before]:
                raise ProposalRefused(f"{name[:12]} does not stand on {before[:12]} alone", hint=HINT)
            before = name
        if not listed or before != commit or len(listed) > COMMITS:
            raise ProposalRefused(f"there are no {COMMITS} or fewer commits from the base to the result", hint=HINT)
        return tuple(name for name, *_ in listed)


@contextmanager
def quarantine_of(target: Path, environment: Mapping[str, str]) -> Iterator[Quarantine]:
    """A quarantine beside the repository that holds `target`, removed in the end.

    Raises:
        UsageProblem: there is no repository, or no commit in it.
    """
    repository = find(target, environment)
    head = _head(repository, environment)
    with scratch() as room:
        top = room.resolve() / "quarantine"
        top.mkdir()
        place = top / ".git"
        with Git(place, environment=environment) as git:
            kind = "sha1" if len(head) == _SHA1_DIGITS else "sha256"
            options = ("--quiet", "--template=", "--initial-branch=none", f"--object-format={kind}")
            git.run("init", *options, work_tree=top)
            see_objects(repository.common_dir, place, copied=("shallow",))
            yield Quarantine(git, head)


def _head(repository: Repository, environment: Mapping[str, str]) -> str:
    with Git(repository.git_dir, environment=environment) as git:
        found = git.find("HEAD^{commit}")
    if found is None:
        raise UsageProblem(f"{repository.top} has no commit", hint="check out the commit that the proposal stands on")
    return found
