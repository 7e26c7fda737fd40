"""Keys that must not be published: known ones, however they are written down, and what looks like one. Pure."""

import base64
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
_SHORTEST = 8
"""A shorter secret stands in too many texts by chance."""


class Scanner:
    """Looks for secrets; what it says of them never holds any of one."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        known = tuple(secrets)
        self._redact = Redactor(known, urls=False)
        self._encoded = tuple(form for secret in known for form in _encoded(secret.reveal()))

    def known(self, data: bytes) -> bool:
        """Whether a known secret stands in `data`: as it is, or as JSON, URLs, base64 or hexadecimal spell it."""
        text = data.decode("utf-8", "surrogateescape")
        return self._redact(text) != text or any(form in data for form in self._encoded)

    def kinds(self, data: bytes, before: bytes = b"") -> tuple[str, ...]:
        """What kinds of keys `data` seems to hold that were not in `before`."""
        return tuple(kind for kind, shape in _COMPILED.items() if set(shape.findall(data)) - set(shape.findall(before)))


def _encoded(secret: str) -> tuple[bytes, ...]:
    data = secret.encode()
    if len(data) < _SHORTEST:
        return ()
    spelled = {data.hex().encode(), data.hex().upper().encode(), data[::-1]}
    for shift in range(3):  # base64 spells a text in three ways, by where it stands
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + data)
            spelled.add(whole[(0, 2, 3)[shift] : len(whole) - 4])
    return tuple(form for form in spelled if len(form) >= _SHORTEST)
