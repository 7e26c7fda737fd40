"""This machine: the programs that are needed, the settings, and room on its disks."""

import os
import platform
import re
import sys

from agent import __version__
from agent.doctor import Context, Finding, ok, problem, skipped, warning
from agent.errors import UsageProblem
from agent.git import Git
from agent.repository import find
from sandbox import MIB
from sandbox.contained import container_mark
from sandbox.scratch import scratch

__all__ = ["check_git", "check_place", "check_python", "check_runs_disk", "check_settings", "room", "version_in"]

OLDEST_GIT = (2, 38)
GIB = 1024 * MIB
LITTLE, TOO_LITTLE = 5 * GIB, 500 * MIB
JOBS = {"GITHUB_ACTIONS": "GitHub", "GITLAB_CI": "GitLab", "CI": "continuous integration"}
"""What a variable that is `true` tells."""
FEW_FILES, TOO_FEW_FILES = 50_000, 2_000
"""Of files that can still be made, where a file system counts them."""


def check_python(_context: Context) -> Finding:
    """Which Python runs which greenward."""
    return ok(f"{platform.python_version()} ({sys.executable}) on {platform.platform()}; greenward {__version__}")


def check_place(context: Context) -> Finding:
    """Whether this is a machine itself, or a container on one, and whose job."""
    mark = container_mark()
    where = (
        f"in a container ({mark} is there)" if mark else "on the machine itself: nothing says that it is a container"
    )
    job = next((name for variable, name in JOBS.items() if context.environ.get(variable) == "true"), "")
    return ok(f"{where}; a job of {job}" if job else where)


def check_git(context: Context) -> Finding:
    """Whether git is there, new enough, and able to keep an object."""
    with scratch() as directory:
        place = directory / ".git"
        with Git(place, environment=context.environ) as git:
            said = git.text("version")
            if version_in(said) < OLDEST_GIT:
                oldest = ".".join(map(str, OLDEST_GIT))
                return problem(said, f"install git {oldest} or newer", UsageProblem.exit_code)
            git.run("init", "--quiet", "--template=", work_tree=directory)
            git.write_blobs([b"kept"])
    return ok(said.removeprefix("git version "))


def check_settings(context: Context) -> Finding:
    """Whether the settings can be used, and which of them somebody chose."""
    layer = context.settings().layer()
    chosen = [
        f"{name} = {each.value} ({each.source})"
        for name, each in layer.items()
        if name != "key" and not each.source.startswith(("default", "known"))
    ]
    return ok(f"{len(layer) - 1} settings, of which chosen: {', '.join(chosen) or 'none'}")


def check_runs_disk(context: Context) -> Finding:
    """Room for journals and git objects."""
    try:
        place = find(context.repo, context.environ).common_dir
    except UsageProblem:
        place = context.repo.resolve()
    if not place.exists():
        return skipped(f"there is no {place}")
    if not os.access(place, os.W_OK):
        return problem(f"{place} cannot be written to", "make it writable for you", UsageProblem.exit_code)
    found = os.statvfs(place)
    return room(str(place), found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None, 2)


def room(where: str, free: int, files: int | None, exit_code: int) -> Finding:
    """What to think of `free` bytes and room for `files` more (None: not counted) at `where`."""
    left = f"{free / GIB:.1f} GiB free" + ("" if files is None else f", room for {files:,} files") + f" ({where})"
    hint = f"a run takes 1 to 2 GiB with its images: free some at {where}"
    if free < TOO_LITTLE or (files is not None and files < TOO_FEW_FILES):
        return problem(left, hint, exit_code)
    if free < LITTLE or (files is not None and files < FEW_FILES):
        return warning(left, hint)
    return ok(left)


def version_in(text: str) -> tuple[int, ...]:
    """The first version that `text` states, as numbers; empty, and so older than any, if it states none."""
    stated = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in stated[0].split(".")) if stated else ()
