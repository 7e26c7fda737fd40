"""How often suspicions are false alarms: the differences between releases of real packages, taken for a run's work.

    python -m bench.suspicions [--sdists DIRECTORY] [--history REPOSITORY] [--list KIND] [NAME ...]

The source distributions are those in the directory, else the newest ones that pip finds (two of each package). Each
release is laid over the one before it, as `change` would; each is also taken for a scaffold that began from nothing,
as under `new`. With `--history` the commits of a repository are taken one by one. All of it is honest work, so each
refusal is a false alarm. The table, in Markdown, goes to standard output; `--list` says where a kind was found.
"""

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import Version

from agent.seal import Seal
from agent.suspicions import RULES, Change, Kind, Policies, Policy, Suspicion, Work, look
from agent.suspicions.work import Role, role_of
from agent.task import Mode, TestPolicy

PACKAGES = (
    "attrs", "structlog", "click", "pluggy", "jinja2", "packaging", "humanize", "cachetools", "more-itertools",
    "werkzeug", "flask", "anyio", "markupsafe", "tomlkit", "requests",
)  # fmt: skip
Tree = Mapping[str, bytes]
_SDIST = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)\.tar\.gz")


@dataclass(slots=True)
class Tally:
    """What was found in some works of one mode."""

    name: str
    mode: Mode
    policy: TestPolicy
    """What is sealed of the base, and left out of the work."""
    works: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    found: list[tuple[str, Suspicion]] = field(default_factory=list)

    def take(self, name: str, work: Work) -> None:
        began = time.monotonic()
        found = Policies(mode=self.mode, stated={}).weighed(look(work))
        took = time.monotonic() - began
        self.works += 1
        self.seconds += took
        self.slowest = max(self.slowest, took)
        self.found += [(name, each) for each in found]

    def works_with(self, kind: Kind) -> int:
        return len({name for name, each in self.found if each.kind is kind})

    def works_at(self, policy: Policy) -> int:
        return len({name for name, each in self.found if each.policy is policy})


