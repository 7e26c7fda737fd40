"""What the behaviours of `sandbox.contract` are put to the test with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sandbox import Change, Command, ExecResult, Execution, Limits, Sandbox, Tree

__all__ = [
    "ODD", "Bench", "Broken", "TreeMaker", "execute", "file", "fresh", "link", "refused", "same", "true",
]  # fmt: skip


class Broken(AssertionError):
    """A sandbox does not do what it must."""


class TreeMaker(Protocol):
    """Makes trees; `ignored` are patterns of paths that never come back."""

    def __call__(self, files: Sequence[Change], ignored: Sequence[str] = ()) -> Tree: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a behaviour works with."""

    open: Callable[[Limits], Sandbox]
    tree: TreeMaker
    canary: str
    """The value of a variable that is in the environment of this process."""


def file(path: str, data: bytes = b"", *, executable: bool = False) -> Change:
    return Change(path=path, data=data, executable=executable)


def link(path: str, target: bytes) -> Change:
    return Change(path=path, data=target, link=True)


def same(got: object, wanted: object) -> None:
    if got != wanted:
        raise Broken(f"got {got!r}, wanted {wanted!r}")


def true(condition: object, otherwise: object) -> None:
    if not condition:
        raise Broken(str(otherwise))


def execute(bench: Bench, files: Sequence[Change], script: str, ignored: Sequence[str] = ()) -> Execution:
    with bench.open(Limits()) as sandbox:
        return sandbox.execute(bench.tree(files, ignored), Command(script=script, timeout=60))


def fresh(bench: Bench, script: str, files: Sequence[Change] = (), timeout: float = 60) -> ExecResult:
    with bench.open(Limits()) as sandbox:
        return sandbox.execute_fresh(bench.tree(files), Command(script=script, timeout=timeout))


def refused(execution: Execution) -> set[str]:
    return {refusal.path for refusal in execution.refused}


ODD = (
    file("empty"),
    file("bytes", bytes(range(256)) * 300),
    file("run me.sh", b"#!/bin/sh\necho ran\n", executable=True),
    file("-rf", b"dash"),
    file("--help", b"dashes"),
    file("deep/er/still/file", b"deep"),
    file("non-utf-8-\udcff\udcfe", b"name"),
    file("d\u00e9j\u00e0 vu \u2603", b"unicode"),
    file("quote'\"$(x)`y`\\z", b"quoting"),
    file(f"long/{'n' * 200}/{'m' * 200}", b"long"),
    link("link", b"empty"),
    link("dangling", b"no/where"),
)
