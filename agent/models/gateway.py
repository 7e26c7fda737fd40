"""What stands between a client and the model: what it lets through, how it says no, what it reports and bills."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import with_config

from agent.models.reply import STRICT, ErrorShape, Told
from agent.models.tokens import Tokenizer

__all__ = ["ERROR_TYPES", "Gateway", "Refusal", "UsagePlace", "error_body", "field_refusal"]

UsagePlace = Literal["both", "choice", "chunk", "last", "none"]
"""Of a stream: on its last choice, in a chunk of its own if asked for, at the top of the last chunk with a choice."""
Wording = Literal["moonshot", "runapi", "openai", "vllm", "fastapi"]
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "invalid_authentication_error",
    402: "insufficient_credits",
    403: "permission_denied_error",
    404: "resource_not_found_error",
    429: "rate_limit_reached_error",
}
"""By status; all others are a `server_error`."""


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """How a server treats all of its requests; the table `[gateway]` of a script."""

    key: str | None = None
    """The API key that requests must bear; None takes any, but one there must be."""
    models: tuple[str, ...] = ()
    """Ids that `GET /v1/models` lists beside the script's model; completions are to be had of the latter alone."""
    refuse: tuple[str, ...] = ()
    """Fields of a body that are refused before any work. With `tools`, so are calls and results in the messages."""
    wording: Wording = "moonshot"
    """In whose words a field is refused."""
    thinking: Literal["honoured", "ignored", "always"] = "honoured"
    """What becomes of `thinking`: it is done, passed over, or refused if it is to be disabled."""
    reasoning: Literal["given", "always"] = "given"
    """Which tool calls must come back with their reasoning while thinking is on: those given with some, or all."""
    protocol: Literal["auto", "tools", "text"] = "auto"
    """How calls are spoken: as calls, as fenced text, or the latter if the request offers no tools."""
    tokenizer: Tokenizer = "quarter"
    usage_in: UsagePlace = "both"
    cached_in: Literal["usage", "details", "both", "none"] = "usage"
    """Where usage tells of the prefix cache: as `cached_tokens`, within `prompt_tokens_details`, both, or not."""
    told: Told = "exact"
    """What usage tells of replies that do not tell it otherwise."""
    bill_broken: bool = True
    """Whether a reply that was generated and did not arrive whole is billed."""
    bill_failed: bool = False
    """Whether errors and pages that may have come after the work are billed as the reply in whose place they came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer to a request that never came to the model."""

    status: int
    body: str


def field_refusal(name: str, value: object, *, model: str, wording: Wording) -> Refusal:
    """How a host refuses an optional field of a body, before any work."""
    if wording == "runapi":
        said = f"{name} {'are' if name.endswith('s') else 'is'} not currently accepted for {model}"
        return Refusal(status=400, body=error_body("coded", message=said, code="unsupported_parameter"))
    if wording == "openai":
        return Refusal(status=400, body=_as_openai(name))
    if wording == "vllm":
        found = {"type": "extra_forbidden", "loc": ("body", name), "msg": _EXTRA, "input": value}
        told = {"object": "error", "message": str([found]), "type": "Bad Request", "param": None, "code": 400}
        return Refusal(status=400, body=json.dumps(told))
    if wording == "fastapi":
        found = {"type": "extra_forbidden", "loc": ["body", name], "msg": _EXTRA, "input": value}
        return Refusal(status=422, body=json.dumps({"detail": [found]}))
    said = f"Invalid request: unknown field: {name}"
    return Refusal(status=400, body=error_body("moonshot", message=said, kind=ERROR_TYPES[400]))


def error_body(shape: ErrorShape, *, message: str, kind: str = "", code: str | None = None) -> str:
    """The body of an error in one of the shapes that gateways have for it.

    Args:
        shape: which.
        message: what happened.
        kind: its type, where the shape has room for one.
        code: its code, where the shape has room for one.
    """
    if shape == "html":
        return (
            f"<html>\n<head><title>{message}</title></head>\n<body><center><h1>{message}</h1></center></body>\n</html>"
        )
    if shape == "empty":
        return ""
    coded = {} if code is None else {"code": code}
    bodies: Mapping[str, Any] = {
        "moonshot": {"error": {"message": message, "type": kind} | coded},
        "openai": {"error": {"message": message, "type": kind, "param": None, "code": code}},
        "coded": {"error": {"message": message, "code": code or kind}},
        "text": {"error": message},
        "errors": {"errors": [{"message": message} | coded]},
    }
    return json.dumps(bodies.get(shape, {shape: message}), ensure_ascii=False)


_EXTRA = "Extra inputs are not permitted"
_OTHER_CAP = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}


def _as_openai(name: str) -> str:
    error: dict[str, Any] = {"type": ERROR_TYPES[400], "param": name, "code": "unsupported_parameter"}
    said = f"Unsupported parameter: '{name}' is not supported with this model."
    if name in _OTHER_CAP:
        said += f" Use '{_OTHER_CAP[name]}' instead."
    elif name != "tools":
        said, error["param"], error["code"] = f"Unrecognized request argument supplied: {name}", None, None
    return json.dumps({"error": {"message": said} | error})
