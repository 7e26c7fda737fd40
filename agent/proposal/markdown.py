"""Text of strangers in Markdown: shown as it is, never acted upon. Pure.

All of it stands in code: there forges make no links, mentions, images or headings of it, and no HTML is taken for such.
"""

import re

from agent.text import excerpt, one_line, sanitise

__all__ = ["block", "code"]

LINE = 200
BLOCK = 4_000
"""Characters."""


def code(text: str, limit: int = LINE) -> str:
    """`text` on one line, as code that can stand in a table too; a dash if there is none."""
    line = one_line(text, limit).replace("|", "\\|")
    if not line:
        return "-"
    ticks = "`" * (_longest(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def block(text: str, limit: int = BLOCK) -> str:
    """`text` as a block of code, cut in its middle where it is long."""
    shown = excerpt(sanitise(excerpt(text, limit)), limit).strip("\n")
    fence = "`" * max(3, _longest(shown) + 1)
    return f"{fence}text\n{shown}\n{fence}"


def _longest(text: str) -> int:
    """The length of the longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)
