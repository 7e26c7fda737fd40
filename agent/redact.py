"""Secrets, and keeping them out of everything that is written down: journal, messages, errors."""

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

__all__ = ["MARK", "Redactor", "Secret"]

MARK = "[redacted]"
_SHORTEST = 6
"""A shorter secret is part of too many words: replacing it would tell more than it hides."""
_SHORTEST_SPELLED = 8
"""The same for what a secret is spelled as: in base64, less of it is left."""
_CREDENTIALS = re.compile(r"([a-z][a-z0-9+.-]{0,20}://)[^\s/?#\"'<>]+@", re.IGNORECASE)


class Secret:
    """A value that shows itself only when asked to by name: not printed, not formatted, not dumped."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MARK!r})"

    def __str__(self) -> str:
        return MARK

    def __format__(self, spec: str) -> str:
        return format(MARK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


class Redactor:
    """Replaces known secrets, as they stand and as URLs and JSON spell them, and the user part of every URL."""

    def __init__(self, secrets: Iterable[Secret] = (), *, urls: bool = True) -> None:
        """Without `urls`, text keeps its URLs as they are: for what has to come back as it was, such as code."""
        self._urls = urls
        known = tuple(secret.reveal() for secret in secrets)
        forms = sorted({form for secret in known for form in _forms(secret)}, key=len, reverse=True)
        self._spelled = tuple({form for secret in known for form in _spelled(secret)})
        self._known = re.compile("|".join(map(re.escape, forms))) if forms else None

    def __call__(self, text: str) -> str:
        """`text` without the secrets."""
        if self._known:
            text = self._known.sub(MARK, text)
        if self._urls and "://" in text:
            text = _CREDENTIALS.sub(rf"\1{MARK}@", text)
        return text

    def finds(self, data: bytes) -> bool:
        """Whether one of the secrets stands in `data`, also reversed, in base64 or in hexadecimal."""
        if self._known is None:
            return False
        text = data.decode("utf-8", "surrogateescape")
        return self._known.search(text) is not None or any(form in data for form in self._spelled)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _forms(secret: str) -> tuple[str, ...]:
    if len(secret) < _SHORTEST:
        return ()
    return secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]


def _spelled(secret: str) -> set[bytes]:
    """How code writes a secret down that nobody is to find."""
    data = secret.encode("utf-8", "surrogateescape")
    if len(data) < _SHORTEST_SPELLED:
        return set()
    spelled = {data.hex().encode(), data.hex().upper().encode(), data[::-1]}
    for shift in range(3):  # base64 spells a text in three ways, by where it stands
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + data)
            spelled.add(whole[(0, 2, 3)[shift] : len(whole) - 4])
    return {form for form in spelled if len(form) >= _SHORTEST_SPELLED}
