"""Arguments and options that several commands share."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["APPROVAL", "LIMITS", "PROJECT", "SERVER", "SHARED", "Flags", "Repo", "RunId", "Where", "with_options"]

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
APPROVAL: Group = {
    "plan": (Annotated[Path | None, typer.Option(metavar="FILE", help="Carry out this plan.")], None),
    "approve": (Annotated[bool, typer.Option("--approve", help="Ask before the model's plan is carried out.")], False),
}
PROJECT: Group = {
    "test": _option(str, "The command that runs the tests.", "COMMAND"),
    "setup": _option(str, "A command that installs what the tests need.", "COMMAND"),
    "build": _option(str, "The command that builds the project, offline.", "COMMAND"),
    "cwd": (Annotated[str, typer.Option(metavar="DIR", help="The project's directory in the repository.")], ""),
    "only": _option(list[str], "Take only this part along.", "DIR"),
    "allow_test_changes": _option(list[str], "Tests to open.", "GLOB"),
}


def with_options(*groups: Group) -> Callable[[Callable[..., None]], Callable[..., None]]:
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
