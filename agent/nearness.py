"""How near the tests of a suite are to what changed between two trees, read from the sources of both."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from agent.manifests import Project
from agent.paths import GITLINK, LINK
from agent.testcommand import addopts
from agent.touched.choice import is_prose
from agent.touched.contexts import Contexts, changed_lines
from agent.touched.facts import Facts, facts_of, facts_of_text
from agent.touched.graph import Graph, graph_of
from agent.touched.suite import Suite, file_of
from agent.trees import Entry
from agent.workspace import Workspace

__all__ = ["Near", "Nearness"]

RATE = 50_000
"""Bytes of sources that may be read for each second that the suite takes: that is a small part of it."""
RAN_IT, RAN_ITS_FILE, MAY_USE_IT = 0, 1, 2
"""How near a test is to what changed: it ran just these lines on the base, or others of the file, or may import it."""
Near = tuple[int, int, int]
"""Whether that changed earlier; how near; how far away by what imports what."""
FAR = 1_000_000
"""The distance of what is not known to use it."""
_PLUGINS = re.compile(r"(?:^|[\s\"'=])-p[\s=]?[\"']?([A-Za-z_][\w.]*)|DJANGO_SETTINGS_MODULE\s*=\s*[\"']?([\w.]+)")


@dataclass(slots=True, kw_only=True)
class Nearness:
    """Knows the sources that it has read by their content, so that each is read once."""

    workspace: Workspace
    cwd: str = ""
    """The project's directory in the tree."""
    _facts: dict[str, Facts] = field(default_factory=dict, init=False)

    def of(
        self,
        tree: str,
        suite: Suite,
        changed: Collection[str],
        recent: Collection[str],
        contexts: Contexts | None = None,
    ) -> dict[str, Near] | None:
        """How near each file of tests is to the files `changed` from the suite's tree to `tree`; less is nearer.

        Those that are `recent` come before the others; `contexts` is what tests ran on the base, if that is known.
        None: it cannot be told, or they may concern any test.
        """
        graph = self._graph(tree, suite, changed)
        if graph is None:
            told = contexts is not None and all(path in contexts.ran for path in changed)
        else:
            told = all(path.endswith(".py") or is_prose(path) or graph.mentioned(path) for path in changed)
        if not told:
            return None
        near: dict[str, Near] = {}
        new = set(changed).intersection(recent)
        for age, paths in ((1, set(changed) - new), (0, new)):
            distances = graph.distances(paths) if graph else {}
            ran = self._ran(contexts, tree, suite, paths) if contexts else {}
            for path in suite.files.keys() & {*distances, *ran}:
                near[path] = (age, ran.get(path, MAY_USE_IT), distances.get(path, FAR))
        return near

    def _ran(self, contexts: Contexts, tree: str, suite: Suite, changed: Collection[str]) -> dict[str, int]:
        """The files of the tests that ran what changed, and how near that makes them."""
        found: dict[str, int] = {}
        for path in changed:
            its_lines, its_file = contexts.tests_of(path, self._lines(tree, suite, path))
            for ids, how in ((its_file, RAN_ITS_FILE), (its_lines, RAN_IT)):
                for test in (file_of(case_id, self.cwd) for case_id in ids):
                    if test in suite.files:
                        found[test] = min(how, found.get(test, how))
        return found

    def _lines(self, tree: str, suite: Suite, path: str) -> int | None:
        """The lines of a file, as the base has it, that are others in either of two trees; None: any of them."""
        base = self._content(suite.base, path)
        one, other = self._content(suite.tree, path), self._content(tree, path)
        if base is None or one is None or other is None:
            return None
        before, after = changed_lines(base, one), changed_lines(base, other)
        return None if before is None or after is None else before | after

    def _graph(self, tree: str, suite: Suite, changed: Collection[str]) -> Graph | None:
        """Who uses whom in `tree`, and in what it has lost; None if there is too much to read."""
        entries = self.workspace.trees.entries
        old = entries(suite.tree)
        known = {**{path: old[path] for path in changed if path in old}, **entries(tree)}
        sources = {
            path: entry
            for path, entry in known.items()
            if entry.mode not in (LINK, GITLINK) and (path.endswith(".py") or path in suite.files)
        }
        unread = sum(entry.size for entry in sources.values() if entry.oid not in self._facts)
        if unread > RATE * suite.report.seconds:
            return None
        facts = {path: self._read(path, entry) for path, entry in sources.items()}
        project = Project(read=lambda path: self._content(tree, path), paths=entries(tree).keys(), cwd=self.cwd)
        return graph_of(facts, suite.files, everywhere=frozenset(_loaded(project)), programs=dict(_programs(project)))

    def _read(self, path: str, entry: Entry) -> Facts:
        if entry.oid not in self._facts:
            data = self.workspace.trees.blob(entry.oid)
            python = path.endswith(".py")
            self._facts[entry.oid] = facts_of(data) if python else facts_of_text(data.decode(errors="replace"))
        return self._facts[entry.oid]

    def _content(self, tree: str, path: str) -> bytes | None:
        try:
            return self.workspace.read(tree, path)
        except FileNotFoundError:
            return None


def _loaded(project: Project) -> Iterator[str]:
    """Modules that the test runner loads whatever it runs: plugins that its configuration or the project names."""
    for plugin, settings in _PLUGINS.findall(addopts(project)):
        yield plugin or settings
    points = _table(project.toml("pyproject.toml"), "project", "entry-points", "pytest11")
    yield from (module.partition(":")[0].strip() for module in points.values())
    config = project.ini("setup.cfg")
    if config.has_option("options.entry_points", "pytest11"):
        yield from (module for _, module in _assigned(config.get("options.entry_points", "pytest11")))


def _programs(project: Project) -> Iterator[tuple[str, str]]:
    """The commands that the project installs, each with the module that it starts."""
    manifest = project.toml("pyproject.toml")
    for table in (_table(manifest, "project", "scripts"), _table(manifest, "tool", "poetry", "scripts")):
        yield from ((name, target.partition(":")[0].strip()) for name, target in table.items())
    yield from _assigned(f"{project.text('setup.cfg')}\n{project.text('setup.py')}")


def _assigned(text: str) -> Iterator[tuple[str, str]]:
    """Names and modules, written as `name = module:function` or as `name = module`."""
    for found in re.finditer(r"([\w.-]+)\s*=\s*([A-Za-z_][\w.]*)(?=:[A-Za-z_]|\s*$)", text, re.MULTILINE):
        yield found[1], found[2]


def _table(document: Mapping[str, object], *names: str) -> dict[str, str]:
    """The texts of a table within tables; none if it is not there."""
    found: object = document
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
