"""Files that say by their name alone that they are run, or are imported in place of something else.

Found: start-up files of Python, bytecode, binaries that Python or a shell can run, modules at a place that is
imported from which are named like one of Python's own, of the test runner's or of a dependency's; Makefiles, hooks,
tasks of editors and forges. Not found: a module that shadows one of the same name below a package, which is no
shadow.
False alarms: scripts at the root of a project that are called `calendar.py` or `statistics.py`.
"""

import re
import sys
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER

from agent.machines import Use, uses
from agent.suspicions.kinds import Kind, Suspicion
from agent.suspicions.work import Change, Role, Work, name_of, role_of

__all__ = ["files"]

_STARTUP = frozenset({"sitecustomize", "usercustomize"})
_RUNNER = frozenset({"pytest", "_pytest", "pluggy", "unittest", "doctest", "iniconfig", "py"})
_FREE = frozenset({"test", "tests", "__init__", "__main__", "setup", "conftest", "this", "antigravity"})
"""Names that are usual at a root although Python has such modules."""
_BYTECODE = (".pyc", ".pyo")
_BINARIES = (".so", ".pyd", ".dll", ".dylib", ".egg", ".whl", ".pyz", ".exe", ".o", ".a", ".jar", ".pickle", ".pkl")
_ROOTS = frozenset({"", "src", "lib", "python", "test", "tests"})
_PROGRAMS = (b"\x7fELF", b"MZ\x90", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_WORDS = {
    Kind.STARTUP_FILE: "is run whenever Python starts",
    Kind.COMMITTED_BYTECODE: "compiled Python is committed",
    Kind.BINARY_BESIDE_CODE: "a binary that can be imported, loaded or run",
    Kind.MACHINE_FILE: "is executed on developers' machines or by a forge",
}
_HOOKS_IN_PYTHON = re.compile(r"(?:.*/)?hooks/.*\.pyi?")


def files(work: Work, change: Change) -> Iterator[Suspicion]:
    """What a new or changed file is by its name, or by how it begins."""
    if change.after is None:
        return
    folded = change.path.casefold()
    if kind := _kind(folded, change.after):
        yield Suspicion(kind=kind, path=change.path, words=_WORDS[kind])
    if change.before is None and (words := _shadow(work, folded)):
        yield Suspicion(kind=Kind.SHADOWED_MODULE, path=change.path, words=words)


def _kind(path: str, data: bytes) -> Kind | None:
    if _is_startup(path):
        return Kind.STARTUP_FILE
    if path.endswith(_BYTECODE) or "/__pycache__/" in f"/{path}" or data.startswith(MAGIC_NUMBER):
        return Kind.COMMITTED_BYTECODE
    if path.endswith(_BINARIES) or (data.startswith(_PROGRAMS) and role_of(path) is not Role.TEST):
        return Kind.BINARY_BESIDE_CODE
    if Use.FLAGGED in uses(path) and not _HOOKS_IN_PYTHON.fullmatch(path):
        return Kind.MACHINE_FILE
    return None


def _is_startup(path: str) -> bool:
    if path.endswith(".pth"):
        return True
    module = name_of(path).partition(".")[0]
    package = any(part in _STARTUP for part in path.split("/")[:-1])
    return (module in _STARTUP or package) and path.endswith((".py", ".so", ".pyc", ".pyd"))


def _shadow(work: Work, path: str) -> str:
    """What a new module is imported in place of; empty if nothing."""
    prefix = f"{work.cwd.casefold()}/" if work.cwd else ""
    if not path.startswith(prefix) or not path.endswith((".py", ".so", ".pyd")):
        return ""
    parts = path[len(prefix) :].split("/")
    root = parts[0] if len(parts) > 1 and parts[0] in _ROOTS else ""
    inner = parts[1:] if root else parts
    module, is_package = inner[0].partition(".")[0], len(inner) > 1
    beside = f"{prefix}{root + '/' if root else ''}{module}"
    if module in _FREE or (is_package and inner[-1] != "__init__.py") or len(inner) > 2:
        return ""
    if is_package and any(known.casefold().startswith(f"{beside}/") for known in work.known):
        return ""
    if module in _RUNNER or module in sys.stdlib_module_names:
        return f"`{module}` is imported in place of {'the test runner' if module in _RUNNER else 'Python'}'s own"
    if module in work.installed:
        return f"`{module}` is imported in place of the dependency of that name"
    return ""
