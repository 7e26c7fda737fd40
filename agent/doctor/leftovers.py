"""What takes room on this machine and nobody needs: what killed runs left behind, and environments long unused."""

from agent.config import Settings
from agent.doctor import Context, Finding, ok, warning
from agent.doctor.engine import with_engine
from agent.text import number_of
from sandbox.engine import Client
from sandbox.engines import cache_directory, scratch_places
from sandbox.environments import LONG, Uses, remove, unused
from sandbox.owner import Owner
from sandbox.reaping import leftovers, reap
from sandbox.scratch import left_directories, sweep
from sandbox.setup import LABEL, USES

__all__ = ["check_containers", "check_directories", "check_environments"]

DAY = 24 * 3600.0
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


def _look_at_environments(context: Context, client: Client, _settings: Settings) -> Finding:
    """Images with what projects need that no run has used for long."""
    uses = Uses(directory=cache_directory(context.environ) / USES)
    found = remove(client, uses) if context.prune else unused(client, uses)
    there = f"{number_of(len(client.images(LABEL)), 'environment')} on the engine"
    details = {each.id.removeprefix("sha256:")[:SHORT]: f"not used for {each.idle / DAY:.0f} days" for each in found}
    long = f"not used for {LONG / DAY:.0f} days"
    if context.prune and found:
        return ok(f"{there}; {len(found)} {long}: removed", details=details)
    if found:
        hint = "`greenward doctor --prune` removes them; each is made again once it is needed"
        return warning(f"{there}, {len(found)} of them {long}", hint, details=details)
    return ok(there)


check_environments = with_engine(_look_at_environments)


def _of_left(what: str, details: dict[str, str], context: Context) -> Finding:
    if not details:
        return ok("none")
    if context.prune:
        return ok(f"{what} of processes that are gone: removed", details=details)
    return warning(f"{what} of processes that are gone", HINT, details=details)
