"""Keeps what a variable held from other processes of the same user, which the kernel shows this one's beginnings.

A variable that is taken out of the environment still stands in the block that the process was started with, which is
`/proc/PID/environ` for all that the same user runs: where nothing isolates them, tests, too.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

__all__ = ["conceal"]

STAT, MEMORY = Path("/proc/self/stat"), Path("/proc/self/mem")
BEGIN, END = 47, 48
"""Where the block's addresses stand in the line of a process, after its name."""
PR_SET_DUMPABLE = 4


def conceal(names: Collection[str]) -> None:
    """Overwrite the values of the variables in that block, and shut the process' memory to others of its user.

    `os.environ` is a copy, and stays as it is. Root keeps its ways in, unless it lacks the capability to trace, as in
    an ordinary container. Does nothing where none of the variables is set, and what it can where the kernel is another.
    """
    held = {os.fsencode(name) for name in names if name in os.environ}
    if not held:
        return
    with suppress(OSError, ValueError, LookupError):
        _overwrite(held)
    with suppress(OSError, ImportError, AttributeError):
        _shut()


def _overwrite(names: Collection[bytes]) -> None:
    fields = STAT.read_text(errors="replace").rpartition(") ")[2].split()
    begin, end = int(fields[BEGIN]), int(fields[END])
    with MEMORY.open("r+b", buffering=0) as memory:
        memory.seek(begin)
        at = begin
        for entry in memory.read(end - begin).split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name in names:
                memory.seek(at + len(name) + 1)
                memory.write(bytes(len(value)))
            at += len(entry) + 1


def _shut() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
