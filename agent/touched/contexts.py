"""Which tests ran which lines of which files on the base, as a coverage tool recorded it in a sandbox. Pure.

The record is hostile data: what it says decides the order of tests and nothing else.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import starmap

__all__ = ["MAX_BYTES", "Contexts", "changed_lines", "read_contexts"]

MAX_BYTES = 8 * 1024 * 1024
MAX_TESTS = 100_000
LONGEST_ID = 2_000
MAX_LINES = 5_000
"""Of a file: of longer ones it is not told which lines changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """What ran what."""

    tests: tuple[str, ...]
    """Ids."""
    ran: Mapping[str, tuple[tuple[int, tuple[int, ...]], ...]]
    """By path: lines, as the bits of a number, and the tests that ran just these, as numbers in `tests`."""

    def tests_of(self, path: str, lines: int | None) -> tuple[frozenset[str], frozenset[str]]:
        """The ids of the tests that ran any of `lines` (None: any at all), and of all that ran the file."""
        sets = self.ran.get(path, ())
        every = frozenset(self.tests[number] for _, numbers in sets for number in numbers)
        if lines is None:
            return every, every
        return frozenset(self.tests[number] for ran, numbers in sets if ran & lines for number in numbers), every


def read_contexts(data: bytes, paths: Collection[str], cwd: str = "") -> Contexts | None:
    """The record `data` for a tree with the files `paths`, whose project lies at `cwd`; None if it is not one.

    Files that are not in the tree are passed over.
    """
    try:
        found = json.loads(data if len(data) <= MAX_BYTES else b"{}")
        tests, files = found["tests"], found["files"]
        if len(tests) > MAX_TESTS or not all(isinstance(test, str) and len(test) <= LONGEST_ID for test in tests):
            return None
        prefix = f"{cwd}/" if cwd else ""
        ran = {
            prefix + path: tuple(starmap(_entry, entries)) for path, entries in files.items() if prefix + path in paths
        }
        if any(not 0 <= number < len(tests) for sets in ran.values() for _, numbers in sets for number in numbers):
            return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return Contexts(tests=tuple(test.removeprefix(prefix) for test in tests), ran=ran)


def _entry(lines: object, numbers: object) -> tuple[int, tuple[int, ...]]:
    """Lines as a number, of which the bit `n` stands for line `n`, and tests.

    Raises:
        ValueError, TypeError: they are not as they are to be.
    """
    if not isinstance(lines, str) or not isinstance(numbers, list):
        raise TypeError
    if any(type(number) is not int for number in numbers):
        raise TypeError
    return int.from_bytes(bytes.fromhex(lines), "little"), tuple(numbers)


def changed_lines(before: bytes, after: bytes) -> int | None:
    """The lines of `before` that `after` has not, or next to which it has others, as the bits of a number.

    None: there are too many to compare.
    """
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > MAX_LINES:
        return None
    found = 0
    for kind, start, end, _, _ in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        first, last = (start, end) if kind != "insert" else (max(0, start - 1), min(len(old), start + 1))
        found |= ((1 << (last - first)) - 1) << (first + 1)
    return found
