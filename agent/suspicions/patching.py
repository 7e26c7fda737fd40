"""Code that changes what it does not own: the test runner, the builtins, modules of the standard library.

Found, outside of tests: attributes that are assigned, deleted or set on imported modules and what was imported from
them, mocks in code, imports of pytest's inside, import hooks, and code that is decoded before it is executed. Not
found: changes through objects whose module cannot be told from the file alone.
False alarms: libraries that patch on purpose (`gevent`), exception and warning hooks, which are left out, and plugins
of pytest, which import its inside.
"""

import ast
import sys
from collections.abc import Iterator

from agent.suspicions.kinds import Kind
from agent.suspicions.source import Source, folded
from agent.suspicions.work import Finding, Role, Subject

__all__ = ["patching"]

_RUNNER = frozenset({"pytest", "_pytest", "unittest", "pluggy", "builtins", "__builtins__", "doctest", "_pluggy"})
_FREE = ("sys.", "warnings.", "logging.", "builtins._", "os.environ", "socket.", "signal.", "locale.", "readline.")
"""Places that are made to be set."""
_HOOKS = frozenset({"sys.meta_path", "sys.path_hooks", "sys.path_importer_cache"})
_CHANGES = frozenset({"append", "insert", "extend", "clear", "pop", "remove", "__setitem__"})
_DECODERS = ("base64.", "zlib.", "binascii.", "codecs.decode", "marshal.", "bytes.fromhex", "gzip.", "lzma.", "bz2.")
_RUNS = frozenset(
    {"exec", "eval", "compile", "builtins.exec", "builtins.eval", "builtins.compile", "types.FunctionType"}
)


def patching(subject: Subject) -> Iterator[Finding]:
    """What is changed from outside, and what is executed in disguise."""
    if subject.role in (Role.TEST, Role.CONFTEST):
        return
    source, bound = subject.source, _bound(subject.source)
    known = subject.earlier is not None and "_pytest" in {name.split(".")[0] for name in subject.earlier.names.values()}
    for place in source.placed:
        node = place.node
        if isinstance(node, ast.Import | ast.ImportFrom) and not known and (inside := _inside_of_pytest(node)):
            words = f"`{inside}` is the inside of the test runner"
            yield Finding(Kind.RUNNER_INTERNALS, place.line, "_pytest", words, place.scope)
        for target in _changed(source, node):
            kind = _kind(source, target)
            if kind is not None and target.partition(".")[0] not in bound:
                yield Finding(kind, place.line, target, f"`{target}` is changed from outside", place.scope)
        if isinstance(node, ast.Call) and (how := _hidden(source, node)):
            yield Finding(
                Kind.HIDDEN_CODE, place.line, how, f"`{how}` is given code that is decoded first", place.scope
            )


def _inside_of_pytest(node: ast.Import | ast.ImportFrom) -> str:
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    level = node.level if isinstance(node, ast.ImportFrom) else 0
    return next((name for name in modules if not level and name.partition(".")[0] == "_pytest"), "")


def _changed(source: Source, node: ast.AST) -> Iterator[str]:
    """The dotted names that `node` sets, deletes or adds to."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            for target in targets:
                yield from _targets(source, target)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield from _targets(source, target)
        case ast.Call(func=called, args=[first, *rest]):
            name = source.dotted(called)
            if name in ("setattr", "delattr", "builtins.setattr", "type.__setattr__", "object.__setattr__") and rest:
                yield f"{source.dotted(first)}.{folded(rest[0]) or '*'}"
            elif name.startswith(("unittest.mock.patch", "mock.patch")):
                yield folded(first) or source.dotted(first) or "*"
            elif isinstance(called, ast.Attribute) and called.attr in _CHANGES:
                yield source.dotted(called.value) if source.dotted(called.value) in _HOOKS else ""
        case _:
            pass


def _targets(source: Source, target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Attribute():
            yield source.dotted(target)
        case ast.Subscript(value=owner):
            held = source.dotted(owner)
            yield source.dotted(target) if held == "sys.modules" or held.endswith("__dict__") else ""
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element in elements:
                yield from _targets(source, element)
        case _:
            pass


def _bound(source: Source) -> frozenset[str]:
    """Names of variables and parameters, which are not the modules that are called so."""
    nodes = (place.node for place in source.placed)
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    given = {place.node.arg for place in source.placed if isinstance(place.node, ast.arg)}
    return frozenset(source.names[name].partition(".")[0] for name in (stored | given) & source.names.keys())


def _kind(source: Source, target: str) -> Kind | None:
    root, _, rest = target.partition(".")
    if root in _RUNNER and not target.startswith(_FREE):
        imported = root in ("__builtins__", "builtins") or any(
            name == root or name.startswith(f"{root}.") for name in source.names.values()
        )
        return Kind.RUNNER_PATCHING if imported else None
    if target in _HOOKS:
        return Kind.PATCHED_MODULE
    modules = {name.partition(".")[0] for name in source.names.values()}
    foreign = rest and root in modules and root in sys.stdlib_module_names and not target.startswith(_FREE)
    return Kind.PATCHED_MODULE if foreign else None


def _hidden(source: Source, call: ast.Call) -> str:
    how = source.dotted(call.func)
    if how == "marshal.loads":
        return how
    if how not in _RUNS or not call.args:
        return ""
    called = {source.dotted(node.func) for node in ast.walk(call.args[0]) if isinstance(node, ast.Call)}
    return how if any(name.startswith(_DECODERS) or name == "bytes.decode" for name in called) else ""
