"""Tests that check less than they did: compared with the tests as they were sealed.

Found, in tests that are there before and after: checks that are gone with what they named, checks that demand less of
the same thing (`== 3` made `is not None`, `in`, `>=`, `approx`, bare truth, a computed value), errors expected more
broadly or without their message, cases of a parametrization that are gone; apart from these, other values that are
expected. Not found: tests that are gone as a whole, which the comparison of ids tells, and a helper in another file
that checks less.
False alarms: a rewritten test that says the same in other words; behaviour that a request takes away.
"""

import ast
from collections import Counter
from collections.abc import Iterator

from agent.suspicions.checks import EXACT, MOST, Check, RaisesCheck, TestFile
from agent.suspicions.kinds import Kind, Suspicion
from agent.suspicions.source import FunctionLike
from agent.suspicions.work import Change, Read, Role, role_of

__all__ = ["weakening"]

PAIRS = 400_000
"""Checks of one test that are compared with each other: those that are gone times those that have come."""
_SHOWN = 60
_SIMILAR = 0.5


def weakening(read: Read, change: Change) -> Iterator[Suspicion]:
    """What tests that were there check less."""
    if not change.is_python or role_of(change.path) is Role.CODE:
        return
    before, after = read(change.path, change.sealed), read(change.path, change.after)
    if before is None or after is None:
        return
    old, new = TestFile(before), TestFile(after)
    for scope in old.tests.keys() & new.tests.keys():
        if old.text(scope) != new.text(scope):
            yield from _in_test(change.path, scope, old, new)


def _in_test(path: str, scope: str, old: TestFile, new: TestFile) -> Iterator[Suspicion]:
    was, now = old.tests[scope], new.tests[scope]
    for kind, line, words in (
        *_of_checks(old.checks(scope), new.checks(scope), now),
        *_of_errors(old.errors(scope), new.errors(scope)),
    ):
        yield Suspicion(kind=kind, path=path, line=line or now.lineno, words=f"`{now.name}`: {words}")
    if (cases := _cases(was)) > (left := _cases(now)) > 0:
        words = f"`{now.name}` has {left} cases where it had {cases}"
        yield Suspicion(kind=Kind.REMOVED_CASE, path=path, line=now.lineno, words=words)


def _of_checks(old: list[Check], new: list[Check], function: FunctionLike) -> Iterator[tuple[Kind, int, str]]:
    gone, come = _apart(old, new)
    if len(gone) * len(come) > PAIRS or len(new) > MOST:
        yield Kind.UNREADABLE_CODE, 0, "it has too many checks to be compared with what it was"
        return
    kept = _tokens(function)
    for check in gone:
        rival = _rival(check, come)
        if rival is not None:
            come.remove(rival)
            if rival.strength == check.strength == EXACT and rival.names == check.names:
                words = f"`{_cut(check.text)}` became `{_cut(rival.text)}`"
                yield Kind.CHANGED_EXPECTATION, rival.line, words
            elif rival.strength < check.strength:
                yield Kind.WEAKENED_ASSERT, rival.line, f"`{_cut(check.text)}` became `{_cut(rival.text)}`"
        elif check.strength and len(new) < len(old) and not check.tokens <= kept:
            yield Kind.REMOVED_ASSERT, 0, f"`{_cut(check.text)}` is gone"


def _apart(old: list[Check], new: list[Check]) -> tuple[list[Check], list[Check]]:
    """The checks that only one side has, each in its order."""
    texts, others = Counter(check.text for check in new), Counter(check.text for check in old)
    return [check for check in old if not _taken(texts, check)], [check for check in new if not _taken(others, check)]


def _taken(texts: Counter[str], check: Check) -> bool:
    if texts[check.text] <= 0:
        return False
    texts[check.text] -= 1
    return True


def _rival(check: Check, come: list[Check]) -> Check | None:
    """The check that took the place of `check`: the one most like it, of two that are alike the stronger."""
    likeness = [(_likeness(check, other), other.strength, -place) for place, other in enumerate(come)]
    best = max(likeness, default=(0.0, 0, 0))
    return come[-best[2]] if best[0] >= _SIMILAR else None


def _likeness(one: Check, other: Check) -> float:
    if other.strength == 0:
        return 1.0
    mine, others = (one.names, other.names) if one.names and other.names else (one.tokens, other.tokens)
    return len(mine & others) / max(len(mine | others), 1)


def _tokens(function: FunctionLike) -> frozenset[str]:
    names = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(function)}
    values = {
        repr(node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and not (isinstance(node.value, int) and node.value.bit_length() >= 256)
    }
    return frozenset(names | values)


def _of_errors(old: list[RaisesCheck], new: list[RaisesCheck]) -> Iterator[tuple[Kind, int, str]]:
    for before, after in zip(old, new, strict=False) if len(old) == len(new) else ():
        broader = after.takes_any and not before.takes_any
        if broader or before.errors < after.errors:
            yield Kind.BROADENED_RAISES, after.line, f"`{_cut(before.text)}` became `{_cut(after.text)}`"
        elif before.match is not None and after.match in (None, "''", "'.*'", "'.'"):
            yield Kind.BROADENED_RAISES, after.line, f"the message of `{_cut(before.text)}` is no longer looked at"


def _cases(function: FunctionLike) -> int:
    """The rows of the literal parametrizations of a test; 0 if there are none, or they cannot be counted."""
    total = 0
    for decorator in function.decorator_list:
        match decorator:
            case ast.Call(
                func=ast.Attribute(attr="parametrize"), args=[_, ast.List(elts=rows) | ast.Tuple(elts=rows), *_]
            ):
                if any(isinstance(row, ast.Starred) for row in rows):
                    return 0
                total = max(total, 1) * max(len(rows), 1)
            case _:
                pass
    return total


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
