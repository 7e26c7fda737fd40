"""What is suspicious about a change: a green that may be fake, named with file and line. Pure; see docs/judging.md."""

from agent.suspicions.kinds import RULES, Kind, Policy, Suspicion
from agent.suspicions.looking import look
from agent.suspicions.policy import CHOICES, Policies, table
from agent.suspicions.work import Change, Work

__all__ = ["CHOICES", "RULES", "Change", "Kind", "Policies", "Policy", "Suspicion", "Work", "look", "table"]
