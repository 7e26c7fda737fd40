"""The command that checks a proof, and runs it again."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.application import app, console
from agent.cli.flags import SERVER, Flags, Where, with_options

if TYPE_CHECKING:
    from agent.proof import Proof
    from agent.verifying import Verified
    from agent.workspace import Workspace


@app.command()
@with_options({"sandbox": SERVER["sandbox"]})
def verify(
    options: Flags,
    commit: Annotated[str, typer.Argument(help="A commit with a proof.")] = "HEAD",
    repo: Where = Path(),
    *,
    offline: Annotated[
        bool, typer.Option("--no-run", help="Compare what is written down, and execute nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the proof on a commit, and run it again.

    It is compared with tree, note and journal. Exits with 1 if anything differs.

    Example: greenward verify HEAD
    """
    from agent.verifying import check, proof_on
    from agent.workspace import Workspace

    with Workspace.open(repo, environment=dict(os.environ)) as workspace:
        name, note = proof_on(workspace, commit)
        proof, found = check(workspace, name, note, workspace.runs_directory)
        if proof is not None and not found.differs and not offline:
            found += _again(proof, workspace, options)
    console.say(_as_json(name, proof, found) if as_json else _as_text(name, proof, found))
    sys.exit(1 if found.differs else 0)


def _again(proof: "Proof", workspace: "Workspace", options: Flags) -> "Verified":
    from agent.config import load_settings, take_key
    from agent.judging import judging
    from agent.options import settings_of
    from agent.verifying import again

    settings = load_settings(os.environ, settings_of(options), key=take_key(os.environ))
    with judging(workspace, proof, settings, environ=dict(os.environ), say=console.tell) as judge:
        return again(proof, judge)


def _as_text(commit: str, proof: "Proof | None", found: "Verified") -> str:
    from agent.text import sanitise

    about = (
        f"{commit[:12]}: proof {proof.id[:12]} of run {proof.run}, {len(proof.tests)} tests" if proof else commit[:12]
    )
    lines = [about, *(f"  {each}" for each in found.agrees), *(f"  differs: {each}" for each in found.differs)]
    lines.append("not as proven" if found.differs else "as proven")
    return sanitise("\n".join(lines))


def _as_json(commit: str, proof: "Proof | None", found: "Verified") -> str:
    import json

    about = {"commit": commit, "proof": proof.id if proof else None, "run": proof.run if proof else None}
    return json.dumps({"schema": 1, **about, "verified": not found.differs, **asdict(found)})
