"""A plugin of pytest that records which test runs which lines; run as a program it writes down what was recorded.

It is copied into a sandbox and runs there, beside the project's tests and by the project's own coverage tool. The
program itself never imports it, and what it writes down is read as what any command of a sandbox may have written.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

__all__ = ["RECORD"]

DATA, RECORD = "contexts-data", "contexts.json"
LINES = (
    "select file.path, context.context, line_bits.numbits from line_bits"
    " join file on file.id = line_bits.file_id join context on context.id = line_bits.context_id"
    " where context.context != ''"
)


def record(root: str, databases: Iterator[Path]) -> dict[str, object]:
    """The tests, and of each file below `root` which lines were run by which of them."""
    tests: dict[str, int] = {}
    files: dict[str, dict[str, list[int]]] = {}
    for database in databases:
        with closing(sqlite3.connect(database)) as connection:
            for path, test, lines in connection.execute(LINES):
                if path.startswith(f"{root}/"):
                    number = tests.setdefault(test, len(tests))
                    files.setdefault(path[len(root) + 1 :], {}).setdefault(lines.hex(), []).append(number)
    return {"tests": list(tests), "files": {path: list(sets.items()) for path, sets in files.items()}}


def main() -> None:
    """Write the record of the tests that ran into the directory from which a command's files are collected."""
    out = Path(os.environ["GREENWARD_OUT"])
    made = record(str(Path.cwd().resolve()), out.glob(f"{DATA}.*"))
    (out / RECORD).write_text(json.dumps(made, separators=(",", ":")))


if __name__ == "__main__":
    main()
elif __name__ == "greenward_contexts":  # as a plugin, which is loaded before the project's own code
    import coverage
    import pytest

    recording = coverage.Coverage(
        data_file=str(Path(os.environ["GREENWARD_OUT"]) / DATA),
        data_suffix=True,
        config_file=False,
        source=[str(Path.cwd())],
    )
    recording.start()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
        """Book what runs from here on under the test's id."""
        recording.switch_context(item.nodeid)
        yield
        recording.switch_context("")

    def pytest_unconfigure() -> None:
        """Keep what was recorded; each worker has a file of its own."""
        recording.stop()
        recording.save()
