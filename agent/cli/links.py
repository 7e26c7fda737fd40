"""Paths that a job names, in a checkout where anybody may have put a link."""

import os
from pathlib import Path

from agent.errors import UsageProblem

__all__ = ["check_links"]


def check_links(path: Path, repo: Path) -> None:
    """Raise `UsageProblem` if `path` leads through a link that the repository holds: anybody can have committed it."""
    from agent.repository import find

    try:
        top = find(repo, os.environ).top
    except UsageProblem:
        return  # which is said where a repository is needed
    given = path.absolute()
    for each in (given, *given.parents):
        if each.is_symlink() and each.parent.resolve().is_relative_to(top):
            raise UsageProblem(
                f"{each} is a link, and whoever committed it says where it leads",
                hint="name a path outside of the repository, or one without links",
            )
