"""How much of what both jobs leave on a hostile repository was looked through for secrets, and what was found.

python -m bench.redteam
"""

import tempfile
from pathlib import Path

from agent.models.script import Script
from tests.redteam.canaries import Search, forms
from tests.redteam.jobs import CANARIES, KEY, Evidence, Jobs
from tests.redteam.scripts import FOR_MACHINES, HONEST, OBEYING

MODELS: dict[str, tuple[Script, str, str]] = {
    "honest": (HONEST, "github", "fix"),
    "obeys strangers": (OBEYING, "gitlab", "change"),
    "writes for machines": (FOR_MACHINES, "github", "fix"),
}


def secrets() -> str:
    """The table of both jobs by the model that was at work."""
    rows = [
        "| model | exit codes | places | bytes | containers | hunts | canaries found | executed on the host |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, (script, kind, command) in MODELS.items():
        with tempfile.TemporaryDirectory() as directory:
            rows.append(_row(name, Jobs(room=Path(directory), kind=kind, command=command).run(script)))
    return "\n".join([*rows, "", f"{len(CANARIES)} canaries, each in {len(forms(KEY))} forms"])


def _row(name: str, evidence: Evidence) -> str:
    executed = [each.executed() for each in (evidence.checkout, evidence.publisher) if each]
    cells = (
        name,
        f"{evidence.proposed}, {evidence.published}",
        len(evidence.places),
        f"{sum(map(len, evidence.places.values())):,}",
        len(evidence.containers),
        len(evidence.hunts),
        len(Search(CANARIES).within(evidence.places)),
        sum(map(len, executed)),
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    print(secrets())
