"""Containers that nobody needs any more, and how they are told from all others.

A container is left behind if its owner is known to be gone: a process of this boot and of this namespace of processes,
whose number is nobody's now or that of a process that started at another time.

Owners on another boot, on another machine or in another namespace cannot be seen from here, and a process that is not
seen is not gone. But no container runs for longer than its time, which its main process keeps itself. So one that does
not run and was made longer ago than that, by the engine's own clock, is of no use to whoever made it, and is left
behind, too. Those that run are let alone: they end by themselves, with their input or with their time.
"""

from dataclasses import dataclass

from sandbox.engine import Client, Labelled
from sandbox.hardening import LIFETIME_LABEL, RUN_LABEL
from sandbox.owner import LABEL, Owner
from sandbox.pool import LIFETIME

__all__ = ["GONE", "OVER", "Leftover", "leftovers", "reap"]

GONE = "its process is gone"
OVER = "it has ended, and its time is over"
ENDED = ("created", "exited", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A container that nobody needs any more."""

    id: str
    run: str
    """The run that it was made for; empty for one that set up an environment."""
    why: str


def leftovers(client: Client, here: Owner) -> tuple[Leftover, ...]:
    """The containers that were left behind, as seen from the process `here`.

    They are listed twice, and only what both lists show is one: a list that was damaged on its way may name any owner.
    """
    found = _listed(client, here)
    return tuple(each for each in _listed(client, here) if each in found) if found else ()


def reap(client: Client, here: Owner) -> tuple[Leftover, ...]:
    """Remove the `leftovers`, and return them."""
    found = leftovers(client, here)
    for each in found:
        client.remove(each.id)
    return found


def _listed(client: Client, here: Owner) -> tuple[Leftover, ...]:
    containers = client.containers(LABEL)
    far = [each for each in containers if _has_ended_far_away(each, here)]
    now = client.info().now if far else 0.0
    over = {each.id for each in far if now and now - each.created > _lifetime(each)}
    found = ((each, OVER if each.id in over else GONE if _is_gone(each, here) else "") for each in containers)
    return tuple(Leftover(id=each.id, run=each.labels.get(RUN_LABEL, ""), why=why) for each, why in found if why)


def _is_gone(container: Labelled, here: Owner) -> bool:
    owner = Owner.of(container.labels)
    return owner is not None and owner.is_gone(here)


def _has_ended_far_away(container: Labelled, here: Owner) -> bool:
    owner = Owner.of(container.labels)
    return owner is not None and not owner.neighbour_of(here) and container.status in ENDED


def _lifetime(container: Labelled) -> float:
    stated = container.labels.get(LIFETIME_LABEL, "")
    return float(stated) if stated.isdecimal() else LIFETIME
