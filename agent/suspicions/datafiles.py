"""Tables in files beside the code, read as code could read them: JSON, and values separated by commas or tabs."""

import ast
import csv
import json
from collections.abc import Iterator

from agent.suspicions.answers import Answer, in_table

__all__ = ["SUFFIXES", "in_data"]

SUFFIXES = (".json", ".csv", ".tsv")
LARGEST = 1 << 18
"""Bytes of a file that is looked at."""


def in_data(path: str, data: bytes) -> Iterator[Answer]:
    """The entries of the tables in a file."""
    text = data.decode(errors="replace") if len(data) <= LARGEST else ""
    if path.endswith(".json"):
        yield from _in_json(text)
    else:
        rows = csv.reader(text.splitlines(), delimiter="\t" if path.endswith(".tsv") else ",")
        pairs = ((row[0], row[-1]) for row in rows if len(row) > 1)
        yield from in_table(((_written(key), _written(value)) for key, value in pairs), "table")


def _in_json(text: str) -> Iterator[Answer]:
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting:
        node = waiting.pop()
        pairs = list(node.items()) if isinstance(node, dict) else []
        if isinstance(node, list):
            pairs = [(row[0], row[-1]) for row in node if isinstance(row, list) and len(row) == 2]
            waiting += node
        waiting += [value for _, value in pairs]
        yield from in_table(((_constant(key), _constant(value)) for key, value in pairs), f"table {id(node)}")


def _constant(value: object) -> ast.expr | None:
    return ast.Constant(value=value) if isinstance(value, str | int | float | bool) else None


def _written(text: str) -> ast.expr:
    """A number, if the text is one."""
    try:
        return ast.Constant(value=int(text))
    except ValueError:
        return ast.Constant(value=text)
