"""Signs that the display draws with, and text cut to the width of a terminal."""

from dataclasses import dataclass

from rich.cells import cell_len, chop_cells, set_cell_size

from agent.text import encodable, sanitise

__all__ = ["ASCII", "UNICODE", "Signs", "signs_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """A set of signs; widths are in cells, of which wide characters take two."""

    spinner: str
    done: str
    partly: str
    open: str
    unknown: str
    full: str
    empty: str
    more: str
    dot: str

    def clipped(self, text: str, width: int) -> str:
        """`text` on one line of at most `width` cells: its beginning."""
        line = self._line(text[: 4 * width + 40])
        if cell_len(line) <= width:
            return line
        return set_cell_size(line, max(0, width - cell_len(self.more))).rstrip() + self.more

    def ending(self, text: str, width: int) -> str:
        """`text` on one line of at most `width` cells: its end."""
        line = self._line(text[-4 * width - 40 :])
        if cell_len(line) <= width:
            return line
        room = max(1, width - cell_len(self.more))
        while cell_len(line) > room:
            line = line[max(1, (cell_len(line) - room) // 2) :]
        return self.more + line.lstrip()

    def wrapped(self, text: str, width: int, lines: int) -> list[str]:
        """The last `lines` lines that `text` takes at `width` cells, without blank ones."""
        found: list[str] = []
        for line in sanitise(text).expandtabs(4).split("\n"):
            if line.strip():
                found += _folded(line.rstrip(), width)
        return [self._spelled(line) for line in found[-lines:]]

    def joined(self, parts: list[str], width: int) -> str:
        """As many of `parts` as fit, with dots between them."""
        line = ""
        for part in parts:
            longer = f"{line}{self.dot}{part}" if line else part
            if part and cell_len(longer) <= width:
                line = longer
        return line

    def _line(self, text: str) -> str:
        return self._spelled(" ".join(sanitise(text).split()))

    def _spelled(self, text: str) -> str:
        return encodable(text, "ascii") if self is ASCII else text


UNICODE = Signs(
    spinner="⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", done="✓", partly="◐", open="○", unknown="·", full="█", empty="░", more="…", dot=" · "
)  # fmt: skip
ASCII = Signs(spinner="|/-\\", done="x", partly="/", open="o", unknown="-", full="#", empty=".", more="...", dot=" - ")


def signs_for(encoding: str) -> Signs:
    """The signs that can be written in `encoding`."""
    try:
        "".join(getattr(UNICODE, name) for name in UNICODE.__slots__).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def _folded(line: str, width: int) -> list[str]:
    """`line` in pieces of at most `width` cells, parted at blanks where there are some."""
    pieces: list[str] = []
    piece = ""
    for word in line.split(" "):
        longer = f"{piece} {word}" if piece else word
        if cell_len(longer) <= width:
            piece = longer
            continue
        pieces += [piece] if piece.strip() else []
        *whole, piece = chop_cells(word, width) or [""]
        pieces += whole
    return [*pieces, piece] if piece.strip() else pieces
