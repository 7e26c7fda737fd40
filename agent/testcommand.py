"""Which command runs a project's tests, where its files say so plainly."""

import ast
import re
import shlex
from collections.abc import Iterable

from agent.manifests import Project

__all__ = ["PYTEST", "addopts", "found_command", "test_command", "tox_lists"]

PYTEST = "python -m pytest"
LAUNCHERS = ("uv run ", "poetry run ", "pdm run ", "hatch run ", "pipenv run ", "rye run ")


def test_command(project: Project) -> str:
    """What tox, the Makefile or nox say, if that is pytest with plain arguments and nothing else; else plain pytest."""
    return found_command(project)[0]


def found_command(project: Project) -> tuple[str, str]:
    """The `test_command`, and the name of the file that states it; empty where none does."""
    stated = {
        "tox.ini": tox_lists(project).get("commands", []),
        "Makefile": _make_commands(project),
        "noxfile.py": _nox_commands(project),
    }
    for file, commands in stated.items():
        if len(commands) == 1 and (command := _plain(commands[0])):
            return command, file
    return PYTEST, ""


def addopts(project: Project) -> str:
    """The options that pytest's configuration adds to each run, and the names of the settings beside them."""
    pyproject = project.toml("pyproject.toml").get("tool", {})
    table = pyproject.get("pytest", {}) if isinstance(pyproject, dict) else {}
    table = table.get("ini_options", table) if isinstance(table, dict) else {}
    found = [f"{key} = {value}" for key, value in table.items()] if isinstance(table, dict) else []
    for name, section in (
        ("pytest.ini", "pytest"),
        (".pytest.ini", "pytest"),
        ("tox.ini", "pytest"),
        ("setup.cfg", "tool:pytest"),
    ):
        config = project.ini(name)
        if config.has_section(section):
            found.extend(f"{key} = {value}" for key, value in config[section].items())
    return "\n".join(found)


def tox_lists(project: Project) -> dict[str, list[str]]:
    """The lines of `[testenv]` by key: those without a condition and without anything left to be substituted."""
    config = project.ini("tox.ini")
    section = next((name for name in ("testenv", "testenv:py") if config.has_section(name)), None)
    if section is None:
        return {}
    return {
        key: [line for raw in value.splitlines() if (line := _tox_line(raw))] for key, value in config[section].items()
    }


def _tox_line(raw: str) -> str:
    line = re.sub(r"\{posargs:?([^}]*)\}", r"\1", raw.split(" #", maxsplit=1)[0]).strip()
    conditional = re.match(r"[\w!,.{}-]+\s*:\s", line)
    return "" if "{" in line or conditional or line.startswith("#") else line


def _make_commands(project: Project) -> list[str]:
    rule = re.search(r"^(?:tests?|check)\s*:[^=\n]*\n((?:\t.*\n?)+)", project.text("Makefile"), re.MULTILINE)
    return [line.strip().lstrip("@-") for line in rule[1].splitlines()] if rule else []


def _nox_commands(project: Project) -> list[str]:
    try:
        module = ast.parse(project.text("noxfile.py"))
    except (SyntaxError, ValueError):
        return []
    sessions = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name in ("test", "tests")]
    return [command for session in sessions for command in _session_commands(session)]


def _session_commands(session: ast.FunctionDef) -> Iterable[str]:
    for node in ast.walk(session):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run":
            words = [
                word.value if isinstance(word, ast.Constant) else None
                for word in node.args
                if not isinstance(word, ast.Starred)
            ]
            yield shlex.join(word if isinstance(word, str) else "$" for word in words)


def _plain(command: str) -> str:
    """`command` if it is pytest with plain arguments, without a launcher in front; else empty."""
    for launcher in LAUNCHERS:
        command = command.removeprefix(launcher)
    plain = re.fullmatch(r"(?:python3? -m )?(?:pytest|py\.test)(?:\s+[\w./=:,@ \"'\[\]-]+)?", command)
    return " ".join(command.split()) if plain else ""
