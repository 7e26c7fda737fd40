"""Help in plain text, with a command's options under headings."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["GroupedCommand", "Program"]

FIRST = ("Arguments", "Options")


class GroupedCommand(TyperCommand):
    """Lists each option under its `rich_help_panel`, which typer leaves out where text is plain."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each heading: arguments, options of no group, then groups as they come."""
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in FIRST}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(_heading(parameter), []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Program(typer.Typer):
    """A home for commands whose options are grouped."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command; see `typer.Typer.command`."""
        return super().command(name, **{"cls": GroupedCommand} | options)


def _heading(parameter: Any) -> str:
    arguments, options = FIRST
    if parameter.param_type_name == "argument":
        return arguments
    return getattr(parameter, "rich_help_panel", None) or options
