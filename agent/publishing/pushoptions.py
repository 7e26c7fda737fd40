"""A merge request asked for by options of a push, as GitLab takes them: for a token that may write the repository only.

Options: docs.gitlab.com, "Push options for merge requests". Pure.
"""

from agent.publishing.body import shortened
from agent.publishing.forges import Draft

__all__ = ["NOT_DONE", "options_of"]

LONGEST = 60_000
"""Bytes of one option: git sends each in a packet, which holds 65,516."""
NOT_DONE = "Error encountered with push options"
"""What GitLab says, beside a push that went well, if it did not do what the options ask for."""


def options_of(draft: Draft, *, new: bool) -> tuple[str, ...]:
    """The options that open a request for the branch that is pushed, or bring the body of the open one up to date.

    Title and draft state of one that there is are left to people. In the place of one that a person closed none is
    opened, unless it is to be a `new` one.
    """
    description = f"merge_request.description={_on_one_line(draft.body)}"
    if not new:
        return (description,)
    return (
        "merge_request.create",
        "merge_request.draft",
        "merge_request.remove_source_branch",
        f"merge_request.target={draft.target}",
        f"merge_request.title=Draft: {draft.title}",
        description,
    )


def _on_one_line(text: str) -> str:
    r"""`text` as an option spells it, which has no line breaks: GitLab makes one of each `\n`.

    A `\n` that stood in the text would become one as well, and what follows it a line, on which a command can stand.
    """
    plain = text.replace("\\n", "\\u{5c}n")
    limit = len(plain)
    while len((spelled := shortened(plain, limit).replace("\n", "\\n")).encode("utf-8", "replace")) > LONGEST:
        limit = limit * 9 // 10
    return spelled
