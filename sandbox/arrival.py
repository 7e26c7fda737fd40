"""Waits for an engine that is a service of its own, and comes up beside the job that uses it."""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from sandbox import SandboxUnavailable
from sandbox.endpoint import resolve
from sandbox.patience import Patience
from sandbox.stream import Deadline

__all__ = ["await_engine"]

KNOCK_SECONDS, PAUSE_SECONDS = 5.0, 0.2


def await_engine(environment: Mapping[str, str], patience: Patience | None = None) -> None:
    """Return once somebody listens where the engine that `environment` means is to be, or after `patience.arrival`.

    Only an engine behind TCP is waited for. That nobody came, or that none is meant, is told when it is talked to.
    """
    address = None
    with suppress(SandboxUnavailable, ValueError):
        address = _address(resolve(environment).url)
    if address is None:
        return
    deadline = Deadline((patience or Patience()).arrival)
    while not _listens(address, deadline) and deadline.left():
        time.sleep(min(PAUSE_SECONDS, deadline.left()))


def _address(url: str) -> tuple[str, int] | None:
    """Host and port of an engine behind TCP; None of any other."""
    parts = urlsplit(url)
    if parts.scheme not in ("tcp", "http", "https") or not parts.hostname or not parts.port:
        return None
    return parts.hostname, parts.port


def _listens(address: tuple[str, int], deadline: Deadline) -> bool:
    try:
        with socket.create_connection(address, timeout=max(PAUSE_SECONDS, min(KNOCK_SECONDS, deadline.left()))):
            return True
    except OSError:
        return False
