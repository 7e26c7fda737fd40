"""A run gone through once more from its journal: what can be done again is done again, and compared.

The model is not asked: its replies are the recorded ones. All that follows from git objects alone is done again: edits,
looks at files, commits. What commands, tests and verdicts came to is taken from the record, or, in a recheck, executed
as well. All of it happens in a scratch repository (`agent.replay.scratch`); what counts as the same is decided in
`agent.replay.likeness`.
"""

from collections import Counter
from dataclasses import dataclass, field

from agent.events import Outcome

__all__ = ["Divergence", "Replayed", "Step", "Tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An entry of the journal, counted from 0, in words."""

    step: int
    kind: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first place where something else came than the journal has."""

    steps: tuple[Step, ...]
    """Where it is: one step, or several one of which it is, in their order."""
    difference: str
    """Lines that the journal alone has, after `-`, and those that came instead, after `+`."""
    hint: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was gone through."""

    calls: int = 0
    """Replies of the model."""
    conversations: int = 0
    """Calls for which the conversation was the one that had been sent."""
    unsigned: int = 0
    """Calls of which the journal does not say what was sent."""
    again: Counter[str] = field(default_factory=Counter)
    """Events that were brought about again, by kind."""
    recorded: Counter[str] = field(default_factory=Counter)
    """Events that were taken from the record, by kind."""
    edits: int = 0
    """Calls of tools that were carried out again and changed the tree."""
    commits: list[str] = field(default_factory=list)
    """Made again, oldest first."""
    reworded: Counter[str] = field(default_factory=Counter)
    """Events that differ in words alone from those of another version, by kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of it."""

    run: str
    steps: int
    """Entries of the journal, all of which were gone through unless there is a divergence."""
    versions: tuple[str, ...]
    """Of greenward, that recorded it."""
    recheck: bool
    outcome: Outcome | None
    branch: str
    tip: str
    """Where the branch was left in the scratch repository."""
    tree: str
    tally: Tally
    divergence: Divergence | None
