"""Every detector over what a run did. Pure, and bounded whatever the files hold."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from agent.suspicions.awareness import awareness
from agent.suspicions.configuration import configuration
from agent.suspicions.equality import equality
from agent.suspicions.exits import exits
from agent.suspicions.files import files
from agent.suspicions.hooks import hooks
from agent.suspicions.kinds import Kind, Suspicion
from agent.suspicions.mocks import mocks
from agent.suspicions.patching import patching
from agent.suspicions.skips import skips
from agent.suspicions.source import BROKEN, NotPythonError
from agent.suspicions.special import SpecialCases
from agent.suspicions.vacuous import vacuous
from agent.suspicions.weakening import weakening
from agent.suspicions.work import Change, Finding, Read, Scan, Subject, Work, name_of, role_of
from agent.text import one_line, sanitise

__all__ = ["EACH", "look"]

EACH = 20
"""Suspicions of one kind that are told of one file."""
WORDS = 400
"""Characters of one."""
_SCANS: tuple[Scan, ...] = (exits, skips, equality, awareness, patching, hooks, vacuous, mocks)

T = TypeVar("T")
Placed = tuple[str, Finding]
"""A finding, and the path of its file."""


def look(work: Work) -> tuple[Suspicion, ...]:
    """What is suspicious about `work`, by path and line: of each kind one in a line, and at most `EACH` in a file."""
    read = Read()
    found = {each for scan in _SCANS for each in _scanned(work, read, scan)}
    comparisons = (
        partial(weakening, read),
        SpecialCases(work, read).of,
        partial(configuration, work),
        partial(files, work),
    )
    for change in work.changes:
        for compare in comparisons:
            found.update(_guarded(partial(compare, change), _unreadable(change.path)))
        if (problem := read.problem(change.path, change.after)) is not None and change.is_python:
            kind = Kind.UNPARSED_CODE if isinstance(problem, NotPythonError) else Kind.UNREADABLE_CODE
            found.add(Suspicion(kind=kind, path=change.path, words=str(problem)))
    return tuple(_kept(found))


def _kept(found: Iterable[Suspicion]) -> Iterator[Suspicion]:
    lines: set[tuple[str, int, Kind]] = set()
    counts: Counter[tuple[str, Kind]] = Counter()
    for each in sorted(found, key=lambda each: (each.path, each.line, each.kind, each.words)):
        line, kind = (each.path, each.line, each.kind), (each.path, each.kind)
        if line not in lines and counts[kind] < EACH:
            lines.add(line)
            counts[kind] += 1
            yield replace(each, path=sanitise(each.path), words=one_line(each.words, WORDS))


def _scanned(work: Work, read: Read, scan: Scan) -> Iterator[Suspicion]:
    """What a scan sees in the files as they are now and did not see in them as they were, wherever it stood then."""
    tests = _importable(work.tests)
    before: list[Placed] = []
    after: list[Placed] = []
    for change in work.changes:
        if change.is_python:
            before += _findings(change, read, scan, tests, now=False)
            after += _new_lines(change, read, _findings(change, read, scan, tests, now=True))
    for key in (_by_place, _by_file, _by_token):
        before, after = _apart(before, after, key)
    for path, finding in after:
        yield Suspicion(kind=finding.kind, path=path, line=finding.line, words=finding.words)


def _importable(paths: Iterable[str]) -> frozenset[str]:
    """What the modules at `paths` can be called in an import, from each directory on the way."""
    modules = (path.removesuffix(".py").removesuffix("/__init__") for path in paths if name_of(path) != "tests.py")
    parts = [module.split("/") for module in modules]
    return frozenset("/".join(each[start:]) for each in parts for start in range(len(each)))


def _findings(change: Change, read: Read, scan: Scan, tests: frozenset[str], *, now: bool) -> list[Placed]:
    earlier = read(change.path, change.before)
    source = read(change.path, change.after) if now else earlier
    if source is None:
        return []
    subject = Subject(path=change.path, role=role_of(change.path), source=source, earlier=earlier, tests=tests)
    fallback = Finding(Kind.UNREADABLE_CODE, 0, "unreadable", "it is made so that it cannot be looked at")
    return [(change.path, finding) for finding in _guarded(partial(scan, subject), fallback)]


def _new_lines(change: Change, read: Read, found: list[Placed]) -> list[Placed]:
    """`found` without what stands in lines that a base has which cannot be parsed: mended code is not new."""
    if change.before is None or change.after is None or read(change.path, change.before) is not None:
        return found
    known, lines = set(change.before.split(b"\n")), change.after.split(b"\n")
    return [each for each in found if not 0 < each[1].line <= len(lines) or lines[each[1].line - 1] not in known]


def _apart(
    before: list[Placed], after: list[Placed], key: Callable[[Placed], object]
) -> tuple[list[Placed], list[Placed]]:
    """What is left of both sides once what is alike by `key` is paired off."""
    return _without(before, after, key), _without(after, before, key)


def _without(some: list[Placed], others: list[Placed], key: Callable[[Placed], object]) -> list[Placed]:
    counts = Counter(map(key, others))
    left = []
    for each in some:
        if counts[key(each)] > 0:
            counts[key(each)] -= 1
        else:
            left.append(each)
    return left


def _by_place(placed: Placed) -> object:
    return placed[0], placed[1].scope, placed[1].token


def _by_file(placed: Placed) -> object:
    return placed[0], placed[1].token


def _by_token(placed: Placed) -> object:
    return placed[1].token


def _guarded(look_at: Callable[[], Iterator[T]], fallback: T) -> Sequence[T]:
    """What `look_at` yields; `fallback` for a file that is made so that no detector gets through it."""
    try:
        return list(look_at())
    except BROKEN:
        return [fallback]


def _unreadable(path: str) -> Suspicion:
    return Suspicion(kind=Kind.UNREADABLE_CODE, path=path, words="it is made so that it cannot be looked at")
