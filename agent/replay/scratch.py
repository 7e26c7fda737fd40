"""A repository to do things again in: it sees the objects of the user's, and leaves all of that as it is."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.git import Git
from agent.gitfailed import GitFailed
from agent.repository import Repository
from agent.task import Task
from agent.workspace import Workspace

__all__ = ["scratch_of", "see_objects"]

SHA1 = 40
"""Digits of an id."""
COPIED = ("shallow", "info/attributes")
"""Files of a git directory that say how its objects are to be read."""
QUOTED = ('"', "#")
"""What a line begins with that git would not take for a path as it stands."""


@contextmanager
def scratch_of(repository: Repository, task: Task, environment: Mapping[str, str]) -> Iterator[Workspace]:
    """The workspace of a new repository with the objects and tags of `repository`, removed in the end.

    Raises:
        UsageProblem: there is no git.
        DamagedRun: git cannot make it.
    """
    with tempfile.TemporaryDirectory(prefix="greenward-replay-") as room:
        top = Path(room).resolve() / "work"
        top.mkdir()
        made = Repository(top=top, git_dir=top / ".git", common_dir=top / ".git")
        with Git(made.git_dir, environment=environment) as git:
            kind = "sha1" if len(task.base_tree) == SHA1 else "sha256"
            options = ("--quiet", "--template=", "--initial-branch=main", f"--object-format={kind}")
            git.run("init", *options, work_tree=top)
            see_objects(repository.common_dir, made.git_dir)
            _copy_tags(repository, git, environment)
            yield Workspace(made, git, cwd=task.cwd, only=task.only)


def see_objects(source: Path, target: Path, *, copied: tuple[str, ...] = COPIED) -> None:
    """Have the git directory `target` see the objects of `source`; `copied` are files that say how they are read."""
    (target / "objects" / "info").mkdir(exist_ok=True)
    (target / "objects" / "info" / "alternates").write_bytes(_line(source / "objects"))
    for name in copied:
        if (source / name).is_file():
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(source / name, target / name)


def _line(path: Path) -> bytes:
    """A path as git reads it there: a line, in the quotes of C where it could be taken for something else."""
    text = bytes(path)
    if b"\n" not in text and not str(path).startswith(QUOTED):
        return text + b"\n"
    escaped = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + escaped + b'"\n'


def _copy_tags(repository: Repository, git: Git, environment: Mapping[str, str]) -> None:
    """A project may be built by the version that its nearest tag says."""
    with Git(repository.git_dir, environment=environment) as theirs:
        listed = theirs.run("for-each-ref", "--format=create %(refname) %(objectname)", "refs/tags")
    with suppress(GitFailed):  # a tag whose object is missing tells no build anything
        git.run("update-ref", "--stdin", stdin=listed)
