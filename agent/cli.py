"""The command line: options in, exit codes out. Only this file reads the environment, prints and exits."""

import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from agent import __version__
from agent.console import Console
from agent.errors import GreenwardError, UsageProblem
from agent.redact import Secret
from agent.text import excerpt, sanitise
from sandbox import SandboxError, SetupFailed

if TYPE_CHECKING:
    from agent.config import Key
    from agent.runs import StoredRun
    from agent.session import Surroundings
    from agent.state import RunState
    from agent.workspace import Workspace

__all__ = ["app", "main"]

LOG_SHOWN = 4_000
"""Characters of the log of a setup that failed."""


class Interrupted(Exception):
    """The user, or whoever supervises the process, wants it to end."""


class Commands(TyperGroup):
    """Tells interruptions and a closed standard output apart from ends that typer would turn into exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Carry out the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None


console = Console(say=partial(print, flush=True), tell=lambda text: print(text, file=sys.stderr, flush=True))

app = typer.Typer(
    name="greenward",
    cls=Commands,
    help="Turns a request or a red test suite into a branch of commits whose tests pass, proven in a fresh container,"
    " inside a budget. Your checkout stays as it is until you accept.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
image = typer.Typer(help="Base images.\n\nExample: greenward image import base.tar.zst", no_args_is_help=True)
app.add_typer(image, name="image")

Flags = dict[str, object]
Repo = Annotated[Path, typer.Argument(help="The repository.", show_default="the current directory")]
Where = Annotated[Path, typer.Option("--repo", help="The repository.", show_default="the current directory")]
RunId = Annotated[str | None, typer.Argument(metavar="RUN", help="A run's id or its beginning; else the newest.")]

Group = dict[str, tuple[Any, object]]


def _option(kind: Any, text: str, metavar: str | None = None) -> tuple[Any, object]:
    return Annotated[kind | None, typer.Option(help=text, metavar=metavar)], None


SERVER: Group = {
    "base_url": _option(str, "The address of an OpenAI-compatible server.", "URL"),
    "sandbox": _option(str, "`docker`, or `local`, which isolates nothing.", "KIND"),
    "allow_unproven": (
        Annotated[bool, typer.Option("--allow-unproven", help="Exit with 0 also when green but unproven.")],
        False,
    ),
}
MODEL: Group = {
    "model": _option(str, "The model's id.", "ID"),
    "prices": _option(str, "Its dollars per million tokens.", "IN,CACHED,OUT"),
    "context": _option(int, "The model's context.", "TOKENS"),
    "max_output": _option(int, "The longest reply.", "TOKENS"),
    "image": _option(str, "The base image of the sandbox.", "IMAGE"),
}
LIMITS: Group = {
    "max_cost": _option(float, "What the run may cost.", "DOLLARS"),
    "max_tokens": _option(int, "How many tokens it may take.", "N"),
    "max_calls": _option(int, "How often the model may be asked.", "N"),
    "max_iterations": _option(int, "How many write-test cycles.", "N"),
    "max_minutes": _option(float, "How long it may take.", "MINUTES"),
}
SHARED = MODEL | SERVER | LIMITS
PROJECT: Group = {
    "test": _option(str, "The command that runs the tests.", "COMMAND"),
    "setup": _option(str, "A command that installs what the tests need.", "COMMAND"),
    "build": _option(str, "The command that builds the project, offline.", "COMMAND"),
    "cwd": (Annotated[str, typer.Option(metavar="DIR", help="The project's directory in the repository.")], ""),
    "only": _option(list[str], "Take only this part along.", "DIR"),
    "allow_test_changes": _option(list[str], "Tests to open.", "GLOB"),
}


def _with_options(*groups: Group) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `groups`; it receives them together, as its argument `options`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shared = {name: option for group in groups for name, option in group.items()}

        @wraps(command)
        def wrapper(**arguments: Any) -> None:
            options = {name: arguments.pop(name) for name in shared}
            command(**arguments, options=options)

        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "options"]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in shared.items()
        ]
        wrapper.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in (*own, *added)}
        return wrapper

    return decorate


@app.callback(invoke_without_command=True)
def _global(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"greenward {__version__}")
        raise typer.Exit


@app.command()
@_with_options(SHARED)
def new(
    directory: Annotated[Path, typer.Argument(help="A new or empty directory for the project.")],
    prompt: Annotated[str, typer.Argument(help="What the project is to do.")],
    options: Flags,
) -> None:
    """Scaffold a project from a prompt.

    Example: greenward new wordcount "A CLI that counts the words of files, with --json"
    """
    from agent.tasks import start_new

    around = _surroundings(options)
    _conclude(start_new(around, directory, prompt), directory, allow_unproven=bool(options["allow_unproven"]))


@app.command()
@_with_options(PROJECT, SHARED)
def fix(
    options: Flags,
    repo: Repo = Path(),
    request: Annotated[str, typer.Option(help="What the model should know besides.")] = "",
) -> None:
    """Mend the code until the failing tests pass; no test is changed.

    Example: greenward fix --test "python -m pytest -q tests"
    """
    _run_on("fix", repo, request, options)


@app.command()
@_with_options(PROJECT, SHARED)
def change(
    request: Annotated[str, typer.Argument(help="What is to be different.")], options: Flags, repo: Repo = Path()
) -> None:
    """Carry out a change request, with new tests for it.

    Example: greenward change "add --json to the list command"
    """
    _run_on("change", repo, request, options)


@app.command()
@_with_options(SERVER, LIMITS)
def resume(options: Flags, run: RunId = None, repo: Where = Path()) -> None:
    """Take up a run that was interrupted, from where its journal left off; limits that are given replace the run's.

    Example: greenward resume 3f2a --max-cost 2
    """
    from dataclasses import replace

    from agent.events import Outcome
    from agent.options import limits_of, settings_as_in
    from agent.runs import find_unfinished, runs_directory
    from agent.session import Session

    found = find_unfinished(runs_directory(repo, os.environ), run)
    given = limits_of(options)
    around = _surroundings(
        settings_as_in(found.state) | {k: v for k, v in options.items() if v is not None}, asks=False
    )
    if found.state.outcome is None or (found.state.outcome is Outcome.OUT_OF_BUDGET and given):
        around.settings.require_key()
    else:
        console.tell(f"the run {found.id} has ended already")
    with _workspace(repo, found) as workspace:
        limits = replace(found.state.started.limits, **given)
        state = Session(workspace=workspace, around=around).resume(found.id, limits)
    _conclude(state, repo, allow_unproven=bool(options["allow_unproven"]))


@app.command()
def runs(repo: Where = Path()) -> None:
    """List the runs of a repository, newest first.

    Example: greenward runs
    """
    from agent.runs import damaged_runs, runs_directory, stored_runs
    from agent.summary import run_line

    directory = runs_directory(repo, os.environ)
    lines = [run_line(run) for run in stored_runs(directory)]
    for error in damaged_runs(directory):
        console.tell(f"damaged: {sanitise(error.message)}")
    console.say("\n".join(lines) or "no runs yet")


@app.command()
def diff(run: RunId = None, repo: Where = Path()) -> None:
    """Print what a run changed, as a patch.

    Example: greenward diff 3f2a | less
    """
    found = _found(repo, run)
    with _workspace(repo, found) as workspace:
        patch = workspace.diff(found.state.base, found.state.result_tree)
    if sys.stdout.isatty():
        console.say(sanitise(patch))
    else:
        sys.stdout.buffer.write(patch.encode("utf-8", "surrogateescape"))


@app.command()
def accept(
    run: RunId = None,
    repo: Where = Path(),
    merge: Annotated[bool, typer.Option("--merge", help="Keep the run's history, as a merge.")] = False,
) -> None:
    """Apply a run's result to the checkout: a commit if it is clean, else changes to the files.

    Example: greenward accept 3f2a
    """
    from agent.accepting import accept_run

    found = _found(repo, run)
    with _workspace(repo, found) as workspace:
        console.say(accept_run(workspace, found, merge=merge, environ=os.environ))


@app.command()
def undo(run: RunId = None, repo: Where = Path()) -> None:
    """Take an accept back.

    Example: greenward undo 3f2a
    """
    from agent.accepting import undo_run

    found = _found(repo, run)
    with _workspace(repo, found) as workspace:
        console.say(undo_run(workspace, found, environ=os.environ))


@app.command()
def demo(
    directory: Annotated[
        Path | None, typer.Argument(help="A new directory.", show_default="one in demo-output")
    ] = None,
) -> None:
    """Scaffold a bundled project with a scripted model: real Docker, git and pytest, and no key needed.

    Example: greenward demo
    """
    from agent.config import Key
    from agent.demo import REQUEST, demo_directory, scripted_model
    from agent.tasks import start_new

    target = directory or demo_directory(Path())
    console.tell("demo: the model's replies come from a script, over real HTTP; Docker, git and pytest are real")
    with scripted_model() as flags:
        around = _surroundings(flags, key=Key(secret=Secret("scripted-model"), source="demo"))
        _conclude(start_new(around, target, REQUEST), target, allow_unproven=False)


@image.command("import")
def image_import(
    file: Annotated[Path, typer.Argument(help="A file made by `docker save`, perhaps compressed.")],
) -> None:
    """Load the sandbox's base image from a file, where no registry can be reached.

    Example: greenward image import greenward-base.tar.zst
    """
    from sandbox.engine import connect
    from sandbox.images import import_file

    client = connect(dict(os.environ))
    try:
        console.say(import_file(client, file, console.tell).id)
    finally:
        client.close()


def main() -> None:
    """Run a command and exit with the code of the README's table."""
    from agent.config import KEY_VARIABLES

    console.keep(Secret(os.environ[name].strip()) for name in KEY_VARIABLES if name in os.environ)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except SetupFailed as error:
        _fail(f"{error.message}\n{excerpt(error.log, LOG_SHOWN)}".rstrip(), error.hint, 4)
    except (GreenwardError, SandboxError) as error:
        _fail(error.message, error.hint, error.exit_code if isinstance(error, GreenwardError) else 4)
    except (Interrupted, KeyboardInterrupt):
        _fail("interrupted", "in the repository, `greenward resume` goes on from here; nothing is lost", 130)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End in good order; the next signal ends the process at once."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    raise KeyboardInterrupt


