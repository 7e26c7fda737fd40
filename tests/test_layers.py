"""Imports point down, each library has one door, and only the command line talks to the outside."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agent", "sandbox", "prompts")
SOURCES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
DOORS = ("openai", "docker", "git", "ray")
SPEAKS = {"agent/__main__.py", *(path for path in SOURCES if path.startswith("agent/cli/"))}
"""Files that may print, read the environment and exit."""
PROGRAMS = {"agent/inplace.py", "agent/models/server.py", "sandbox/contexts.py"}
"""Files that are also programs of their own: their `main` may do the same."""
PURE = {
    "agent/called.py",
    "agent/errors.py",
    *(path for path in SOURCES if path.startswith("agent/events/")),
    "agent/folding.py",
    "agent/messages.py",
    "agent/reopened.py",
    "agent/spending.py",
    "agent/state.py",
    "agent/task.py",
    "agent/verdict.py",
}
CLOCKS = {"now", "today", "utcnow"}
OUTSIDE = {
    "os": {"environ", "environb", "getenv", "getenvb", "putenv", "_exit"},
    "sys": {"exit", "argv", "stdin", "stdout", "stderr"},
}


def imports(tree):
    """The top-level names of the packages that `tree` imports anywhere, lazily too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def outspoken(tree):
    """What in `tree` prints, reads the environment or exits, as source text."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=("os" | "sys") as module), attr=name) if name in OUTSIDE[module]:
                yield f"{module}.{name}"
            case ast.ImportFrom(module=("os" | "sys") as module, names=names):
                yield from (f"{module}.{alias.name}" for alias in names if alias.name in OUTSIDE[module])
            case ast.Call(func=ast.Name(id="print" | "input" | "exit" | "quit")) | ast.Name(id="SystemExit"):
                yield ast.unparse(node)


def without_main(tree):
    body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == "main")]
    body = [node for node in body if not (isinstance(node, ast.If) and "__main__" in ast.unparse(node.test))]
    return ast.Module(body=body, type_ignores=[])


def test_the_import_contracts_are_kept():
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("library", DOORS)
def test_a_library_is_imported_in_one_file_at_most(library):
    doors = [path for path, tree in SOURCES.items() if library in imports(tree)]
    assert len(doors) <= 1, doors


def test_the_command_line_alone_is_made_with_typer():
    assert not [path for path, tree in SOURCES.items() if "typer" in imports(tree) and path not in SPEAKS]


def test_only_the_command_line_prints_reads_the_environment_or_exits():
    loud = {}
    for path, tree in SOURCES.items():
        if path not in SPEAKS and (found := sorted(set(outspoken(without_main(tree) if path in PROGRAMS else tree)))):
            loud[path] = found
    assert loud == {}


def test_the_fold_and_its_events_have_no_clock_disk_or_model():
    outside = {"os", "pathlib", "random", "sandbox", "prompts", "secrets", "socket", "subprocess", "time"}
    pure = {path: set(imports(tree)) & outside for path, tree in SOURCES.items() if path in PURE}
    assert not any(pure.values()), pure
    clocks = {path for path in pure for node in ast.walk(SOURCES[path]) if getattr(node, "attr", "") in CLOCKS}
    assert not clocks


@pytest.mark.parametrize(
    "line",
    [
        "print('x')",
        "import os; os.environ['A']",
        "import os; os.getenv('A')",
        "from os import environ",
        "import sys; sys.exit(1)",
        "from sys import exit",
        "raise SystemExit",
        "import sys; sys.stdout.write('x')",
        "def f():\n    input()",
    ],
)
def test_the_scan_hears_every_way_of_speaking(line):
    assert list(outspoken(ast.parse(line)))


def test_the_scan_sees_a_lazy_import():
    assert list(imports(ast.parse("def f():\n    from docker.errors import X\n    import git.repo"))) == [
        "docker",
        "git",
    ]


def test_a_program_file_is_excused_in_its_main_only():
    tree = ast.parse("def main():\n    print(1)\ndef f():\n    print(2)\nif __name__ == '__main__':\n    print(3)")
    assert list(outspoken(without_main(tree))) == ["print(2)"]


def test_help_imports_nothing_heavy():
    script = """
import sys
sys.argv = ["greenward", "--help"]
try:
    from agent.cli import main; main()
except SystemExit:
    pass
print(sorted({"openai", "docker", "git", "ray"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
