"""What counts as the same when something is done again.

What follows from git objects alone has to be the same in every character. What was executed varies, and is compared
without that:

| left aside | as in |
|---|---|
| durations | `in 0.03s`, `1.8 s`, `12 ms` |
| times of day and dates | `12:31:07.123`, `2030-01-01`, `Nov 28 12:38` |
| the name of a temporary file or directory | `/tmp/greenward-k3x9/work/a.py` |
| addresses in memory | `0x7f3a10` |
| ports of this machine | `127.0.0.1:40213` |
| numbers of processes | `pid 4711` |
| ids of kept outputs, marks around outputs, how much was left out | `id=3f2a...`, `--- output 3f2a...` |
| how long anything took, and in which environment of the same recipe it ran | fields of events |

Of a run of tests count its tests with their status, the exit code and the problem, not tracebacks and output; of a
verdict its kind, its tests, and which criteria hold. Words that another version of greenward says in the place of ours
(prompts, answers of tools, proofs) are no difference in what happened: they are counted and told. What the client notes
on a reply is compared nowhere, for the reply is the recorded one.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter

from agent import events as e
from agent.habits import EXECUTE
from agent.messages import Message
from agent.testreport import TestReport
from agent.text import sanitise
from agent.verdict import Verdict

__all__ = ["Told", "difference", "masked", "told"]

_MONTH = r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_MASKS = tuple(
    (re.compile(pattern, flags), stand_in)
    for pattern, flags, stand_in in (
        (r"\b\d+(?:\.\d+)? ?(?:s|ms|us|µs|ns|secs?|seconds?|mins?|minutes?)\b", 0, "<duration>"),
        (r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?", 0, "<time>"),
        (r"\b\d{4}-\d\d-\d\d\b", 0, "<date>"),
        (rf"\b{_MONTH} +\d{{1,2}} +(\d\d:\d\d|\d{{4}})\b", 0, "<date>"),
        (r"/(tmp|var/tmp|var/folders/[^/\s]+/[^/\s]+/T|dev/shm)/[^/\s'\":,;)\]>]+", 0, r"/\1/<name>"),
        (r"\b0x[0-9a-f]+\b", re.IGNORECASE, "<address>"),
        (r"(\b127\.0\.0\.1|\blocalhost|\[::1\]):\d+", 0, r"\1:<port>"),
        (r"\b(pid|process)([ =:]+)\d+", re.IGNORECASE, r"\1\2<number>"),
        (r"\bid(=| `)[0-9a-f]{16}(`? and offset=\d+)?", 0, "id <id>"),
        (r"^(--- (?:end of )?\w+) [0-9a-f]{12}$", re.MULTILINE, r"\1 <mark>"),
        (r"\d+ of \d+ characters left out", 0, "<number> characters left out"),
    )
)
_MEASURED = frozenset({"seconds", "sandbox_seconds"})
_EVENT: TypeAdapter[e.Event] = TypeAdapter(e.Event)
_LINES, _WIDTH = 12, 160
"""Of a difference, what is shown of each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event as lines to be compared: facts, and words of ours that say them to the model."""

    facts: tuple[str, ...]
    words: tuple[str, ...] = ()
    executed: bool = False
    """Whether the words came from something that was executed, and are compared without what varies."""

    def like(self, other: "Told") -> bool:
        """Whether facts and words are the same."""
        return self.alike_in_facts(other) and self.said == other.said

    def alike_in_facts(self, other: "Told") -> bool:
        """Whether the facts are the same."""
        return self.facts == other.facts

    @property
    def said(self) -> tuple[str, ...]:
        """The words, as they are compared."""
        return tuple(map(masked, self.words)) if self.executed else self.words


def masked(text: str) -> str:
    """`text` without what varies from one execution to the next."""
    for pattern, stand_in in _MASKS:
        text = pattern.sub(stand_in, text)
    return text


def told(event: e.Event) -> Told:  # noqa: PLR0911 - an arm for each
    """What of `event` counts."""
    match event:
        case e.EnvironmentPrepared():
            return Told(facts=_facts(event.kind, build=event.build, test=event.test, notes=event.notes))
        case e.BaselineMeasured(report=report):
            return Told(facts=(*_facts(event.kind), *_shown(report)))
        case e.TestsFinished(report=report, tree=tree):
            return Told(facts=(*_facts(event.kind, tree=tree), *_shown(report)))
        case e.VerdictReached(verdict=verdict):
            return Told(facts=(*_facts(event.kind), *_found(verdict)))
        case e.ToolReturned():
            return _answer(event)
        case e.Prompted(messages=messages):
            words = tuple(line for message in messages for line in _spoken(message))
            return Told(facts=_facts(event.kind, about=event.about, tree=event.tree), words=words)
        case e.RunFinished(proof=proof):
            return Told(facts=_all(event, without=frozenset({"proof"})), words=(f"proof: {proof}",))
        case e.ModelReplied():
            return Told(facts=_all(event, without=frozenset({"note"})))
        case e.CallReserved():
            return Told(facts=_facts(event.kind), words=_all(event, without=frozenset({"kind", "digest"})))
        case _:
            return Told(facts=_all(event))


def difference(recorded: Told, came: Told) -> str:
    """The lines that differ: of `recorded` after `-`, of `came` after `+`, each around its first difference."""
    old, new = (*recorded.facts, *recorded.words), (*came.facts, *came.words)
    executed = recorded.executed
    one, other = ([masked(line) if executed else line for line in side] for side in (old, new))
    shown: list[str] = []
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind != "equal":
            shown += _sides(old[start:end], new[other_start:other_end])
    return "\n".join(shown)


def _sides(old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[str]:
    pairs = list(zip(old, new, strict=False))
    place = _first_difference(*pairs[0]) if pairs else 0
    for sign, lines in (("-", old), ("+", new)):
        yield from (f"{sign} {_around(line, place if n == 0 else 0)}" for n, line in enumerate(lines[:_LINES]))
        if len(lines) > _LINES:
            yield f"{sign} … and {len(lines) - _LINES} more lines"


def _first_difference(one: str, other: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _around(line: str, place: int) -> str:
    """As much of a line as is worth showing, made visible."""
    start = max(0, place - _WIDTH // 2) if len(line) > _WIDTH else 0
    piece = line[start : start + _WIDTH]
    return ("…" if start else "") + sanitise(piece).replace("\n", " ") + ("…" if start + _WIDTH < len(line) else "")


def _facts(kind: str, **values: object) -> tuple[str, ...]:
    return (f"kind: {kind}", *(f"{name}: {value}" for name, value in values.items()))


def _all(event: e.Event, without: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Each field of an event but those that are measured, line by line."""
    plain = _EVENT.dump_python(event, mode="json")
    return tuple(
        line
        for name, value in plain.items()
        if name not in _MEASURED | without
        for line in f"{name}: {value}".split("\n")
    )


