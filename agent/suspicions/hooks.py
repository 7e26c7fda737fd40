"""Hooks of pytest that decide what runs or what is reported, and plugins that would bring such hooks.

Found: anywhere, functions named like pytest's hooks for collecting, running and reporting, what they write into
reports and items, `pytest_plugins`. Not found: a plugin that is installed as a dependency, which is for whoever reads
the requirements.
False alarms: the usual `--runslow` and `rep_call` recipes use such hooks honestly; they are flagged, and only what
writes a result is refused.
"""

import ast
from collections.abc import Iterator

from agent.suspicions.kinds import Kind
from agent.suspicions.source import FunctionLike, Source, folded
from agent.suspicions.work import Finding, Subject

__all__ = ["hooks"]

_DECIDES = frozenset(
    {
        "pytest_collection_modifyitems", "pytest_ignore_collect", "pytest_collect_file", "pytest_collect_directory",
        "pytest_itemcollected", "pytest_pycollect_makeitem", "pytest_runtest_protocol", "pytest_runtest_setup",
        "pytest_runtest_call", "pytest_pyfunc_call", "pytest_runtest_makereport", "pytest_runtest_logreport",
        "pytest_report_teststatus", "pytest_sessionfinish", "pytest_runtestloop", "pytest_cmdline_main",
        "pytest_cmdline_parse", "pytest_load_initial_conftests", "pytest_collection", "pytest_collection_finish",
    }
)  # fmt: skip
_RESULTS = frozenset({"outcome", "longrepr", "wasxfail", "exitstatus", "excinfo", "testsfailed", "_excinfo"})
_BODIES = frozenset({"obj", "runtest", "_obj", "function"})
_FORCES = frozenset({"force_result", "force_exception"})
_REPORTS = frozenset(
    f"{module}.TestReport{how}" for module in ("pytest", "_pytest.reports") for how in ("", ".from_item_and_call")
)


def hooks(subject: Subject) -> Iterator[Finding]:
    """Hooks, what they write, and further plugins."""
    concerned = _concerns_pytest(subject)
    for place in subject.source.placed:
        node = place.node
        if isinstance(node, FunctionLike) and node.name in _DECIDES:
            yield Finding(Kind.RUNNER_HOOK, place.line, node.name, f"the hook `{node.name}`", place.scope)
        elif concerned and (written := _written(subject.source, node, in_hook="pytest_" in place.scope)):
            words = f"`{written}` writes the result of a test, or replaces its body"
            yield Finding(Kind.RESULT_HOOK, place.line, written, words, place.scope)
        for plugin in _plugins(node):
            yield Finding(Kind.PLUGIN, place.line, plugin, f"the plugin `{plugin}` is loaded", place.scope)


def _concerns_pytest(subject: Subject) -> bool:
    """Whether what looks like a report may be one: in a conftest, or a module that has hooks or pytest in it."""
    names = {name.partition(".")[0] for name in subject.source.names.values()}
    has_hooks = any(isinstance(p.node, FunctionLike) and p.node.name in _DECIDES for p in subject.source.placed)
    return subject.path.endswith("conftest.py") or has_hooks or "_pytest" in names


def _written(source: Source, node: ast.AST, *, in_hook: bool) -> str:
    match node:
        case ast.Assign(targets=targets):
            written = [target.attr for target in targets if isinstance(target, ast.Attribute)]
        case ast.Call(func=ast.Name(id="setattr"), args=[_, name, *_]):
            written = [folded(name) or ""]
        case ast.Call(func=ast.Attribute(attr=name)) if name in _FORCES:
            return name
        case ast.Call(func=called) if (name := source.dotted(called)) in _REPORTS:
            return name
        case _:
            return ""
    wanted = _RESULTS | (_BODIES if in_hook else frozenset())
    return next((f".{name}" for name in written if name in wanted), "")


def _plugins(node: ast.AST) -> Iterator[str]:
    match node:
        case (
            ast.Assign(targets=[ast.Name(id="pytest_plugins")], value=value)
            | ast.AnnAssign(target=ast.Name(id="pytest_plugins"), value=ast.expr() as value)
        ):
            elements = value.elts if isinstance(value, ast.List | ast.Tuple | ast.Set) else [value]
            yield from (folded(element) or "?" for element in elements)
        case ast.Call(func=ast.Attribute(attr="register" | "import_plugin", value=owner)):
            if "pluginmanager" in ast.dump(owner)[:500]:
                yield "registered by code"
        case _:
            pass
