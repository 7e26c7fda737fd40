"""Writes the JSON schema of what `greenward --json` prints to `docs/events.schema.json`."""

import json
from pathlib import Path

from agent.stream import schema

TARGET = Path(__file__).parents[1] / "docs" / "events.schema.json"


def text() -> str:
    """The schema as it stands in the file."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
