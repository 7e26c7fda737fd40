"""Whose a container or a directory is: a process, told apart from all that have or had its number."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LABEL", "Owner"]

PROC = Path("/proc")
LABEL = "greenward.owner"
BOOT, STARTED, NAMESPACE = "greenward.boot", "greenward.started", "greenward.namespace"
STATE, START = 0, 19
"""Where a process' state and the time of its start stand in its line in /proc, after its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process by its number, and by what makes that number unique."""

    pid: int
    boot: str
    """The boot of the machine on which it runs."""
    started: str = ""
    """When it started, in the kernel's ticks since then; empty where the kernel does not say."""
    namespace: str = ""
    """Where its number holds: in a container with a namespace of its own, numbers mean other processes."""

    @classmethod
    def current(cls) -> "Owner":
        """This process."""
        pid = os.getpid()
        return cls(pid=pid, boot=_boot(), started=_status(pid)[1], namespace=_namespace())

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "Owner | None":
        """The owner that a container's labels name; None if they name none, as those of an image may do.

        Without a namespace, as they once were, they name a process that cannot be seen from anywhere.
        """
        pid, boot = labels.get(LABEL, ""), labels.get(BOOT, "")
        if not pid.isdecimal() or not boot:
            return None
        namespace = labels.get(NAMESPACE, "not stated")
        return cls(pid=int(pid), boot=boot, started=labels.get(STARTED, ""), namespace=namespace)

    def labels(self) -> dict[str, str]:
        """The labels of a container that it owns."""
        return {LABEL: str(self.pid), BOOT: self.boot, STARTED: self.started, NAMESPACE: self.namespace}

    def neighbour_of(self, other: "Owner") -> bool:
        """Whether each of the two can be seen from the other, by its number."""
        return (self.boot, self.namespace) == (other.boot, other.namespace)

    def is_gone(self, here: "Owner") -> bool:
        """Whether it is known, from `here`, to have ended: of a process that cannot be seen from there it is not."""
        if not self.neighbour_of(here):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (PermissionError, OverflowError):
            pass
        state, started = _status(self.pid)
        return state in ("Z", "X") or bool(self.started and started and self.started != started)


def _boot() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"unknown on {platform.node()}"


def _namespace() -> str:
    try:
        return str((PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _status(pid: int) -> tuple[str, str]:
    """A process' state, and when it started; empty where nothing says so."""
    try:
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(") ")[2].split()
        return fields[STATE], fields[START]
    except (OSError, LookupError):
        return "", ""
