"""Tools that look at the tree and at what commands printed."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import Field

from agent.messages import ToolResult
from agent.text import decode, number_of, one_line, sanitise
from agent.tools import FileEntry, Hands, Match, Mistake, Situation, Tool, ToolOutcome
from agent.tools.arguments import params

__all__ = ["LIST_FILES", "READ_FILE", "READ_OUTPUT", "SEARCH", "content_of", "normal"]

_LISTED = 8_000
_READ = 16_000
_FOUND = 8_000
_OUTPUT = 8_000
_LONG_LINE = 2_000
_MATCH = 300
_ARTIFACT = re.compile(r"[A-Za-z0-9_-]{1,128}")


@params
class ListFiles:
    """Arguments of `list_files`."""

    path: Annotated[str, Field(description="Directory to list; empty for all.")] = ""


@params
class ReadFile:
    """Arguments of `read_file`."""

    path: Annotated[str, Field(description="File to read, relative to the root.")]
    start: Annotated[int, Field(description="First line to show, from 1.", ge=1)] = 1
    lines: Annotated[int, Field(description="How many lines to show; 0 for as many as fit.", ge=0)] = 0


@params
class Search:
    """Arguments of `search`."""

    pattern: Annotated[str, Field(description="Regular expression, matched line by line.", min_length=1)]
    glob: Annotated[str, Field(description="Only files whose path matches, as `src/*.py`; empty for all.")] = ""


@params
class ReadOutput:
    """Arguments of `read_output`."""

    id: Annotated[str, Field(description="The id that was given where output was left out.")]
    offset: Annotated[int, Field(description="First character to show, from 0.", ge=0)] = 0


def normal(path: str) -> str:
    """`path` without a leading `./`, which models like to write."""
    return path.removeprefix("./")


def content_of(hands: Hands, tree: str, path: str) -> bytes:
    """The content of a file.

    Raises:
        Mistake: there is none; the message names files that are called alike.
    """
    try:
        return hands.read(tree, path)
    except KeyError:
        raise Mistake(f"there is no file `{one_line(path)}`{_alike(path, hands.files(tree))}") from None


def _alike(path: str, entries: Sequence[FileEntry]) -> str:
    if any(entry.path.startswith(f"{path}/") for entry in entries):
        return ": it is a directory"
    paths = [entry.path for entry in entries[:5_000]]
    name = path.rpartition("/")[2]
    same = [known for known in paths if known.rpartition("/")[2] == name]
    near = same[:3] or difflib.get_close_matches(path[:200], paths, n=3, cutoff=0.7)
    return f"; did you mean {', '.join(f'`{one_line(known)}`' for known in near)}?" if near else ""


def _said(content: str, situation: Situation) -> ToolOutcome:
    return ToolOutcome(result=ToolResult(content=content), tree=situation.tree)


def list_files(arguments: ListFiles, situation: Situation, hands: Hands) -> ToolOutcome:
    """Name all files; where they are too many, the deepest directories by their number of files."""
    top = normal(arguments.path).rstrip("/")
    top = "" if top == "." else top
    prefix = f"{top}/" if top else ""
    entries = hands.files(situation.tree)
    below = [entry for entry in entries if entry.path.startswith(prefix)]
    if not below:
        if top:
            raise Mistake(f"there is no directory `{one_line(top)}`{_alike(top, entries)}")
        return _said("There are no files.", situation)
    depth = max(entry.path.count("/") for entry in below) - prefix.count("/") + 1
    while depth > 1 and sum(map(len, _listing(below, prefix, depth))) > _LISTED:
        depth -= 1
    lines = _fitting(_listing(below, prefix, depth), _LISTED)
    head = f"{number_of(len(below), 'file')}{f' in {one_line(top)}' if top else ''}:"
    return _said("\n".join([head, *lines]), situation)


def _listing(entries: Iterable[FileEntry], prefix: str, depth: int) -> list[str]:
    """Files down to `depth` levels below `prefix` with their sizes, and directories there with their counts."""
    shown: dict[str, int] = {}
    lines = []
    for entry in entries:
        parts = entry.path[len(prefix) :].split("/")
        if len(parts) <= depth:
            lines.append(f"{one_line(entry.path, 400)}  {_size(entry.size)}\n")
            continue
        directory = prefix + "/".join(parts[:depth]) + "/"
        shown[directory] = shown.get(directory, 0) + 1
    directories = [f"{one_line(path, 400)}  {number_of(count, 'file')}, not listed\n" for path, count in shown.items()]
    return sorted([*lines, *directories])


def _size(size: int) -> str:
    return f"{size} B" if size < 1_000 else f"{size / 1_000:.1f} kB"


def _fitting(lines: Sequence[str], limit: int) -> list[str]:
    """The lines that fit into `limit` characters, and how many do not."""
    kept: list[str] = []
    for number, line in enumerate(lines):
        limit -= len(line)
        if limit < 0:
            return [*kept, f"and {len(lines) - number} more: ask for less"]
        kept.append(line.rstrip("\n"))
    return kept


def read_file(arguments: ReadFile, situation: Situation, hands: Hands) -> ToolOutcome:
    """Show lines with their numbers."""
    path = normal(arguments.path)
    data = content_of(hands, situation.tree, path)
    if b"\0" in data:
        raise Mistake(f"`{one_line(path)}` is binary ({len(data):,} bytes), so it is not shown")
    lines = sanitise(decode(data)).removesuffix("\n").split("\n") if data else []
    first = arguments.start - 1
    if not lines:
        return _said(f"{one_line(path)} is empty.", situation)
    if first >= len(lines):
        raise Mistake(f"`{one_line(path)}` has {number_of(len(lines), 'line')}, none from {arguments.start} on")
    wanted = lines[first : first + arguments.lines] if arguments.lines else lines[first:]
    shown = _numbered(wanted, arguments.start)
    last = first + len(shown)
    head = f"{one_line(path)}, lines {arguments.start} to {last} of {len(lines)}{_traits(data)}:"
    more = [f"Lines {last + 1} to {len(lines)} follow: read_file with start={last + 1}."] if last < len(lines) else []
    return _said("\n".join([head, *shown, *more]), situation)


def _traits(data: bytes) -> str:
    """What one should know to edit the file and cannot see in its lines."""
    traits = ["CRLF"] if b"\r\n" in data else []
    try:
        data.decode()
    except UnicodeDecodeError:
        traits.append("not UTF-8")
    return f" ({', '.join(traits)})" if traits else ""


def _numbered(lines: Sequence[str], start: int) -> list[str]:
    """As many lines as fit, at least one."""
    shown: list[str] = []
    room = _READ
    for number, line in enumerate(lines, start):
        rest = len(line) - _LONG_LINE
        text = f"{number}\t{line[:_LONG_LINE]}" + (f"[… {rest} more characters]" if rest > 0 else "")
        room -= len(text) + 1
        if room < 0 and shown:
            break
        shown.append(text)
    return shown


def search(arguments: Search, situation: Situation, hands: Hands) -> ToolOutcome:
    """Show the lines that match, as `path:line: text`."""
    try:
        matches = hands.search(situation.tree, arguments.pattern, normal(arguments.glob))
    except ValueError as error:
        raise Mistake(f"the search cannot be made: {one_line(str(error), 300)}") from None
    where = f" in files like `{one_line(arguments.glob)}`" if arguments.glob else ""
    if not matches:
        return _said(f"No line matches{where}.", situation)
    files = len({match.path for match in matches})
    head = f"{number_of(len(matches), 'line')} in {number_of(files, 'file')}:"
    return _said("\n".join([head, *_fitting([_match(match) for match in matches], _FOUND)]), situation)


def _match(match: Match) -> str:
    text = sanitise(match.text[: 2 * _MATCH]).replace("\n", " ")
    text = text if len(text) <= _MATCH else text[: _MATCH - 1] + "…"
    return f"{one_line(match.path, 400)}:{match.line}: {text}\n"


def read_output(arguments: ReadOutput, situation: Situation, hands: Hands) -> ToolOutcome:
    """Show a part of what was kept."""
    unknown = Mistake(f"there is no output with the id `{one_line(arguments.id, 80)}`")
    if not _ARTIFACT.fullmatch(arguments.id):
        raise unknown
    try:
        text = sanitise(decode(hands.kept(arguments.id)))
    except KeyError:
        raise unknown from None
    start, end = arguments.offset, min(arguments.offset + _OUTPUT, len(text))
    if start >= len(text):
        raise Mistake(f"the output has {len(text)} characters, none from {start} on")
    more = f"\nMore follows: read_output with offset={end}." if end < len(text) else ""
    return _said(f"Characters {start} to {end} of {len(text)}:\n{text[start:end]}{more}", situation)


LIST_FILES = Tool(
    name="list_files",
    description="List the files of the project, or of one directory, with their sizes.",
    params=ListFiles,
    run=list_files,
)
READ_FILE = Tool(
    name="read_file",
    description=(
        "Read a text file, or a range of its lines. Each line is shown after its number and a tab, which are no part"
        " of the file. Invisible characters are shown as \\u{200b} and may be quoted so in edits."
    ),
    params=ReadFile,
    run=read_file,
)
SEARCH = Tool(
    name="search",
    description="Find the lines that match a regular expression in the files of the project.",
    params=Search,
    run=search,
)
READ_OUTPUT = Tool(
    name="read_output",
    description="Read a part of what a command or a test run printed, where a result was cut and named an id.",
    params=ReadOutput,
    run=read_output,
)
