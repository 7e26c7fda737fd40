"""Draft pull requests and comments by GitHub's REST API, version 2022-11-28."""

from typing import Any, Literal

from agent.publishing.forges import Draft, Remark, Request, Thread, field, said, standing
from agent.publishing.http import Api
from agent.publishing.patience import Patience
from agent.redact import Secret

__all__ = ["GitHub"]

_MEMBERS = ("OWNER", "MEMBER", "COLLABORATOR")


class GitHub:
    """One repository on GitHub, or on a server of one's own."""

    def __init__(self, api: str, project: str, token: Secret, patience: Patience) -> None:
        self._api = Api(
            api,
            {
                "Authorization": f"Bearer {token.reveal()}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            patience,
        )
        self._project = project
        self._path = f"/repos/{project}"

    def requests(self, branch: str) -> tuple[Request, ...]:
        """See `Forge`; requests from forks have branches of the same name and are none of ours."""
        owner = self._project.partition("/")[0]
        found = self._api.pages(f"{self._path}/pulls", head=f"{owner}:{branch}", state="all")
        return tuple(_request(each) for each in found if self._is_own(each, branch))

    def open(self, draft: Draft) -> Request:
        """See `Forge`."""
        body = {"title": draft.title, "head": draft.branch, "base": draft.target, "body": draft.body, "draft": True}
        return self._api.create(
            f"{self._path}/pulls",
            body,
            read=_request,
            there=lambda: standing(self.requests(draft.branch), draft.target),
        )

    def update(self, request: Request, draft: Draft) -> Request:
        """See `Forge`."""
        path = f"{self._path}/pulls/{request.number}"
        return _request(self._api.send("PATCH", path, {"body": draft.body}))

    def remarks(self, thread: Thread) -> tuple[Remark, ...]:
        """See `Forge`."""
        found = self._api.pages(f"{self._path}/issues/{thread.number}/comments")
        return tuple(map(_remark, found))

    def remark(self, thread: Thread, body: str, old: Remark | None) -> None:
        """See `Forge`."""
        if old is None:
            path = f"{self._path}/issues/{thread.number}/comments"
            self._api.create(path, {"body": body}, read=_remark, there=lambda: said(self.remarks(thread), body))
        else:
            self._api.send("PATCH", f"{self._path}/issues/comments/{old.number}", {"body": body})

    def close(self) -> None:
        """See `Forge`."""
        self._api.close()

    def _is_own(self, answer: Any, branch: str) -> bool:
        head = field(answer, "head")
        name = (head.get("repo") or {}).get("full_name", "") if isinstance(head, dict) else ""
        return str(name).casefold() == self._project.casefold() and field(head, "ref") == branch


def _remark(answer: Any) -> Remark:
    return Remark(
        number=int(field(answer, "id")),
        body=str(field(answer, "body") or ""),
        trusted=field(answer, "user", "type") == "Bot" or answer.get("author_association") in _MEMBERS,
    )


def _request(answer: Any) -> Request:
    state: Literal["open", "closed", "merged"] = "open" if field(answer, "state") == "open" else "closed"
    return Request(
        number=int(field(answer, "number")),
        url=str(field(answer, "html_url")),
        state="merged" if answer.get("merged_at") else state,
        target=str(field(answer, "base", "ref")),
        body=str(field(answer, "body") or ""),
    )
