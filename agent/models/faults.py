"""Reads the errors of providers, in all the shapes that they come in, and says what each means for a run."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.models import ModelError
from agent.models.retry import read_retry_after

__all__ = ["Fault", "error_in", "excerpt", "fault_from", "to_error"]

EXCERPT = 200
_MESSAGE_KEYS = ("message", "detail", "errorMessage", "error_message", "msg")
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "content_filter": 400,
    "invalid_authentication_error": 401,
    "incorrect_api_key_error": 401,
    "authentication_error": 401,
    "permission_denied_error": 403,
    "resource_not_found_error": 404,
    "not_found_error": 404,
    "engine_overloaded_error": 429,
    "rate_limit_reached_error": 429,
    "rate_limit_error": 429,
    "exceeded_current_quota_error": 429,
    "insufficient_quota": 429,
}
_HINTS = {
    401: "check the API key, and that it belongs to this base URL",
    403: "the key is not allowed to do this: check its permissions, and that it belongs to this base URL",
    404: "the model may be retired, or the base URL wrong: `GET /v1/models` lists what the endpoint serves",
}
_QUOTA = re.compile(
    r"exceeded_current_quota|insufficient[ _](balance|credit|quota|fund)|recharge|in arrears"
    r"|exceeded your current (token )?quota",
    re.IGNORECASE,
)
_DAILY = re.compile(r"\bTPD\b|\bRPD\b|(tokens|requests) per day", re.IGNORECASE)
_OVERFLOW = re.compile(
    r"context.length|maximum context|token length too long|exceeds?\b.{0,40}max.tokens|max.tokens exceed"
    r"|exceed.{0,40}(model )?token limit|prompt is too long|too many tokens",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content_filter|considered high risk", re.IGNORECASE)
_OVERLOADED = re.compile(r"overloaded|server_unavailable|unavailable|capacity", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a provider said of a request that brought no reply."""

    status: int | None = None
    """None if the error came inside a stream or a body with status 200."""
    type: str = ""
    code: str = ""
    param: str = ""
    text: str = ""
    request_id: str = ""
    task_id: str = ""
    retry_after: float | None = None

    @property
    def overflows(self) -> bool:
        """Whether the request was too long for the model's context."""
        return bool(_OVERFLOW.search(f"{self.type} {self.code} {self.text}"))

    def __str__(self) -> str:
        """One line: status, type and code, what was said, and the ids that support asks for."""
        head = " ".join(part for part in (f"HTTP {self.status}" if self.status else "", self.type, self.code) if part)
        ids = [f"request {self.request_id}" if self.request_id else "", f"task {self.task_id}" if self.task_id else ""]
        tail = ", ".join(part for part in ids if part)
        return (head or "error") + (f": {self.text}" if self.text else "") + (f" ({tail})" if tail else "")


def fault_from(status: int | None, body: str, headers: Mapping[str, str], *, now: float) -> Fault:
    """The fault that a response tells of; `body` is its text, JSON or not."""
    lowered = {name.lower(): value for name, value in headers.items()}
    told = _tell(_decoded(body))
    return Fault(
        status=status,
        type=told["type"],
        code=told["code"],
        param=told["param"],
        text=told["text"] or excerpt(body),
        request_id=_line(lowered.get("x-request-id", "")),
        task_id=_line(lowered.get("x-runapi-task-id", "")),
        retry_after=read_retry_after(lowered, now=now),
    )


def error_in(body: object) -> bool:
    """Whether decoded JSON is an error in any known shape, rather than a chunk or a reply."""
    if not isinstance(body, dict):
        return False
    if body.get("error") or body.get("errors"):
        return True
    return "choices" not in body and "usage" not in body and any(body.get(key) for key in _MESSAGE_KEYS)


def excerpt(body: str) -> str:
    """The title of an HTML page, or the beginning of any other text, in one line."""
    title = re.search(r"<title[^>]*>(.*?)</title", body[:20_000], re.IGNORECASE | re.DOTALL)
    return _line(title[1] if title else body)


def to_error(fault: Fault, *, secret: str = "") -> ModelError:
    """The typed error for a fault; `secret` is blacked out wherever the provider echoes it.

    Only a status says that nothing was charged: what goes wrong after a good one may have been generated, and billed.
    """
    error = _typed(fault, secret)
    error.billed = error.billed or fault.status is None
    return error


