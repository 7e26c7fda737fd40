"""What runs that were killed left behind on this machine: containers, and temporary directories."""

from agent.config import Settings
from agent.doctor import Context, Finding, ok, warning
from agent.doctor.engine import with_engine
from agent.text import number_of
from sandbox.engine import Client
from sandbox.engines import scratch_places
from sandbox.owner import Owner
from sandbox.reaping import leftovers, reap
from sandbox.scratch import left_directories, sweep

__all__ = ["check_containers", "check_directories"]

HINT = "the next run removes them, and so does `greenward doctor --prune`"
SHORT = 12
"""Characters of a container's id that are shown, as Docker itself does."""


def _look_at_containers(context: Context, client: Client, _settings: Settings) -> Finding:
    """Containers of greenward that nobody needs any more."""
    here = Owner.current()
    found = reap(client, here) if context.prune else leftovers(client, here)
    details = {each.id[:SHORT]: f"{each.why} (run {each.run})" if each.run else each.why for each in found}
    return _of_left(number_of(len(found), "container"), details, context)


check_containers = with_engine(_look_at_containers)


def check_directories(context: Context) -> Finding:
    """Temporary directories of greenward whose process is gone."""
    look = sweep if context.prune else left_directories
    found = [each for place in scratch_places(context.environ) for each in look(place)]
    details = {str(each): "its process is gone" for each in found}
    return _of_left("1 directory" if len(found) == 1 else f"{len(found)} directories", details, context)


def _of_left(what: str, details: dict[str, str], context: Context) -> Finding:
    if not details:
        return ok("none")
    if context.prune:
        return ok(f"{what} of processes that are gone: removed", details=details)
    return warning(f"{what} of processes that are gone", HINT, details=details)
