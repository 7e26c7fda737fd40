"""Where a repository is, found without asking git, which minds who owns it; and whether it can be worked on."""

import pwd
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import getuid
from pathlib import Path

from agent.errors import UsageProblem

__all__ = ["Repository", "find", "is_half_made"]

_BUSY = {
    "MERGE_HEAD": ("a merge", "git merge --continue` or `git merge --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue` or `git cherry-pick --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue` or `git revert --abort"),
    "rebase-merge": ("a rebase", "git rebase --continue` or `git rebase --abort"),
    "rebase-apply": ("a rebase", "git rebase --continue` or `git rebase --abort"),
    "BISECT_LOG": ("a bisection", "git bisect reset"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository with a work tree; the two directories differ in a linked worktree."""

    top: Path
    git_dir: Path
    common_dir: Path

    def check_idle(self) -> None:
        """Raise `UsageProblem` if a merge, a rebase or the like is in progress."""
        for name, (what, command) in _BUSY.items():
            if (self.git_dir / name).exists():
                raise UsageProblem(f"{what} is in progress in {self.top}", hint=f"finish it first: `{command}`")


def find(path: Path, environment: Mapping[str, str]) -> Repository:
    """The repository that holds `path`.

    Raises:
        UsageProblem: there is none that can be worked on; the hint says what to do.
    """
    start = path.resolve()
    if not start.is_dir():
        raise UsageProblem(f"{path} is not a directory", hint="name a directory inside a git repository")
    for directory in (start, *start.parents):
        if _is_git_dir(directory):
            inside = directory.name == ".git" or ".git" in directory.parts
            what = "lies inside of a git directory" if inside else "is a bare repository"
            raise UsageProblem(f"{start} {what}", hint="run it from a checkout of the repository")
        if (directory / ".git").exists() and (git_dir := _git_dir(directory)):
            _check_top(directory, environment)
            return Repository(top=directory, git_dir=git_dir, common_dir=_common(git_dir))
    raise UsageProblem(
        f"{start} is not inside a git repository", hint="run `git init && git add -A && git commit` there first"
    )


def is_half_made(git_dir: Path) -> bool:
    """Whether there is the beginning of a git directory, as a `git init` that was killed leaves it."""
    return git_dir.is_dir() and not git_dir.is_symlink() and not _is_git_dir(git_dir)


def _git_dir(directory: Path) -> Path | None:
    entry = directory / ".git"
    if entry.is_dir():
        return entry.resolve() if _is_git_dir(entry) else None
    named = _line(entry).removeprefix("gitdir:").strip()
    target = (directory / named).resolve()
    if not named or not _is_git_dir(target):
        raise UsageProblem(f"{entry} does not lead to a git directory", hint="run `git worktree repair`, or clone anew")
    return target


def _common(git_dir: Path) -> Path:
    named = git_dir / "commondir"
    return (git_dir / _line(named)).resolve() if named.is_file() else git_dir


def _is_git_dir(directory: Path) -> bool:
    if not (directory / "HEAD").is_file() and not (directory / "HEAD").is_symlink():
        return False
    linked = (directory / "commondir").is_file()
    return linked or ((directory / "objects").is_dir() and (directory / "refs").is_dir())


def _check_top(top: Path, environment: Mapping[str, str]) -> None:
    homes = set()
    with suppress(KeyError):  # in a container, users may be numbers alone
        homes.add(Path(pwd.getpwuid(getuid()).pw_dir).resolve())
    if environment.get("HOME"):
        homes.add(Path(environment["HOME"]).resolve())
    if top in homes or top.parent == top:
        raise UsageProblem(
            f"the repository's root is {top}, which holds far more than a project",
            hint="make a repository of the project's own directory: `git init` there",
        )


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape").partition("\n")[0].strip()
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error
