"""Commit messages: a subject and a body that a model may have written, and trailers that are ours alone."""

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["compose", "obeyed", "one_line"]

_SUBJECT = 72
_BODY = 8_000
_SPECIAL = re.compile(r"(?:---|#|;|diff |Index: |Conflicts:|>|-{4,})")
_SKIP = re.compile(r"\[\s*(skip[ -](?:ci|actions)|(?:ci|actions)[ -]skip|no[ -]ci)\s*\]", re.IGNORECASE)
_CLOSES = re.compile(r"\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(\s*:?\s+)([\w./-]*#\d+)", re.IGNORECASE)
_SIGNED = re.compile(r"^(?:signed-off-by|co-authored-by)\s*:.*", re.IGNORECASE | re.MULTILINE)
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def compose(subject: str, body: str, trailers: Sequence[tuple[str, str]]) -> str:
    """A message whose trailer block is exactly `trailers`, whatever the other two say.

    Text that forges services act on (`[skip ci]`, `Closes #1`) is defused. A trailer's name is a word of letters,
    digits and dashes.

    Raises:
        ValueError: there is no trailer, or one has no proper name.
    """
    if not trailers or not all(_TOKEN.fullmatch(name) for name, _ in trailers):
        raise ValueError("a message needs trailers with proper names")
    paragraphs = [_cut(one_line(_defused(subject)).lstrip("-#;> "), _SUBJECT) or "Change", _body(body)]
    paragraphs.append("\n".join(f"{name}: {one_line(value) or '-'}" for name, value in trailers))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def obeyed(message: str) -> str:
    """The first thing in `message` that a forge acts upon or that a reader does not see; empty if there is none.

    What `compose` makes has none.
    """
    if found := _SKIP.search(message) or _CLOSES.search(message) or _SIGNED.search(message):
        return found[0]
    return next((repr(c) for c in message if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs"}), "")


def one_line(text: str) -> str:
    """`text` on one line, without characters that cannot be seen."""
    return " ".join(_visible(text).split())


def _body(text: str) -> str:
    lines = [line.rstrip() for line in _defused(_visible(text)).splitlines()]
    return _cut("\n".join(f" {line}" if _SPECIAL.match(line) else line for line in lines).strip("\n"), _BODY)


def _defused(text: str) -> str:
    return _CLOSES.sub(lambda found: found[0].replace("#", "no. "), _SKIP.sub(r"(\1)", text))


def _visible(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    text = "".join("\n" if c in "\r\v\f\x85\u2028\u2029" else c for c in text)
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in {"Cc", "Cf", "Cs"})


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
