"""The commands of todo."""

import argparse
import os
import sys
from pathlib import Path

from todo.store import Store


def main(argv=None):
    """Run a command and return its exit code."""
    arguments = _parser().parse_args(argv)
    store = Store(Path(os.environ.get("TODO_FILE", "todo.json")))
    return arguments.command(store, arguments)


def _parser():
    parser = argparse.ArgumentParser(prog="todo", description="A list of things to do.")
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser("add", help="put something on the list")
    add.add_argument("text")
    add.set_defaults(command=_add)
    done = commands.add_parser("done", help="tick something off")
    done.add_argument("number", type=int)
    done.set_defaults(command=_done)
    show = commands.add_parser("list", help="show the list")
    show.set_defaults(command=_list)
    return parser


def _add(store, arguments):
    item = store.add(arguments.text)
    store.save()
    print(f"{item.number} added")
    return 0


def _done(store, arguments):
    try:
        store.find(arguments.number).done = True
    except KeyError:
        print(f"todo: there is no {arguments.number}", file=sys.stderr)
        return 1
    store.save()
    return 0


def _list(store, arguments):
    for item in store.items:
        print(f"[{'x' if item.done else ' '}] {item.number} {item.text}")
    return 0
