"""The bundled demonstration: a real request, and a scripted model that answers it over real HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from agent.models.script import parse_script
from agent.models.server import ScriptedServer

__all__ = ["REQUEST", "demo_directory", "scripted_model"]

REQUEST = """\
Plan and implement a small CLI tool: scaffold the project, write the commands, add tests, and run them until they pass.

The tool is `tally`. `tally count FILE...` prints the lines, words and characters of each file, and a total when there
are several. `tally top FILE` prints the most frequent words, most frequent first, ties in alphabetical order; `-n N`
says how many (10 if not given). Case and punctuation do not matter to `top`. `--json` prints either as JSON. A file
that cannot be read is named on standard error, and the exit code is 1.
"""
MODEL = "kimi-k2.6"
PRICES = {"prices.input": 0.48, "prices.cached": 0.08, "prices.output": 2.0}
"""What the model would cost at its provider, so that the budget has something to count."""


@contextmanager
def scripted_model() -> Iterator[dict[str, object]]:
    """A server that plays the model, and the options that lead to it."""
    script = parse_script(files("agent").joinpath("demo.toml").read_text("utf-8"))
    with ScriptedServer(script) as server:
        yield {"base_url": server.base_url, "model": MODEL, **PRICES}


def demo_directory(parent: Path) -> Path:
    """A directory below `parent` that does not exist yet."""
    numbers = (int(path.name) for path in parent.glob("demo-output/*") if path.name.isdigit())
    return parent / "demo-output" / str(max(numbers, default=0) + 1)
