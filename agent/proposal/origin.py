"""Whether a job on GitHub may have the model's key: not where it would meet the code of a fork. Pure.

Events and their payloads: docs.github.com, "Events that trigger workflows" and "Webhook events and payloads".
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Job", "foreign", "refusal"]

_UNKNOWN = "a fork that is gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What started a job, and what it works on."""

    event: str
    payload: Mapping[str, object] | None
    """What GitHub says of the event; None if that cannot be read."""
    sha: str = ""
    """The commit that GitHub started it for: of the default branch, if strangers can start it."""
    head: str = ""
    """The commit that is checked out."""


def refusal(job: Job, label: str = "") -> str:
    """Why a job may not go on; empty if it may.

    A pull request from a fork is worked on only where a maintainer has just given it the `label`, which nobody else
    can, and only in the state that it had then.
    """
    about_code = _is_about_code(job.event)
    if job.payload is None:
        return f"nothing is known of the event `{job.event}`, so its code may be that of a fork" if about_code else ""
    if _object(_object(job.payload.get("issue")).get("pull_request")) and job.head != job.sha:
        return f"anybody can start a job by `{job.event}`, and what is checked out is not the default branch"
    if about_code and not (_object(job.payload.get("pull_request")) or _object(job.payload.get("workflow_run"))):
        return f"nothing is known of the code that the event `{job.event}` is about"
    theirs, ours = foreign(job), _name(job.payload.get("repository")) or "another repository"
    if not theirs:
        return ""
    given = _object(job.payload.get("label")).get("name")
    if not (label and job.event == "pull_request_target" and job.payload.get("action") == "labeled" and given == label):
        return f"the code is that of {theirs}, and it would run beside the key of {ours}"
    if _object(job.payload.get("sender")).get("type") != "User":
        return f"the label `{label}` was not given by a person, so nobody has read the code of {theirs}"
    labelled = _object(_object(job.payload.get("pull_request")).get("head")).get("sha")
    if not job.head or job.head != labelled:
        return f"the label `{label}` was given to the commit {str(labelled)[:12]}, and another one is checked out"
    return ""


def foreign(job: Job) -> str:
    """Whose code the event is about, if it is that of a fork; empty if it is the repository's own, or none."""
    payload = job.payload or {}
    pull, run = _object(payload.get("pull_request")), _object(payload.get("workflow_run"))
    if not pull and not run:
        return "somebody unknown" if _is_about_code(job.event) else ""
    head = _name(_object(pull.get("head")).get("repo")) if pull else _name(run.get("head_repository"))
    return "" if head and head == _name(payload.get("repository")) else head or _UNKNOWN


def _is_about_code(event: str) -> bool:
    return event.startswith("pull_request") or event == "workflow_run"


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _name(repository: object) -> str:
    name = _object(repository).get("full_name")
    return name if isinstance(name, str) else ""
