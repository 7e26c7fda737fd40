"""Whether a job on GitHub may have the model's key: not where it would meet the code of a fork. Pure.

Events and their payloads: docs.github.com, "Events that trigger workflows" and "Webhook events and payloads".
"""

from collections.abc import Mapping

__all__ = ["refusal"]


def refusal(event: str, payload: Mapping[str, object] | None, label: str = "") -> str:
    """Why a job that `event` started may not go on; empty if it may.

    `payload` is what GitHub says of the event; None if that cannot be read. A pull request from a fork is worked on
    only where a maintainer has just given it the `label`: nobody else can.
    """
    about_code = event.startswith("pull_request") or event == "workflow_run"
    if payload is None:
        return f"nothing is known of the event `{event}`, so its code may be that of a fork" if about_code else ""
    own = _name(payload.get("repository"))
    pull, run = _object(payload.get("pull_request")), _object(payload.get("workflow_run"))
    if pull:
        head = _name(_object(pull.get("head")).get("repo"))
    elif run:
        head = _name(run.get("head_repository"))
    else:
        return f"nothing is known of the code that the event `{event}` is about" if about_code else ""
    if head and head == own:
        return ""
    given = _object(payload.get("label")).get("name")
    if label and event == "pull_request_target" and payload.get("action") == "labeled" and given == label:
        return ""
    theirs, ours = head or "a fork that is gone", own or "another repository"
    return f"the code is that of {theirs}, and it would run beside the key of {ours}"


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _name(repository: object) -> str:
    name = _object(repository).get("full_name")
    return name if isinstance(name, str) else ""
