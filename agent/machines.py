"""The one table of files that machines execute or obey once somebody has them, and who of us acts upon that. Pure."""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Flag, auto
from functools import cache

__all__ = ["TABLE", "Row", "Use", "executed", "uses"]


class Use(Flag):
    """Who acts upon a file's name; what everybody is told of a file (`executed`) needs none of them."""

    NONE = 0
    SEALED = auto()
    """No run may touch it: `agent/seal.py`."""
    REFUSED = auto()
    """No proposal that touches it is published, unless it is allowed by name: `agent/publishing/policy.py`."""
    FLAGGED = auto()
    """It is a suspicion of its own: `agent/suspicions/files.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of file."""

    clause: str
    """Who executes or obeys it, as `executed by git`."""
    use: Use
    patterns: tuple[str, ...]
    """Of case-folded paths. A leading `*` stands for any directory or none, any other one for whatever there is."""


def _row(clause: str, use: Use, *patterns: str) -> Row:
    return Row(clause=clause, use=use, patterns=patterns)


_NONE, _SEALED, _REFUSED, _FLAGGED = Use.NONE, Use.SEALED, Use.REFUSED, Use.FLAGGED
_ALL = _SEALED | _REFUSED | _FLAGGED
TABLE: tuple[Row, ...] = (
    _row("executed by GitHub's runners", _ALL, ".github/workflows/*", ".github/actions/*"),
    _row("executed by GitHub's runners", _REFUSED | _FLAGGED, "*action.yml", "*action.yaml"),
    _row("obeyed by forges", _SEALED | _REFUSED, "*.gitmodules"),
    _row("obeyed by forges", _REFUSED, "*codeowners", "renovate.json*", ".renovaterc*"),
    _row("obeyed by GitHub", _ALL, ".github/*"),
    _row(
        "executed by a forge's runners", _ALL,
        ".gitlab-ci.yml", ".circleci/*", ".travis.yml", "azure-pipelines.yml", "jenkinsfile",
    ),
    _row(
        "executed by a forge's runners", _REFUSED | _FLAGGED,
        "*.gitlab-ci.y*ml", ".gitlab/*", "bitbucket-pipelines.yml", ".buildkite/*", ".drone.yml", ".woodpecker/*",
        ".woodpecker.yml", ".cirrus.y*ml", ".semaphore/*", ".teamcity/*", "appveyor.yml", ".appveyor.yml",
        "azure-pipelines*.y*ml", "cloudbuild.y*ml",
    ),
    _row(  # these are so only at the top of a repository, which a directory may become
        "executed by a forge's runners", _FLAGGED,
        "*.github/*", "*.circleci/*", "*.travis.yml", "*azure-pipelines.y*ml", "*jenkinsfile",
    ),
    _row("executed by git", _ALL, "*.husky/*", "*.pre-commit-config.y*ml"),
    _row(
        "executed by git", _REFUSED | _FLAGGED,
        "*.githooks/*", "*hooks/pre-commit", "*hooks/pre-push", "*hooks/post-checkout", "*hooks/post-merge",
        "*lefthook.y*ml", "*.gitconfig",
    ),
    _row("executed by git", _FLAGGED, "*hooks/*"),
    _row("obeyed by git", _SEALED | _REFUSED, "*.gitattributes"),
    _row("obeyed by git", _REFUSED, "*.lfsconfig"),
    _row("executed by editors", _ALL, "*.vscode/*", "*.idea/*", "*.devcontainer/*"),
    _row("executed by entering the directory", _ALL, "*.envrc"),
    _row("executed by entering the directory", _FLAGGED, "*.bashrc", "*.profile"),
    _row("executed whenever Python starts", _NONE, "*sitecustomize.py", "*usercustomize.py", "**.pth"),
    _row("executed whenever tests run", _NONE, "*conftest.py"),
    _row(
        "executed by builds", _NONE,
        "*setup.py", "*noxfile.py", "*toxfile.py", "*tasks.py", "*dodo.py", "*pyproject.toml", "*setup.cfg",
    ),
    _row("obeyed by package managers", _REFUSED, "*.npmrc"),
    _row(
        "executed by developers", _FLAGGED,
        "*makefile", "*gnumakefile", "*justfile", "*taskfile.y*ml", "*package.json", "*vagrantfile", "*dockerfile",
        "*containerfile", "*compose.y*ml", "*docker-compose.y*ml",
    ),
    _row(
        "executed by developers", _NONE,
        "*dockerfile.*", "*containerfile.*", "**.sh", "**.bash", "**.ps1", "**.bat", "**.cmd",
    ),
)  # fmt: skip
"""The first row that fits says who executes a file; its uses are those of all rows that fit."""


def executed(path: str) -> str:
    """Who executes or obeys the file at `path`, as `executed by git`; empty if nobody does by its name alone."""
    folded = path.casefold()
    return next((row.clause for row in TABLE if _pattern(row.patterns).fullmatch(folded)), "")


def uses(path: str) -> Use:
    """Who of us acts upon the name of the file at `path`."""
    folded, found = path.casefold(), Use.NONE
    for use, pattern in _by_use():
        if pattern.fullmatch(folded):
            found |= use
    return found


@cache
def _by_use() -> tuple[tuple[Use, re.Pattern[str]], ...]:
    return tuple(
        (use, _pattern(tuple(each for row in TABLE if use in row.use for each in row.patterns))) for use in Use
    )


@cache
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_expressions(patterns)))


def _expressions(patterns: Iterable[str]) -> Iterable[str]:
    for pattern in patterns:
        bare = pattern.removeprefix("*")
        yield ("(?s:.*/)?" if bare != pattern else "") + fnmatch.translate(bare)
