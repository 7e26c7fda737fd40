"""Which paths a proposal may change, and how: what machines obey, what judges, and what is no file stays. Pure.

| what | refused | `--allow-path` lifts it |
|---|---|---|
| a path that some file system takes for another one, or for git's own directory | always | no |
| a symbolic link or a submodule, new or changed | always | no |
| a file larger than 10 MiB | always | no |
| what forges, editors, git or Python run by themselves (`agent/machines.py`) | always | yes |
| a file that becomes executable | always | yes |
| a test or its configuration that the base has; under `fix` also a new one beside them | always | yes |
"""

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.machines import Use, uses
from agent.paths import GITLINK, LINK, Move, refusals
from agent.seal import Seal
from agent.task import Mode
from agent.trees import FILE_BYTES, Entry
from sandbox import MIB

__all__ = ["Change", "Objection", "objections", "seal_of"]

_TEST = re.compile(r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py")
_EXECUTABLE = "100755"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one path; None stands for no file."""

    path: str
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a path may not be as it is; printed, a sentence."""

    path: str
    clause: str
    lifted: bool = False
    """Whether somebody allowed it all the same."""

    def __str__(self) -> str:
        return f"`{self.path}` {self.clause}"


def seal_of(base: Mapping[str, Entry], collected: Sequence[str], mode: Mode) -> Seal:
    """The tests of `base`: those that are said to have been collected, and all that are named like tests.

    What the proposal itself says was opened or free is not believed.
    """
    named = {path for path in base if _TEST.fullmatch(path)}
    return Seal.of(
        base, test_files=named | (set(collected) & base.keys()), policy="locked" if mode == "fix" else "additive"
    )


def objections(
    changes: Sequence[Change],
    base: Mapping[str, Entry],
    *,
    seal: Seal,
    read: Callable[[Entry], bytes],
    allowed: Sequence[str] = (),
) -> Iterator[Objection]:
    """What in `changes` of `base` may not be published; `allowed` are patterns of paths that lift it."""
    moves = [Move(path=change.path, gone=change.new is None) for change in changes]
    modes = {path: entry.mode for path, entry in base.items()}
    yield from (Objection(path=refusal.path, clause=refusal.reason) for refusal in refusals(moves, modes))
    for change in changes:
        if clause := _kind(change):
            yield Objection(path=change.path, clause=clause)
        elif clause := _clause(change, seal, read):
            lifted = any(fnmatch.fnmatchcase(change.path, pattern) for pattern in allowed)
            yield Objection(path=change.path, clause=clause, lifted=lifted)


def _kind(change: Change) -> str | None:
    """Why what is at the path now can be none of a proposal's files, whatever is allowed."""
    if change.new is None:
        return None
    if change.new.mode in (LINK, GITLINK):
        return "is a symbolic link" if change.new.mode == LINK else "is a submodule"
    if change.new.size > FILE_BYTES:
        return f"is larger than {FILE_BYTES // MIB} MB"
    return None


def _clause(change: Change, seal: Seal, read: Callable[[Entry], bytes]) -> str | None:
    old, new = change.old, change.new
    if Use.REFUSED in uses(change.path):
        return "is executed or obeyed by a forge or by git, so it may not be touched"
    if new is not None and new.mode == _EXECUTABLE and (old is None or old.mode != _EXECUTABLE):
        return "becomes executable"
    return seal.refusal(change.path, read(old) if old else None, read(new) if new else None)