def _typed(fault: Fault, secret: str) -> ModelError:
    status = _effective_status(fault)
    message = str(fault).replace(secret, "***") if secret else str(fault)
    said = f"{fault.type} {fault.code} {fault.text}"
    if status < 500:
        return _client_error(fault, status, said, message)
    overloaded = status in (503, 529) or _OVERLOADED.search(said)
    kind = "overloaded" if overloaded or fault.status else "transport"
    return ModelError(kind, message, retryable=True, retry_after=fault.retry_after)


def _client_error(fault: Fault, status: int, said: str, message: str) -> ModelError:
    if status in (402, 403, 429) and (status == 402 or _QUOTA.search(said)):
        return _refusal("quota", message, hint="top up the account, or raise its quota")
    if status == 429:
        return _limited(fault, said, message)
    if status in (408, 409, 425, 499):
        return ModelError("transport", message, retryable=True, retry_after=fault.retry_after)
    if status in _HINTS:
        return _refusal("refused" if status == 404 else "auth", message, hint=_HINTS[status])
    if status == 413 or (status in (400, 422) and fault.overflows):
        return _refusal("overflow", message, hint="the conversation is too long for the model's context")
    if status == 400 and _FILTERED.search(said):
        hint = "the provider's content filter refuses this request"
        return ModelError("filtered", message, hint=hint)  # it looks at replies too: there may have been one
    if status < 400:
        return _refusal("refused", message, hint="redirects are not followed: configure the final base URL")
    return _refusal("refused", message, hint=_refused_hint(said))


def _limited(fault: Fault, said: str, message: str) -> ModelError:
    daily = bool(_DAILY.search(said))
    return ModelError(
        "overloaded" if _OVERLOADED.search(said) else "rate_limited",
        message,
        hint="the daily limit is used up: wait until tomorrow, or raise the tier" if daily else "",
        retryable=not daily,
        billed=False,
        retry_after=fault.retry_after,
    )


def _refusal(kind: str, message: str, *, hint: str) -> ModelError:
    return ModelError(kind, message, hint=hint, retryable=False, billed=False)


def _refused_hint(said: str) -> str:
    if re.search(r"\btools?\b", said) and re.search(r"not (currently )?(accept|support)", said):
        return "the endpoint takes no tools for this model: set `protocol` to `text`, and they are called in text"
    return "the provider does not accept the request as it stands; the message says what it refuses"


def _effective_status(fault: Fault) -> int:
    """The status, or for an error inside a 200 the one that its type or code stands for; 500 if neither tells."""
    if fault.status:
        return fault.status
    if fault.code.isascii() and fault.code.isdigit() and 400 <= int(fault.code[:9]) < 600:
        return int(fault.code[:9])
    return _STATUS_OF_TYPE.get(fault.type) or _STATUS_OF_TYPE.get(fault.code) or 500


def _tell(body: object) -> dict[str, str]:
    """Type, code, parameter and text out of `{"error": ...}`, `{"errors": [...]}`, or the bare keys."""
    inner = body
    if isinstance(body, dict):
        inner = body.get("error") or body.get("errors") or body
    texts = _texts(inner)
    if not texts and inner is not body:
        texts = _texts({key: value for key, value in _mapping(body).items() if key not in ("error", "errors")})
    fields = _mapping(inner[0] if isinstance(inner, list) and inner else inner)
    told = {name: _line(fields.get(name)) for name in ("type", "code", "param")}
    return told | {"param": told["param"] or _location(fields), "text": _line("; ".join(texts))}


def _location(fields: dict[str, Any]) -> str:
    """The field that a validator of the body complains of, as FastAPI words it: `{"detail": [{"loc": [...]}]}`."""
    details = fields.get("detail")
    first = _mapping(details[0] if isinstance(details, list) and details else fields)
    place = first.get("loc")
    return _line(".".join(str(part) for part in place if part != "body")) if isinstance(place, list) else ""


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value[:5] for text in _texts(item)]
    fields = _mapping(value)
    found = next((fields[key] for key in _MESSAGE_KEYS if fields.get(key)), None)
    return [] if found is None or found is value else _texts(found)


def _decoded(body: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _line(value: object) -> str:
    """`value` in one printable line, cut to an excerpt."""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return ""
    words = " ".join(str(value)[: EXCERPT * 20].split())
    printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in words)
    return printable if len(printable) <= EXCERPT else printable[: EXCERPT - 1] + "…"
