"""The repository, and how the tests of its project would be run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from agent.doctor import Context, Finding, ok, skipped, warning
from agent.errors import GreenwardError, UsageProblem
from agent.projectsettings import in_repository, project_of, project_settings
from agent.projecttable import read_table
from agent.recipe import Settings, recipe_for
from agent.repository import find
from agent.text import number_of, one_line
from agent.workspace import Workspace

__all__ = ["check_repository", "check_tests"]

SHOWN = 100
"""Characters of a command."""
BRANCH = ("symbolic-ref", "--quiet", "--short", "HEAD")


def check_repository(context: Context) -> Finding:
    """Whether there is a repository that can be worked on as it is."""
    if _nowhere(context):
        return skipped(_why_not(context), "`fix` and `change` work on one: name it with `--repo`; `new` makes one")
    context.say("reading the repository")
    with _opened(context) as (workspace, tree, left_out):
        branch = workspace.git.text(*BRANCH, ok=(0, 1)) or "no branch"
        files = number_of(len(workspace.files(tree)), "file")
    found = f"{workspace.repository.top} on {branch}: {files}"
    return ok(found + (f", {left_out} left out (secrets or too large)" if left_out else ""))


def check_tests(context: Context) -> Finding:
    """The commands that a run would use, and who states them."""
    if _nowhere(context):
        return skipped("no repository")
    with ExitStack() as stack:
        try:
            workspace, tree, _ = stack.enter_context(_opened(context))
        except GreenwardError:
            return skipped("the repository cannot be worked on")
        project = project_of(workspace, tree)
        settings = project_settings(project, {})
        stated = Settings(**{name: each.value for name, each in read_table(project).items()})
        notes = recipe_for(project, settings=stated).notes
    parts = {name: f"{settings[name].value} ({settings[name].source})" for name in ("test", "build", "setup")}
    found = "; ".join(f"{name}: {one_line(text, SHOWN)}" for name, text in parts.items())
    if notes:
        hint = "if that matters, `--setup`, `--build`, `--test` and `--image` say it instead"
        return warning(f"{found}; {'; '.join(notes)}", hint, details=parts)
    return ok(found, details=parts)


def _nowhere(context: Context) -> bool:
    """Whether nobody named a repository and there is none."""
    return not context.named and not in_repository(context.repo)


def _why_not(context: Context) -> str:
    try:
        return f"the repository is {find(context.repo, context.environ).top}"
    except UsageProblem as error:
        return error.message


@contextmanager
def _opened(context: Context) -> Iterator[tuple[Workspace, str, int]]:
    """The workspace, the tree of the work as it stands, and how many files a run would leave out."""
    with Workspace.open(context.repo, cwd=context.cwd, environment=context.environ) as workspace:
        tree, left_out = workspace.scanner.scan(workspace.head_tree())
        yield workspace, tree, len(left_out)
