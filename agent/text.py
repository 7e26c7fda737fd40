"""Untrusted text made fit to be read: decoded, freed of what a terminal or a reader would not see, and cut to size."""

import hashlib
import re
import unicodedata

__all__ = [
    "cut",
    "decode",
    "encodable",
    "escapes",
    "excerpt",
    "fenced",
    "inert",
    "least_tokens",
    "number_of",
    "one_line",
    "sanitise",
    "tokens",
    "unescaped",
]

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_ESCAPE = re.compile(r"\\u\{([0-9a-f]{1,6})\}")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that are drawn as nothing."""
_CONTROL = re.compile(r"<\|[^|\s]*\|>")
_BESIDE = re.compile(r"[_\x80-\U0010ffff]+")
_MARK = r"[!-/:-@\[-^`{-~]"
_APART = re.compile(rf"[A-Za-z0-9]+(?:'[A-Za-z]+)*|(?<=[A-Za-z0-9])(?:{_MARK}{{2,}}|{_MARK}(?=\s|\Z))")
"""Words, and marks behind one if there are several or nothing follows."""
_RUNNERS = re.compile(r"##((?:vso|teamcity)?\[)", re.IGNORECASE)
_MARKER_ROOM = 80
_STAND_INS = str.maketrans({"…": "...", "·": "-", "✓": "x", "◐": "/", "○": "-", "█": "#", "░": "-"})
"""What our own signs become where they cannot be written."""


class _Table(dict[int, str]):
    """For `str.translate`: each code point's visible form, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = shown = _shown(chr(code))
        return shown


def _shown(char: str) -> str:
    if char in "\n\t":
        return char
    hidden = unicodedata.category(char) in _HIDDEN or char in _BLANKS or 0xE0000 <= ord(char) <= 0xE0FFF
    return f"\\u{{{ord(char):x}}}" if hidden else char


_TABLE = _Table()


def decode(data: bytes) -> str:
    """`data` as UTF-8; each byte that is none becomes a lone surrogate, so that encoding gives the same bytes again."""
    return data.decode("utf-8", "surrogateescape")


def sanitise(text: str) -> str:
    r"""`text` with everything invisible or acted upon by terminals made visible, as in `\u{1b}` and `\u{202e}`.

    Newlines and tabs stay, CRLF becomes a newline, and colour sequences are dropped. Doing it twice changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    return _COLOUR.sub("", text).replace("\r\n", "\n").translate(_TABLE)


def encodable(text: str, encoding: str) -> str:
    """`text` as it can be written in `encoding`: what that lacks is spelled in ASCII, as `...` or as an escape."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_STAND_INS).encode(encoding, "backslashreplace").decode(encoding)
    return text


def escapes(text: str) -> frozenset[str]:
    """The escapes that occur in `text` as `sanitise` writes them."""
    return frozenset(match[0] for match in _ESCAPE.finditer(text) if int(match[1], 16) <= 0x10FFFF)


def unescaped(text: str, only: frozenset[str]) -> str:
    """`text` with the escapes in `only` turned back into what they stand for."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[0] in only else match[0], text)


def one_line(text: str, limit: int = 200) -> str:
    """`text` sanitised, on one line, of at most `limit` characters."""
    line = " ".join(sanitise(text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def cut(text: str, limit: int) -> tuple[int, int] | None:
    """The range of `text` to leave out so that about `limit` characters remain, two fifths of them at the head.

    Ends of lines near by are preferred. None if `text` fits.
    """
    if len(text) <= limit:
        return None
    room = max(limit - _MARKER_ROOM, 2)
    start, end = room * 2 // 5, len(text) - (room - room * 2 // 5)
    if (newline := text.rfind("\n", start * 3 // 4, start)) >= 0:
        start = newline + 1
    if (newline := text.find("\n", end, end + room // 8)) >= 0:
        end = newline + 1
    return start, end


def excerpt(text: str, limit: int) -> str:
    """Head and tail of `text` with a line between them that says how much was left out.

    The result is no longer than `limit` as long as that is 100 characters or more.
    """
    if (gap := cut(text, limit)) is None:
        return text
    start, end = gap
    head = text[:start] if text[:start].endswith("\n") or not start else text[:start] + "\n"
    return f"{head}[… {end - start} of {len(text)} characters left out …]\n{text[end:]}"


def fenced(text: str, label: str) -> str:
    """`text` between two lines that it cannot contain itself, since they carry its own digest."""
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    newline = "" if not text or text.endswith("\n") else "\n"
    return f"--- {label} {mark}\n{text}{newline}--- end of {label} {mark}"


def number_of(count: int, noun: str) -> str:
    """As `1 file` and `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def inert(text: str) -> str:
    r"""`text` in which nothing is left that Azure's or TeamCity's runner acts upon wherever it stands in a line.

    `##vso[...]` becomes `#\u0023vso[...]`, which is the same in JSON. Lines that begin with `::` are GitHub's, and have
    to be switched off by its own means.
    """
    return _RUNNERS.sub(r"#\\u0023\1", text)


def tokens(text: str) -> int:
    """An estimate of the tokens in `text`: a quarter of its ASCII characters and all others."""
    others = len(text) - len(text.encode("ascii", "ignore"))
    return (len(text) - others) // 4 + others


def least_tokens(text: str) -> int:
    """As few tokens as a tokenizer makes of `text`: all that are in use cut it before they merge anything.

    No token spans two words of ASCII, nor a word and more than one mark behind it, or one that ends there. On source
    code and prose that comes to about two thirds of what the tokenizers of GPT, Claude and DeepSeek really make.
    """
    ascii_only = _BESIDE.sub("", _CONTROL.sub(" ", text))
    return len(_APART.findall(ascii_only)) or int(bool(text.strip()))
