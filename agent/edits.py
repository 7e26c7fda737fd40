"""Edits as data: files to write or delete, and replacements of text whose place is found or not at all."""

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from agent.text import decode, escapes, number_of, one_line, unescaped
from sandbox import Refusal

__all__ = ["Edit", "Misfit", "Refused", "Replacement", "replace"]

_SHOWN_LINES = 8
_SHOWN_PLACES = 5
_ENOUGH_ALIKE = 0.6
_LINES_COMPARED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One file as it shall be in a tree."""

    path: str
    data: bytes | None
    """The whole content; None deletes the file."""
    executable: bool | None = None
    """None keeps the bit of an existing file."""


class Refused(Exception):
    """Edits that the path policy or the sealed files do not allow; none of them was made."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("; ".join(f"{refusal.path}: {refusal.reason}" for refusal in refusals))
        self.refusals = tuple(refusals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """Text to be found once in a file, and what shall stand in its place."""

    search: str
    replace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why replacements cannot be made, for the model to read."""

    message: str


@dataclass(frozen=True, slots=True)
class _Span:
    """A place in the text, and what shall stand there."""

    start: int
    end: int
    text: str


def replace(data: bytes, edits: Sequence[Replacement]) -> bytes | Misfit:
    """`data` with all `edits` made at once, each at its one place in `data`; or why not.

    A place is found by the exact text, else by whole lines but for spaces at their ends, else by whole lines but for
    their indentation, which the replacement is then given too. CRLF stays where it was. All other bytes stay as they
    are, whatever their encoding.
    """
    source = _Source(decode(data))
    spans: list[_Span] = []
    faults: list[str] = []
    for number, edit in enumerate(edits, 1):
        found = _find(source, edit)
        if isinstance(found, _Span):
            spans.append(found)
        else:
            faults.append(f"replacement {number}: {found}" if len(edits) > 1 else found)
    if faults:
        return Misfit(message="\n".join(faults))
    if overlap := _overlap(source, spans):
        return Misfit(message=overlap)
    return source.replaced(spans).encode("utf-8", "surrogateescape")


class _Source:
    """A text with its lines and where they begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        """Without their newlines; the last is empty if the text ends with a newline."""
        self.starts = [0]
        for line in self.lines[:-1]:
            self.starts.append(self.starts[-1] + len(line) + 1)

    def line_at(self, position: int) -> int:
        return bisect.bisect_right(self.starts, position) - 1

    def crlf_at(self, position: int) -> bool:
        """Whether lines end with CRLF there: at that line, or at the one before if it is the last."""
        line = self.line_at(position)
        if line == len(self.lines) - 1 and line > 0:
            line -= 1
        return line < len(self.lines) - 1 and self.lines[line].endswith("\r")

    def replaced(self, spans: Sequence[_Span]) -> str:
        parts, position = [], 0
        for span in sorted(spans, key=lambda span: span.start):
            parts += [self.text[position : span.start], span.text]
            position = span.end
        return "".join([*parts, self.text[position:]])


def _overlap(source: _Source, spans: Sequence[_Span]) -> str:
    ordered = sorted(spans, key=lambda span: (span.start, span.end))
    for before, after in itertools.pairwise(ordered):
        if after.start < before.end:
            return f"two replacements overlap at line {source.line_at(after.start) + 1}: make them one"
    return ""


def _find(source: _Source, edit: Replacement) -> _Span | str:
    """The one place of `edit.search`, or what to tell the model."""
    if fault := _fault(edit):
        return fault
    for candidate in _readings(edit):
        for find in (_exact, _by_lines(str.rstrip), _by_lines(str.strip)):
            spans = find(source, candidate)
            if len(spans) == 1:
                return spans[0]
            if spans:
                return _ambiguous(source, spans)
    return _missing(source, edit.search)


def _fault(edit: Replacement) -> str:
    if not edit.search:
        return "the text to search for is empty; to write a whole file use `write_file`"
    if edit.search == edit.replace:
        return "the replacement equals the text to search for"
    try:
        (edit.search + edit.replace).encode()
    except UnicodeEncodeError:
        return "the text holds half of a surrogate pair, which no file can hold"
    return ""


def _readings(edit: Replacement) -> list[Replacement]:
    r"""`edit` as it stands and, if it quotes escapes as they are shown to the model (`\u{200b}`), with these undone."""
    quoted = escapes(edit.search)
    if not quoted:
        return [edit]
    return [edit, Replacement(search=unescaped(edit.search, quoted), replace=unescaped(edit.replace, quoted))]


def _exact(source: _Source, edit: Replacement) -> list[_Span]:
    needles = [edit.search, edit.search.replace("\r\n", "\n").replace("\n", "\r\n")]
    needle = next((needle for needle in needles if needle in source.text), "")
    spans: list[_Span] = []
    position = source.text.find(needle) if needle else -1
    while position >= 0 and len(spans) <= _SHOWN_PLACES:
        text = _ended(edit.replace, crlf=source.crlf_at(position))
        spans.append(_Span(position, position + len(needle), text))
        position = source.text.find(needle, position + 1)
    return spans


def _ended(text: str, *, crlf: bool) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n") if crlf else text


def _by_lines(normal: Callable[[str], str]) -> Callable[[_Source, Replacement], list[_Span]]:
    """A search for whole lines that are equal once each was put through `normal`."""

    def find(source: _Source, edit: Replacement) -> list[_Span]:
        needle = edit.search.removesuffix("\n").split("\n")
        wanted = [normal(line) for line in needle]
        if not any(wanted):
            return []
        lines = [normal(line) for line in source.lines]
        first, last = wanted[0], len(lines) - len(wanted)
        places = [n for n in range(last + 1) if lines[n] == first and lines[n : n + len(wanted)] == wanted]
        if len(places) > 1:
            return [_Span(source.starts[place], source.starts[place], "") for place in places[: _SHOWN_PLACES + 1]]
        return [span for place in places if (span := _line_span(source, edit, place, needle))]

    return find


def _line_span(source: _Source, edit: Replacement, place: int, needle: Sequence[str]) -> _Span | None:
    """The lines from `place` on; None if it cannot be told how the replacement is to be indented there."""
    last = place + len(needle) - 1
    found = source.lines[place : last + 1]
    new = _indented(edit.replace, needle, found)
    if new is None:
        return None
    end = source.starts[last] + len(source.lines[last].removesuffix("\r"))
    if edit.search.endswith("\n") and last + 1 < len(source.lines):
        end = source.starts[last + 1]
    elif edit.search.endswith("\n"):
        new = new.removesuffix("\n")
    return _Span(source.starts[place], end, _ended(new, crlf=source.crlf_at(source.starts[place])))


def _indented(text: str, needle: Sequence[str], found: Sequence[str]) -> str | None:
    """`text` moved from the indentation of `needle` to that of `found`, if each indentation has one counterpart."""
    pairs = [(_indent(a), _indent(b)) for a, b in zip(needle, found, strict=True) if a.strip()]
    known = dict(pairs)
    if any(known[a] != b for a, b in pairs):
        return None
    (first, target), lines = pairs[0], []
    for line in text.split("\n"):
        indent = _indent(line)
        if not line.strip():
            lines.append(line)
        elif indent in known:
            lines.append(known[indent] + line[len(indent) :])
        elif target.endswith(first) and _moved(pairs, added=target[: len(target) - len(first)]):
            lines.append(target[: len(target) - len(first)] + line)
        elif (gone := first.removesuffix(target)) and indent.startswith(gone) and _less(pairs, gone):
            lines.append(line[len(gone) :])
        else:
            return None
    return "\n".join(lines)


def _moved(pairs: Sequence[tuple[str, str]], added: str) -> bool:
    return all(b == added + a for a, b in pairs)


def _less(pairs: Sequence[tuple[str, str]], gone: str) -> bool:
    return all(a == gone + b for a, b in pairs)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _ambiguous(source: _Source, spans: Sequence[_Span]) -> str:
    numbers = [str(source.line_at(span.start) + 1) for span in spans]
    more = " and elsewhere" if len(numbers) > _SHOWN_PLACES else ""
    places = ", ".join(numbers[:_SHOWN_PLACES])
    return f"the text occurs more than once, at lines {places}{more}: add lines around it so that it occurs once"


def _missing(source: _Source, search: str) -> str:
    """That there is no such text, with the lines that come nearest to it."""
    needle = search.strip("\n").split("\n")
    if not search.strip():
        return "the text is not in the file: quote more than blanks"
    if all(line.partition("\t")[0].strip().isdigit() for line in needle if line.strip()):
        return "the text is not in the file: line numbers are shown by `read_file`, but are no part of the file"
    place = _nearest(source.lines, needle)
    if place is None:
        return f"the text is not in the file, nor anything like it ({number_of(len(source.lines), 'line')})"
    shown = source.lines[place : place + min(len(needle), _SHOWN_LINES)]
    lines = [f"{number}\t{_shown(line)}" for number, line in enumerate(shown, place + 1)]
    return "\n".join(["the text is not in the file; the nearest lines are", *lines])


def _shown(line: str) -> str:
    """A line with its indentation, cut to what is worth showing."""
    return _indent(line).replace("\r", "") + one_line(line.strip(), 200)


def _nearest(lines: Sequence[str], needle: Sequence[str]) -> int | None:
    """Where the most lines agree, else where the longest line has its likest; None if nothing is like it."""
    stripped = [line.strip() for line in lines[:_LINES_COMPARED]]
    wanted = [(offset, line.strip()) for offset, line in enumerate(needle) if line.strip()]
    places: dict[str, list[int]] = {}
    for number, line in enumerate(stripped):
        places.setdefault(line, []).append(number)
    votes: dict[int, int] = {}
    for offset, line in wanted:
        for number in places.get(line, ())[:100]:
            votes[number - offset] = votes.get(number - offset, 0) + len(line)
    if votes:
        return max(0, max(votes, key=lambda place: (votes[place], -place)))
    offset, anchor = max(wanted, key=lambda pair: len(pair[1]))
    matcher = SequenceMatcher(b=anchor[:200], autojunk=False)
    best, likest = _ENOUGH_ALIKE, None
    for number, line in enumerate(stripped):
        matcher.set_seq1(line[:200])
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and (ratio := matcher.ratio()) > best:
            best, likest = ratio, number
    return None if likest is None else max(0, likest - offset)
