"""Containers that nobody needs any more, and how they are told from all others.

A container is left behind if its owner is known to be gone: a process of this boot and of this namespace of processes,
whose number is nobody's now or that of a process that started at another time.

Owners on another boot, on another machine or in another namespace cannot be seen from here, and a process that is not
seen is not gone. Jobs that are containers have a namespace each, so on an engine that they share every other job is
seen like that. But whoever lives takes what it wants of a container soon after its end, and soon starts what it has
made. So one that does not run, and has not for half an hour by the engine's own clock, is left behind, too, and so is
one that does not run and was made longer ago than it may run. Those that run are let alone: they end by themselves,
with their input or with their time.
"""

from contextlib import suppress
from dataclasses import dataclass

from sandbox import SandboxError
from sandbox.engine import Client, Labelled
from sandbox.hardening import LIFETIME_LABEL, RUN_LABEL
from sandbox.owner import LABEL, Owner
from sandbox.pool import LIFETIME

__all__ = ["GONE", "OVER", "Leftover", "leftovers", "reap"]

GONE = "its process is gone"
OVER = "it ended long ago, and its process is not seen from here"
ENDED = ("created", "exited", "dead")
IDLE = 1800.0
"""Seconds for which a container does not run before it is nobody's: to make an image of one takes less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A container that nobody needs any more."""

    id: str
    run: str
    """The run that it was made for; empty for one that set up an environment."""
    why: str


def leftovers(client: Client, here: Owner, *, idle: float = IDLE) -> tuple[Leftover, ...]:
    """The containers that were left behind, as seen from the process `here`; those of others after `idle` seconds.

    They are listed twice, and only what both lists show is one: a list that was damaged on its way may name any owner.
    """
    found = _listed(client, here, idle)
    return tuple(each for each in _listed(client, here, idle) if each in found) if found else ()


def reap(client: Client, here: Owner, *, idle: float = IDLE) -> tuple[Leftover, ...]:
    """Remove the `leftovers`, and return them."""
    found = leftovers(client, here, idle=idle)
    for each in found:
        client.remove(each.id)
    return found


def _listed(client: Client, here: Owner, idle: float) -> tuple[Leftover, ...]:
    containers = client.containers(LABEL)
    far = [each for each in containers if _has_ended_far_away(each, here)]
    now = client.info().now if far else 0.0
    over = {each.id for each in far if now and _is_over(client, each, now, idle)}
    found = ((each, OVER if each.id in over else GONE if _is_gone(each, here) else "") for each in containers)
    return tuple(Leftover(id=each.id, run=each.labels.get(RUN_LABEL, ""), why=why) for each, why in found if why)


def _is_gone(container: Labelled, here: Owner) -> bool:
    owner = Owner.of(container.labels)
    return owner is not None and owner.is_gone(here)


def _has_ended_far_away(container: Labelled, here: Owner) -> bool:
    owner = Owner.of(container.labels)
    return owner is not None and not owner.neighbour_of(here) and container.status in ENDED


def _is_over(client: Client, container: Labelled, now: float, idle: float) -> bool:
    age = now - container.created
    if age > _lifetime(container):
        return True
    if age <= idle:
        return False
    with suppress(SandboxError):  # somebody else may have removed it by now
        state = client.state(container.id)
        return state.status in ENDED and now - max(container.created, state.ended) > idle
    return False


def _lifetime(container: Labelled) -> float:
    stated = container.labels.get(LIFETIME_LABEL, "")
    return float(stated) if stated.isdecimal() else LIFETIME
