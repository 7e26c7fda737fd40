"""Poetry's tables, translated to requirements of PEP 508."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from agent.requirements import Needs, stated, with_marker

__all__ = ["PoetryDeclaration", "poetry_declaration", "specifier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoetryDeclaration:
    """What `[tool.poetry]` states."""

    name: str = ""
    needs: Needs = field(default_factory=Needs)
    extras: Mapping[str, Needs] = field(default_factory=dict)
    groups: Mapping[str, Needs] = field(default_factory=dict)


def poetry_declaration(table: dict[str, Any]) -> PoetryDeclaration:
    """What the table `[tool.poetry]` declares; an empty table declares nothing."""
    if not table:
        return PoetryDeclaration()
    dependencies = _table(table.get("dependencies"))
    optional = {
        canonicalize_name(name)
        for name, value in dependencies.items()
        if isinstance(value, dict) and value.get("optional") is True
    }
    groups = {name: _needs(_table(group).get("dependencies")) for name, group in _table(table.get("group")).items()}
    if old := _needs(table.get("dev-dependencies")).requirements:
        groups["dev"] = groups.get("dev", Needs()) + Needs(requirements=old)
    required = {name: value for name, value in dependencies.items() if canonicalize_name(name) not in optional}
    extras = {
        extra: _needs({name: dependencies[name] for name in dependencies if _mentioned(name, members)})
        for extra, members in _table(table.get("extras")).items()
    }
    return PoetryDeclaration(name=str(table.get("name", "")), needs=_needs(required), extras=extras, groups=groups)


def specifier(constraint: str) -> str:
    """A version constraint of Poetry's as a specifier of PEP 440; alternatives (`||`) come out as no constraint."""
    constraint = constraint.strip()
    if "||" in constraint or "|" in constraint:
        return ""
    parts = re.split(r"\s*,\s*|(?<=[\w*])\s+(?=[<>=!~^])", constraint)
    return ",".join(clause for part in parts if (clause := _clause(part.strip())))


def _clause(part: str) -> str:
    if part in ("", "*"):
        return ""
    if part.startswith("^"):
        return _range(part[1:].strip(), caret=True)
    if part.startswith("~") and not part.startswith("~="):
        return _range(part[1:].strip(), caret=False)
    if re.match(r"[<>=!~]", part):
        return re.sub(r"^=(?!=)\s*", "==", part).replace(" ", "")
    return f"=={part}"


def _range(version: str, *, caret: bool) -> str:
    """`^1.2.3` reaches to the next change of the first part that is not zero, `~1.2.3` to that of the second part."""
    release = [int(part) for part in re.findall(r"\d+", re.split(r"[a-zA-Z+-]", version)[0])]
    if not release:
        return ""
    place = min(1, len(release) - 1)
    if caret:
        place = next((index for index, part in enumerate(release) if part), len(release) - 1)
    above = [*release[:place], release[place] + 1]
    return f">={version},<{'.'.join(map(str, above))}"


def _needs(table: object) -> Needs:
    lines: list[str] = []
    for name, value in _table(table).items():
        if canonicalize_name(name) != "python":
            lines.extend(_lines(name, value))
    return stated(lines, "pyproject.toml")


def _lines(name: str, value: object) -> Iterable[str]:
    match value:
        case str():
            yield name + specifier(value)
        case list():
            for item in value:
                yield from _lines(name, item)
        case dict() if "path" not in value:
            yield _detailed(name, value)
        case _:
            pass


def _detailed(name: str, value: dict[str, Any]) -> str:
    extras = [extra for extra in value.get("extras", []) if isinstance(extra, str)]
    line = name + (f"[{','.join(extras)}]" if extras else "")
    if isinstance(git := value.get("git"), str):
        at = next((f"@{value[key]}" for key in ("rev", "tag", "branch") if key in value), "")
        line += f" @ git+{git}{at}"
    elif isinstance(url := value.get("url"), str):
        line += f" @ {url}"
    elif isinstance(version := value.get("version"), str):
        line += specifier(version)
    marker = value.get("markers", "") if isinstance(value.get("markers"), str) else ""
    for clause in filter(None, specifier(str(value.get("python", ""))).split(",")):
        own = _python_marker(clause)
        marker = f"({marker}) and {own}" if marker else own
    return with_marker(line, marker)


def _python_marker(clause: str) -> str:
    version = clause.lstrip("<>=!~")
    name = "python_full_version" if version.count(".") > 1 and "*" not in version else "python_version"
    return f"{name} {clause.removesuffix(version)} '{version}'"


def _mentioned(name: str, members: object) -> bool:
    return isinstance(members, list) and canonicalize_name(name) in {canonicalize_name(str(m)) for m in members}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
