"""Commit messages: a subject and a body that a model may have written, and trailers that are ours alone."""

import re
import unicodedata
from collections.abc import Callable, Sequence

__all__ = ["compose", "obeyed", "one_line"]

_SUBJECT = 72
_BODY = 8_000
_SPECIAL = re.compile(r"(?:---|#|;|diff |Index: |Conflicts:|>|-{4,})")
_ACTED_UPON: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(
            r"\[ *(?:skip[ -](?:ci|actions)|(?:ci|actions)[ -]skip|no[ -]ci) *\]|\*{3}NO_CI\*{3}", re.IGNORECASE
        ),
        lambda found: f"({found[0].strip('[]* ')})",
    ),
    (
        re.compile(r"^(skip-checks|signed-off-by|co-authored-by)\s*:", re.IGNORECASE | re.MULTILINE),
        lambda found: f"{found[1]} -",
    ),
    (re.compile(r"@(?=\w)"), lambda _: "(at)"),
    (re.compile(r"(\w?)#(?=\d)"), lambda found: f"{found[1]} no. ".lstrip()),
    (re.compile(r"\b(GH)-(?=\d)", re.IGNORECASE), lambda found: f"{found[1]} no. "),
    (
        re.compile(r"(?<=/)(issues|pulls?|merge_requests|work_items|epics|discussions)/(?=\d)", re.IGNORECASE),
        lambda found: f"{found[1]} no. ",
    ),
)
"""What forges act upon, and how it is spelled instead: words that start no pipeline, mentions of people, which notify
them, numbers and addresses of issues, which `Closes` before them closes, and trailers that speak for others."""
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def compose(subject: str, body: str, trailers: Sequence[tuple[str, str]]) -> str:
    """A message whose trailer block is exactly `trailers`, whatever the other two say.

    Text that forges act upon (`[skip ci]`, `Closes #1`, `@somebody`) is defused. A trailer's name is a word of
    letters, digits and dashes.

    Raises:
        ValueError: there is no trailer, or one has no proper name.
    """
    if not trailers or not all(_TOKEN.fullmatch(name) for name, _ in trailers):
        raise ValueError("a message needs trailers with proper names")
    paragraphs = [_cut(_defused(one_line(subject).lstrip("-#;> ")), _SUBJECT) or "Change", _body(body)]
    paragraphs.append("\n".join(f"{name}: {_defused(one_line(value)) or '-'}" for name, value in trailers))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def obeyed(message: str) -> str:
    """The first thing in `message` that a forge acts upon or that a reader does not see; empty if there is none.

    What `compose` makes has none.
    """
    for shape, _ in _ACTED_UPON:
        if found := shape.search(message):
            return message[found.start() : found.end() + 20].partition("\n")[0]
    return next((repr(c) for c in message if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs"}), "")


def one_line(text: str) -> str:
    """`text` on one line, without characters that cannot be seen."""
    return " ".join(_visible(text).split())


def _body(text: str) -> str:
    lines = [line.rstrip() for line in _defused(_visible(text)).splitlines()]
    return _cut("\n".join(f" {line}" if _SPECIAL.match(line) else line for line in lines).strip("\n"), _BODY)


def _defused(text: str) -> str:
    for shape, spell in _ACTED_UPON:
        text = shape.sub(spell, text)
    return text


def _visible(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    text = "".join("\n" if c in "\r\v\f\x85\u2028\u2029" else c for c in text)
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in {"Cc", "Cf", "Cs"})


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
