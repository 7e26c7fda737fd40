"""Pushes the branch of a proposal, and nothing that anybody else made is ever pushed over."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from agent.errors import DamagedRun, ForgeProblem, PublishingStopped, StorageProblem
from agent.gitfailed import GitFailed
from agent.publishing.checking import Proposal, is_ours
from agent.publishing.patience import Patience, Trouble
from agent.publishing.places import Remote, is_loopback
from agent.publishing.quarantine import Quarantine
from agent.text import one_line
from agent.workspace import IDENTITY

__all__ = ["Pusher", "Seen", "branch_of"]

COUNTERS = "refs/greenward/proposals"
SECONDS = 300.0
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
_CERTIFICATES = ("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
_LISTED = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\t(refs/[!-~]+)")
_BUSY = re.compile(
    r"returned error: (?:429|50[234])|HTTP (?:429|50[234])|could not resolve host|failed to connect|couldn't connect"
    r"|connection (?:refused|reset|timed out)|empty reply from server|unexpected disconnect|early EOF",
    re.IGNORECASE,
)
"""What git says, and it says it in no other way, of a remote that may answer a little later."""
UNDONE = "open the request by hand, or delete the branch and run the job again"
HINT = "check the address and that the token may write to the repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the remote had before the push."""

    tip: str | None
    """Of the branch; None: there is none."""
    counted: Mapping[str, str]
    """The commits that were pushed for these failing tests where only branches are published, by their number."""


def branch_of(proposal: Proposal) -> str:
    """The branch of all proposals on the same failing tests."""
    return f"greenward/{proposal.proof.task.mode}-{proposal.key}"


class Pusher:
    """One remote repository, spoken to from the quarantine alone.

    The token goes to git's credential helper through a pipe: it stands on no command line, in no variable of a child,
    in no file and in no address.
    """

    def __init__(self, quarantine: Quarantine, remote: Remote, environ: Mapping[str, str], patience: Patience) -> None:
        self._quarantine = quarantine
        self._remote = remote
        self._patience = patience
        names = _CERTIFICATES if is_loopback(remote.address) else (*_PROXIES, *_CERTIFICATES)
        # A proxy's own credentials would stand on a command line.
        self._variables = {name: environ[name] for name in names if environ.get(name) and "@" not in environ[name]}
        self._variables["GIT_ALLOW_PROTOCOL"] = remote.protocol

    def look(self, proposal: Proposal) -> Seen:
        """What the remote has of earlier proposals on the same failing tests.

        Raises:
            ForgeProblem: it cannot be reached.
        """
        ref, counters = f"refs/heads/{branch_of(proposal)}", f"{COUNTERS}/{proposal.key}/"
        listed = self._speak("ls-remote", "--quiet", "--", self._remote.address, ref, f"{counters}*").decode()
        found = {match[2]: match[1] for line in listed.splitlines() if (match := _LISTED.fullmatch(line))}
        counted = {name.removeprefix(counters): oid for name, oid in found.items() if name.startswith(counters)}
        return Seen(tip=found.get(ref), counted=counted)

    def check_tip(self, proposal: Proposal, seen: Seen) -> None:
        """Raise `PublishingStopped` if the branch ends in a commit that greenward did not make."""
        if seen.tip is None or seen.tip == proposal.commit:
            return
        self._speak(
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--",
            self._remote.address,
            f"refs/heads/{branch_of(proposal)}",
        )
        try:
            found = self._quarantine.commit(seen.tip)
        except DamagedRun:
            raise ForgeProblem(f"`{branch_of(proposal)}` moved meanwhile", hint="run the job again") from None
        name, email = IDENTITY
        ours = any(line.startswith(f"committer {name} <{email}> ") for line in found.headers)
        if not (ours and is_ours(found.message)):
            raise PublishingStopped(
                f"somebody else's commit {seen.tip[:12]} is on `{branch_of(proposal)}`",
                hint="merge or rename the branch; greenward pushes over nothing but its own commits",
            )

    def push(
        self, proposal: Proposal, seen: Seen, *, number: int | None = None, options: Sequence[str] = (), alarm: str = ""
    ) -> None:
        """Have the branch lead to the result, if it leads still where it was seen; count the push as `number`.

        `options` go along with the push, and `alarm` is what the remote says if they were for nothing.

        Raises:
            ForgeProblem: the remote does not take it.
        """
        refs = {f"refs/heads/{branch_of(proposal)}": seen.tip or ""}
        if number is not None:
            refs[f"{COUNTERS}/{proposal.key}/{number}"] = ""
        leases = [f"--force-with-lease={ref}:{old}" for ref, old in refs.items()]
        if seen.tip == proposal.commit and number is None:
            return
        asked = [f"{proposal.commit}:{ref}" for ref, old in refs.items() if old != proposal.commit]
        atomic = ["--atomic"] if len(asked) > 1 else []
        told = [f"--push-option={option}" for option in options]
        command = ("push", "--quiet", "--no-verify", *atomic, *told, *leases, "--", self._remote.address, *asked)
        self._speak(*command, alarm=alarm)

    def _speak(self, *arguments: str, alarm: str = "") -> bytes:
        """What git prints; asked again where the remote is busy. A push that has arrived already is none to git."""
        tried = 0
        while isinstance(came := self._once(*arguments, alarm=alarm), Trouble):
            tried += 1
            if not self._patience.wait(came, tried):
                raise came.problem
        return came

    def _once(self, *arguments: str, alarm: str) -> bytes | Trouble:
        settings = {"credential.helper": ""}
        with self._credentials() as settings["credential.helper"]:
            try:
                return self._quarantine.run(
                    *arguments, variables=self._variables, settings=settings, timeout=SECONDS, alarm=alarm
                )
            except StorageProblem as failure:
                if "left on" in failure.message:
                    raise
                said, hint, busy = failure.message, HINT, False
            except GitFailed as failure:
                said, hint, busy = failure.stderr, HINT, bool(_BUSY.search(failure.stderr))
                if alarm and alarm in said:
                    said, hint, busy = said[said.rindex(alarm) :], f"the branch is there: {UNDONE}", False
        return Trouble(problem=ForgeProblem(f"the remote repository: {one_line(said)}", hint=hint), again=busy)

    @contextmanager
    def _credentials(self) -> Iterator[str]:
        """A helper for one command, which hands out the token once; an empty one where there is none."""
        if self._remote.token is None:
            yield ""
            return
        pipe = self._quarantine.scratch("credentials")
        os.mkfifo(pipe, 0o600)
        ours = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(ours, f"username={self._remote.user}\npassword={self._remote.token.reveal()}\n".encode())
            reads = f'read -r u && read -r p && printf \'%s\\n%s\\n\' "$u" "$p"; }} < {shlex.quote(str(pipe))}'
            yield f'!f() {{ test "$1" = get && {{ {reads}; }}; f'
        finally:
            os.close(ours)
            pipe.unlink(missing_ok=True)
