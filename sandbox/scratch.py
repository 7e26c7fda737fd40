"""Temporary directories that say by their name whose they are, so that those of processes that are gone can be removed.

A process that is killed removes nothing. Its number may be another's by then, and the directory for temporary files may
be shared with containers and, rarely, with other machines: where the owner cannot be seen, only age tells.
"""

import contextlib
import hashlib
import os
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sandbox.owner import Owner

__all__ = ["left_directories", "make_directory", "remove_directory", "scratch", "sweep"]

NAME = re.compile(r"greenward-(?P<pid>[1-9][0-9]{0,9})-(?P<started>[0-9]*)-(?P<place>[0-9a-f]{12})-[a-z0-9_]{8}")
LONG_SECONDS = 7 * 24 * 3600.0
"""Since the last change of a directory whose owner cannot be seen from here: no run takes that long."""


def make_directory(parent: Path | None = None) -> Path:
    """A new directory of this process, in `parent` or where temporary files belong."""
    owner = Owner.current()
    prefix = f"greenward-{owner.pid}-{owner.started}-{_place(owner)}-"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


@contextlib.contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A new directory of this process, for a while."""
    directory = make_directory(parent)
    try:
        yield directory
    finally:
        remove_directory(directory)


def left_directories(parent: Path | None = None) -> tuple[Path, ...]:
    """The directories of ours in `parent` (or where temporary files belong) whose process is gone, sorted.

    Links and what belongs to other users are none, and neither is anything whose name is not just as we make them.
    """
    here = Owner.current()
    try:
        with os.scandir(parent or tempfile.gettempdir()) as entries:
            return tuple(sorted(Path(entry.path) for entry in entries if _is_left(entry, here)))
    except OSError:
        return ()


def sweep(parent: Path | None = None) -> tuple[Path, ...]:
    """Remove the `left_directories`, and return them."""
    found = left_directories(parent)
    for each in found:
        remove_directory(each)
    return found


def remove_directory(directory: Path) -> None:
    """Remove a directory however deep it is, and whatever was closed in it: `shutil.rmtree` recurses."""
    for command in (["rm", "-rf", "--"], ["chmod", "-R", "u+rwX", "--"], ["rm", "-rf", "--"]):
        if directory.exists():
            subprocess.run([*command, str(directory)], capture_output=True, check=False)


def _is_left(entry: "os.DirEntry[str]", here: Owner) -> bool:
    named = NAME.fullmatch(entry.name)
    if named is None:
        return False
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return False
    if named["place"] != _place(here):
        return time.time() - status.st_mtime > LONG_SECONDS
    return replace(here, pid=int(named["pid"]), started=named["started"]).is_gone(here)


def _place(owner: Owner) -> str:
    """Names where the owner's number holds."""
    return hashlib.sha256(f"{owner.boot} {owner.namespace}".encode()).hexdigest()[:12]
