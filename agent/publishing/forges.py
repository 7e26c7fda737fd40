"""What is asked of a forge, whichever it is."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agent.errors import ForgeProblem, UsageProblem

__all__ = ["Draft", "Forge", "Remark", "Request", "Thread", "field", "listed", "said", "standing", "thread_of"]

_THREAD = re.compile(r"([#!]?)([1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request as it is to be."""

    branch: str
    target: str
    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A pull or merge request as it stands."""

    number: int
    url: str
    state: Literal["open", "closed", "merged"]
    target: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A comment."""

    number: int
    body: str
    trusted: bool
    """Whether its author may write to the project, or is a program as we are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """Where comments stand: an issue or a request, which GitHub numbers together, and GitLab apart."""

    number: int
    on_request: bool = False
    """Whether it is said to be that of a request."""


class Forge(Protocol):
    """Pull or merge requests of one project. Every method raises `ForgeProblem` where the forge says no."""

    def requests(self, branch: str) -> tuple[Request, ...]:
        """All requests from the project's own `branch`, in whatever state, the newest first."""
        ...

    def open(self, draft: Draft) -> Request:
        """Open a request, as a draft."""
        ...

    def update(self, request: Request, draft: Draft) -> Request:
        """Give a request another body; its title, and whether it is a draft still, are left to people."""
        ...

    def remarks(self, thread: Thread) -> tuple[Remark, ...]:
        """The comments that stand there."""
        ...

    def remark(self, thread: Thread, body: str, old: Remark | None) -> None:
        """Comment there, in the place of `old` if there is one."""
        ...

    def close(self) -> None:
        """End the connections; the object cannot be used afterwards."""
        ...


def thread_of(text: str) -> Thread:
    """The thread that somebody names: `12` or `#12` an issue, `!12` a request.

    Raises:
        UsageProblem: the text names none.
    """
    found = _THREAD.fullmatch(text.strip())
    if found is None:
        raise UsageProblem(f"{text!r} is the number of no issue", hint="give one as `12`, or a merge request as `!12`")
    return Thread(number=int(found[2]), on_request=found[1] == "!")


def standing(requests: Iterable[Request], target: str) -> Request | None:
    """The open one of `requests` that is to be merged into `target`."""
    return next((each for each in requests if each.state == "open" and each.target == target), None)


def said(remarks: Iterable[Remark], body: str) -> Remark | None:
    """The one of `remarks` that can be trusted and begins as `body` does."""
    first = body.partition("\n")[0]
    return next((each for each in remarks if each.trusted and each.body.partition("\n")[0].rstrip() == first), None)


def field(answer: Any, *names: str) -> Any:
    """What an answer holds below `names`.

    Raises:
        ForgeProblem: it holds no such thing.
    """
    for name in names:
        if not isinstance(answer, dict) or name not in answer:
            raise ForgeProblem(f"the forge's answer has no `{'.'.join(names)}`", hint="check `--api-url`")
        answer = answer[name]
    return answer


def listed(answer: Any) -> list[Any]:
    """An answer that has to be a list.

    Raises:
        ForgeProblem: it is none.
    """
    if not isinstance(answer, list):
        raise ForgeProblem("the forge's answer is no list", hint="check `--api-url`")
    return answer
