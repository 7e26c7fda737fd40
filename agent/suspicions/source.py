"""A Python file, parsed within bounds: its nodes in their places, and what names in it mean."""

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

__all__ = [
    "BROKEN",
    "FunctionLike",
    "NotPythonError",
    "Placed",
    "Source",
    "UnreadableError",
    "assigned",
    "folded",
    "functions",
    "parsed",
    "syntax",
]

LARGEST = 1 << 20
"""Bytes of a file that is still read."""
FunctionLike = ast.FunctionDef | ast.AsyncFunctionDef
BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
"""What reading a hostile file can raise."""


class UnreadableError(ValueError):
    """A file that cannot be looked at, and why."""


class NotPythonError(UnreadableError):
    """A file that is no Python, as far as this interpreter knows it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A node, and where it stands."""

    node: ast.AST
    line: int
    scope: str = ""
    """The functions and classes around it, as `TestX.test_a`; empty at the module's level.

    Decorators belong to what they decorate.
    """
    at_import: bool = True
    """Whether it is executed when the module is imported, as far as can be told."""


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file."""

    tree: ast.Module
    placed: tuple[Placed, ...]
    """Its nodes in their order, docstrings aside; literal code that is handed to `exec` and `eval` is among them."""
    names: dict[str, str] = field(default_factory=dict)
    """What each imported name stands for, with its dots."""
    constants: frozenset[str] = frozenset()
    """Names that the module assigns without calling anything."""

    def dotted(self, node: ast.AST | None) -> str:
        """What `node` names, as `os._exit`, however the module was imported; empty if it names nothing."""
        match node:
            case ast.Name(id=name):
                return self.names.get(name, name)
            case ast.Attribute(value=owner, attr=name):
                return f"{above}.{name}" if (above := self.dotted(owner)) else ""
            case ast.Call(func=called, args=[first, *rest]):
                return self._called(self.dotted(called), first, rest)
            case ast.Subscript(value=owner, slice=key):
                return self._looked_up(self.dotted(owner), folded(key))
            case _:
                return ""

    def _called(self, called: str, first: ast.expr, rest: list[ast.expr]) -> str:
        if called in ("__import__", "importlib.import_module"):
            return folded(first) or ""
        if called == "vars":
            return f"{self.dotted(first)}.__dict__"
        if called == "getattr" and rest and (name := folded(rest[0])):
            return f"{above}.{name}" if (above := self.dotted(first)) else ""
        return ""

    def _looked_up(self, owner: str, key: str | None) -> str:
        if key is None:
            return ""
        if owner == "sys.modules":
            return key
        return f"{owner.removesuffix('.__dict__')}.{key}" if owner.endswith(".__dict__") else ""


def parsed(data: bytes) -> Source:
    """The file with the content `data`.

    Raises:
        UnreadableError: it is too large or too deep, or no Python that this interpreter reads.
    """
    tree = syntax(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Source(tree, tuple(_walk(tree)), _names(tree), assigned(tree.body))
    except BROKEN as error:
        raise UnreadableError(f"it cannot be parsed: {type(error).__name__}") from None


def syntax(data: bytes) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        UnreadableError: as for `parsed`.
    """
    if len(data) > LARGEST:
        raise UnreadableError(f"it has {len(data)} bytes, more than {LARGEST}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(data)
    except BROKEN as error:
        if isinstance(error, SyntaxError):
            raise NotPythonError(f"it cannot be parsed: {error.msg}") from None
        raise UnreadableError(f"it cannot be parsed: {type(error).__name__}") from None


def folded(node: ast.AST | None) -> str | None:
    """The text that a constant expression comes to: of literals, sums, f-strings and joins; None for any other."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=bytes() as data):
            return data.decode("latin-1")
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([left, right])
        case ast.JoinedStr(values=parts):
            return _joined(parts)
        case ast.FormattedValue(value=value):
            return folded(value)
        case ast.Call(func=ast.Attribute(value=mark, attr="join"), args=[ast.List(elts=parts) | ast.Tuple(elts=parts)]):
            between = folded(mark)
            return None if between is None else _joined(parts, between)
        case ast.Subscript(value=value, slice=ast.Slice(step=ast.UnaryOp(op=ast.USub()))):
            return backwards[::-1] if (backwards := folded(value)) else None
        case _:
            return None


def assigned(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Names that some of `nodes` assign, and none from an expression with a call in it."""
    plain: set[str] = set()
    called: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Assign):
            targets = {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
            calls = any(isinstance(inner, ast.Call | ast.Await) for inner in ast.walk(node.value))
            (called if calls else plain).update(targets)
        elif isinstance(node, ast.For):
            plain |= {each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)}
    return frozenset(plain - called)


