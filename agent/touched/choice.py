"""Which files of tests to run before all the others, where the whole suite takes long. Pure."""

import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

__all__ = ["first_files", "holds_tests", "is_prose", "reaches_everything"]

SHARE = 0.125
"""Of the suite's time, that the tests which a change may concern are given, the nearest first."""
MOST = 0.5
"""Of the suite's time: where what has to come first takes more, all may as well be run at once."""
EACH = 0.001
"""Seconds for a test beside those that are told."""
_EVERYWHERE = re.compile(
    r"(?:.*/)?(?:pyproject\.toml|setup\.(?:py|cfg)|tox\.ini|\.?pytest\.(?:ini|toml)|\.coveragerc|noxfile\.py|Makefile"
    r"|Pipfile|MANIFEST\.in|[^/]*require[^/]*\.(?:txt|in)|[^/]*constraints[^/]*\.txt|[^/]*\.lock|sitecustomize\.py)"
    r"|.*\.(?:pyx|pxd|pxi|c|cc|cpp|cxx|h|hpp|rs|f|f90|f95|go|pth|so|proto)"
)
_PROSE = frozenset({".md", ".rst", ".txt", ".adoc", ".png", ".svg", ".jpg", ".jpeg", ".gif", ".ico", ".css", ""})
_TESTS = re.compile(r"(?:test_.*|.*_test|tests?)\.py")


def first_files(
    seconds: Mapping[str, float], required: Collection[str], near: Mapping[str, tuple[int, ...]]
) -> frozenset[str] | None:
    """The files to run first: those `required`, and of those that a change may concern the nearest, one at least.

    `seconds` is what each file of the suite took, `near` how near a file is to what changed; less is nearer. None if
    there is nothing to run before the rest, or too much.
    """
    total = sum(seconds.values()) + EACH * len(seconds)
    waiting = sorted(
        (path for path in near if path in seconds and path not in required),
        key=lambda path: (near[path], seconds[path], path),
    )
    chosen = {*required, *waiting[:1]}
    used = sum(seconds.get(path, 0.0) for path in chosen)
    if not chosen or used > MOST * total:
        return None
    for path in waiting[1:]:
        if used + seconds[path] <= SHARE * total:
            chosen.add(path)
            used += seconds[path]
    return frozenset(chosen) if chosen & seconds.keys() != seconds.keys() else None


def reaches_everything(path: str) -> bool:
    """Whether a file may matter for all tests, in a way that no source tells: configuration, and what is compiled."""
    return _EVERYWHERE.fullmatch(path) is not None


def is_prose(path: str) -> bool:
    """Whether a file that no source names is for people alone."""
    return PurePosixPath(path).suffix in _PROSE


def holds_tests(path: str) -> bool:
    """Whether a file is by its name one of tests."""
    return _TESTS.fullmatch(path.rpartition("/")[2]) is not None
