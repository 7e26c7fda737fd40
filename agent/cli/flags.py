"""Arguments and options that several commands share."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.application import console
from agent.cli.completion import complete_run, complete_sandbox

__all__ = [
    "APPROVAL",
    "LIMITS",
    "LINES",
    "OUTPUT",
    "PROJECT",
    "PROPOSAL",
    "SERVER",
    "SHARED",
    "Flags",
    "Repo",
    "RunId",
    "Where",
    "with_options",
]

Flags = dict[str, object]
Repo = Annotated[Path, typer.Argument(help="The repository.", show_default="the current directory")]
Where = Annotated[Path, typer.Option("--repo", help="The repository.", show_default="the current directory")]
RunId = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="A run's id or its beginning; else the newest.", autocompletion=complete_run),
]

Group = dict[str, tuple[Any, object]]


def _option(kind: Any, text: str, metavar: str, panel: str, **more: Any) -> tuple[Any, object]:
    return Annotated[kind | None, typer.Option(help=text, metavar=metavar, rich_help_panel=panel, **more)], None


def _switch(name: str, text: str) -> tuple[Any, object]:
    return Annotated[bool, typer.Option(name, help=text)], False


SERVER: Group = {
    "base_url": _option(str, "The address of an OpenAI-compatible server.", "URL", "Model"),
    "sandbox": _option(
        str, "`docker`, or `local`, which isolates nothing.", "KIND", "Sandbox", autocompletion=complete_sandbox
    ),
    "allow_unproven": _switch("--allow-unproven", "Exit with 0 also when green but unproven."),
}
MODEL: Group = {
    "model": _option(str, "The model's id.", "ID", "Model"),
    "prices": _option(str, "Its dollars per million tokens.", "IN,CACHED,OUT", "Model"),
    "context": _option(int, "The model's context.", "TOKENS", "Model"),
    "max_output": _option(int, "The longest reply.", "TOKENS", "Model"),
    "image": _option(str, "The base image of the sandbox.", "IMAGE", "Sandbox"),
}
LIMITS: Group = {
    "max_cost": _option(float, "What the run may cost.", "DOLLARS", "Limits"),
    "max_tokens": _option(int, "How many tokens it may take.", "N", "Limits"),
    "max_calls": _option(int, "How often the model may be asked.", "N", "Limits"),
    "max_iterations": _option(int, "How many write-test cycles.", "N", "Limits"),
    "max_minutes": _option(float, "How long it may take.", "MINUTES", "Limits"),
    "max_sandbox_minutes": _option(float, "How long it may execute.", "MINUTES", "Limits"),
}
SHARED = MODEL | SERVER | LIMITS
APPROVAL: Group = {
    "plan": (Annotated[Path | None, typer.Option(metavar="FILE", help="Carry out this plan.")], None),
    "approve": _switch("--approve", "Ask before the model's plan is carried out."),
}
LINES: Group = {
    "plain": _switch("--plain", "Print plain lines, also in a terminal."),
    "quiet": _switch("--quiet", "Print errors and the result alone."),
}
OUTPUT: Group = LINES | {"json": _switch("--json", "Print events and result as lines of JSON.")}
PROPOSAL: Group = {
    "ci": (
        Annotated[
            bool,
            typer.Option(
                "--ci", help="Run in a job: no terminal, of the checkout only what is committed.", rich_help_panel="CI"
            ),
        ],
        False,
    ),
    "out": _option(Path, "Write the proposal there, for `greenward publish`.", "DIR", "CI"),
    "allow_label": _option(str, "A fork's commit that was just given this label may be worked on.", "NAME", "CI"),
    "request_file": _option(Path, "What is asked for, as somebody unknown wrote it.", "FILE", "CI"),
}
PROJECT: Group = {
    "test": _option(str, "The command that runs the tests.", "COMMAND", "Project"),
    "setup": _option(str, "A command that installs what the tests need.", "COMMAND", "Project"),
    "build": _option(str, "The command that builds the project, offline.", "COMMAND", "Project"),
    "cwd": (
        Annotated[
            str,
            typer.Option(metavar="DIR", help="The project's directory in the repository.", rich_help_panel="Project"),
        ],
        "",
    ),
    "only": _option(list[str], "Take only this part along.", "DIR", "Project"),
    "allow_test_changes": _option(list[str], "Tests to open.", "GLOB", "Project"),
    "free_tests": (
        Annotated[
            bool, typer.Option("--free-tests", help="Seal no test. The result says so.", rich_help_panel="Project")
        ],
        False,
    ),
}


def with_options(*groups: Group) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `groups`; it receives them together, as its argument `options`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shared = {name: option for group in groups for name, option in group.items()}

        @wraps(command)
        def wrapper(**arguments: Any) -> None:
            options = {name: arguments.pop(name) for name in shared}
            console.structured = bool(options.get("json"))
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
