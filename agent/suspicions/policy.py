"""What each suspicion leads to: the defaults for a use of greenward, and what a repository says instead."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from agent.suspicions.kinds import RULES, Kind, Policy, Rule, Suspicion
from agent.task import Mode

__all__ = ["CHOICES", "MOST", "Policies", "table"]

MOST = 200
"""Suspicions that are told in all."""
_ORDER = tuple(Policy)
_ONLY_EVER_FLAGGED = frozenset(
    kind for kind, rule in RULES.items() if {rule.fix, rule.change, rule.new} == {Policy.FLAG}
)

CHOICES: Mapping[Kind, tuple[str, ...]] = {
    kind: tuple(policy.value for policy in _ORDER if policy is not Policy.IGNORE or kind in _ONLY_EVER_FLAGGED)
    for kind in Kind
}
"""What a repository may say of each kind: what can be refused stays visible, what is but flagged may be ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The policies in force for one run."""

    mode: Mode
    stated: Mapping[str, str]
    """What the base of the run says, by kind."""

    def of(self, kind: Kind) -> Policy:
        """What a suspicion of this kind leads to."""
        return Policy(self.stated.get(kind, _default(RULES[kind], self.mode)))

    def weighed(self, found: Iterable[Suspicion]) -> tuple[Suspicion, ...]:
        """`found` with what each leads to, the strictest first, and without those that are ignored.

        There are `MOST` of them at most, so that no flood of trifles hides what is refused.
        """
        every = (replace(each, policy=self.of(each.kind)) for each in found)
        ordered = sorted(every, key=lambda each: _ORDER.index(each.policy))
        return tuple(each for each in ordered if each.policy is not Policy.IGNORE)[:MOST]

    @property
    def laxer(self) -> tuple[str, ...]:
        """Where the base asks for less than the defaults, in words."""
        found = []
        for kind in Kind:
            usual, stated = _default(RULES[kind], self.mode), self.of(kind)
            if _ORDER.index(stated) > _ORDER.index(usual):
                found.append(f"{kind}: {stated} instead of {usual}")
        return tuple(found)


def table() -> str:
    """The defaults as a table in Markdown."""
    lines = ["| kind | `fix` | `change` | `new` | what is found |", "|---|---|---|---|---|"]
    lines += [
        f"| `{kind}` | {rule.fix} | {rule.change} | {rule.new} | {rule.meaning} |" for kind, rule in RULES.items()
    ]
    return "\n".join(lines) + "\n"


def _default(rule: Rule, mode: Mode) -> Policy:
    match mode:
        case "fix":
            return rule.fix
        case "change":
            return rule.change
        case "new":
            return rule.new
