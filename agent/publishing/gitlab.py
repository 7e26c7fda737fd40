"""Draft merge requests and comments by GitLab's REST API, version 4."""

from typing import Any, Literal
from urllib.parse import quote

from agent.publishing.forges import Draft, Remark, Request, Thread, field, said, standing
from agent.publishing.http import Api
from agent.publishing.patience import Patience
from agent.redact import Secret

__all__ = ["GitLab"]

_STATES: dict[str, Literal["open", "closed", "merged"]] = {"opened": "open", "locked": "open", "merged": "merged"}


class GitLab:
    """One project on GitLab. The token is one of a project, a group or a person; a job's own opens no request."""

    def __init__(self, api: str, project: str, token: Secret, patience: Patience) -> None:
        self._api = Api(api, {"PRIVATE-TOKEN": token.reveal(), "Accept": "application/json"}, patience)
        self._path = f"/projects/{quote(project, safe='')}"

    def requests(self, branch: str) -> tuple[Request, ...]:
        """See `Forge`; requests from forks have branches of the same name and are none of ours."""
        path = f"{self._path}/merge_requests"
        found = self._api.pages(path, source_branch=branch, state="all", order_by="created_at")
        own = (each for each in found if field(each, "source_project_id") == field(each, "target_project_id"))
        return tuple(_request(each) for each in own if field(each, "source_branch") == branch)

    def open(self, draft: Draft) -> Request:
        """See `Forge`."""
        body = {
            "title": f"Draft: {draft.title}",
            "description": draft.body,
            "source_branch": draft.branch,
            "target_branch": draft.target,
            "remove_source_branch": True,
        }
        path, there = f"{self._path}/merge_requests", lambda: standing(self.requests(draft.branch), draft.target)
        return self._api.create(path, body, read=_request, there=there)

    def update(self, request: Request, draft: Draft) -> Request:
        """See `Forge`."""
        path = f"{self._path}/merge_requests/{request.number}"
        return _request(self._api.send("PUT", path, {"description": draft.body}))

    def remarks(self, thread: Thread) -> tuple[Remark, ...]:
        """See `Forge`; those of the token's own user are trusted."""
        me = field(self._api.get("/user"), "id")
        found = self._api.pages(self._notes(thread))
        return tuple(_remark(each, me) for each in found)

    def remark(self, thread: Thread, body: str, old: Remark | None) -> None:
        """See `Forge`."""
        path = self._notes(thread)
        if old is None:
            self._api.create(
                path,
                {"body": body},
                read=lambda answer: _remark(answer, None),
                there=lambda: said(self.remarks(thread), body),
            )
        else:
            self._api.send("PUT", f"{path}/{old.number}", {"body": body})

    def close(self) -> None:
        """See `Forge`."""
        self._api.close()

    def _notes(self, thread: Thread) -> str:
        return f"{self._path}/{'merge_requests' if thread.on_request else 'issues'}/{thread.number}/notes"


def _remark(answer: Any, me: object) -> Remark:
    return Remark(
        number=int(field(answer, "id")),
        body=str(field(answer, "body") or ""),
        trusted=field(answer, "author", "id") == me,
    )


def _request(answer: Any) -> Request:
    return Request(
        number=int(field(answer, "iid")),
        url=str(field(answer, "web_url")),
        state=_STATES.get(str(field(answer, "state")), "closed"),
        target=str(field(answer, "target_branch")),
        body=str(field(answer, "description") or ""),
    )