def main(arguments: list[str]) -> int:
    """Print the tables; 0 if nothing honest was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--sdists", type=Path)
    parser.add_argument("--history", type=Path)
    parser.add_argument("--list", dest="listed", default="")
    options = parser.parse_args(arguments)
    if options.history:
        tallies = [of_history(options.history)]
    else:
        with tempfile.TemporaryDirectory(prefix="greenward-bench-") as scratch:
            directory = options.sdists or downloaded(options.names or PACKAGES, Path(scratch))
            tallies = of_releases(directory, options.names)
    report(tallies)
    for tally in tallies:
        for name, each in tally.found:
            if options.listed in (each.kind, "all", each.policy):
                print(f"{tally.name}: {name}: {each.policy}: {each}")
    return int(any(tally.works_at(Policy.REFUSE) for tally in tallies))


def downloaded(names: tuple[str, ...] | list[str], directory: Path) -> Path:
    """The directory with the two newest source distributions of each package that pip finds."""
    for name in names:
        asked = [sys.executable, "-m", "pip", "index", "versions", name]
        listed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        versions = re.findall(r"Available versions: (.*)", listed)[0].split(", ")
        for version in versions[:2]:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name]
            subprocess.run([*command, f"{name}=={version}", "-d", str(directory)], check=False, capture_output=True)
    return directory


def of_releases(directory: Path, names: list[str]) -> list[Tally]:
    fix, change = Tally("fix", "fix", "locked"), Tally("change", "change", "additive")
    free, new = Tally("change, tests opened", "change", "free"), Tally("new", "new", "free")
    releases: dict[str, list[tuple[Version, Path]]] = {}
    for path in directory.glob("*.tar.gz"):
        if (match := _SDIST.fullmatch(path.name)) and (not names or match["name"].replace("_", "-") in names):
            releases.setdefault(match["name"], []).append((Version(match["version"]), path))
    for name, found in sorted(releases.items()):
        earlier: Tree | None = None
        for version, path in sorted(found):
            tree = unpacked(path)
            if earlier is not None:
                for tally in (fix, change, free):
                    tally.take(f"{name} {version}", work_of(earlier, tree, tally))
            else:
                new.take(f"{name} {version}", work_of({}, tree, new))
            earlier = tree
    return [fix, change, free, new]


def of_history(repository: Path) -> Tally:
    """Every commit of the repository against its first parent."""
    tally = Tally("change, tests opened", "change", "free")
    commits = _git(repository, "rev-list", "--no-merges", "HEAD").decode().split()
    for commit in commits:
        if not _git(repository, "rev-list", "--parents", "-n1", commit).decode().split()[1:]:
            continue
        changed = _git(repository, "diff-tree", "-r", "--no-renames", "--name-only", "-z", commit, f"{commit}~1")
        paths = changed.decode().split("\0")[:-1]
        before = {path: _show(repository, f"{commit}~1", path) for path in paths}
        after = {path: _show(repository, commit, path) for path in paths}
        listed = _git(repository, "ls-tree", "-r", "--name-only", "-z", commit).decode().split("\0")[:-1]
        tests = _AtCommit(repository, commit, [path for path in listed if role_of(path) is Role.TEST])
        changes = tuple(Change(path=p, before=before[p], sealed=before[p], after=after[p]) for p in paths)
        known = frozenset(_git(repository, "ls-tree", "-r", "--name-only", "-z", f"{commit}~1").decode().split("\0"))
        tally.take(commit[:9], Work(mode="change", changes=changes, tests=tests, known=known))
    return tally


class _AtCommit(Mapping[str, bytes]):
    """Files of a commit, read when they are asked for."""

    def __init__(self, repository: Path, commit: str, paths: list[str]) -> None:
        self._repository, self._commit, self._paths = repository, commit, paths

    def __getitem__(self, path: str) -> bytes:
        return _show(self._repository, self._commit, path) or b""

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def unpacked(path: Path) -> Tree:
    files = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content:
                files[member.name.partition("/")[2]] = content.read()
    return files


def work_of(before: Tree, after: Tree, tally: Tally) -> Work:
    """A run from `before` to `after`, as far as the seal allows; under `new` the tests were written before the code."""
    mode = tally.mode
    is_test = {path: path.endswith(".py") and role_of(path) in (Role.TEST, Role.CONFTEST) for path in {*before, *after}}
    seal = Seal.of(before, test_files=[path for path in before if is_test[path]], policy=tally.policy)
    different = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    paths = [path for path in different if not seal.refusal(path, before.get(path), after.get(path))]
    changes = tuple(
        Change(
            path=path,
            before=before.get(path),
            sealed=after.get(path) if mode == "new" else before.get(path),
            after=after.get(path),
        )
        for path in paths
    )
    tests = {path: data for path, data in after.items() if is_test[path]}
    return Work(mode=mode, changes=changes, tests=tests, known=frozenset(before))


def report(tallies: list[Tally]) -> None:
    heads = [f"{tally.name} ({tally.works})" for tally in tallies]
    print(f"| kind | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for kind in RULES:
        cells = [
            f"{count} ({Policies(mode=tally.mode, stated={}).of(kind)})" if (count := tally.works_with(kind)) else "0"
            for tally in tallies
        ]
        print(f"| `{kind}` | {' | '.join(cells)} |")
    for policy in (Policy.REFUSE, Policy.REVIEW, Policy.FLAG):
        print(f"| *works with a {policy}* | {' | '.join(str(tally.works_at(policy)) for tally in tallies)} |")
    for tally in tallies:
        each = Counter(name for name, _ in tally.found)
        most = max(each.values(), default=0)
        mean = tally.seconds / max(tally.works, 1)
        words = f"{tally.name}: {len(tally.found)} suspicions in {tally.works} works, at most {most} in one"
        print(f"{words}; {mean:.2f} s a work, at most {tally.slowest:.2f} s", file=sys.stderr)


def _show(repository: Path, commit: str, path: str) -> bytes | None:
    done = subprocess.run(["git", "show", f"{commit}:{path}"], cwd=repository, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
