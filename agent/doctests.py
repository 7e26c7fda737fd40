"""Examples in docstrings that are run as tests, in modules that are code: what they say is sealed, the rest is not."""

import ast
import doctest
from collections.abc import Collection, Mapping

__all__ = ["examples", "hold_examples"]

Examples = Mapping[str, tuple[tuple[str, str, str | None], ...]]
"""By what is documented, as `Class.method`: what is typed, what it is to print, and the error that it is to raise."""


def hold_examples(case_ids: Collection[str]) -> frozenset[str]:
    """Of the files that `case_ids` name, those all of whose tests are examples in docstrings."""
    paths = {case_id.partition("::")[0] for case_id in case_ids}
    others = {case_id.partition("::")[0] for case_id in case_ids if not _is_example(case_id)}
    return frozenset(paths - others)


def examples(source: bytes) -> Examples | None:
    """The examples of a module; None if it cannot be parsed, or they cannot."""
    try:
        module = ast.parse(source)
        found = {name: _of(text) for name, text in _docstrings(module, "")}
    except (SyntaxError, ValueError, RecursionError):
        return None
    return {name: given for name, given in found.items() if given}


def _of(text: str) -> tuple[tuple[str, str, str | None], ...]:
    return tuple((each.source, each.want, each.exc_msg) for each in doctest.DocTestParser().get_examples(text))


def _docstrings(node: ast.AST, name: str) -> list[tuple[str, str]]:
    """What is documented below `node`, wherever it is defined; the module's own name is empty."""
    found = []
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        own = getattr(node, "name", "")
        name = f"{name}.{own}" if name else own
        if text := ast.get_docstring(node, clean=False):
            found.append((name, text))
    for child in ast.iter_child_nodes(node):
        found += _docstrings(child, name)
    return found


def _is_example(case_id: str) -> bool:
    """Whether the id is that of a docstring: its name begins with that of the module, in dots.

    A name without a dot could be that of a function, and is taken for one.
    """
    path, _, name = case_id.partition("::")
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    modules = {".".join(parts[start:]) for start in range(len(parts))}
    return path.endswith(".py") and any(
        name.startswith(f"{module}.") or (name == module and ("." in name or path.endswith("/__init__.py")))
        for module in modules
    )
