"""Whether the model goes round in circles, told by what its calls came to and not by its words. Pure.

A call is known by its name and arguments, its answer by what it says of which tree, a place by the tree and the tests
that fail on it. To come to a place, or to get an answer to a question, for the first time is to get on; all else is to
repeat oneself. Other questions with the same answer, as searches that find nothing, are no repetition.
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace

from agent.events import TestRun, ToolReturned
from agent.messages import ToolCall

__all__ = ["DEMAND", "IDLE_DEMAND", "IDLE_END", "REPEATS_END", "RETURN", "Habits"]

DEMAND, RETURN, REPEATS_END = 3, 4, 5
"""Repeated calls in a row after which another approach is demanded, the best tree is returned to, and the run ends."""
IDLE_DEMAND, IDLE_END = 25, 50
"""Calls in a row, new ones too, that leave no new tree and no new test result: when that is told, and when it ends."""

EXECUTE = frozenset({"run_command", "run_tests"})
LOOK = frozenset({"list_files", "read_file", "search", "read_output"})
KEPT = 300
"""Calls that are remembered."""
_SECONDS = re.compile(r"\d+(?:\.\d+)? s\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A call that was carried out; `key` stands for its name and arguments, `tree` is what it was made on."""

    key: str
    tree: str
    call_id: str
    executed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What the model has seen and done on its request, as far as it matters for repeating itself."""

    made: tuple[Made, ...] = ()
    answers: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    repeats: int = 0
    """Replies in a row with calls that brought nothing that was not known."""
    turn: int = 0
    """The last reply that was counted so."""
    idle: int = 0
    """Calls in a row that led to no place where the work has not been."""

    def answered_by(self, call: ToolCall, tree: str) -> str:
        """The id of the earlier call whose answer still holds for `call` on `tree`; empty if it has to be carried out.

        What a look at the tree shows follows from the tree. What a command prints may also follow from what others left
        in the sandbox: it is run again if something was executed since that had not been executed before.
        """
        key = _key(call)
        last = next((n for n in reversed(range(len(self.made))) if self._same(n, key, tree)), None)
        if last is None or call.name not in LOOK | EXECUTE:
            return ""
        before = {(each.key, each.tree) for each in self.made[: last + 1]}
        since = {(each.key, each.tree) for each in self.made[last + 1 :] if each.executed}
        return "" if call.name in EXECUTE and since - before else self.made[last].call_id

    def after(self, call: ToolCall, event: ToolReturned, *, before: str, turn: int) -> "Habits":
        """With one more call of the reply number `turn`, made on the tree `before`."""
        answer = _digest(_key(call), before, _untimed(event.content))
        known = bool(event.repeats) or answer in self.answers
        arrived = _places(event)
        onward = not arrived <= self.places | {before}
        made = Made(key=_key(call), tree=before, call_id=call.id, executed=call.name in EXECUTE)
        return replace(
            self,
            made=self.made if event.repeats or event.is_error else (*self.made, made)[-KEPT:],
            answers=self.answers | {answer},
            places=self.places | arrived | {before},
            repeats=0 if onward or not known else self.repeats + (turn != self.turn),
            turn=turn if known else self.turn,
            idle=0 if onward else self.idle + 1,
        )

    def _same(self, number: int, key: str, tree: str) -> bool:
        return self.made[number].key == key and self.made[number].tree == tree


def _untimed(text: str) -> str:
    """`text` without how long things took. Most texts tell no such thing, and to look for it at each number is slow."""
    return _SECONDS.sub("", text) if " s" in text else text


def _places(event: ToolReturned) -> frozenset[str]:
    """The tree, and if the suite was run, what failed, flaky tests aside: trees may differ in nothing that counts."""
    if not isinstance(event.effect, TestRun) or not event.effect.full:
        return frozenset({event.tree})
    report = event.effect.report
    failing = (case_id for case_id in report.failing if case_id not in report.flaky)
    return frozenset({event.tree, _digest("failing", *failing, report.problem)})


def _key(call: ToolCall) -> str:
    """The same for calls that mean the same, however their arguments are written down."""
    try:
        arguments = json.dumps(json.loads(call.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        arguments = call.arguments
    return _digest(call.name, arguments)


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:24]
