"""What the model is told next, made from the state and the templates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.events import Event, Prompted, Say
from agent.feedback import feedback
from agent.messages import Message
from agent.planfile import plan_text
from agent.state import RunState
from agent.text import excerpt, fenced, sanitise
from prompts import render

__all__ = ["Speaker"]

FILES_SHOWN = 300
INSTRUCTIONS_LIMIT = 12_000
REQUEST_LIMIT = 40_000
"""Characters; more would be paid for in every call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Renders what is due to be said."""

    files: Callable[[str], tuple[str, ...]]
    """The paths of a tree."""

    def prompt(self, state: RunState) -> Iterator[Event]:
        """Say what the state calls for."""
        about = state.say or Say.HINT
        said = [render(about.value, **self._values(about, state))]
        if about is not Say.PLAN and not state.messages:
            said.insert(0, render(Say.PLAN.value, **self._plan(state)))
        if about is not Say.HINT and state.hint:
            said.append(render(Say.HINT.value, **self._values(Say.HINT, state)))
        opening = () if state.messages else (Message(role="system", content=render("system")),)
        yield Prompted(about=about, messages=(*opening, Message(role="user", content="\n\n".join(said))))

    def _values(self, about: Say, state: RunState) -> dict[str, object]:  # noqa: C901, PLR0911 - an arm for each
        task, report, verdict = state.started.task, state.report, state.verdict
        match about:
            case Say.PLAN:
                return self._plan(state)
            case Say.CODE:
                old = state.baseline.failing if task.mode == "change" and state.baseline else ()
                return {
                    "mode": task.mode,
                    "old_failures": old,
                    "changed_plan": "" if task.mode == "new" else _changed_plan(state),
                }
            case Say.TESTS:
                return {"changed_plan": _changed_plan(state)}
            case Say.CONTINUE:
                return {"request": excerpt(sanitise(task.request), REQUEST_LIMIT)}
            case Say.HINT:
                return {"hint": excerpt(sanitise(state.hint), REQUEST_LIMIT)}
            case Say.TESTS_NOT_RED:
                return {"result": str(report), "problem": report.problem if report else ""}
            case Say.RESULTS:
                told = feedback(report, state.previous_report) if report else ""
                return {"feedback": told, "green": state.green}
            case Say.VERDICT:
                reasons = verdict.reasons if verdict else ()
                return {"kind": verdict.kind.value if verdict else "", "reasons": [sanitise(r) for r in reasons]}
            case Say.NUDGE:
                return {"report": str(report) if report else ""}
            case Say.PLAN_MISSING | Say.TRUNCATED:
                return {}

    def _plan(self, state: RunState) -> dict[str, object]:
        task, baseline = state.started.task, state.baseline
        paths = self.files(state.base)
        return {
            "mode": task.mode,
            "request": excerpt(sanitise(task.request), REQUEST_LIMIT),
            "cwd": sanitise(task.cwd),
            "instructions": fenced(excerpt(sanitise(task.instructions), INSTRUCTIONS_LIMIT), "notes")
            if task.instructions.strip()
            else "",
            "files": [sanitise(path) for path in paths[:FILES_SHOWN]],
            "files_left_out": max(0, len(paths) - FILES_SHOWN),
            "failures": feedback(baseline, None) if baseline is not None and task.mode == "fix" else "",
            "given": task.plan is not None,
        }


def _changed_plan(state: RunState) -> str:
    """The plan, if it is not as the model submitted it."""
    return plan_text(state.plan) if state.plan and state.plan_changed else ""
