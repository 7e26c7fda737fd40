"""What a Python project's own files declare, read without running any of its code."""

import ast
import configparser
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.utils import canonicalize_name

from agent.poetry import poetry_declaration
from agent.requirements import Needs, Read, join, parse_file, stated

__all__ = ["Declaration", "Project", "declaration"]

LISTS_OF_REQUIREMENTS = ("install_requires", "extras_require", "tests_require", "setup_requires", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project's files, as the recipe sees them."""

    read: Read
    paths: Collection[str]
    """All files of the tree."""
    cwd: str = ""
    """The project's directory inside the tree; empty for its root."""

    def at(self, name: str) -> str:
        return join(self.cwd, name)

    def has(self, name: str) -> bool:
        return self.at(name) in self.paths

    def text(self, name: str) -> str:
        data = self.read(self.at(name)) if self.has(name) else None
        return (data or b"").decode(errors="replace").removeprefix("\ufeff")

    def toml(self, name: str) -> dict[str, Any]:
        """The table in the file `name`; empty if there is none or it is not TOML."""
        try:
            return tomllib.loads(self.text(name))
        except tomllib.TOMLDecodeError:
            return {}

    def ini(self, name: str) -> configparser.RawConfigParser:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(self.text(name))
        except configparser.Error:
            return configparser.RawConfigParser()
        return parser

    def files(self) -> list[str]:
        """Paths of the project's files, relative to its directory."""
        prefix = self.at("") + "/" if self.cwd else ""
        return sorted(path[len(prefix) :] for path in self.paths if path.startswith(prefix))


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the manifests of a project state together."""

    name: str = ""
    needs: Needs = field(default_factory=Needs)
    """What the project needs to run."""
    extras: Mapping[str, Needs] = field(default_factory=dict)
    groups: Mapping[str, Needs] = field(default_factory=dict)
    dynamic: bool = False
    """Some of it is only known to code of the project."""

    def __add__(self, other: "Declaration") -> "Declaration":
        return Declaration(
            name=self.name or other.name,
            needs=self.needs + other.needs,
            extras=_merged(self.extras, other.extras),
            groups=_merged(self.groups, other.groups),
            dynamic=self.dynamic or other.dynamic,
        )


def declaration(project: Project) -> Declaration:
    """What `pyproject.toml`, `setup.cfg` and `setup.py` declare together."""
    pyproject = project.toml("pyproject.toml")
    tool = _table(pyproject, "tool")
    found = _standard(project, pyproject) + _groups(pyproject) + _tools(tool) + _setup_cfg(project)
    poetry = poetry_declaration(_table(tool, "poetry"))
    found += Declaration(name=poetry.name, needs=poetry.needs, extras=poetry.extras, groups=poetry.groups)
    return found + _setup_py(project)


def _standard(project: Project, pyproject: dict[str, Any]) -> Declaration:
    """PEP 621, with setuptools' and hatchling's ways to take the lists from files."""
    table = _table(pyproject, "project")
    dynamic = _strings(table.get("dynamic"))
    found = Declaration(
        name=str(table.get("name", "")),
        needs=stated(_strings(table.get("dependencies")), "pyproject.toml"),
        extras=_needs_by_name(_table(table, "optional-dependencies")),
    )
    tool = _table(pyproject, "tool")
    from_files = _table(_table(tool, "setuptools"), "dynamic")
    hook = _table(_table(_table(_table(tool, "hatch"), "metadata"), "hooks"), "requirements_txt")
    if "dependencies" in dynamic:
        files = _files_of(_table(from_files, "dependencies").get("file")) + _files_of(hook.get("files"))
        found = replace(found, needs=_from_files(project, files), dynamic=not files)
    if "optional-dependencies" in dynamic:
        named = _table(from_files, "optional-dependencies") | _table(hook, "optional-dependencies")
        extras = {
            name: _from_files(project, _files_of(at.get("file") if isinstance(at, dict) else at))
            for name, at in named.items()
        }
        found = replace(found, extras=extras, dynamic=found.dynamic or not extras)
    return found


def _groups(pyproject: dict[str, Any]) -> Declaration:
    """PEP 735, with included groups resolved."""
    table: dict[str, Any] = {
        canonicalize_name(name): items for name, items in _table(pyproject, "dependency-groups").items()
    }
    return Declaration(groups={name: Needs(requirements=tuple(_group(name, table, ()))) for name in table})


def _group(name: str, table: Mapping[str, Any], above: tuple[str, ...]) -> Iterable[str]:
    items = table.get(name)
    if name in above or not isinstance(items, list):
        return
    for item in items:
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict) and isinstance(included := item.get("include-group"), str):
            yield from _group(canonicalize_name(included), table, (*above, name))


def _tools(tool: dict[str, Any]) -> Declaration:
    """What uv, pdm, hatch and old flit keep in tables of their own."""
    flit = _table(_table(tool, "flit"), "metadata")
    groups = _needs_by_name(_table(_table(tool, "pdm"), "dev-dependencies"))
    if lines := _strings(_table(tool, "uv").get("dev-dependencies")):
        groups["dev"] = groups.get("dev", Needs()) + stated(lines, "pyproject.toml")
    environments = _table(_table(tool, "hatch"), "envs")
    for name in ("hatch-test", "test", "tests", "default"):
        environment = _table(environments, name)
        lines = _strings(environment.get("dependencies")) + _strings(environment.get("extra-dependencies"))
        if lines:
            groups["test"] = groups.get("test", Needs()) + stated(lines, "pyproject.toml")
    return Declaration(
        name=str(flit.get("module", "")),
        needs=stated(_strings(flit.get("requires")), "pyproject.toml"),
        extras=_needs_by_name(_table(flit, "requires-extra")),
        groups=groups,
    )


def _setup_cfg(project: Project) -> Declaration:
    config = project.ini("setup.cfg")
    options = dict(config["options"]) if config.has_section("options") else {}
    extras = dict(config["options.extras_require"]) if config.has_section("options.extras_require") else {}
    groups = {"tests": _value(project, options["tests_require"])} if "tests_require" in options else {}
    return Declaration(
        name=config.get("metadata", "name", fallback=""),
        needs=_value(project, options.get("install_requires", "")),
        extras={name: _value(project, value) for name, value in extras.items()},
        groups=groups,
    )


def _value(project: Project, value: str) -> Needs:
    if value.strip().startswith("file:"):
        return _from_files(project, _files_of(value.strip().removeprefix("file:")))
    return stated((line.split(" #")[0] for line in value.splitlines()), "setup.cfg")


def _setup_py(project: Project) -> Declaration:
    """The arguments of `setup()` as far as they are literal; the rest makes the declaration dynamic."""
    try:
        module = ast.parse(project.text("setup.py"))
    except (SyntaxError, ValueError):
        return Declaration()
    names = _assigned(module)
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call) and _called(node) == "setup"]
    keywords = [keyword for call in calls for keyword in call.keywords]
    values: dict[str, Any] = {}
    dynamic = any(keyword.arg is None for keyword in keywords)
    for keyword in keywords:
        if keyword.arg in LISTS_OF_REQUIREMENTS:
            try:
                values[keyword.arg] = _literal(keyword.value, names)
            except ValueError:
                dynamic = dynamic or keyword.arg not in ("name", "setup_requires")
    tests = _needs(values.get("tests_require"))
    extras = values.get("extras_require")
    return Declaration(
        name=name if isinstance(name := values.get("name"), str) else "",
        needs=_needs(values.get("install_requires")) + Needs(build=_needs(values.get("setup_requires")).requirements),
        extras={str(key): _needs(lines) for key, lines in extras.items()} if isinstance(extras, dict) else {},
        groups={"tests": tests} if tests.requirements else {},
        dynamic=dynamic,
    )


def _assigned(module: ast.Module) -> dict[str, ast.expr]:
    """Names that the module binds exactly once at its top level, and to what."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            found.setdefault(node.target.id, []).extend([node.value, node.value])
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _literal(node: ast.expr, names: Mapping[str, ast.expr], depth: int = 0) -> Any:
    """The value of an expression of literals, sums and names of such; `ValueError` for any other."""
    if depth > 20:
        raise ValueError("nested too deep")
    match node:
        case ast.Name(id=name) if name in names:
            return _literal(names[name], names, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            try:
                return _literal(left, names, depth + 1) + _literal(right, names, depth + 1)
            except TypeError as error:
                raise ValueError("no sum") from error
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item, names, depth + 1) for item in items]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            read = [
                (_literal(k, names, depth + 1), _literal(v, names, depth + 1))
                for k, v in zip(keys, values, strict=True)
                if k
            ]
            return dict(read)
        case _:
            return ast.literal_eval(node)


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _from_files(project: Project, names: Iterable[str]) -> Needs:
    needs = Needs()
    for name in names:
        needs += parse_file(project.at(name), project.read)
    return needs


def _files_of(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(name.strip() for name in re.split(r"[,\n]", value) if name.strip())
    return _strings(value)


def _needs(value: object) -> Needs:
    """What a list of requirements in `setup.py` states, or one text with a requirement on each line."""
    return stated(value.splitlines() if isinstance(value, str) else _strings(value), "setup.py")


def _needs_by_name(table: dict[str, Any]) -> dict[str, Needs]:
    return {name: stated(_strings(lines), "pyproject.toml") for name, lines in table.items()}


def _merged(one: Mapping[str, Needs], other: Mapping[str, Needs]) -> dict[str, Needs]:
    return {name: one.get(name, Needs()) + other.get(name, Needs()) for name in dict.fromkeys([*one, *other])}


def _table(table: dict[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, (list, tuple)) else ()
