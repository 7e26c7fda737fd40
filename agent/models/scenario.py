"""The faults that a script can name: each lays something that is known to happen over a reply that would be right.

`FAULTS` is the catalogue, `spoiled` applies a name to a reply, and `agent/models/chaos.py` deals them out by chance.
"""

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from agent.models.reply import ScriptedCall, ScriptedReply

__all__ = ["FAULTS", "Effect", "Fault", "spoiled"]

Effect = Literal["retry", "less", "whole", "detour", "end"]
"""What a fault makes of a reply: nothing usable came and the same request is worth another try, or the same without an
optional field; it arrived whole, in an odd form; another reply came in its place, which a client cannot tell from a
right one; no further try makes sense."""
Need = Literal["nothing", "calls", "several calls", "reasoning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong between a model and a client."""

    about: str
    effect: Effect
    spoil: Callable[[ScriptedReply], ScriptedReply]
    needs: Need = "nothing"
    """What a reply must hold for this to be any different from it."""
    field: str = ""
    """The field of a request that is refused."""
    waits: bool = False
    """Whether a client waits for it with nothing but its own patience to end that."""

    def fits(self, reply: ScriptedReply, fields: Collection[str] = ()) -> bool:
        """Whether `reply`, to a request that has `fields`, can be spoiled in this way."""
        calls = {"calls": 1, "several calls": 2}.get(self.needs, 0)
        reasons = self.needs != "reasoning" or bool(reply.reasoning)
        return len(reply.calls) >= calls and reasons and (not self.field or self.field in fields)


def spoiled(reply: ScriptedReply) -> ScriptedReply:
    """`reply` with the fault that it names laid over it.

    Raises:
        ValueError: there is no fault of that name.
    """
    if reply.fault is None:
        return reply
    if reply.fault not in FAULTS:
        near = difflib.get_close_matches(reply.fault, FAULTS, n=1)
        raise ValueError(f"there is no fault {reply.fault!r}" + (f": {near[0]!r} is meant" if near else ""))
    return replace(FAULTS[reply.fault].spoil(reply), fault=None)


def _changed(**changes: object) -> Callable[[ScriptedReply], ScriptedReply]:
    return lambda reply: replace(reply, **changes)  # type: ignore[arg-type]


def _retry(about: str, **changes: object) -> Fault:
    return Fault(about=about, effect="retry", spoil=_changed(**changes))


def _whole(about: str, needs: Need = "calls", **changes: object) -> Fault:
    return Fault(about=about, effect="whole", spoil=_changed(**changes), needs=needs)


def _end(about: str, **changes: object) -> Fault:
    return Fault(about=about, effect="end", spoil=_changed(**changes))


def _less(field: str) -> Fault:
    said = f"Invalid request: unknown field: {field}"
    return Fault(
        about=f"400, `{field}` is refused", effect="less", spoil=_changed(status=400, error_message=said), field=field
    )


def _called(about: str, write: Callable[[str], str], effect: Effect = "detour") -> Fault:
    """A fault in the arguments of each call."""

    def spoil(reply: ScriptedReply) -> ScriptedReply:
        calls = tuple(ScriptedCall(name=call.name, raw_arguments=write(call.text)) for call in reply.calls)
        return replace(reply, calls=calls)

    return Fault(about=about, effect=effect, spoil=spoil, needs="calls")


def _event(error_type: str, message: str) -> str:
    return f'data: {{"error": {{"type": "{error_type}", "message": "{message}"}}}}\n\n'


def _without_words(reply: ScriptedReply) -> ScriptedReply:
    return replace(reply, say="", calls=(), reasoning=reply.reasoning or THOUGHTS)


def _half_said(reply: ScriptedReply) -> ScriptedReply:
    text = reply.say or THOUGHTS
    return replace(reply, say=text[: len(text) // 2], calls=(), finish_reason="length")


def _left_in_reasoning(leak: Literal["reasoning", "reasoning-bare"]) -> Callable[[ScriptedReply], ScriptedReply]:
    return lambda reply: replace(reply, say="", leak=leak)


def _with_raw_line_ends(text: str) -> str:
    return re.sub(r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[0], text)


THOUGHTS = "Let me see what there is before anything else is done."
_LIMIT: Mapping[str, object] = {"status": 429, "error_type": "rate_limit_reached_error"}
_RPM = "Your account reached RPM rate limit, current: 4, limit: 3, please try again after 1 seconds"
_HTML: Mapping[str, str] = {"Content-Type": "text/html; charset=utf-8"}
_SSE: Mapping[str, str] = {"Content-Type": "text/event-stream; charset=utf-8"}
_PAGE = "<html><head><title>Sign in</title></head><body>Sign in to go on.</body></html>"
_ERROR_IN_200 = '{"error": {"type": "engine_overloaded_error", "message": "The engine is overloaded"}}'

_STREAMS: Mapping[str, Fault] = {
    "stream-error": _retry(
        "an error event in the middle of the stream",
        interrupt=_event("engine_overloaded_error", "The engine is currently overloaded, please try again later"),
    ),
    "broken-event": _retry("an event that is no JSON", interrupt='data: {"id": "chatcmpl-1", "choices": [\n\n'),
    "early-end": _retry("the stream ends in good order without a reason and without `[DONE]`", interrupt=""),
    "empty-stream": _retry("a stream of `[DONE]` alone", body="data: [DONE]\n\n", headers=_SSE),
    "only-heartbeats": _retry("a stream of heartbeats alone", body=": ping\n\ndata:\n\n" * 3, headers=_SSE),
    "cut": _retry("the connection breaks inside a chunk", cut=0.5),
    "hang-up": _retry("the connection ends before the answer", hang_up="close"),
    "reset": _retry("the connection is reset before the answer", hang_up="reset"),
    "stall": Fault(about="silence in the middle", effect="retry", spoil=_changed(stall=True), waits=True),
    "error-in-200": _retry("an error with a good status", body=_ERROR_IN_200),
    "error-as-stream": _retry("an error that calls itself a stream", body=_ERROR_IN_200, headers=_SSE),
    "html-in-200": _retry("a page with a good status", body=_PAGE, headers=_HTML),
    "no-choices": _retry("a body without choices", body='{"id": "chatcmpl-1", "object": "chat.completion"}'),
    "blank-heartbeats": _whole("`data:` between the events", "nothing", between="data:\n\n"),
    "comment-heartbeats": _whole("comments between the events", "nothing", between=": keep-alive\n\n"),
    "gap": Fault(
        about="a pause in the middle", effect="whole", spoil=lambda reply: replace(reply, gap=reply.gap or 0.05)
    ),
    "json-for-stream": _whole("one body where a stream was asked for", "nothing", form="json"),
    "crlf": _whole("lines that end in CRLF", "nothing", quirks=("crlf",)),
    "no-done": _whole("the end of the stream without `[DONE]`", "nothing", quirks=("no-done",)),
    "null-finish-reason": _whole("no reason in any chunk", "nothing", quirks=("null-finish-reason",)),
    "empty-choices": _whole("chunks without choices", "nothing", quirks=("empty-choices",)),
    "no-usage": _whole("no usage", "nothing", usage=False),
    "usage-inflated": _whole("usage of a token for each byte", "nothing", told="inflated"),
    "usage-zero": _whole("usage of nothing", "nothing", told="zero"),
    "usage-negative": _whole("usage below nothing", "nothing", told="negative"),
    "usage-excessive": _whole("usage of a hundred times as much", "nothing", told="excessive"),
    "usage-overcached": _whole("usage with more from the cache than there is", "nothing", told="overcached"),
    "usage-scant": _whole("usage of one token each way", "nothing", told="scant"),
}
_HOSTS: Mapping[str, Fault] = {
    "leaked-calls": _whole("calls as control tokens in the content", leak="content", finish_reason="stop"),
    "leaked-calls-bare": _whole("... without the tokens that begin", leak="content-bare", finish_reason="stop"),
    "leaked-into-reasoning": Fault(
        about="calls as control tokens in the reasoning",
        effect="whole",
        spoil=_left_in_reasoning("reasoning"),
        needs="calls",
    ),
    "leaked-into-reasoning-bare": Fault(
        about="... without the tokens that begin",
        effect="whole",
        spoil=_left_in_reasoning("reasoning-bare"),
        needs="calls",
    ),
    "leaked-broken": Fault(
        about="control tokens that end within a call",
        effect="retry",
        spoil=_changed(leak="broken", finish_reason="stop", once=True),
        needs="calls",
    ),
    "malformed-arguments": _called("the last brace of the arguments is missing", lambda text: text[:-1]),
    "list-arguments": _called("arguments that are a list", lambda text: f"[{text}]"),
    "text-arguments": _called("arguments that are no JSON", lambda _: "the file as it was discussed"),
    "raw-controls": _called("line ends unescaped in the arguments", _with_raw_line_ends, "whole"),
    "empty-arguments": _called("no arguments", lambda _: ""),
    "object-arguments": _whole("arguments as an object in place of a text", quirks=("object-arguments",)),
    "think-only": Fault(about="reasoning and nothing else", effect="retry", spoil=_without_words),
    "think-only-length": Fault(
        about="reasoning up to the cap",
        effect="retry",
        spoil=lambda reply: replace(_without_words(reply), finish_reason="length"),
    ),
    "exclamations": _retry("`!!!!` in the reasoning", reasoning="!" * 64, say="", calls=()),
    "exclamations-said": _retry("`!!!!` as the answer", say="!" * 64, calls=(), once=True),
    "empty-reply": _retry("nothing at all", say="", calls=(), reasoning=None),
    "cut-by-length": Fault(about="half of the words and no call, at the cap", effect="detour", spoil=_half_said),
    "renumbered-ids": _whole("ids from 0 in each reply", ids="renumbered"),
    "zero-ids": _whole('ids `"0"`, `"1"` in each reply', ids="zero"),
    "same-ids": _whole("one id for all calls", "several calls", ids="same"),
    "missing-ids": _whole("calls without ids", ids="missing"),
    "repeated-head": _whole("id and name in each delta", quirks=("repeated-head",)),
    "no-index": _whole("deltas without an index", quirks=("no-index",)),
    "interleaved-calls": _whole("deltas of calls by turns", "several calls", quirks=("interleaved-calls",)),
    "late-name": _whole("arguments before the name", quirks=("late-name",)),
    "whole-calls": _whole("each call in one delta", quirks=("whole-calls",)),
    "vendor-reason": _whole("a reason of the host's own", "nothing", finish_reason="repetition_truncation"),
    "repeated-calls": Fault(
        about="all calls twice",
        effect="whole",
        spoil=lambda reply: replace(reply, calls=reply.calls * 2),
        needs="calls",
    ),
    "other-reasoning-key": _whole("`reasoning` for the key", "reasoning", reasoning_key="reasoning"),
    "reasoning-details": _whole("`reasoning_details` for the key", "reasoning", reasoning_key="reasoning_details"),
}
_LIMITS: Mapping[str, Fault] = {
    "overloaded": _retry(
        "429, the engine is overloaded",
        status=429,
        error_type="engine_overloaded_error",
        error_message="The engine is currently overloaded, please try again later",
        retry_after=1.0,
    ),
    "rate-limit": _retry("429 with Retry-After in seconds", **_LIMIT, error_message=_RPM, retry_after=1.0),
    "rate-limit-ms": _retry(
        "429 with retry-after-ms", **_LIMIT, error_message=_RPM, retry_after=0.25, retry_after_form="milliseconds"
    ),
    "rate-limit-date": _retry(
        "429 with Retry-After as a date", **_LIMIT, error_message=_RPM, retry_after=2.0, retry_after_form="date"
    ),
    "rate-limit-tokens": _retry(
        "429 for tokens a minute, without Retry-After",
        **_LIMIT,
        error_message="Your account reached TPM rate limit, current: 131072, limit: 128000",
    ),
    "rate-limit-hours": _end("429 with a Retry-After of a day", **_LIMIT, error_message=_RPM, retry_after=86_400.0),
    "rate-limit-day": _end(
        "429 for tokens a day",
        **_LIMIT,
        error_message="Your account reached TPD rate limit, current: 1500000, limit: 1500000",
    ),
    "quota": _end(
        "429 for an empty account",
        status=429,
        error_type="exceeded_current_quota_error",
        error_message="Your account is suspended, please check your plan and billing details: insufficient balance",
    ),
    "quota-in-stream": _end(
        "the account runs empty in the middle of a stream",
        interrupt=_event("exceeded_current_quota_error", "You exceeded your current quota"),
    ),
}
_ERRORS: Mapping[str, Fault] = {
    "bad-request": _end("400", status=400, error_message="Invalid request: invalid field"),
    "filtered": _end(
        "400, the content filter",
        status=400,
        error_type="content_filter",
        error_message="The request was rejected because it was considered high risk",
    ),
    "filtered-reply": _end("a reply that the content filter cut", finish_reason="content_filter", once=True),
    "overflow": _end(
        "400, the context is exceeded",
        status=400,
        error_message="Invalid request: Your request exceeded model token limit: 262144 (requested: 425573)",
    ),
    "unauthorised": _end("401", status=401, error_message="Invalid Authentication"),
    "wrong-key": _end(
        "401, RunAPI's way", status=401, error_type="incorrect_api_key_error", error_message="Incorrect API key"
    ),
    "no-credits": _end("402", status=402, shape="coded", error_message="Insufficient credits"),
    "forbidden": _end("403", status=403, error_message="The API you are accessing is not open"),
    "model-retired": _end("404", status=404, error_message="Not found the model kimi-k2.6 or Permission denied"),
    "too-large": _end("413", status=413, shape="html", error_message="413 Request Entity Too Large"),
    "unsupported-media": _end("415", status=415, shape="message", error_message="Unsupported media type"),
    "unprocessable": _end("422", status=422, shape="detail", error_message="max_tokens: value is not valid"),
    "redirect": _end("307", status=307, shape="empty", headers={"Location": "/v2/chat/completions"}),
    "request-timeout": _retry("408", status=408, shape="message", error_message="Request timeout"),
    "conflict": _retry("409", status=409, shape="message", error_message="Conflict"),
    "client-closed": _retry(
        "499", status=499, error_type="client_closed_request", error_message="Client closed request"
    ),
    "server-error": _retry("500", status=500, error_type="unexpected_output", error_message="Unexpected output"),
    "bad-gateway": _retry("502, a page", status=502, shape="html", error_message="502 Bad Gateway", headers=_HTML),
    "unavailable": _retry(
        "503",
        status=503,
        error_type="server_unavailable",
        error_message="The server is unavailable",
        retry_after=1.0,
    ),
    "gateway-timeout": _retry("504", status=504, shape="html", error_message="504 Gateway Time-out", headers=_HTML),
    "overloaded-529": _retry("529", status=529, error_type="overloaded", error_message="Overloaded"),
    "silent-error": _retry("500 with an empty body", status=500, shape="empty"),
    "shape-coded": _retry("500, `error` with message and code", status=500, shape="coded", error_code="upstream"),
    "shape-text": _retry("500, `error` as a text", status=500, shape="text"),
    "shape-errors": _retry("500, a list of `errors`", status=500, shape="errors"),
    "shape-message": _retry("500, `message`", status=500, shape="message"),
    "shape-detail": _retry("500, `detail`", status=500, shape="detail"),
    "shape-error-message": _retry("500, `errorMessage`", status=500, shape="errorMessage"),
    "shape-msg": _retry("500, `msg`", status=500, shape="msg"),
}
_FIELDS: Mapping[str, Fault] = {
    "no-stream-options": _less("stream_options"),
    "no-cache-key": _less("prompt_cache_key"),
    "no-thinking": _less("thinking"),
    "no-max-completion-tokens": _less("max_completion_tokens"),
    "no-tools": _less("tools"),
}
FAULTS: Mapping[str, Fault] = {**_STREAMS, **_HOSTS, **_LIMITS, **_ERRORS, **_FIELDS}
"""The catalogue, by name."""
