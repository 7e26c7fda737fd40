"""The program: its commands' home, what it says and how it ends."""

import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from agent import __version__
from agent.cli.concealing import conceal
from agent.cli.helping import Program
from agent.console import Console
from agent.errors import Defect, GreenwardError
from agent.redact import Secret
from agent.text import encodable, excerpt, sanitise
from sandbox import SandboxError, SetupFailed

__all__ = ["Interrupted", "app", "console", "main", "resources"]

LOG_SHOWN = 4_000
"""Characters of the log of a setup that failed."""
OVERHEARD = ("TF_BUILD", "TEAMCITY_VERSION")
"""Variables of Azure's and TeamCity's runners, which take words in what is printed for commands."""


class Interrupted(Exception):
    """The user, or whoever supervises the process, wants it to end; the hint says what there is to do then."""

    def __init__(self, hint: str = "in the repository, `greenward resume` goes on from here; nothing is lost") -> None:
        super().__init__(hint)
        self.hint = hint


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


def _printer(name: str) -> Callable[[str], None]:
    """Prints to `sys.stdout` or `sys.stderr`, whatever its encoding is."""

    def write(text: str) -> None:
        stream = getattr(sys, name)
        print(encodable(text, stream.encoding), file=stream, flush=True)

    return write


console = Console(say=_printer("stdout"), tell=_printer("stderr"))

resources = ExitStack()
"""What a command opened for as long as it goes on; closed however it ends."""

app = Program(
    name="greenward",
    cls=Commands,
    help="Turns a request or a red test suite into a branch of commits whose tests pass, proven in a fresh container,"
    " inside a budget. Your checkout stays as it is until you accept.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _global(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"greenward {__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command and exit with the code of the README's table."""
    from agent.config import KEY_VARIABLES

    console.keep(Secret(os.environ[name].strip()) for name in KEY_VARIABLES if name in os.environ)
    conceal(KEY_VARIABLES)
    console.overheard = any(os.environ.get(name) for name in OVERHEARD)
    _tune()
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with resources:
            app(prog_name="greenward")
    except SetupFailed as error:
        _fail(f"{error.message}\n{excerpt(error.log, LOG_SHOWN)}".rstrip(), error.hint, 4)
    except (GreenwardError, SandboxError) as error:
        _fail(error.message, error.hint, error.exit_code if isinstance(error, GreenwardError) else 4)
    except OSError as error:
        from agent.durable import is_about_storage, storage_problem

        if not is_about_storage(error):
            _confess(error)
        problem = storage_problem(Path(error.filename or "a file of the run"), error)
        _fail(problem.message, problem.hint, problem.exit_code)
    except Interrupted as stopped:
        _fail("interrupted", stopped.hint, 130)
    except KeyboardInterrupt:
        _fail("interrupted", Interrupted().hint, 130)
    except Exception as error:  # noqa: BLE001 - whatever it is, no secret may stand in what is printed of it
        _confess(error)
    finally:
        gc.freeze()  # or all that was imported is searched for cycles once more: a tenth of a second


def _tune() -> None:
    """Settings of the interpreter for a program that loads much that it keeps, and mostly waits."""
    gc.set_threshold(50_000, 20, 20)  # what is imported is no garbage, however often it is searched
    sys.setswitchinterval(0.0005)  # what is loaded in the background holds up no answer


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End in good order; the next signal ends the process at once."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), console.restore.encode())
    raise KeyboardInterrupt


def _confess(error: Exception) -> NoReturn:
    """Tell of a fault of our own, with what a report of it needs."""
    from traceback import format_exception

    console.tell(sanitise("".join(format_exception(error)).rstrip()))
    _fail(
        f"greenward is broken: {type(error).__name__}: {error}",
        "this is a fault of greenward's own: please report it, with the lines above. A run that had begun is kept,"
        " and `greenward resume` goes on with it",
        Defect.exit_code,
    )


def _fail(message: str, hint: str, code: int) -> NoReturn:
    console.tell(f"error: {sanitise(message)}" + (f"\n\nhint: {sanitise(hint)}" if hint else ""))
    if console.structured:
        from agent.stream import error_line

        with suppress(OSError):
            console.data(error_line(message, hint, code))
    sys.exit(code)
