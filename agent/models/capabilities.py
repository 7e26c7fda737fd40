"""What an endpoint turned out to accept: optional fields that it refuses are left out from then on."""

import re
from dataclasses import dataclass, replace

from agent.models.faults import Fault

__all__ = ["Capabilities", "without_refused"]

OPTIONAL_FIELDS = ("stream_options", "prompt_cache_key", "thinking")
CAP_FIELDS = ("max_completion_tokens", "max_tokens")
_FILLERS = {None: "", "": " "}
_NO_REASONING = re.compile(r"reasoning(_content)? is missing", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """How to write a request body for one endpoint and model."""

    cap_field: str = "max_completion_tokens"
    """The name of the output cap. There is always a cap: without one a call has no worst case."""
    optional: frozenset[str] = frozenset(OPTIONAL_FIELDS)
    """The optional fields that may be sent."""
    filler: str | None = None
    """Reasoning to send with tool calls that came without any; None sends none."""
    renamed: bool = False
    """Whether the cap goes by its other name already."""


def without_refused(known: Capabilities, fault: Fault, sent: frozenset[str]) -> Capabilities | None:
    """What is known after `fault`, or None if it teaches nothing that another form of the same request would cure.

    Each step leaves less to try, so that the number of further requests is bounded.

    Args:
        known: what was known when the request was written.
        fault: how the endpoint refused it, before any work.
        sent: the fields of the refused body.
    """
    if fault.status not in (400, 422):
        return None
    if _NO_REASONING.search(fault.text):
        filler = _FILLERS.get(known.filler)
        return None if filler is None else replace(known, filler=filler)
    for name in OPTIONAL_FIELDS:
        if name in sent and name in known.optional and _names(fault, name):
            return replace(known, optional=known.optional - {name})
    if known.cap_field in sent and not known.renamed and _names(fault, known.cap_field):
        other = CAP_FIELDS[known.cap_field == CAP_FIELDS[0]]
        return replace(known, cap_field=other, renamed=True)
    return None


def _names(fault: Fault, field: str) -> bool:
    return fault.param == field or bool(re.search(rf"\b{field}\b", f"{fault.code} {fault.text}"))
