"""What a repository may say of itself: `[tool.greenward]` in its pyproject.toml, or a greenward.toml of its own.

It speaks of the project alone. Nothing here sets an endpoint, a key, an image or a budget.
"""

from agent.config import PROJECT_SETTINGS, is_setting
from agent.errors import UsageProblem
from agent.manifests import Project
from agent.sourced import Kind, Layer, Sourced, checked, close_to, flat, read_toml
from agent.suspicions import CHOICES

__all__ = ["SUSPICIONS", "read_table"]

OWN_FILE, SHARED_FILE = "greenward.toml", "pyproject.toml"
TABLE = "[tool.greenward]"

_TEXT = Kind(str, lambda value: isinstance(value, str), "a text")
_COMMAND = Kind(str, lambda value: isinstance(value, str) and value.strip() != "", "a command, as a text")
_PATTERNS = Kind(
    str,
    lambda value: isinstance(value, list) and all(isinstance(each, str) and each for each in value),
    "a list of patterns, as texts",
)
SUSPICIONS = "suspicions."
"""How the names of settings begin that say what a suspicion leads to."""


def _policy(choices: tuple[str, ...]) -> Kind:
    return Kind(str, lambda value: value in choices, "one of " + ", ".join(f'"{word}"' for word in choices))


_POLICIES = {f"{SUSPICIONS}{kind}": _policy(choices) for kind, choices in CHOICES.items()}
_KINDS = dict(zip(PROJECT_SETTINGS, (_COMMAND, _TEXT, _TEXT, _PATTERNS), strict=True)) | _POLICIES


def read_table(project: Project) -> Layer:
    """What the base of a run says of itself: some of `test`, `build`, `setup` (texts) and `sealed` (a tuple).

    What it says of suspicions is there by kind, as `suspicions.machine-file`.

    Raises:
        UsageProblem: it says something else, in both files, or in one that cannot be read.
    """
    shared = _shared(project)
    if not project.has(OWN_FILE):
        return {} if shared is None else _checked(shared, f"{TABLE} in {project.at(SHARED_FILE)}")
    where = project.at(OWN_FILE)
    if shared is not None:
        raise UsageProblem(
            f"there are both {where} and {TABLE} in {project.at(SHARED_FILE)}", hint="keep one of the two"
        )
    return _checked(read_toml(project.read(where) or b"", where), where)


def _shared(project: Project) -> dict[str, object] | None:
    """The table in pyproject.toml; None without one, and where the file cannot be read and does not mention it.

    A broken pyproject.toml may be just what a run is to mend.
    """
    if not project.has(SHARED_FILE):
        return None
    data = project.read(project.at(SHARED_FILE)) or b""
    try:
        tool = read_toml(data, project.at(SHARED_FILE)).get("tool", {})
    except UsageProblem:
        if b"tool.greenward" in data:
            raise
        return None
    found = tool.get("greenward") if isinstance(tool, dict) else None
    if found is not None and not isinstance(found, dict):
        raise UsageProblem(
            f"{TABLE} in {project.at(SHARED_FILE)} is no table", hint=f"begin it with the line `{TABLE}`"
        )
    return found


def _checked(table: dict[str, object], where: str) -> Layer:
    found = checked(dict(flat(table)), _KINDS, source=lambda _: where, refuse=_refused)
    return {name: Sourced(tuple(each.value), each.source) if name == "sealed" else each for name, each in found.items()}


def _refused(name: str, where: str) -> UsageProblem:
    if is_setting(name) or "key" in name:
        place = "a key is only read from the environment" if "key" in name else "it belongs to whoever runs greenward"
        return UsageProblem(
            f"a repository may not set `{name}` ({where})",
            hint=f"{place}: take it out; `greenward config path` names your own file",
        )
    known = [*PROJECT_SETTINGS, f"{SUSPICIONS}KIND"]
    advice = close_to(name, _KINDS) or "a project may set: " + ", ".join(known)
    return UsageProblem(f"unknown setting `{name}` ({where})", hint=advice)
