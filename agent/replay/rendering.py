"""What a replay came to, for people and for programs."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from agent.events import Outcome
from agent.replay import Divergence, Replayed, Tally
from agent.text import number_of, one_line, sanitise

__all__ = ["SCHEMA", "as_json", "as_text"]

SCHEMA: Literal[1] = 1
TOOLS, TESTS = "tool_returned", ("baseline_measured", "tests_finished")
SHOWN = 20
"""Steps that are named of those one of which was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How many events were brought about again, and how many taken from the record, by kind."""

    again: dict[str, int]
    recorded: dict[str, int]
    reworded: dict[str, int]
    """Those that differ in words alone from what another version says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What a replay came to."""

    schema: Literal[1] = SCHEMA
    run: str
    steps: int
    """Entries of the journal."""
    recheck: bool
    versions: tuple[str, ...]
    calls: int
    """Replies of the model, all from the record."""
    conversations: int
    """Calls for which the conversation was, to the letter, the one that had been sent."""
    edits: int
    events: Done
    commits: tuple[str, ...]
    """Made again, oldest first."""
    branch: str
    tip: str
    tree: str
    outcome: Outcome | None
    divergence: Divergence | None


def as_json(replayed: Replayed) -> str:
    """One object, in ASCII."""
    tally = replayed.tally
    report = ReplayReport(
        run=replayed.run,
        steps=replayed.steps,
        recheck=replayed.recheck,
        versions=replayed.versions,
        calls=tally.calls,
        conversations=tally.conversations,
        edits=tally.edits,
        events=Done(again=dict(tally.again), recorded=dict(tally.recorded), reworded=dict(tally.reworded)),
        commits=tuple(tally.commits),
        branch=replayed.branch,
        tip=replayed.tip,
        tree=replayed.tree,
        outcome=replayed.outcome,
        divergence=replayed.divergence,
    )
    return json.dumps(TypeAdapter(ReplayReport).dump_python(report, mode="json"), indent=2)


def as_text(replayed: Replayed) -> str:
    """A line for each thing that was reproduced, or the first that was not."""
    found = replayed.divergence
    lines = _same(replayed) if found is None else _diverged(replayed, found)
    return sanitise("\n".join(lines))


def _same(replayed: Replayed) -> Iterator[str]:
    tally = replayed.tally
    outcome = replayed.outcome.value.replace("_", " ") if replayed.outcome else "unfinished"
    by = ", ".join(replayed.versions)
    yield f"the same: run {replayed.run} ({outcome}), {number_of(replayed.steps, 'step')}"
    yield f"recorded: by greenward {one_line(by)}" if by else "recorded: no session"
    yield f"calls:    {tally.calls} of {_sent(tally)} answered, from the record{_conversations(tally)}"
    yield f"tools:    {_parts(tally, (TOOLS,))}, {number_of(tally.edits, 'edit')} among them"
    yield f"tests:    {_parts(tally, TESTS)}"
    yield f"verdicts: {_parts(tally, ('verdict_reached',))}"
    yield f"commits:  {len(tally.commits)} made again, with the recorded ids"
    yield f"tip:      {replayed.tip} of {replayed.branch}, tree {replayed.tree}"
    yield from _notes(tally)


def _diverged(replayed: Replayed, found: Divergence) -> Iterator[str]:
    first, *others = found.steps
    if others:
        yield f"diverges: run {replayed.run}, at one of {len(found.steps)} steps of {replayed.steps}"
        yield from (f"  step {each.step}: {each.kind} {each.what}".rstrip() for each in found.steps[:SHOWN])
        if len(found.steps) > SHOWN:
            yield f"  and {len(found.steps) - SHOWN} more"
    else:
        where = f"{first.step} of {replayed.steps}: {first.kind} {first.what}".rstrip()
        yield f"diverges: run {replayed.run}, at step {where}"
    yield "  - as recorded, + as it came now"
    yield from (f"  {line}" for line in found.difference.split("\n"))
    yield from _notes(replayed.tally)
    yield f"\nhint: {found.hint}"


def _sent(tally: Tally) -> int:
    return tally.conversations + tally.unsigned


def _conversations(tally: Tally) -> str:
    """How many conversations were those that had been sent."""
    if not tally.unsigned:
        return "; each conversation is the one that was sent"
    return f"; of {tally.unsigned} conversations the journal does not say what was sent"


def _parts(tally: Tally, kinds: tuple[str, ...]) -> str:
    again, recorded = (_sum(counts, kinds) for counts in (tally.again, tally.recorded))
    return f"{again} again, {recorded} from the record"


def _sum(counts: Counter[str], kinds: tuple[str, ...]) -> int:
    return sum(counts[kind] for kind in kinds)


def _notes(tally: Tally) -> Iterator[str]:
    if tally.reworded:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.reworded.items()))
        yield f"note:     recorded by another version, whose words differ from ours: {kinds}"
