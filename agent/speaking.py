"""What the model is told next, made from the state and the templates."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from agent.baseline import without_names
from agent.best import best_of
from agent.events import Event, Prompted, Say
from agent.feedback import feedback
from agent.habits import DEMAND
from agent.messages import Message
from agent.planfile import plan_text
from agent.state import Iteration, Phase, RunState
from agent.testreport import TestReport
from agent.text import excerpt, fenced, one_line, sanitise
from prompts import render

__all__ = ["Speaker"]

FILES_SHOWN = 300
ENDS_SHOWN, NAMES_SHOWN = 8, 3
INSTRUCTIONS_LIMIT = 12_000
REQUEST_LIMIT = 40_000
"""Characters; more would be paid for in every call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Renders what is due to be said."""

    files: Callable[[str], tuple[str, ...]]
    """The paths of a tree."""
    changed: Callable[[str, str], Collection[str]]
    """The paths that differ between two trees."""

    def prompt(self, state: RunState) -> Iterator[Event]:
        """Say what the state calls for."""
        due = [*([state.say] if state.say else []), *([Say.HINT] if state.hint else []), *state.remarks]
        said = [render(each.value, **self._values(each, state)) for each in due]
        if Say.PLAN not in due and not state.messages:
            said.insert(0, render(Say.PLAN.value, **self._plan(state)))
        opening = () if state.messages else (Message(role="system", content=render("system")),)
        message = Message(role="user", content="\n\n".join(said))
        tree = _best_place(state)[0] if Say.RETURNED in due else ""
        yield Prompted(about=due[0], messages=(*opening, message), tree=tree)

    def _values(self, about: Say, state: RunState) -> dict[str, object]:  # noqa: C901, PLR0911, PLR0912 - an arm for each
        task, report, verdict = state.started.task, state.report, state.verdict
        match about:
            case Say.PLAN:
                return self._plan(state)
            case Say.CODE:
                old = _old_failures(state) if task.mode == "change" else []
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
                told = _feedback(state, report, state.previous_report) if report else ""
                return {"feedback": told, "green": state.green}
            case Say.VERDICT:
                reasons = verdict.reasons if verdict else ()
                said = [sanitise(without_names(reason, state.hidden)) for reason in reasons]
                return {"kind": verdict.kind.value if verdict else "", "reasons": said}
            case Say.NUDGE:
                return {"report": str(report) if report else ""}
            case Say.STUCK:
                habits = state.habits
                idle = 0 if habits.repeats >= DEMAND else habits.idle
                return {"idle": idle, "planning": state.phase is Phase.PLAN, "dead_ends": _dead_ends(state)}
            case Say.RETURNED:
                return {"place": _best_place(state)[1]}
            case Say.COMPACTED:
                return {"plan": self._ticks(state), "dead_ends": _dead_ends(state)}
            case Say.PLAN_MISSING | Say.TRUNCATED:
                return {}

    def _ticks(self, state: RunState) -> list[dict[str, object]]:
        """The files of the plan, and whether the work has them already, other than the base had."""
        if state.plan is None:
            return []
        written = set(self.changed(state.base, state.tree))
        return [{"path": sanitise(file.path), "written": file.path in written} for file in state.plan.files]

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
            "failures": _feedback(state, baseline, None) if baseline is not None and task.mode == "fix" else "",
            "given": task.plan is not None,
        }


def _changed_plan(state: RunState) -> str:
    """The plan, if it is not as the model submitted it."""
    return plan_text(state.plan) if state.plan and state.plan_changed else ""


def _feedback(state: RunState, report: TestReport, previous: TestReport | None) -> str:
    return feedback(report, previous, hidden=state.hidden, wanting=state.standings.environmental)


def _old_failures(state: RunState) -> list[str]:
    """What fails at the base and may go on to: with what the sandbox lacks for it, and without what is flaky."""
    wanting = state.standings.environmental
    failing = state.baseline.failing if state.baseline else ()
    return [
        f"{one_line(name)}{f' (the sandbox lacks what it wants: {wanting[name]})' if name in wanting else ''}"
        for name in failing
        if name not in state.hidden
    ]


def _best_place(state: RunState) -> tuple[str, str]:
    """The tree to begin again from, and in words what it is: the best one that was tested, else the base."""
    best = best_of(state)
    if best is None:
        return state.base, "what they were at the beginning"
    return best.tree, f"what they were after iteration {best.number} ({best.report})"


def _dead_ends(state: RunState) -> list[str]:
    """What the iterations came to that are not the best one."""
    best = best_of(state)
    others = [each for each in state.iterations if each is not best or each.report.failing]
    return [f"iteration {each.number}: {_result(each, state.hidden)}" for each in others[-ENDS_SHOWN:]]


def _result(iteration: Iteration, hidden: frozenset[str]) -> str:
    failing = [name for name in iteration.report.failing if name not in hidden]
    names = ", ".join(one_line(name) for name in failing[:NAMES_SHOWN])
    return f"{iteration.report}{f' ({names})' if names else ''}"
