"""Looks for what is suspicious about a run's work: trees go to the detectors, and what they find to the policy."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from agent.place import Place
from agent.recipe import Recipe
from agent.state import RunState
from agent.suspicions import Change, Policies, Suspicion, Work, look
from agent.suspicions.work import Role, role_of
from agent.trees import Entry

__all__ = ["Suspected", "Suspects"]

REQUIREMENTS = ".greenward/requirements.txt"
GITLINK = "160000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspected:
    """What was found in a tree, with what each leads to, and how the repository's own settings are laxer than usual."""

    found: tuple[Suspicion, ...]
    laxer: tuple[str, ...]


class Suspects:
    """Compares trees of one run; see `agent.suspicions`."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def of(self, state: RunState, tree: str) -> Suspected:
        """What is suspicious about `tree`, against the base and the tests as they were sealed."""
        recipe = self._place.recipe(state.base, state)
        policies = Policies(mode=state.started.task.mode, stated=recipe.settings.suspicions)
        return Suspected(found=policies.weighed(look(self._work(state, tree, recipe))), laxer=policies.laxer)

    def _work(self, state: RunState, tree: str, recipe: Recipe) -> Work:
        task, trees = state.started.task, self._place.workspace.trees
        base, sealed, result = (trees.entries(each) for each in (state.base, state.witness_tree, tree))
        read = self._content
        tests = [path for path in result if path.endswith(".py") and role_of(path) is Role.TEST]
        return Work(
            mode=task.mode,
            changes=tuple(
                Change(
                    path=path, before=read(base.get(path)), sealed=read(sealed.get(path)), after=read(result.get(path))
                )
                for path in trees.changed(state.base, tree)
                if trees.covers(path)
            ),
            known=frozenset(base),
            tests=_Files({path: result[path] for path in tests}, self._content),
            installed=_modules(recipe.setup.files.get(REQUIREMENTS, b"")),
            criteria=state.plan.criteria if state.plan else (),
            request=task.request,
            cwd=task.cwd,
        )

    def _content(self, entry: Entry | None) -> bytes | None:
        if entry is None or entry.mode == GITLINK:
            return None
        return self._place.workspace.trees.blob(entry.oid)


class _Files(Mapping[str, bytes]):
    """Files of a tree that are read when they are asked for: most works need none of them."""

    def __init__(self, entries: Mapping[str, Entry], read: Callable[[Entry], bytes | None]) -> None:
        self._entries, self._read = entries, read

    def __getitem__(self, path: str) -> bytes:
        return self._read(self._entries[path]) or b""

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _modules(requirements: bytes) -> frozenset[str]:
    """The modules that the required packages are taken to bring: those of their own names."""
    names = re.findall(rb"^[A-Za-z0-9][\w.-]*", requirements, re.MULTILINE)
    return frozenset(canonicalize_name(name.decode()).replace("-", "_") for name in names)
