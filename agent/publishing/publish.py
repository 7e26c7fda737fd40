"""Publishes a proposal that was checked: one branch and one draft request for the same failing tests, a few times."""

from dataclasses import dataclass

from agent.errors import PublishingStopped
from agent.publishing.body import Marker, body_of, marker_in, title_of
from agent.publishing.checking import Proposal, is_ours
from agent.publishing.forges import Draft, Forge, Remark, Request, Thread, standing
from agent.publishing.pushing import Pusher, Seen, branch_of
from agent.publishing.pushoptions import NOT_DONE, options_of
from agent.publishing.quarantine import Quarantine
from agent.publishing.sending import Sending

__all__ = ["MOST", "Published", "Terms", "check_base", "publish_branch", "publish_request", "publish_with_options"]

MOST = 3
"""Proposals for the same failing tests, if nobody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When to stop."""

    most: int = MOST
    again: bool = False
    """Whether a person wants one more, whatever was published or closed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What came of it."""

    branch: str
    commit: str
    attempt: int
    url: str = ""
    """Of the request; empty: only a branch was pushed."""
    opened: bool = False
    """Whether the request is new."""


def check_base(quarantine: Quarantine, base: str, terms: Terms) -> None:
    """Raise `PublishingStopped` if a proposal stands on a commit of greenward's own."""
    if is_ours(quarantine.commit(base).message) and not terms.again:
        raise PublishingStopped(
            f"the base {base[:12]} is a commit of greenward's own, to which it does not react",
            hint="`--again` has it go on all the same",
        )


def publish_branch(proposal: Proposal, pusher: Pusher, terms: Terms, sending: Sending) -> Published:
    """Push the branch alone; how often is counted by refs beside it.

    Raises:
        PublishingStopped: there were enough, or somebody else's work is on the branch.
        ForgeProblem: the remote cannot be reached, or does not take it.
    """
    seen = pusher.look(proposal)
    attempt, number = _numbered(proposal, pusher, seen, terms)
    with sending.of(f"the branch {branch_of(proposal)}"):
        pusher.push(proposal, seen, number=number)
    return Published(branch=branch_of(proposal), commit=proposal.commit, attempt=attempt)


def publish_with_options(
    proposal: Proposal, pusher: Pusher, terms: Terms, sending: Sending, *, target: str
) -> Published:
    """Push the branch, and have options of the push open its draft request or bring the body of that up to date.

    What is open, or was closed, cannot be seen this way: a request is asked for where the branch is new, or was never
    published so, and where a person wants one more.

    Raises:
        PublishingStopped, ForgeProblem: as `publish_branch` does; or the forge did not do what the options ask for.
    """
    branch, seen = branch_of(proposal), pusher.look(proposal)
    attempt, number = _numbered(proposal, pusher, seen, terms)
    body = body_of(proposal, branch=branch, attempt=attempt)
    draft = Draft(branch=branch, target=target, title=title_of(proposal), body=body)
    new = seen.tip is None or not seen.counted or terms.again
    with sending.of(f"the branch {branch}, with its request"):
        pusher.push(proposal, seen, number=number, options=options_of(draft, new=new), alarm=NOT_DONE)
    return Published(branch=branch, commit=proposal.commit, attempt=attempt)


def publish_request(
    proposal: Proposal,
    pusher: Pusher,
    forge: Forge,
    terms: Terms,
    sending: Sending,
    *,
    target: str,
    remark_on: Thread | None = None,
) -> Published:
    """Push the branch, and open its one draft request or bring that up to date; `remark_on` is also told, in a comment.

    Raises:
        PublishingStopped: there were enough, a person closed the last one, or somebody else's work is on the branch.
        ForgeProblem: the forge cannot be reached, or says no.
    """
    branch = branch_of(proposal)
    requests = forge.requests(branch)
    known = standing(requests, target)
    attempt = _attempt(proposal, requests, known, terms)
    remarks = () if remark_on is None else forge.remarks(remark_on)  # before anything is sent: it may not be there
    seen = pusher.look(proposal)
    pusher.check_tip(proposal, seen)
    body = body_of(proposal, branch=branch, attempt=attempt)
    draft = Draft(branch=branch, target=target, title=title_of(proposal), body=body)
    with sending.of(f"the branch {branch}"):
        pusher.push(proposal, seen)
    with sending.of("the request"):
        request = forge.update(known, draft) if known else forge.open(draft)
    if remark_on is not None:
        with sending.of("the comment"):
            _remark(forge, remark_on, remarks, request, body)
    return Published(branch=branch, commit=proposal.commit, attempt=attempt, url=request.url, opened=known is None)


def _attempt(proposal: Proposal, requests: tuple[Request, ...], known: Request | None, terms: Terms) -> int:
    """Which proposal for the same failing tests this is, counted from 1."""
    markers = [marker for each in requests if (marker := marker_in(each.body)) and marker.key == proposal.key]
    last = max((marker.attempt for marker in markers), default=len(requests))
    mark = marker_in(known.body) if known else None
    newest = requests[0] if requests else None
    if known is None and newest is not None and newest.state == "closed" and not terms.again:
        raise PublishingStopped(
            f"somebody closed the last proposal for these tests: {newest.url}", hint="`--again` opens another one"
        )
    return _counted(last, same=mark is not None and _is_of(mark, proposal), terms=terms)


def _is_of(marker: Marker, proposal: Proposal) -> bool:
    return (marker.key, marker.commit) == (proposal.key, proposal.commit)


def _numbered(proposal: Proposal, pusher: Pusher, seen: Seen, terms: Terms) -> tuple[int, int | None]:
    """Which proposal for the same failing tests this is by the refs beside the branch, and as what to count it."""
    pusher.check_tip(proposal, seen)
    known = {int(number): oid for number, oid in seen.counted.items() if number.isdecimal()}
    last = max(known, default=0)
    same = known.get(last) == proposal.commit
    attempt = _counted(last, same=same, terms=terms)
    return attempt, None if same else attempt


def _counted(last: int, *, same: bool, terms: Terms) -> int:
    """The number of a proposal after `last`, which is that one's if it is the `same`."""
    if same:
        return last
    if last >= terms.most and not terms.again:
        raise PublishingStopped(
            f"there were {last} proposals for the same failing tests, as many as may be",
            hint="look at the last one; `--again` makes one more, `--max-proposals N` allows more",
        )
    return last + 1


def _remark(forge: Forge, thread: Thread, remarks: tuple[Remark, ...], request: Request, body: str) -> None:
    """Say what the request says in the one of the `remarks` in `thread` that is ours, or in a new one."""
    marker = marker_in(body)
    found = (
        each
        for each in remarks
        if each.trusted and (other := marker_in(each.body)) and marker and other.key == marker.key
    )
    first, _, rest = body.partition("\n")
    forge.remark(thread, f"{first}\nProposed in {request.url}\n\n{rest}", next(found, None))
