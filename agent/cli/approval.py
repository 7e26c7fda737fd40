"""Asking a person on the terminal for their word on a plan."""

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import typer

from agent.cli.application import console
from agent.errors import UsageProblem
from agent.text import sanitise
from sandbox.scratch import scratch

if TYPE_CHECKING:
    from agent.state import RunState
    from agent.task import Plan

__all__ = ["decide"]

FALLBACK = "vi"


def decide(state: "RunState") -> "Plan | None":
    """The plan to carry out, as it is or as it was edited; None if it is not to be."""
    from agent.estimate import estimate
    from agent.planfile import plan_text, to_plan

    plan, mode = state.plan, state.started.task.mode
    if plan is None:
        return None
    text = plan_text(plan)
    console.tell(f"estimate: {estimate(state)}")
    while True:
        answer = _asked("carry it out? [y]es, [n]o, [e]dit: ")
        if answer in ("y", "yes"):
            return plan
        if answer in ("n", "no", ""):
            return None
        if answer not in ("e", "edit"):
            continue
        try:
            text = _edited(text)
            _, plan = to_plan(text, mode)
        except UsageProblem as problem:
            console.tell(f"{sanitise(problem.message)}\n\nhint: {sanitise(problem.hint)}")
            continue
        console.tell(text)


def _asked(question: str) -> str:
    """What the person types, in small letters; `no` at the end of the input."""
    try:
        answer: str = typer.prompt(question, default="", show_default=False, prompt_suffix="", err=True)
    except typer.Abort:
        return "no"
    return answer.strip().lower()


def _edited(text: str) -> str:
    """`text` as the person's editor left it."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or FALLBACK
    with scratch() as directory:
        path = directory / "plan.toml"
        path.write_text(text, "utf-8")
        try:
            done = subprocess.run([*shlex.split(editor), str(path)], check=False)
        except (OSError, ValueError) as error:
            raise UsageProblem(f"the editor {editor} cannot be started: {error}", hint="set `EDITOR`") from error
        if done.returncode != 0:
            raise UsageProblem(f"the editor {editor} ended with {done.returncode}", hint="the plan is as it was")
        return path.read_text("utf-8", "replace")
