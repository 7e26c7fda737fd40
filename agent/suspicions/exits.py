"""Ends of the process that come before the test runner can say what it saw.

Found: `os._exit`, `os.abort` and signals to the own process anywhere; `sys.exit` and its like in a module's own body;
`atexit` handlers. Not found: `sys.exit` in a function, which is what command lines do and what a test can catch; an
exit below `if __name__ == "__main__"`, a question for the version or the platform, or an `except` for an error.
False alarms: daemons and command lines that leave at once on a second Ctrl-C, caches that are written at the end, and
scripts without a guard that lie among the code.
"""

import ast
from collections.abc import Iterator

from agent.suspicions.kinds import Kind
from agent.suspicions.source import Placed, Source
from agent.suspicions.work import Finding, Role, Subject

__all__ = ["exits"]

_HARD = frozenset({"os._exit", "os.abort", "posix._exit", "posix.abort"})
_SIGNALS = frozenset({"os.kill", "os.killpg", "signal.pthread_kill", "signal.raise_signal"})
_EXITS = frozenset({"sys.exit", "exit", "quit", "builtins.exit", "builtins.quit", "SystemExit", "builtins.SystemExit"})
_HOOKS = frozenset({"atexit.register", "threading._register_atexit"})


def exits(subject: Subject) -> Iterator[Finding]:
    """What ends, or can end, the process."""
    for place in subject.source.placed:
        named = subject.source.dotted(place.node)
        if named in _HARD:
            yield Finding(Kind.HARD_EXIT, place.line, named, f"`{named}` ends the process at once", place.scope)
        elif named in _HOOKS:
            yield Finding(
                Kind.EXIT_HOOK, place.line, named, f"`{named}` has code run when the process ends", place.scope
            )
        elif isinstance(place.node, ast.Call) and _kills_itself(subject.source, place.node):
            yield Finding(Kind.HARD_EXIT, place.line, "kill", "the process sends a signal to itself", place.scope)
        elif subject.role is not Role.SCRIPT and place.at_import and (how := _exit(subject.source, place)):
            words = f"`{how}` in the module's own body ends the process that imports it"
            yield Finding(Kind.EXIT_AT_IMPORT, place.line, how, words, place.scope)


def _kills_itself(source: Source, call: ast.Call) -> bool:
    if source.dotted(call.func) not in _SIGNALS:
        return False
    named = {source.dotted(node.func) for node in ast.walk(call) if isinstance(node, ast.Call)}
    return "signal.raise_signal" in named or bool(named & {"os.getpid", "os.getpgid", "os.getpgrp", "os.getppid"})


def _exit(source: Source, place: Placed) -> str:
    match place.node:
        case ast.Call(func=called) if (how := source.dotted(called)) in _EXITS - {"SystemExit", "builtins.SystemExit"}:
            return how
        case ast.Raise(exc=ast.Call(func=raised) | (ast.Name() | ast.Attribute() as raised)):
            how = source.dotted(raised)
            return f"raise {how}" if how in _EXITS else ""
        case _:
            return ""
