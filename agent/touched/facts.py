"""What one source says of the modules and files that it uses. Pure; the source is data, and never run."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["NOTHING", "Facts", "Import", "facts_of", "facts_of_text"]

LOADERS = frozenset({"import_module", "__import__", "importorskip", "run_module", "find_spec"})
"""Functions whose first argument names a module."""
OPEN_ENDED = frozenset(
    {"entry_points", "iter_entry_points", "iter_modules", "walk_packages", "spec_from_file_location"}
)
"""Functions that find modules which no source names."""
LONGEST = 200
"""Characters of a string that may be the name of a file."""
MOST_TEXT = 20_000
"""Characters of a string, or of a text, that are searched for names of modules."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_FROM = re.compile(r"\bfrom\s+([A-Za-z_][\w.]*)\s+import\s+\(?\s*([A-Za-z_][\w, ]*)")

FunctionLike = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Import:
    """A name that may be a module, an attribute of one, or, with `*` at its end, all modules below it.

    `level` counts the dots of a relative import; 0 for an absolute one.
    """

    level: int = 0
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a source imports and mentions."""

    imports: frozenset[Import] = frozenset()
    exports: Mapping[str, Import] = field(default_factory=dict)
    """Names that an import at the module's top level binds, and what they stand for."""
    words: frozenset[str] = frozenset()
    """Dotted names within strings: some are modules, of a command or a patch."""
    mentions: frozenset[str] = frozenset()
    """Strings, and the words of short ones: some are names of files, of directories or of programs."""
    opaque: bool = False
    """Whether it may import what it does not name."""


NOTHING = Facts()


def facts_of(source: bytes) -> Facts:
    """What a Python source says; one that cannot be parsed may import anything."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Facts(opaque=True)
    reader = _Reader()
    try:
        reader.read(module)
    except RecursionError:
        return Facts(opaque=True)
    return Facts(
        imports=frozenset(reader.imports),
        exports=dict(_bindings(module.body)),
        words=frozenset(reader.words),
        mentions=frozenset(reader.mentions),
        opaque=reader.opaque,
    )


def facts_of_text(text: str) -> Facts:
    """What a text that holds tests names: doctests in documentation, cases in a format of the project's own."""
    words, mentions = _named(text[:MOST_TEXT]), text[:MOST_TEXT].split()
    return Facts(words=frozenset(words), mentions=frozenset(word.strip("\"'`,;()") for word in mentions))


class _Reader:
    """Gathers the facts of one module, without recursion: sources may be nested deeply."""

    def __init__(self) -> None:
        self.imports: set[Import] = set()
        self.words: set[str] = set()
        self.mentions: set[str] = set()
        self.opaque = False
        self._known: dict[str, str] = {}

    def read(self, module: ast.Module) -> None:
        nodes = list(ast.walk(module))
        prose = {id(_docstring(node)) for node in nodes}
        inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            match node:
                case ast.Import():
                    self._import(node)
                case ast.ImportFrom():
                    self._import_from(node)
                case ast.Call():
                    self._call(node)
                case ast.Constant(value=str(text)) if id(node) not in prose or ">>>" in text:
                    self._string(text)
                case _:
                    continue
        for node in nodes:
            if isinstance(node, ast.Attribute) and id(node) not in inner:
                self._attribute(node)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imports.add(Import(name=alias.name))
            self._known[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        for alias in node.names:
            name = f"{module}.{alias.name}" if module else alias.name
            self.imports.add(Import(level=node.level, name=name))
            if not node.level:
                self._known[alias.asname or alias.name] = name

    def _call(self, node: ast.Call) -> None:
        name = _called(node.func)
        if name in OPEN_ENDED:
            self.opaque = True
        if name not in LOADERS or not node.args:
            return
        whole = isinstance(node.args[0], ast.Constant)
        text = _beginning(node.args[0])
        plain = text.lstrip(".")
        below = plain.rpartition(".")[0]
        if plain and whole:
            self.imports.add(Import(level=len(text) - len(plain), name=plain))
        elif text != plain or below:
            self.imports.add(Import(level=len(text) - len(plain), name=f"{below}.*" if below else "*"))
        else:
            self.opaque = True

    def _string(self, text: str) -> None:
        if len(text) <= LONGEST:
            self.mentions.update(text.split())
        self.words |= _named(text[:MOST_TEXT])

    def _attribute(self, node: ast.Attribute) -> None:
        """`a.b.c`, where `a` was imported: `a.b` may be a module that another source has imported."""
        parts: list[str] = []
        at: ast.expr = node
        while isinstance(at, ast.Attribute):
            parts.append(at.attr)
            at = at.value
        if isinstance(at, ast.Name) and at.id in self._known:
            for length in range(1, len(parts) + 1):
                self.imports.add(Import(name=".".join((self._known[at.id], *parts[::-1][:length]))))


def _named(text: str) -> set[str]:
    """The dotted names in `text`, those of imports written in it included."""
    found = set(_DOTTED.findall(text))
    if "import" in found:
        for module, names in _FROM.findall(text):
            found.update(f"{module}.{name.strip().partition(' ')[0]}" for name in names.split(",") if name.strip())
    return found


def _docstring(node: ast.AST) -> ast.expr | None:
    """The expression that holds the documentation of `node`."""
    if not isinstance(node, ast.Module | ast.ClassDef | FunctionLike) or not node.body:
        return None
    first = node.body[0]
    return first.value if isinstance(first, ast.Expr) else None


def _called(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _beginning(node: ast.expr) -> str:
    """The literal text that the value of an expression is known to begin with."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[first, *_]) | ast.BinOp(left=first, op=ast.Add() | ast.Mod()):
            return _beginning(first).partition("%")[0]
        case _:
            return ""


def _bindings(body: Iterable[ast.stmt]) -> Iterator[tuple[str, Import]]:
    """What the imports among statements bind, also under a condition or in a `try`."""
    for node in body:
        match node:
            case ast.ImportFrom():
                for alias in node.names:
                    name = f"{node.module}.{alias.name}" if node.module else alias.name
                    yield alias.asname or alias.name, Import(level=node.level, name=name)
            case ast.If() | ast.Try():
                yield from _bindings([*node.body, *node.orelse])
                if isinstance(node, ast.Try):
                    yield from _bindings([each for handler in node.handlers for each in handler.body])
            case _:
                continue
