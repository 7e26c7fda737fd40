"""Draws `docs/display.svg`: what a terminal shows in the middle of the demonstration's run, which is run for it."""

import io
import os
import re
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agent.config import Key, load_settings
from agent.demo import REQUEST, scripted_model
from agent.display.frame import frame
from agent.display.log import log
from agent.display.scene import Scene
from agent.display.signs import UNICODE
from agent.journal import Entry
from agent.live import Notice
from agent.redact import Secret
from agent.session import Surroundings
from agent.tasks import Planning, start_new
from agent.watching import Silent

TARGET = Path(__file__).parents[1] / "docs" / "display.svg"
WIDTH, HEIGHT = 100, 36
SAID = "Both are in"
"""What the model says at the moment of the picture."""
FONT_FACES = re.compile(r"@font-face\s*\{[^}]*\}\s*")
"""They name an address from which the font is fetched: the reader's own will do."""


class Camera(Silent):
    """A watcher that keeps what the display would show when the model has said `SAID`."""

    def __init__(self) -> None:
        self.scene = Scene(clock=time.monotonic)
        self.log: list[Text] = []
        self.picture: list[Text] = []

    def __call__(self, entry: Entry) -> None:
        """Take in what happened."""
        self.log += log(entry.event, *self.scene.take(entry), UNICODE)

    def notice(self, notice: Notice) -> None:
        """Take in what passes, and take the picture at its moment."""
        self.scene.pass_by(notice)
        answer = self.scene.speech.get("answer")
        if not self.picture and answer and SAID in answer.tail:
            self.picture = [*self.log, *frame(self.scene, WIDTH - 1, HEIGHT, UNICODE)]


def main() -> None:
    """Run the demonstration, and draw one moment of it."""
    camera = Camera()
    with tempfile.TemporaryDirectory() as directory, scripted_model() as options:
        settings = load_settings({}, options, key=Key(secret=Secret("scripted-model"), source="demo"))
        around = Surroundings(settings=settings, watcher=camera, environ=dict(os.environ))
        start_new(around, Path(directory) / "tally", REQUEST, planning=Planning())
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in camera.picture:
        console.print(line, no_wrap=True, overflow="ellipsis")
    svg = console.export_svg(title="greenward new", unique_id="greenward")
    TARGET.write_text(FONT_FACES.sub("", svg), "utf-8")


if __name__ == "__main__":
    main()
