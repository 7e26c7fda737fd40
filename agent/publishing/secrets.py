"""Keys that must not be published: known ones, however they are written down, and what looks like one. Pure."""

import re
from collections.abc import Iterable

from agent.redact import Redactor, Secret

__all__ = ["Scanner"]

_SHAPES = {
    "a private key": rb"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----",
    "a GitHub token": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})",
    "a GitLab token": rb"\bgl(?:pat|ptt|dt|rt|cbt|oas|soat|ft|agent)-[A-Za-z0-9_-]{20,}",
    "a key of a model's provider": rb"\bsk-(?:[A-Za-z0-9]{1,40}-){0,4}[A-Za-z0-9_]{20,200}",
    "a key of AWS": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a key of Google": rb"\bAIza[0-9A-Za-z_-]{35}\b",
    "a token of Slack": rb"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    "a key of Stripe": rb"\b[rs]k_live_[0-9A-Za-z]{20,}",
    "a token of a package index": rb"\bpypi-[A-Za-z0-9_-]{60,}",
}
_COMPILED = {kind: re.compile(shape) for kind, shape in _SHAPES.items()}


class Scanner:
    """Looks for secrets; what it says of them never holds any of one."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._redact = Redactor(secrets, urls=False)

    def known(self, data: bytes) -> bool:
        """Whether a known secret stands in `data`: as it is, or as JSON, URLs, base64 or hexadecimal spell it."""
        return self._redact.finds(data)

    def kinds(self, data: bytes, before: bytes = b"") -> tuple[str, ...]:
        """What kinds of keys `data` seems to hold that were not in `before`."""
        return tuple(kind for kind, shape in _COMPILED.items() if set(shape.findall(data)) - set(shape.findall(before)))
