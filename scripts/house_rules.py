"""The rules of this repository that no linter knows; prints each breach and exits with 1 if there is any.

Looks at the files that git tracks, below the directory given as the first argument (default: the current one).
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

PACKAGES = ("agent", "sandbox", "prompts")
FILE_LINES = 400
FUNCTION_LINES = 60
SHORTER = {"agent/loop.py": 110}
"""Files with a limit of their own: left alone, the heart swells."""

# One letter of each name stands in brackets, so that this file keeps its own rule.
HOSTS = re.compile(
    r"pyp[i][.]org|python[h]osted[.]|npm[j]s[.]|deb[.][d]ebian|debian[.][o]rg/debian|registry-1[.][d]ocker"
)
ARCHIVE_API = re.compile(r"put_archive|get_archive|docker\s+cp\b")


def main(root: Path) -> int:
    """Print every breach below `root`; returns the exit code."""
    breaches = [breach for path in _tracked(root) for rule in RULES for breach in rule(path, _text(root / path))]
    print("\n".join(breaches) or "house rules: kept")
    return 1 if breaches else 0


def names_no_host(path: str, text: str) -> Iterator[str]:
    """Addresses of package indexes and registries are a matter of each machine's set-up."""
    for number, line in enumerate(text.splitlines(), 1):
        if HOSTS.search(line):
            yield f"{path}:{number}: names the host of a package index or a registry"


def leaves_the_archive_api_alone(path: str, text: str) -> Iterator[str]:
    """The engine's archive API writes through planted links as root."""
    if not path.startswith(("agent/", "sandbox/")):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if ARCHIVE_API.search(line):
            yield f"{path}:{number}: uses the engine's archive API; stream through standard input and output"


def keeps_its_shape(path: str, text: str) -> Iterator[str]:
    """Files and functions are short enough to be read whole."""
    if not path.endswith(".py") or not path.startswith(tuple(f"{package}/" for package in PACKAGES)):
        return
    lines, limit = text.count("\n"), SHORTER.get(path, FILE_LINES)
    if lines > limit:
        yield f"{path}: {lines} lines, more than {limit}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {size} lines, more than {FUNCTION_LINES}"


RULES: tuple[Callable[[str, str], Iterator[str]], ...] = (names_no_host, leaves_the_archive_api_alone, keeps_its_shape)


def _tracked(root: Path) -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    return [path for path in listing.decode().split("\0") if path and (root / path).is_file()]


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
