"""Writes the JSON schemas of what programs read of greenward into `docs/`."""

import json
from pathlib import Path

from agent import proof, result, stream
from agent.proposal import layout

DOCS = Path(__file__).parents[1] / "docs"
SCHEMAS = {
    DOCS / "events.schema.json": stream.schema,
    DOCS / "result.schema.json": result.schema,
    DOCS / "proof.schema.json": proof.schema,
    DOCS / "proposal.schema.json": layout.schema,
}


def texts() -> dict[Path, str]:
    """Each file with the schema as it is to stand in it."""
    return {path: json.dumps(schema(), indent=2, sort_keys=True) + "\n" for path, schema in SCHEMAS.items()}


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text, "utf-8")