def _answer(event: e.ToolReturned) -> Told:
    effect: Iterable[str] = (f"effect: {event.effect}",)
    if isinstance(event.effect, e.TestRun):
        effect = (f"full: {event.effect.full}", *_shown(event.effect.report))
    facts = _facts(event.kind, call=event.call_id, name=event.name, error=event.is_error, tree=event.tree)
    return Told(
        facts=(*facts, f"repeats: {event.repeats}", *effect),
        words=tuple(event.content.split("\n")),
        executed=event.name in EXECUTE | {"submit_plan"} and not event.repeats,
    )


def _shown(report: TestReport) -> Iterator[str]:
    yield f"exit code: {report.exit_code}"
    yield f"problem: {masked(report.problem)}"
    yield from sorted(f"{masked(case.id)} {case.status.value}" for case in report.cases)


def _found(verdict: Verdict) -> Iterator[str]:
    yield f"verdict: {verdict.kind.value}"
    yield f"tree: {verdict.tree}"
    yield f"tests: {verdict.test}"
    yield from _shown(verdict.report) if verdict.report else ()
    for witness in verdict.witnesses:
        yield f"criterion: {witness.command}: {witness.base.holds} before, {witness.result.holds} after"


def _spoken(message: Message) -> Iterator[str]:
    yield f"{message.role}:"
    yield from message.content.split("\n")
