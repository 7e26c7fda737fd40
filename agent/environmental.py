"""Failures that no change of the code can mend, because the sandbox lacks what the test wants. Pure.

Told by what a test says of its failure. Where in doubt, it is a failure like any other: a module that is to be
written, a program that the project installs, or a server that it fails to start are no matter of the environment.
"""

import re
import sys
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from agent.manifests import Project, declaration
from agent.requirements import parse_file
from agent.testreport import TestCase

__all__ = ["Own", "own_of", "want_of"]

RESOLUTION, REFUSED, UNREACHABLE = "name resolution", "refused connection", "no network"
EXECUTABLE, MODULE, LIBRARY = "missing executable", "missing module", "missing library"
FORBIDDEN, DISPLAY, LOCALE = "not permitted in the sandbox", "no display", "missing locale"
ENGINE = "no container engine"

_UNRESOLVED = (
    r"\bgaierror\b|Name or service not known|Temporary failure in name resolution|NameResolutionError"
    r"|nodename nor servname|No address associated with hostname|Could not resolve host|getaddrinfo failed"
    r"|\bENOTFOUND\b|\bEAI_AGAIN\b"
)
_OFF = r"Network is unreachable|No route to host|\bENETUNREACH\b|\bEHOSTUNREACH\b|\[Errno (?:101|113)\]"
_BY_WORDS = tuple(
    (reason, re.compile(pattern))
    for reason, pattern in (
        (RESOLUTION, _UNRESOLVED),
        (ENGINE, r"docker\.sock\b|Cannot connect to the Docker daemon|Error while fetching server API version"),
        (UNREACHABLE, _OFF),
        (LIBRARY, r"(?:ImportError|OSError): lib[\w.+-]+: cannot open shared object file"),
        (DISPLAY, r"no display name and no \$DISPLAY|cannot open display|[Cc]ould not connect to display"),
        (LOCALE, r"locale\.Error: unsupported locale setting"),
        (FORBIDDEN, r"PermissionError: \[Errno 1\]|PermissionError: \[Errno 13\][^\n]*'/(?:dev|proc|sys)/"),
    )
)
_REFUSES = re.compile(r"\bConnectionRefusedError\b|Connection refused|\bECONNREFUSED\b|\[Errno 111\]")
_ADDRESS = re.compile(
    r"(?:127\.\d+\.\d+\.\d+|localhost|::1)['\"\])]*[,:]?\s*(?:port\s*=?\s*)?(\d{2,5})\b", re.IGNORECASE
)
_SERVICES = frozenset(
    (25, 389, 1433, 1521, 2181, 2375, 2376, 3306, 4222, 4566, 5432, 5672, 6379, 8086, 9000, 9042, 9092, 9200, 11211)
) | {27017}
"""Ports of services that are installed beside a project. What else a test reaches on its own machine, it serves."""
_NO_MODULE = re.compile(r"No module named '?([\w.]+)'?")
_NO_PROGRAM = re.compile(r"\bsh: (?:line )?\d+: ([\w.+-]+): (?:command )?not found|([\w.+-]+): command not found")
_NO_FILE = re.compile(r"No such file or directory: '([\w.+-]+)'")
_STARTED = re.compile(r"\bsubprocess\.py:\d+|_execute_child")
_FRAME = re.compile(r"^(\S[^:\n]*\.py):\d+: ", re.MULTILINE)
_FOREIGN = re.compile(r"(?:^|/)(?:site-packages|dist-packages)/|^/usr/|^/opt/|/lib/python\d")
_MANIFESTS = ("pyproject.toml", "setup.cfg", "setup.py")
_REQUIREMENTS = re.compile(r"[^/]*requirements[^/]*\.(?:txt|in)|requirements/[^/]*\.(?:txt|in)")
_ENTRY = re.compile(r"^\s*['\"]?([\w.-]+)['\"]?\s*=\s*['\"]?[\w.]+:[\w.]+", re.MULTILINE)
_CALLED = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Modules that are installed under another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What is the project's own, and so never a matter of the environment, and what it says that it needs."""

    names: frozenset[str] = frozenset()
    """Of modules, directories and programs."""
    declared: frozenset[str] = frozenset()
    """Distributions in its manifests, extras and groups included, by their canonical names."""


def want_of(case: TestCase, own: Own) -> str:
    """What the failed `case` lacked, in words; empty if it failed for any other reason."""
    said = f"{case.message}\n{_errors(case.detail)}"
    for reason, pattern in _BY_WORDS:
        if pattern.search(said):
            return reason
    if _REFUSES.search(said) and not _own_server(f"{said}\n{case.detail}"):
        return REFUSED
    return _module(said, case.detail, own) or _program(said, case.detail, own)


def own_of(project: Project) -> Own:
    """What is `project`'s own: the names of its files and directories, its own name, and the programs it installs."""
    declared = declaration(project)
    needs = [declared.needs, *declared.extras.values(), *declared.groups.values()]
    needs += [parse_file(project.at(name), project.read) for name in project.files() if _REQUIREMENTS.fullmatch(name)]
    parts = {part.partition(".")[0] for path in project.paths for part in path.split("/")}
    programs = {name for manifest in _MANIFESTS for name in _ENTRY.findall(project.text(manifest))}
    return Own(
        names=frozenset(parts | programs | {declared.name}) - {""},
        declared=frozenset(name for each in needs for name in each.names()),
    )


def _errors(detail: str) -> str:
    """The lines of a traceback that say what was raised; the last line where none is marked."""
    marked = [line[1:].strip() for line in detail.splitlines() if line.startswith("E ")]
    return "\n".join(marked) or detail.strip().rpartition("\n")[2]


def _own_server(text: str) -> bool:
    """Whether the connection was to a port of this machine at which no usual service listens: a server of the tests."""
    ports = [int(port) for port in _ADDRESS.findall(text)]
    return bool(ports) and not any(port in _SERVICES for port in ports)


def _module(said: str, detail: str, own: Own) -> str:
    """A module that others provide: one of Python's own, one that is declared, or one that a dependency imports."""
    found = _NO_MODULE.search(said)
    if found is None:
        return ""
    top = found[1].partition(".")[0]
    if top in own.names:
        return ""
    names = {canonicalize_name(name) for name in (top, _CALLED.get(top, top), f"{top}-binary", f"python-{top}")}
    frames = _FRAME.findall(detail)
    foreign = bool(frames) and _FOREIGN.search(frames[-1]) is not None
    known = top in sys.stdlib_module_names or bool(names & own.declared) or foreign
    return f"{MODULE} ({top})" if known else ""


def _program(said: str, detail: str, own: Own) -> str:
    """A program that is not installed and that is not the project's."""
    found = _NO_PROGRAM.search(said) or (_NO_FILE.search(said) if _STARTED.search(detail) else None)
    if found is None:
        return ""
    name = next(group for group in found.groups() if group)
    return "" if name.partition(".")[0] in own.names or name in own.names else f"{EXECUTABLE} ({name})"