def _fail(message: str, hint: str, code: int) -> None:
    console.tell(f"error: {sanitise(message)}" + (f"\n\nhint: {sanitise(hint)}" if hint else ""))
    sys.exit(code)


def _run_on(mode: Literal["fix", "change"], repo: Path, request: str, options: Flags) -> None:
    from agent.tasks import Project, start_on

    around = _surroundings(options)
    project = Project(**{name: options[name] for name in PROJECT if options[name] is not None})  # type: ignore[arg-type]
    state = start_on(around, mode, repo, request, project)
    _conclude(state, repo, allow_unproven=bool(options["allow_unproven"]))


def _surroundings(options: Flags, key: "Key | None" = None, *, asks: bool = True) -> "Surroundings":
    """What a session is given; `asks` if it will ask a model for sure, which takes a key."""
    from agent.config import load_settings, take_key
    from agent.options import settings_of
    from agent.progress import Progress
    from agent.session import Surroundings

    found = take_key(os.environ)
    settings = load_settings(os.environ, settings_of(options), key=key or found)
    if asks:
        settings.require_key()
    return Surroundings(settings=settings, say=console.tell, progress=Progress(console.tell), environ=dict(os.environ))


def _found(repo: Path, run: str | None) -> "StoredRun":
    from agent.runs import find_run, runs_directory

    return find_run(runs_directory(repo, os.environ), run)


@contextmanager
def _workspace(repo: Path, run: "StoredRun") -> "Iterator[Workspace]":
    """The repository, as far as the run saw it."""
    from agent.workspace import Workspace

    with Workspace.open(repo, only=run.state.started.task.only, environment=dict(os.environ)) as workspace:
        yield workspace


def _conclude(state: "RunState", where: Path, *, allow_unproven: bool) -> None:
    from agent.events import Outcome
    from agent.summary import summary

    console.say(summary(state, "" if where == Path() else str(where)))
    if state.outcome is None:
        raise UsageProblem("the run did not end", hint="`greenward resume` goes on")
    allowed = allow_unproven and state.outcome is Outcome.UNPROVEN
    sys.exit(0 if allowed else state.outcome.exit_code)
