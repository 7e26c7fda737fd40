"""Tools that change files: whole, in places, or away."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from agent.edits import Edit, Misfit, Replacement, replace
from agent.messages import ToolResult
from agent.text import excerpt, number_of, one_line
from agent.tools import Hands, Mistake, Situation, Tool, ToolOutcome
from agent.tools.arguments import params
from agent.tools.reading import content_of, normal

__all__ = ["DELETE_FILE", "EDIT_FILE", "EDIT_FILES", "WRITE_FILE"]

_MAX_CONTENT = 1_000_000
_MAX_REPLACEMENTS = 200
_MISFIT = 2_500


@params
class WriteFile:
    """Arguments of `write_file`."""

    path: Annotated[str, Field(description="File to create or to replace, relative to the root.")]
    content: Annotated[str, Field(description="The whole content of the file.")]
    executable: Annotated[bool, Field(description="Make the file executable.")] = False


@params
class Change:
    """One replacement in a file."""

    search: Annotated[str, Field(description="Text that occurs exactly once in the file, without line numbers.")]
    replace: Annotated[str, Field(description="What shall stand there instead.")]


@params
class EditFile:
    """Arguments of `edit_file`, and one file of `edit_files`."""

    path: Annotated[str, Field(description="Existing file to edit, relative to the root.")]
    replacements: Annotated[
        tuple[Change, ...],
        Field(description="Replacements, all made at once in the file as it is.", min_length=1),
    ]


@params
class EditFiles:
    """Arguments of `edit_files`."""

    files: Annotated[tuple[EditFile, ...], Field(description="The files, each named once.", min_length=1)]


@params
class DeleteFile:
    """Arguments of `delete_file`."""

    path: Annotated[str, Field(description="File to delete, relative to the root.")]


def write_file(arguments: WriteFile, situation: Situation, hands: Hands) -> ToolOutcome:
    """Create or replace one file."""
    data = arguments.content.encode()
    if len(data) > _MAX_CONTENT:
        raise Mistake(f"the content has {len(data):,} bytes, more than {_MAX_CONTENT:,}")
    edit = Edit(path=normal(arguments.path), data=data, executable=True if arguments.executable else None)
    lines = arguments.content.count("\n") + (not arguments.content.endswith("\n") and bool(arguments.content))
    return _made([edit], f"Wrote {one_line(edit.path)} ({number_of(lines, 'line')}).", situation, hands)


def edit_file(arguments: EditFile, situation: Situation, hands: Hands) -> ToolOutcome:
    """Replace text in one file."""
    return edit_files(EditFiles(files=(arguments,)), situation, hands)


def edit_files(arguments: EditFiles, situation: Situation, hands: Hands) -> ToolOutcome:
    """Replace text in several files: all of it or none."""
    if sum(len(file.replacements) for file in arguments.files) > _MAX_REPLACEMENTS:
        raise Mistake(f"these are more than {_MAX_REPLACEMENTS} replacements in one call")
    paths = [normal(file.path) for file in arguments.files]
    if twice := sorted({path for path in paths if paths.count(path) > 1}):
        raise Mistake(f"`{one_line(twice[0])}` is named twice: put all its replacements together")
    edits, faults = [], []
    for path, file in zip(paths, arguments.files, strict=True):
        result = _replaced(path, file.replacements, situation, hands)
        if isinstance(result, Edit):
            edits.append(result)
        else:
            faults.append(f"{one_line(path)}: {result}")
    if faults:
        raise Mistake(excerpt("\n".join(["Nothing was changed.", *faults]), _MISFIT))
    return _made(edits, f"Edited {', '.join(one_line(path) for path in paths)}.", situation, hands)


def _replaced(path: str, changes: Sequence[Change], situation: Situation, hands: Hands) -> Edit | str:
    try:
        data = content_of(hands, situation.tree, path)
    except Mistake as mistake:
        return str(mistake)
    result = replace(data, [Replacement(search=change.search, replace=change.replace) for change in changes])
    return result.message if isinstance(result, Misfit) else Edit(path=path, data=result)


def delete_file(arguments: DeleteFile, situation: Situation, hands: Hands) -> ToolOutcome:
    """Delete one file."""
    path = normal(arguments.path)
    content_of(hands, situation.tree, path)
    return _made([Edit(path=path, data=None)], f"Deleted {one_line(path)}.", situation, hands)


def _made(edits: Sequence[Edit], said: str, situation: Situation, hands: Hands) -> ToolOutcome:
    tree = hands.edit(situation.tree, edits)
    content = said if tree != situation.tree else "Nothing changed: the files were like that already."
    return ToolOutcome(result=ToolResult(content=content), tree=tree)


WRITE_FILE = Tool(
    name="write_file",
    description="Create a file, or replace one by its whole new content. To change parts of a file use edit_file.",
    params=WriteFile,
    run=write_file,
)
EDIT_FILE = Tool(
    name="edit_file",
    description=(
        "Replace text in an existing file. Each search text must occur exactly once: copy it from the file with enough"
        " lines around it. If one replacement cannot be made, none is."
    ),
    params=EditFile,
    run=edit_file,
)
EDIT_FILES = Tool(
    name="edit_files",
    description="Replace text in several existing files as edit_file does, in all of them or in none.",
    params=EditFiles,
    run=edit_files,
)
DELETE_FILE = Tool(name="delete_file", description="Delete a file.", params=DeleteFile, run=delete_file)
