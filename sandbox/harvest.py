"""What goes into a container as a script, and what is taken out of it after a command, within limits."""

import re
import shlex
from collections.abc import Sequence
from os import fsdecode

from sandbox import Candidate, Change, Command, Limits, Refusal, SandboxLost
from sandbox.archive import BadArchive, Member, read_members
from sandbox.channel import Channel
from sandbox.hardening import OUT, ROOT
from sandbox.stream import Deadline

__all__ = ["collect", "fetch", "script_of", "too_much"]

HEADER_BYTES = 4 * 1024
"""More than a member of an archive has besides its content and its name."""


def script_of(command: Command, root: str) -> str:
    """The command's script, led on its first line by its directory and its variables.

    Raises:
        ValueError: a variable has no proper name.
    """
    bad = [name for name in command.env if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]
    if bad:
        raise ValueError(f"no names of variables: {bad}")
    variables = "".join(f"export {name}={shlex.quote(value)}; " for name, value in command.env.items())
    return f"cd -- {shlex.quote(f'{root}/{command.cwd}')} || exit 1; {variables}{command.script}\n"


def too_much(wanted: Sequence[Candidate], limits: Limits) -> tuple[Refusal, ...]:
    """A refusal of all changes if they are too many or too large."""
    size = sum(candidate.size for candidate in wanted)
    if len(wanted) > limits.changed_files:
        reason = f"{len(wanted)} files changed, more than {limits.changed_files}; no change was taken"
        return (Refusal(path=".", reason=reason),)
    if size > limits.changed_bytes:
        reason = f"changed files hold {size} bytes, more than {limits.changed_bytes}; no change was taken"
        return (Refusal(path=".", reason=reason),)
    return ()


def fetch(
    channel: Channel, wanted: Sequence[Candidate], deadline: Deadline
) -> tuple[tuple[Change, ...], tuple[Refusal, ...]]:
    """The changes that were asked for, and refusals of those that cannot be read.

    Raises:
        SandboxLost: what came is not what was listed.
    """
    there = {candidate.path: candidate for candidate in wanted if candidate.kind in ("file", "link")}
    members: dict[str, Member] = {}
    if there:
        limit = sum(each.size + HEADER_BYTES + 2 * len(each.path.encode(errors="surrogateescape")) for each in wanted)
        archive = channel.pack(ROOT, there, limit + 64 * 1024, deadline)
        try:
            members = {fsdecode(member.path): member for member in read_members(archive)}
        except BadArchive as error:
            raise SandboxLost(f"the container sent no proper archive: {error}") from error
    if any(not _fits(there.get(path), member) for path, member in members.items()):
        raise SandboxLost("the container sent other files than it listed")
    unread = tuple(Refusal(path=path, reason="it cannot be read") for path in there if path not in members)
    gone = [Change(path=each.path, data=None) for each in wanted if each.kind == "deleted"]
    found = [
        Change(path=path, data=member.data, executable=member.executable, link=member.link)
        for path, member in members.items()
    ]
    return (*gone, *found), unread


def _fits(candidate: Candidate | None, member: Member) -> bool:
    if candidate is None or member.link != (candidate.kind == "link"):
        return False
    return member.link or (len(member.data) == candidate.size and member.executable == candidate.executable)


def collect(channel: Channel, names: Sequence[str], limit: int, deadline: Deadline) -> dict[str, bytes]:
    """Those of the named files that the command wrote and that fit into `limit` bytes, in the order of the names."""
    if not names:
        return {}
    archive = channel.pack(OUT, names, limit + HEADER_BYTES * len(names), deadline)
    found: dict[str, bytes] = {}
    try:
        for member in read_members(archive, torn=True):
            path = fsdecode(member.path)
            if path in names and not member.link and sum(map(len, found.values())) + len(member.data) <= limit:
                found[path] = member.data
    except BadArchive:
        return found  # something else than a file in one's place is a file that does not exist
    return found