def functions(tree: ast.Module) -> dict[str, FunctionLike]:
    """The functions of a module and of its classes, by scope; of two with one name the later one, which counts."""
    found: dict[str, FunctionLike] = {}
    waiting: list[tuple[str, ast.stmt]] = [("", node) for node in reversed(tree.body)]
    while waiting:
        above, node = waiting.pop()
        if isinstance(node, FunctionLike):
            found[f"{above}{node.name}"] = node
        elif isinstance(node, ast.ClassDef):
            waiting += [(f"{above}{node.name}.", inner) for inner in reversed(node.body)]
        elif isinstance(node, ast.If | ast.Try | ast.With):
            inside = chain(node.body, getattr(node, "orelse", ()))
            waiting += [(above, inner) for inner in reversed(list(inside))]
    return found


def _joined(parts: list[ast.expr], between: str = "") -> str | None:
    texts = [folded(part) for part in parts]
    return between.join(text for text in texts if text is not None) if None not in texts else None


def _walk(tree: ast.Module) -> Iterator[Placed]:
    """Every node in its order. Iterative, for a hostile file is nested as deep as the parser lets it."""
    waiting = [Placed(tree, 1)]
    while waiting:
        place = waiting.pop()
        yield place
        node = place.node
        if inner := _executed(node):
            waiting += [Placed(each, place.line, place.scope, place.at_import) for each in reversed(inner)]
        waiting += reversed([_below(place, each) for each in ast.iter_child_nodes(node) if not _is_docstring(each)])


def _below(place: Placed, child: ast.AST) -> Placed:
    node, scope, at_import = place.node, place.scope, place.at_import
    if isinstance(child, FunctionLike | ast.ClassDef):
        scope = f"{scope}.{child.name}" if scope else child.name
    elif isinstance(node, FunctionLike | ast.Lambda):
        at_import = at_import and not isinstance(child, ast.stmt) and child is not node.body
    elif isinstance(node, ast.If) and child is not node.test:
        at_import = at_import and not _is_guard(node.test)
    elif isinstance(node, ast.ExceptHandler):
        at_import = at_import and "Error" not in ast.dump(node.type or ast.Constant(0))
    return Placed(child, getattr(child, "lineno", place.line), scope, at_import)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_guard(test: ast.expr) -> bool:
    """Whether a condition asks for the main program, the version or the system: what follows is seldom imported."""
    words = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(test)}
    return bool(words & {"__name__", "version_info", "platform", "TYPE_CHECKING", "hexversion"})


def _executed(node: ast.AST) -> list[ast.stmt]:
    """The statements of literal code that `node` hands to `exec`, `eval` or `compile`."""
    match node:
        case ast.Call(func=ast.Name(id="exec" | "eval" | "compile"), args=[code, *_]) if text := folded(code):
            try:
                return ast.parse(text).body
            except BROKEN:
                return []
        case _:
            return []


def _names(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            above = "." * node.level + (node.module or "")
            above += "." if node.module else ""
            names |= {alias.asname or alias.name: f"{above}{alias.name}" for alias in node.names}
    return names
