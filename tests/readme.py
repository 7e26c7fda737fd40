"""The README as data for tests: what it shows is what happens."""

import re
from pathlib import Path

from agent.place import HEADLINES

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
CHANGING = (
    (r"\b[0-9a-f]{8,40}\b", "<id>"),
    (r"\d+\.\d+ s\b|\d+ s,", "<seconds>"),
    (r"environment: (cached|made in [^;]*);", "environment: <how>;"),
    (r"\$0\.\d{4}", "<cost>"),
    (r", cached\)", ")"),
    (r"cd \S+ &&", "cd <directory> &&"),
    (r"--repo [^\s,`]+", "--repo <directory>"),
    (r"[\d,]+ of 5,000,000 \([\d,]+ in, [\d,]+ of them cached, [\d,]+ out\)", "<tokens>"),
    (r"time:    \d+ s of 30 min, in the sandbox \d+ s of", "time:    <seconds> of 30 min, in the sandbox <seconds> of"),
)


def block_after(mark):
    """The fenced block that follows the comment `mark`."""
    return re.search(rf"<!-- {re.escape(mark)} -->\n```\n(.*?)```\n", README, re.DOTALL)[1]


def masked(text):
    """`text` without what differs from run to run, and from the first run on a machine to the next."""
    for pattern, name in CHANGING:
        text = re.sub(pattern, name, text)
    return [
        line.rstrip()
        for line in text.splitlines()
        if line.strip() and not line.startswith((*HEADLINES, "$ ", "running "))
    ]


def commands():
    """The greenward commands that the README tells people to type, without their comments."""
    lines = re.findall(r"^    greenward (.*)$", README, re.MULTILINE)
    return [line.partition("  #")[0].strip() for line in lines]


def section(title):
    return README.split(f"## {title}\n")[1].split("\n## ")[0]
