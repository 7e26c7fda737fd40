"""A judge by itself, for what was proven before: without a run, a model or a journal."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from agent.bench import Bench
from agent.config import Settings
from agent.judge import Judge
from agent.live import Notice, Said
from agent.place import Place
from agent.proof import Proof
from agent.recipes import Recipes
from agent.witnesses import Witnesses
from agent.workspace import Workspace
from sandbox import Limits
from sandbox.engines import open_engine

__all__ = ["judging"]


@contextmanager
def judging(
    workspace: Workspace, proof: Proof, settings: Settings, *, environ: Mapping[str, str], say: Callable[[str], None]
) -> Iterator[Judge]:
    """A judge of what `proof` is on; what it starts is gone in the end.

    Raises:
        SandboxUnavailable: there is no engine.
    """

    def observe(notice: Notice) -> None:
        if isinstance(notice, Said):
            say(notice.text)

    recipes = Recipes(workspace=workspace, task=proof.task)
    with open_engine(settings.sandbox, environ) as engine:
        place = Place(
            engine=engine,
            workspace=workspace,
            recipe=recipes.for_tree,
            limits=Limits(),
            run_id=proof.run,
            observe=observe,
        )
        recipes.execute = place.execute_in
        bench = Bench(place=place, timeout=settings.test_timeout)
        try:
            yield Judge(bench=bench, witnesses=Witnesses(bench=bench))
        finally:
            place.close()
